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
# # What the sequences look like
#
# A set that is stored, or a motion that is simulated anew: the state, the inputs, and the energy with what it must be by the
# power of inputs and losses,
#
# $$E(t) = E(0) + \int_0^t P(x, u)\, ds .$$

# %% tags=["parameters", "remove-cell"]
preset: str = "physics_smoke"  # name of a preset of the physics chapter in params/, or a path
envs: list = []  # some of the preset's systems; empty for all
split: str = "test"  # of the stored set: train, val or test
idx: int = 0  # which sequence of it
seed: int = 0  # of the preset's seeds
rate: float = 10  # one of the preset's training rates [Hz]
n_frames: int = 8  # pictures along the sequence

# %% tags=["part:imports"]
from IPython.display import display

from tdlib.figures.motion import draw_frames, draw_motion, live_motion
from tdlib.study.live import live
from tdlib.study.phases.motion import first_coordinates, stored_motion
from tdlib.study.run import open_run

run = open_run(preset)

# %% [markdown]
# ## Stored sequences

# %%
for env in envs or run.preset.environments:
    motion = stored_motion(run, env, rate, seed, split, idx)
    display(run.save_figure("motion", f"{env}-states", draw_motion, motion))
    display(run.save_figure("motion", f"{env}-frames", draw_frames, motion, count=n_frames))

# %% [markdown]
# ## One more, and another rate
#
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
motions = first_coordinates(run, seed)
first = {"env": run.preset.environments[0], "rate": f"{rate:g}", "sequence": 0}
live(run, "motion", live_motion, motions, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * The energy's two curves are one computed from the state and one summed from the power; that they agree checks both.
# * One sequence is one draw of the hidden parameter; the title says which.
# * To move such a system by hand, open the explorer: `07_explorer`.
