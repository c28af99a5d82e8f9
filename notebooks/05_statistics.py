# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which differences are more than chance?
#
# Seeds are the unit of replication: each has its own agent, data, split and initialization. Intervals are Student's t over
# seeds. Differences are tested paired by seed, with sign flips, in one family per environment under Holm's correction. With
# $m$ seeds the smallest two-sided p-value is
#
# $$p_{\min} = 2^{1-m},$$
#
# so that $k$ such tests need $k\,2^{1-m} < 0.05$ before the clearest result can be confirmed.

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path

# %% tags=["part:imports"]
from tdlib import figures
from tdlib.study.analyses import analyze
from tdlib.study.live import live
from tdlib.study.run import open_run
from tdlib.study.statistics import (
    evaluate_contrasts,
    evaluate_predictions,
    intervals_by_seeds,
    merge_parts,
    missing_contrasts,
    summarize,
    write_summary,
)

run = open_run(preset)

# %% [markdown]
# ## Intervals

# %%
tables = merge_parts(run)
statistics = summarize(run, tables)
shown = statistics.query("metric == 'one_step.relative_error' and test_frequency == '50' and train_frequency == '20'")
shown = shown.sort_values(["env", "model", "method", "form", "size", "data"])
shown = shown.set_index(["env", "model", "method", "form", "size", "data"])
figures.WholeTable(shown[["mean", "ci_low", "ci_high", "n_seeds", "bad"]].round(4))

# %% [markdown]
# ## Choose a system, an arm and a test rate
#
# What one seed after another does to mean and interval.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there has other seeds to choose.

# %%
intervals = intervals_by_seeds(tables.get("one_step_errors"))
env, first = run.preset.environments[0], {"arm": "baseline, 20 Hz", "test_frequency": "50"}
live(run, "intervals", figures.live_intervals, intervals, env=env, **first)

# %% [markdown]
# ## Declared contrasts
#
# They were written down in `tdlib/study/contrasts.py` before any run of the study, as were the
# predictions below; the rest of this book is exploratory.
# A verdict below five seeds is *consistent*, *inconsistent* or *open*; the note says where this many seeds could confirm nothing.

# %%
contrasts = evaluate_contrasts(run, tables)
found = ["expected", "ratio", "ci_low", "ci_high", "p_holm", "p_smallest", "n_seeds", "verdict", "note"]
figures.WholeTable(contrasts.set_index(["env", "name"])[found].round(3))

# %%
run.save_figure("statistics", "contrasts", figures.draw_contrasts, contrasts)

# %% [markdown]
# Contrasts whose arms are not in this run:

# %%
missing_contrasts(run, contrasts)

# %% [markdown]
# ## Other states
#
# Errors on the states of a random policy over errors on pooled states of the agents, paired by seed. `against` is that ratio
# over the raw map's at the same rate, and the verdict is on the claim that it is below 1.

# %%
analyses = analyze(run, tables)
run.save_figure("failure", "shift", figures.draw_shift, analyses["shift"])

# %% [markdown]
# ## The form of the excess, and failure
#
# Each system and test rate is predicted by a fit to the other systems and rates.

# %%
run.save_figure("failure", "excess_forms", figures.draw_excess_forms, analyses["excess_forms"])

# %%
run.save_figure("failure", "predictors", figures.draw_predictors, analyses["failure"])

# %%
run.save_figure("failure", "reliability", figures.draw_reliability, analyses["reliability"])

# %% [markdown]
# ## An ensemble's alarm
#
# The threshold is set on half of the pairs at known rates; the other half is counted.

# %%
run.save_figure("failure", "alarm", figures.draw_alarm, analyses["alarms"])

# %% [markdown]
# ## Predictions
#
# Written in `book/predictions.yaml` before the run, with bounds that can fail; judged by the same rule, without a family. Each
# is the mean over seeds of one number, most of them a measured error over the exact limit on the same states.

# %%
predictions = evaluate_predictions(run, tables, analyses["scores"])
predictions.groupby("prediction", sort=False)["verdict"].value_counts().unstack(fill_value=0)

# %%
off_rate = predictions.query("prediction == 'off-rate-formula'").set_index(["env", "what"])
off_rate = off_rate[["expected", "measured", "ci_low", "ci_high", "reference", "n_seeds", "verdict"]]
figures.WholeTable(off_rate.round(3))

# %% [markdown]
# ## Headline numbers

# %%
headline = write_summary(run, tables, statistics)
keys = ["env", "model", "method", "form", "test_frequency"]
headline.set_index(keys)[["mean", "ci_low", "ci_high"]].head(20).round(3)

# %% [markdown]
# ## Finding, limits, next
#
# * Few seeds cannot decide: below five a verdict is *consistent* at most, and a difference is confirmed from nine seeds on.
#   Student's t gives two seeds an interval almost thirteen times as wide as they lie apart.
# * An interval is over seeds of this study. Another set of rates, systems or training budgets is another study.
# * Next: `06_paper_figures`.
