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
# # What is the truth, and who is allowed to change it?
#
# A study of sampling rates needs one physical system that does not know the rate. Here it is a differential equation, and
# the truth at any control interval $\Delta t$ is its flow with the action held,
#
# $$x(t + \Delta t) = \varphi_{\Delta t}(x(t), a), \qquad \dot x = f(x, a).$$
#
# Changing the integration step of a Gymnasium environment instead (`env.dt`, `env.tau`) changes the plant. How much?

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # which run the figures belong to

# %% tags=["part:imports"]
import pandas as pd

from tdlib.evaluation import plant_change_table, plant_motions
from tdlib.figures import draw_plant_change, draw_zero_order_hold, live_plant
from tdlib.study.live import live
from tdlib.study.run import open_run
from tdlib.systems import SYSTEMS

run = open_run(preset)

# %% [markdown]
# ## The plant changes with `env.dt`
#
# One step of Gymnasium's own integrator, taken at the control interval, against the exact flow over the same interval. The
# error is given relative to the change of the state itself, so 1 means "as wrong as predicting no change".

# %%
names = ("Pendulum-v1", "CartPole-v1")
table = pd.concat([plant_change_table(SYSTEMS[name]) for name in names], ignore_index=True)
run.save_table("plant_change", table)
run.save_figure("ground_truth", "plant_change", draw_plant_change, table)

# %% [markdown]
# A model trained on such data at one rate and tested at another would be charged for a change of physics. No result of
# this book uses it. Gymnasium's integrators do converge to our flow as their step goes to zero, at first order
# (`tests/test_envs.py`).
#
# ## The same input, seen at three rates
#
# A zero-order hold keeps the action constant over each interval. The physical trajectory is one curve; the rate only decides
# where we look at it.

# %%
run.save_figure(
    "ground_truth", "zero_order_hold", draw_zero_order_hold, SYSTEMS["Pendulum-v1"], frequencies=(10, 20, 50)
)

# %% [markdown]
# ## Choose a system and a rate
#
# One motion under a held input, by the exact flow and by Gymnasium's integrator at the control interval.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
motions = pd.concat([plant_motions(SYSTEMS[name]) for name in names], ignore_index=True)
live(run, "plant", live_plant, motions, env=names[0], control_frequency="10")

# %% [markdown]
# ## Finding, limits, next
#
# * Truth here is exact to about 1e-7 at every rate, including 33.3 Hz, so an error measured later belongs to the model.
# * Pendulum's speed limit makes the flow non-smooth where it acts; those transitions are flagged, counted, and left out of
#   training and of the one-step pairs.
# * Next: `01_data_exploration`, what the agents saw.
