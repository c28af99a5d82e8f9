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
# # Beliefs on two clocks
#
# What a model knows of a latent state is a Gaussian $N(m, \Sigma)$, which an observation narrows and a step widens,
#
# $$z_k^+ = \mathrm{condition}(z_k, o_k), \qquad z_{k+1} = \mathrm{marginalize}(A z_k^+ + b(a_k) + C l + \varepsilon) .$$
#
# The task $l$ is a belief as well, of a slower level: it sees windows where $z$ sees steps. What the arms differ in is
# how many levels there are, and what a step knows of $\Delta t$; data, sequences, masks and loss are the same.

# %% tags=["parameters", "remove-cell"]
preset: str = "mts3_smoke"  # name of a preset of the chapter on two time scales in params/, or a path
env: str = "oscillator"  # one of the preset's systems
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [baseline, multi_resolution]
forms: list = []  # for example [flow, flow_seconds]
train_frequencies: list = []  # for example [20, mixed]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
import pandas as pd

from tdlib.figures import WholeTable, draw_coverage, draw_likelihoods, live_likelihoods
from tdlib.models import build_model
from tdlib.study.live import live
from tdlib.study.phases.collect import collect_environment, load_coverage
from tdlib.study.phases.data_check import check_data, table_of_checks
from tdlib.study.phases.train import load_curves, train_environment, training_means
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms
from tdlib.systems import SYSTEMS

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)

# %% [markdown]
# ## Episodes
#
# Random inputs on a weak feedback, one set per rate and seed, split by episode. A hidden parameter is drawn for each
# episode; a training sequence lies within one.

# %%
collect_environment(run, env, seeds).round(2)

# %%
table_of_checks(check_data(run, env, seeds))

# %%
coverage = load_coverage(run, env, seeds)
run.save_figure("mts3", f"{env}-coverage", draw_coverage, coverage, part=chosen.label)

# %% [markdown]
# ## How large, and how much is hidden in training
#
# Models are of about one size; the table counts the weights of each in its first form and in its last. Of each
# sequence some observations are masked, one by one and in whole windows; the share of windows grows in the first part
# of training, so that predictions through several of them are learned.

# %%
built = {name: build_model(name, SYSTEMS[env].spec, seed=0) for name in chosen.models}
latest = {name: model.options.forms[-1] for name, model in built.items()}
spec = SYSTEMS[env].spec
last = {name: build_model(name, spec, seed=0, form=form) for name, form in latest.items()}
two = [built.values(), last.values()]
counts = [[sum(x.numel() for x in model.parameters()) for model in models] for models in two]
sizes = [dict(zip(built, count, strict=True)) for count in counts]
lengths = {name: model.needs.window for name, model in built.items()}
masked = {name: model.options.dropped_windows for name, model in built.items()}
named = {"weights, by steps": sizes[0], "last form": latest, "weights in it": sizes[1]}
pd.DataFrame(named | {"steps": lengths, "masked windows, at most": masked})

# %% [markdown]
# ## Train
#
# The loss is the negative log-likelihood of the next observation, in standard units, over the steps of a sequence.

# %%
summary = train_environment(run, env, chosen)
WholeTable(training_means(summary).round(4))

# %%
curves = load_curves(run, env, chosen)
run.save_figure("mts3", f"{env}-curves", draw_likelihoods, curves, part=chosen.label)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
first = {"arm": "MTS3: multi-resolution flow, mixed", "seed": 0}
live(run, f"{env}-belief_curve", live_likelihoods, curves, part=chosen.label, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * A likelihood may be negative: a density above one. Losses compare among models of one system, since all predict the
#   same numbers on the same masks.
# * Equal steps are not equal arithmetic: a second level, and windows in seconds, cost extra.
# * Next: `19_mts3_evaluate`, far ahead and at other rates.
