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
# # How wrong is a model at a rate it was not trained for?
#
# The same held-out states flow to every test interval. The error is measured against the true increment,
#
# $$\text{relative error} = \frac{\lVert \hat x' - x' \rVert}{\lVert x' - x \rVert},$$
#
# so 1 is persistence, "nothing moves". Theory for an exact map of the step $h$ that does not see $\Delta t$: $|1 - h/\Delta t|$ to first
# order, for states that move.

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path
env: str = "Pendulum-v1"  # one of the preset's environments
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [baseline, dt_conditioned]
forms: list = []  # for example [scaled_concat]; of fields, their solvers
train_frequencies: list = []  # for example [20, mixed]
sizes: list = []  # some of the preset's sizes
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from IPython.display import display

from tdlib import figures
from tdlib.study.live import live
from tdlib.study.phases.evaluate import evaluate_environment, example_rollouts, record_videos
from tdlib.study.phases.limit_tables import limit_curves
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "sizes": sizes, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)

# %% [markdown]
# ## One step: train rate × test rate
#
# Raw error orders rates by the length of the step, because long steps move further. The relative error does not.

# %%
ensure_trained(run, env, chosen)
tables = evaluate_environment(run, env, chosen)
errors, part = tables.get("one_step_errors"), {"part": chosen.label}
draw = figures.draw_error_heatmaps
display(
    run.save_figure("error_heatmaps", f"{env}-mse", draw, errors, value="mse", **part),
    run.save_figure("error_heatmaps", f"{env}-relative", draw, errors, value="relative_error", **part),
)

# %% [markdown]
# The figures show a few arms; every one stands in the table.

# %%
figures.table_of_arms(
    errors,
    "relative_error",
    "test_frequency",
    title="relative one-step error by test rate [Hz]",
    where={"test_set": "pooled", "dimension": "all"},
)

# %% [markdown]
# ## One training rate against the limits
#
# The gray curves are the errors of exact models of each form on the same states, computed without any learning. A trained
# model adds its fitting error, which now and then cancels part of the limit.

# %%
run.save_figure("limits", env, figures.draw_limits, errors, limit_curves(run, env, seeds), **part)

# %% [markdown]
# ## Is it the rate, or the states that the agent visited?
#
# The agent of another rate visits other states. The same arms, trained on their own agent's states and on pooled ones,
# are scored on pooled states and on the own agent's.

# %%
run.save_figure("own_and_pooled", env, figures.draw_own_and_pooled, errors, **part)

# %% [markdown]
# ## Rollouts: one second, open loop, the same physical input at every rate

# %%
run.save_figure("error_vs_horizon", env, figures.draw_error_vs_horizon, tables.get("rollout_errors"), **part)

# %%
figures.table_of_arms(
    tables.get("rollout_errors"),
    "relative_error",
    "test_frequency",
    title="relative error at the end of a rollout by test rate [Hz]",
    where={"dimension": "all", "truncated": False},
    at_last="time",
)

# %%
rollouts = example_rollouts(run, env, chosen)
run.save_figure("trajectory_rollouts", env, figures.draw_trajectories, rollouts, **part)

# %% [markdown]
# ### Choose an arm, a rate, a seed and a start
#
# One prediction beside the truth.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
first = {"arm": "baseline, 20 Hz", "test_frequency": "50", "seed": 0, "start": 0}
live(run, f"{env}-rollout", figures.live_rollout, rollouts, **part, **first)

# %% [markdown]
# ## Where in the state space is the error?

# %%
run.save_figure("state_space", env, figures.draw_state_space, tables.get("state_errors"), **part)

# %% [markdown]
# ## Consistency: is one coarse step the same as several fine ones?
#
# In the second figure the solver step is $h\cdot2^{-k}$, so finer steps are at the right.

# %%
run.save_figure("consistency", f"{env}-defect", figures.draw_consistency, tables.get("consistency_errors"), **part)

# %%
figures.table_of_arms(
    tables.get("consistency_errors"),
    "defect",
    ["coarse_frequency", "fine_frequency"],
    title="semigroup defect by rate of the one step / of the several [Hz]",
)

# %%
run.save_figure("consistency", f"{env}-convergence", figures.draw_convergence, tables.get("convergence_test"), **part)

# %%
figures.table_of_arms(
    tables.get("convergence_test"), "error", "k", title="relative error of fields at 4h by k, the solver step h/2^k"
)

# %% [markdown]
# ## Which velocity field has it learned?
#
# A map of step $h$ has the field $(\Phi_h - x)/h$. Where its divergence is below the true one, it damps what the
# system does not; its poles, the eigenvalues of its Jacobian at an equilibrium, say how fast it falls or swings.

# %%
run.save_figure("velocity_fields", f"{env}-poles", figures.draw_poles, tables.get("field_poles"), **part)

# %%
figures.table_of_fields(tables.get("field_errors"))

# %% [markdown]
# ## Does an ensemble know that the rate is wrong?
#
# Two questions: does its spread tell an unknown rate from a known one (last panel), and does it match the error (the others)?

# %%
run.save_figure("ensemble", f"{env}-calibration", figures.draw_calibration, tables.get("ensemble_calibration"), **part)

# %%
figures.table_of_arms(
    tables.get("ensemble_calibration"),
    "auroc",
    "test_frequency",
    title="AUROC of the spread, each test rate [Hz] against the own rates (0.5 tells nothing)",
    where={"bin": "all"},
)

# %% [markdown]
# ## Videos
#
# The prediction is drawn as a ghost over the truth.

# %%
display(*record_videos(run, env, chosen))

# %% [markdown]
# ## Finding, limits, next
#
# * Numbers with intervals stand in the chapters; they are read from this run's tables.
# * Test states are those of the task. Elsewhere in the state space the numbers differ.
# * Next: `04_control`, whether prediction error matters for a planner.
