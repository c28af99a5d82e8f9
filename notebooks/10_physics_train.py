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
# # A system with hidden parameters, and models that know some physics
#
# Every sequence starts anew, draws the parameters that its system varies, and holds one random action per interval. The
# parameters $\theta$ are stored with the sequence and not among a model's inputs,
#
# $$x_{k+1} = \varphi_{\Delta t}(x_k, a_k; \theta), \qquad \theta \sim U, \quad a_k \sim U,$$
#
# so that an exact prediction is out of reach: what is left to a model that knows $\theta$'s mean stands beside the results.

# %% tags=["parameters", "remove-cell"]
preset: str = "physics_smoke"  # name of a preset of the physics chapter in params/, or a path
env: str = "oscillator"  # one of the preset's systems
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [baseline, ode]
forms: list = []  # for example [scaled_concat]; of fields, their solvers
train_frequencies: list = []  # for example [10, mixed]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from tdlib.figures import WholeTable, draw_coverage, draw_training_overview, live_curve
from tdlib.study.live import live
from tdlib.study.phases.collect import collect_environment, load_coverage
from tdlib.study.phases.data_check import check_data, table_of_checks
from tdlib.study.phases.train import load_curves, train_environment, training_means
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)

# %% [markdown]
# ## Sequences
#
# One HDF5 file per rate and seed, split by sequence into 80, 10 and 10 %. Sets that are there, made by the same code and
# settings, are kept: one set serves the models of a run.

# %%
collect_environment(run, env, seeds).round(2)

# %%
table_of_checks(check_data(run, env, seeds))

# %%
run.save_figure("data", f"{env}-coverage", draw_coverage, load_coverage(run, env, seeds), part=chosen.label)

# %% [markdown]
# ## Train
#
# The models have the same number of optimizer steps and hidden units; an equation's structure is all that tells them apart.

# %%
summary = train_environment(run, env, chosen)
WholeTable(training_means(summary).round(4))

# %%
curves = load_curves(run, env, chosen)
run.save_figure("training", f"{env}-curves", draw_training_overview, curves, part=chosen.label)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
live(run, f"{env}-curve", live_curve, curves, part=chosen.label, arm="baseline, 10 Hz", seed=0)

# %% [markdown]
# ## Finding, limits, next
#
# * A model is worth asking about other intervals if it has learned its own; the table says which have.
# * Equal steps are not equal arithmetic: a field is evaluated four times per step, an energy differentiated besides.
# * Next: `11_physics_evaluate`, the same models open loop, at other intervals, and where no energy is lost.
