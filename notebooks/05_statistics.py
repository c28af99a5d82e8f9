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
# Seeds are the unit of replication: each has its own agent, data, split and initialization. Intervals come from a bootstrap
# over seeds (for control over seeds, then episodes), contrasts from paired sign-flip tests over seeds with Holm's correction.
# With $m$ seeds the smallest two-sided p-value is
#
# $$p_{\min} = 2^{1-m}.$$

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path

# %% tags=["part:imports"]
from tdlib.figures import draw_contrasts
from tdlib.study.run import open_run
from tdlib.study.statistics import evaluate_contrasts, merge_parts, missing_contrasts, summarize, write_summary

run = open_run(preset)
tables = merge_parts(run)
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## Intervals

# %%
statistics = summarize(run, tables)
shown = statistics.query("metric == 'one_step.relative_error' and test_frequency == '50' and train_frequency == '20'")
shown.set_index(["env", "model", "method", "form"])[["mean", "ci_low", "ci_high", "n_seeds"]].round(3)

# %% [markdown]
# ## Declared contrasts
#
# They were written down in `tdlib/study/contrasts.py` before any run of the study; everything else in this book is exploratory.

# %%
contrasts = evaluate_contrasts(run, tables)
contrasts.set_index(["env", "name"])[
    ["expected", "ratio", "ci_low", "ci_high", "p_holm", "p_equivalence", "verdict"]
].round(3)

# %%
run.save_figure("statistics", "contrasts", draw_contrasts, contrasts)

# %% [markdown]
# Contrasts whose arms are not in this run:

# %%
missing_contrasts(run, contrasts)

# %% [markdown]
# ## Headline numbers

# %%
headline = write_summary(run, tables, statistics)
keys = ["env", "model", "method", "form", "test_frequency"]
headline.set_index(keys)[["mean", "ci_low", "ci_high"]].head(20).round(3)

# %% [markdown]
# ## Finding, limits, next
#
# * With few seeds no test can reach significance, and the intervals are wide; the `full` preset has ten.
# * Next: `06_paper_figures`.
