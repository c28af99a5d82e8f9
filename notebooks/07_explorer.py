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
# # Move Δt and see
#
# One start, one constant input, one second. The line is the truth $\varphi_t(x_0, a)$, the dots are a model's predictions fed
# back at the rate that you choose. The slider starts at the training rate, where the first model looks fine.

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path
env: str = "Pendulum-v1"  # one of the preset's environments

# %%
from tdlib.runs.explore import open_explorer
from tdlib.runs.run import open_run
from tdlib.runs.train import ensure_trained

run = open_run(preset)
ensure_trained(run, env, ["jump", "newtonian"])

# %% [markdown]
# In JupyterLab the slider is continuous and runs the trained models. On the published page it moves over the test rates.

# %%
open_explorer(run, env)

# %% [markdown]
# ## Finding, limits
#
# * The model trained at 20 Hz moves by its own step whatever is asked: at a higher rate it runs ahead of time, at a lower rate
#   it lags. Rescaling its increment removes most of that without any training.
# * One start and one input are an illustration; the chapters average over many.
