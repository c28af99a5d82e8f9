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
# # What did the agents see at each rate?
#
# One PPO agent per rate learns the task while every transition it makes is kept, so the data are both exploratory and
# relevant. Beside it lie data under random inputs, and *branched* pairs, where one $(x, a)$ flows to many intervals:
#
# $$\{(x_i, a_i, \Delta t_i, \varphi_{\Delta t_i}(x_i, a_i))\}, \qquad \log \Delta t_i \sim U.$$
#
# The question of this notebook is whether the rates differ in more than the interval.

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path
env: str = "Pendulum-v1"  # one of the preset's environments
seeds: list = []  # some of the preset's seeds; empty for all

# %% tags=["part:imports"]
from tdlib.figures import draw_coverage, draw_returns, live_states
from tdlib.study.live import live
from tdlib.study.phases.collect import collect_environment, load_coverage, load_returns
from tdlib.study.phases.data_check import check_data, load_attempts, table_of_checks
from tdlib.study.run import open_run

run = open_run(preset)

# %% [markdown]
# ## Collect
#
# Sets that are already there, made by the same code and settings, are kept.

# %%
collect_environment(run, env, seeds).round(2)

# %% [markdown]
# ## Check
#
# The data check looks for missing numbers, outliers (rates of change more than thirty interquartile ranges from the quartiles), states out of
# bounds and transitions that the equation does not confirm. It is also a command, `make verify`.

# %%
table_of_checks(check_data(run, env, seeds))

# %% [markdown]
# ## Returns against physical time
#
# At this preset's size PPO need not have learned; where the preset is `full`, the check above demands a gain, and an
# agent without one is replaced by an agent of another seed, derived by rule. Every agent that was trained is listed; the
# last attempt of a rate and seed is the one whose data are used.

# %%
load_attempts(run, env, seeds).round(1)

# %%
part = "-".join(f"seed{seed}" for seed in seeds)
run.save_figure("data", f"{env}-returns", draw_returns, load_returns(run, env, seeds), part=part)

# %% [markdown]
# ## Coverage of the state space
#
# If agents of different rates visit different states, a model trained at one rate meets unfamiliar states at another. The
# test sets therefore pool the states of all rates and flow the same states to every interval.

# %%
states = load_coverage(run, env, seeds)
run.save_figure("data", f"{env}-coverage", draw_coverage, states, part=part)

# %% [markdown]
# ## Choose a rate and a seed
#
# The states that one agent visited, over those of all.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
live(run, f"{env}-states", live_states, states, part=part, control_frequency="20", seed=0)

# %% [markdown]
# ## Finding, limits, next
#
# * Each set holds exactly the number of transitions asked for; splits are by episode.
# * Coverage differs between rates where the agents' skill differs. The pooled test set removes that from the comparison; the
#   `ppo` and `shift` test sets keep it visible.
# * Next: `02_training_analysis`.
