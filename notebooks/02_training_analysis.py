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
# # Do the models learn, each at its own rate?
#
# Every arm gets the same number of optimizer steps and the same loss, the error of the predicted rate of change in units of
# its standard deviation $\sigma$,
#
# $$\ell = \Big\langle \Big(\frac{\hat x' - x'}{\Delta t\,\sigma}\Big)^2 \Big\rangle .$$
#
# Arms of one architecture train together as one program, over seeds, rates and forms.

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
from tdlib.figures import WholeTable, draw_training_overview, draw_velocity_field, live_curve
from tdlib.study.live import live
from tdlib.study.phases.evaluate import load_velocity_fields
from tdlib.study.phases.train import load_curves, train_environment, training_means
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "sizes": sizes, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)

# %% [markdown]
# ## Train
#
# The best weights by validation at the arm's own rate are kept; no test rate is looked at.

# %%
summary = train_environment(run, env, chosen)
WholeTable(training_means(summary).round(4))

# %% [markdown]
# ## Curves

# %%
curves = load_curves(run, env, chosen)
run.save_figure("training", f"{env}-curves", draw_training_overview, curves, part=chosen.label)

# %% [markdown]
# ## The learned velocity field
#
# A continuous-time model claims to know $f$ itself. Here it is, beside the true one.

# %%
fields = load_velocity_fields(run, env, chosen)
run.save_figure("training", f"{env}-velocity_field", draw_velocity_field, fields, part=chosen.label)

# %% [markdown]
# ## Choose an arm and a seed
#
# Both losses of one model, on the axes of all.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
first = {"arm": "baseline, 20 Hz", "seed": 0}
live(run, f"{env}-curve", live_curve, curves, part=chosen.label, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * A model that has not learned at its own rate says nothing about other rates; the build fails if the baseline has not.
# * The budget is equal in optimizer steps, not in arithmetic: an ODE evaluates its network four times per step.
# * Next: `03_results_visualization`, the same models at other rates.
