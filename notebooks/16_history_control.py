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
# # Two poles swung up through a memory
#
# The planner draws inputs around its last plan, looks a second ahead through a model, and keeps the best,
#
# $$a^* = \arg\min_{a_{0:T}} \sum_k c(\hat x_k, a_k)\,\Delta t + c_T(\hat x_T) .$$
#
# The model's memory holds what has been carried out, and every plan goes on from it. The tip that the cost speaks of is
# computed from the predicted state. The oracle plans through the true equation with the same budget.

# %% tags=["parameters", "remove-cell"]
preset: str = "history_smoke"  # name of a preset of the history chapter in params/, or a path
env: str = "double_cart_pole"  # one of the preset's systems, whose task has a cost
memory: str = "gru"  # the model with a memory that is filmed
models: list = []  # some of the preset's models; empty for all, as in what follows
train_frequencies: list = []  # for example [20, mixed]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from tdlib.figures import WholeTable, draw_control, live_returns
from tdlib.figures.selection import main_model
from tdlib.study.arms import Arm
from tdlib.study.live import live
from tdlib.study.phases.control import control_environment, control_summary
from tdlib.study.phases.control_film import film_control
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "train_frequencies": train_frequencies, "seeds": seeds}
chosen = select_arms(run, **parts)
ensure_trained(run, env, chosen)

# %% [markdown]
# ## Closed loop
#
# Memories of one rate as they are and repaired, one of three rates, and a map without a memory. Starts are near rest,
# both poles hanging; every seed has starts of its own, which its arms and its oracle share.

# %%
control = control_environment(run, env, chosen)
WholeTable(control_summary(control).round(3))

# %%
shown = control[control["model"].isin((memory, main_model(), "none"))]
learned = shown[shown["model"] != "none"]
arms = list(learned.groupby(["model", "method", "form", "train_frequency"]).groups)
run.save_figure("history", f"{env}-control", draw_control, shown, part=chosen.label, arms=arms)

# %%
film_control(run, env, chosen, Arm(memory, "multi_resolution", "scaled", train_frequency="mixed"))

# %% [markdown]
# ## Choose an arm and a control rate
#
# Every episode beside the oracle's from the same start; on the line they are alike.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
own = control.query("method not in ('oracle', 'random')")
first = {"arm": "GRU: baseline, 20 Hz", "control_frequency": "50"}
live(run, f"{env}-memory_returns", live_returns, own, part=chosen.label, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * A cell in which the oracle itself fails is marked as limited by the planner: it compares planners, not models.
# * The models have seen random inputs. States of a pole that stands are rare among those, and planning asks for them.
# * Next: `17_history_report`, the systems side by side.
