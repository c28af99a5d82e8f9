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
# # Does the wrong rate break control?
#
# A planner looks one second ahead through a model and applies its first inputs to the true system,
#
# $$a^* = \arg\min_{a_{0:T}} \sum_k c(\hat x_k, a_k)\,\Delta t .$$
#
# The oracle plans through the true equation with the same budget; the difference of returns is the *regret*.

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
from tdlib.figures import WholeTable, draw_control, live_returns
from tdlib.study.live import live
from tdlib.study.phases.control import control_environment, control_summary
from tdlib.study.phases.control_film import film_control
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "sizes": sizes, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)
ensure_trained(run, env, chosen)

# %% [markdown]
# ## Closed loop at every control rate
#
# The planner's budget, its horizon in seconds, its knots per second and the time between plans are the same at every
# rate and for every model. Every seed has starts of its own, which its arms and its oracle share.

# %%
control = control_environment(run, env, chosen)
WholeTable(control_summary(control).round(3))

# %%
run.save_figure("control", env, draw_control, control, part=chosen.label)

# %%
film_control(run, env, chosen)

# %% [markdown]
# ## Choose an arm and a control rate
#
# Every episode beside the oracle's from the same start; on the line they are alike.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
own = control.query("method not in ('oracle', 'random') and planner != 'mppi'")
own = own[own["model_frequency"] == own["control_frequency"]]
first = {"arm": "baseline, 20 Hz", "control_frequency": "50"}
live(run, f"{env}-returns", live_returns, own, part=chosen.label, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * A cell in which the oracle itself fails is marked as limited by the planner: it compares planners, not models.
# * Replanning hides a part of the one-step error: a model only has to order its plans well. Regret says how much is left.
# * Next: `05_statistics`, over all environments.
