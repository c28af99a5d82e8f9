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
# # What does a camera see?
#
# States are stored, and frames are painted when they are asked for: a frame is a function of the state alone,
#
# $$x(t) = \mathrm{camera}\big(s(t)\big),$$
#
# so that a motion that is simulated anew, a stored sequence, and that sequence at another rate, size or quality are seen
# by the same camera. Bodies are painted between pixels: a motion of less than a pixel is read off shades.

# %% tags=["parameters", "remove-cell"]
preset: str = "visual_smoke"  # name of a preset of the chapter of visual world models in params/, or a path
envs: list = []  # some of the preset's systems; empty for all
split: str = "test"  # of the stored set: train, val or test
idx: int = 0  # which sequence of it
seed: int = 0  # of the preset's seeds
n_frames: int = 24  # frames of a film at most
rate: float = 0  # of the simulated motion [Hz]; 0 for the training rate
img_size: int = 0  # pixels per side; 0 for those of the preset
color: bool = True  # three channels, or one
render_quality: str = ""  # low, medium or high; empty for that of the preset

# %% tags=["part:imports"]
from IPython.display import display

from tdlib.figures.films import draw_stills, live_stills
from tdlib.study.live import live
from tdlib.study.phases import picture_films as films
from tdlib.study.run import open_run

run = open_run(preset)
camera = films.chosen_camera(run, img_size, color, render_quality)
f"{camera.img_size} pixels per side, {camera.channels} channels, {camera.render_quality} quality"

# %% [markdown]
# ## A motion
#
# A start and, where a system has one, a hidden parameter are drawn, and at every frame another action. Stills stand in
# the order of reading; the film, which plays at its own speed, is folded below them.

# %%
for env in envs or run.preset.environments:
    seen = films.simulated_motion(run, env, camera, n_frames, rate, seed)
    display(run.save_figure("visual", f"{env}-motion", draw_stills, seen))
    display(films.keep_film(run, "visual", f"{env}-motion", seen))

# %% [markdown]
# ## A stored set
#
# One sequence of the set that models are trained or tested on, painted by the same camera.

# %%
for env in envs or run.preset.environments:
    seen = films.stored_motion(run, env, camera, n_frames, seed, split, idx)
    display(run.save_figure("visual", f"{env}-stored", draw_stills, seen))
    display(films.keep_film(run, "visual", f"{env}-stored", seen))

# %% [markdown]
# ## Another camera
#
# In JupyterLab every choice paints stored sequences again: at another rate the exact flow fills in what lies between the
# stored states. On a page the first choice stands still; the [explorer](07_explorer.ipynb) there follows any $\Delta t$
# of systems whose state is seen.

# %%
motions = films.seen_states(run, seed)
asked = {"img_size": camera.img_size, "color": "three channels", "render_quality": "medium"}
first = {"env": run.preset.environments[0], "start": 0, "rate": "10", **asked}
live(run, "stills", live_stills, motions, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * How far the middle of what is seen moves from frame to frame is the distance that an encoder of two frames turns into
#   a velocity; it is told below each figure, and shrinks with the interval.
# * One sequence is one draw of start, parameter and actions; a camera that stands still, and no noise.
# * The same for one system with a picture, or one stored set, without a run: `python -m tdlib.pixels --help`.
