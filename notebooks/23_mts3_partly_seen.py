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
# # What if only a part is seen?
#
# So far a sensor showed the whole state. Here it shows a part $o$ of it, positions for the most part, and a model has
# to keep what it needs of the rest,
#
# $$p(o_{k+1} \mid o_k, a_k) \ne p(o_{k+1} \mid o_{\le k}, a_{\le k}) .$$
#
# One set, at the one rate that it was recorded at: what happens at another $\Delta t$ would depend on what is hidden,
# so that nobody knows the truth there. Models, loss and masks are those of the chapter.

# %% tags=["parameters", "remove-cell"]
preset: str = "mts3_smoke"  # name of a preset of the chapter on two time scales in params/, or a path
seen: str = "oscillator-positions"  # one of the preset's partly seen sets
models: list = []  # some of the preset's models; empty for all, as in what follows
seeds: list = []  # some of the set's seeds

# %% tags=["part:imports"]
from tdlib import figures
from tdlib.figures import WholeTable, live_likelihoods
from tdlib.study.live import live
from tdlib.study.phases.partly_seen import collect_seen, evaluate_seen, select_seen, train_seen
from tdlib.study.phases.train import load_curves, training_means
from tdlib.study.run import open_run

run = open_run(preset)
chosen = select_seen(run, seen, models, seeds)
part = {"part": chosen.label}

# %% [markdown]
# ## Episodes
#
# Systems are driven by random inputs, machines of MuJoCo by the policy that the table names. The set holds what is seen
# as its state, split by episode; the minutes are those of learning the policy and of collecting.

# %%
collect_seen(run, seen, chosen).round(2)

# %% [markdown]
# ## Train

# %%
summary = train_seen(run, seen, chosen)
WholeTable(training_means(summary).round(4))

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any $\Delta t$ of systems that are seen whole.

# %%
curves = load_curves(run, seen, chosen)
first = {"arm": "MTS3: baseline, 20 Hz", "seed": 0}
live(run, f"{seen}-curve", live_likelihoods, curves, **part, **first)

# %% [markdown]
# ## Far ahead
#
# A second is known; then the inputs alone. Recorded episodes of the test split are the truth.

# %%
tables = evaluate_seen(run, seen, chosen)
windows = tables.get("sliding_windows")
run.save_figure("mts3", f"{seen}-ahead", figures.draw_seen, windows, **part)

# %%
title = "sliding RMSE [standard deviations] by time ahead [s]"
figures.table_of_arms(windows, "rmse", ["time"], title=title)

# %%
intervals = tables.get("interval_calibration")
title = "share of true values within intervals of 95 %"
figures.table_of_arms(intervals, "coverage_95", ["span"], title=title)

# %% [markdown]
# ## Finding, limits, next
#
# * Inputs of a policy that sees the whole state tell of what is hidden: where they are known far ahead, so is more.
# * At one rate there is no question about another; the other notebooks of the chapter ask it.
# * Next: `20_mts3_report`, with the verdicts.
