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
# # A memory, and what it is told of time
#
# A GRU reads rows of states and inputs into a memory $m$ and reads the next change off it,
#
# $$m_k = \mathrm{GRU}(m_{k-1}, x_k, a_k), \qquad \hat x_{k+1} = x_k \oplus s(\Delta t)\, \sigma\, W m_k .$$
#
# A row is a row for it, however much time has passed. What it may be told of $\Delta t$, and where, is what its arms
# differ in; they have the same data, windows and number of optimizer steps.

# %% tags=["parameters", "remove-cell"]
preset: str = "history_smoke"  # name of a preset of the history chapter in params/, or a path
env: str = "double_cart_pole"  # one of the preset's systems
memory: str = "gru"  # the model with a memory whose treatments of time are compared
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [baseline, multi_resolution]
forms: list = []  # for example [scaled, ode_scaled]
train_frequencies: list = []  # for example [20, mixed]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from tdlib.dynamics_model_training.ablations import PLAIN, ablate
from tdlib.figures import WholeTable, draw_coverage, draw_training_overview, live_curve
from tdlib.figures.history_models import draw_ablations
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
# ## Episodes
#
# Random inputs on a weak feedback, one set per rate and seed, split by episode. A window of training lies within one
# episode; of a system with a hidden parameter, an episode has one value of it.

# %%
collect_environment(run, env, seeds).round(2)

# %%
table_of_checks(check_data(run, env, seeds))

# %%
coverage = load_coverage(run, env, seeds)
run.save_figure("history", f"{env}-coverage", draw_coverage, coverage, part=chosen.label)

# %% [markdown]
# ## Train
#
# A window holds ten rows of the past and nine steps, each from the prediction before; the loss is the mean over the nine.

# %%
summary = train_environment(run, env, chosen)
WholeTable(training_means(summary).round(4))

# %%
curves = load_curves(run, env, chosen)
own = curves[curves["model"] == memory]
run.save_figure("history", f"{env}-curves", draw_training_overview, own, part=chosen.label)

# %% [markdown]
# ## One thing changed
#
# The founding document's tips and its troubleshooting name a change and what it is good for. Each row is one training
# that differs from the plain one in one thing, scored on the same held-out episodes.

# %%
ablated = ablate(run, env, seeds) if memory in chosen.models else None
part = chosen.label
run.save_figure("history", f"{env}-ablations", draw_ablations, ablated, plain=PLAIN, part=part)

# %%
values = ["train_loss", "val_loss", "first_step", "last_step", "finite", "refused"]
None if ablated is None else ablated.groupby("ablation", sort=False)[values].mean().round(3)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
first = {"arm": "GRU: baseline, 20 Hz", "seed": 0}
live(run, f"{env}-memory_curve", live_curve, curves, part=chosen.label, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * Losses of different families are not of the same thing: a step for the map, several in a row for the GRU.
# * Equal steps are not equal arithmetic: a memory that follows a field costs several evaluations of it per row.
# * Next: `15_history_evaluate`, the same models at other rates.
