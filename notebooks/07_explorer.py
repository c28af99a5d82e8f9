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
# # What would this model do at that Δt?
#
# One start, one input, one second. The thick line is the truth, $x(t_{k+1}) = \varphi_\Delta(x(t_k), a_k)$ with the input held over
# each step; the marks are what a trained model says when its own predictions are fed back,
# $\hat x_{k+1} = \Phi(\hat x_k, a_k, \Delta)$. The error is $\sqrt{\sum_k |\hat x_k - x_k|^2 / \sum_k |x_k - x_0|^2}$, root mean square over
# dimensions: 1 is what "nothing moves" scores.

# %% tags=["parameters", "remove-cell"]
preset: str = ""  # name of a preset in params/, or a path; the best models there are if empty
env: str = "Pendulum-v1"  # environment of the first view, one of the preset's

# %% tags=["part:imports"]
from tdlib.publish.explore import explored_arms, find_source, open_explorer
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run

if preset:  # a run that has none yet trains its jump models here
    ensure_trained(open_run(preset), env, explored_arms(open_run(preset)))
source = find_source(preset)
print(f"models of the {source.name}")

# %% [markdown]
# Move Δt. In JupyterLab every picture asks the trained models in torch: `open_explorer("quick")` shows a whole run, and
# `Explorer([folder, ...])` any checkpoints of any runs. On the published page the same element runs the same models from
# the page's own files.

# %%
explorer = open_explorer(source, env)
explorer

# %% [markdown]
# `explorer.view` is the link of the present view; assigning one moves the controls. "Show the Python lines" gives the code
# that reproduces it with `tdlib`.

# %%
explorer.environments, len(explorer.checkpoints)

# %% [markdown]
# ## Finding, limits
#
# * The model trained at 20 Hz moves by its own step whatever is asked: at a higher rate it runs ahead of time, at a lower
#   rate it lags. Where the state moves its first step misses about $|1 - h/\Delta|$ of the motion, from rest more; an exact map
#   of its step would miss that too.
# * Rescaling its increment takes away the first order of that without training. From rest the motion has none, and rescaling
#   helps less. A model that saw several rates is to be asked between them, and beyond.
# * One start and one input are an illustration; the chapters average over many.
