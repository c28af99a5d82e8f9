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
# # Far ahead, and at other rates
#
# Two windows of half a second are known; then a model goes on by itself, told of the inputs alone. Its error and its
# likelihood are averaged over the last half second before each time,
#
# $$\mathrm{RMSE}(t) = \Big( \tfrac{1}{|W_t|} \sum_{k \in W_t} \lVert \hat x_k - x_k \rVert^2 / \sigma^2 \Big)^{1/2} ,$$
#
# in standard deviations $\sigma$ of the true states, so that 1 is about what a guess of their mean scores.

# %% tags=["parameters", "remove-cell"]
preset: str = "mts3_smoke"  # name of a preset of the chapter on two time scales in params/, or a path
env: str = "oscillator"  # one of the preset's systems
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [baseline, multi_resolution]
forms: list = []  # for example [flow, flow_seconds]
train_frequencies: list = []  # for example [20, mixed]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from tdlib import figures
from tdlib.explorer.python.beliefs import open_beliefs
from tdlib.study.live import live
from tdlib.study.phases.evaluate import evaluate_environment
from tdlib.study.phases.imagine import imagined_paths
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)
ensure_trained(run, env, chosen)

# %%
tables, part = evaluate_environment(run, env, chosen), {"part": chosen.label}
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## Far ahead

# %%
windows = tables.get("sliding_windows")
run.save_figure("mts3", f"{env}-imagined", figures.draw_imagined, windows, **part)

# %%
figures.table_of_arms(
    windows,
    "rmse",
    ["time"],
    title="sliding RMSE [standard deviations] at 20 Hz by time ahead [s]",
    where={"test_frequency": "20"},
)

# %% [markdown]
# ## At other rates

# %%
run.save_figure("mts3", f"{env}-rates", figures.draw_imagined_rates, windows, **part)

# %%
figures.table_of_arms(
    windows,
    "rmse",
    "test_frequency",
    title="sliding RMSE [standard deviations] 3 s ahead by test rate [Hz]",
    where={"time": 3.0},
)

# %%
figures.table_of_arms(
    windows,
    "nll",
    "test_frequency",
    title="sliding negative log-likelihood [nats] 3 s ahead by test rate [Hz]",
    where={"time": 3.0},
)

# %% [markdown]
# ## How sure
#
# If a model says $N(\mu, \sigma^2)$ and is right about it, then $\Phi((x - \mu)/\sigma)$ is uniform, and its intervals of
# 95 % hold the truth nineteen times in twenty.

# %%
intervals = tables.get("interval_calibration")
run.save_figure("mts3", f"{env}-calibration", figures.draw_intervals, intervals, **part)

# %%
figures.table_of_arms(
    intervals,
    "coverage_95",
    ["span", "test_frequency"],
    title="share of true values within intervals of 95 % by span and test rate [Hz]",
)

# %% [markdown]
# ## What a belief looks like
#
# One start. The band is two standard deviations on each side of the mean.

# %%
paths = imagined_paths(run, env, chosen)
run.save_figure("mts3", f"{env}-belief", figures.draw_belief, paths, **part)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
first = {"arm": "MTS3: multi-resolution flow, mixed", "test_frequency": "20", "start": 0}
live(run, f"{env}-belief", figures.live_belief, paths, **part, **first)

# %% [markdown]
# ## What each level knows
#
# The same start at any rate: choose a model, and move $\Delta t$. Below the band stand the information that each level
# has gained, $\tfrac12 \log_2 (\det \Sigma_0 / \det \Sigma)$ in the mean over pairs of latent coordinates, and the size
# of its mean. Dotted lines are where a window of a slow level begins. In JupyterLab torch follows what is chosen; on the
# published page stands what it found for some models.

# %%
open_beliefs(run, env, chosen, "mts3")

# %% [markdown]
# ## One step
#
# The measure of the rest of the book, after eight known rows.

# %%
figures.table_of_arms(
    tables.get("one_step_errors"),
    "relative_error",
    "test_frequency",
    title="relative one-step error by test rate [Hz]",
    where={"test_set": "pooled", "dimension": "all"},
)

# %% [markdown]
# ## Finding, limits, next
#
# * Read the error beside the dotted curve, which knows the equation and the mean of what is hidden, and beside 1.
# * A second known is as long at every rate, and other numbers of rows.
# * Next: `20_mts3_report`, the systems side by side.
