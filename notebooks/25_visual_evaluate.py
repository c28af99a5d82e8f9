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
# # Does a latent state have a rate?
#
# Two tests at another $\Delta t$. In test A the known frames are as far apart as in training, and the predictor is asked
# for other steps: what moves the state is tested. In test B the known frames have the new interval too, and
#
# $$E(x(t - \Delta t), x(t)) \quad\text{is read as if it were}\quad E(x(t - h), x(t)).$$

# %% tags=["parameters", "remove-cell"]
preset: str = "visual_smoke"  # name of a preset of the chapter of visual world models in params/, or a path
env: str = "oscillator"  # one of the preset's systems
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [hgn, two_phase]
forms: list = []  # for example [spatial_jump, spatial_hamiltonian]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from IPython.display import display

from tdlib import figures
from tdlib.explorer.python.pictures import open_pictures
from tdlib.figures.strips import draw_visual_rollouts
from tdlib.figures.visual import live_visual, with_words
from tdlib.study.live import live
from tdlib.study.phases.picture_scores import evaluate_pictures, example_frames
from tdlib.study.phases.pictures import train_pictures
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
chosen = select_arms(run, models=models, methods=methods, forms=forms, seeds=seeds)
summary = train_pictures(run, env, chosen)

# %%
tables, part = evaluate_pictures(run, env, chosen), {"part": chosen.label}
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## One motion
#
# Pictures are the first thing to look at: a ball that fades, splits or stands still is a failure that a mean hides.

# %%
strips = example_frames(run, env, chosen)
run.save_figure("visual", f"{env}-visual_rollouts", draw_visual_rollouts, strips, **part)

# %% [markdown]
# ## At the rate of training
#
# The mean image and the copy of the last frame know no motion; models of states see what is hidden in pictures, and
# their predictions are drawn by the same camera. PSNR is in dB, the ball's error in pixels.

# %%
over_rates = with_words(tables.get("visual_dt_generalization"))
own = {"protocol": "A", "test_frequency": f"{run.preset.train_frequencies[0]:g}"}
title = "PSNR [dB] at the rate of training, by the steps predicted"
figures.table_of_arms(over_rates, "psnr", "steps", title=title, where=own)

# %%
title = "error of the ball's place [pixels] at the rate of training, by the steps predicted"
figures.table_of_arms(over_rates, "ball_error", "steps", title=title, where=own)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any $\Delta t$ of systems whose state is seen.

# %%
over_time = tables.get("visual_metrics")
first = {"arm": "visual world model: end to end spatial_jump, 10 Hz", "seed": 0}
live(run, f"{env}-pictures", live_visual, over_time, **part, **first)

# %% [markdown]
# ## At other rates

# %%
columns = ["protocol", "test_frequency"]
title = "MSE of pictures over a second, by test and test rate [Hz]: "
for steps in ("open loop", "copy of last", "mean image"):
    asked = {"steps": steps}
    table = figures.table_of_arms(over_rates, "mse", columns, title=title + steps, where=asked)
    display(table)

# %% [markdown]
# ## Back
#
# A field runs back as well: the last frames are encoded, and the same inputs are gone through with a $\Delta t$ below
# zero, to the start. A copy of the last frame stands beside it again.

# %%
for steps in ("back", "copy, back"):
    title = f"MSE of pictures over a second, by test and test rate [Hz]: {steps}"
    asked = {"steps": steps, "protocol": "B"}
    table = figures.table_of_arms(over_rates, "mse", "test_frequency", title=title, where=asked)
    display(table)

# %% [markdown]
# ## Side by side
#
# One motion at any rate whose frames fall on the same second: choose a model, and move $\Delta t$. The first two frames
# are seen, in test A at the interval of training, in test B at the one that is asked for. In JupyterLab torch predicts
# what is chosen; on the published page stands what it found for some models and motions.

# %%
open_pictures(run, env, chosen, "visual")

# %% [markdown]
# ## Does the latent do anything?
#
# A latent that says next to nothing of its frames has collapsed, and a decoder shows the mean image. Positions that
# hardly move, or an energy without a spread, are the marks of a predictor that leaves the work to others; a rollout
# that errs many times as much as single steps from true frames, of one that was not followed.

# %%
asked = {"prediction": "model"}
for name in ("latent_nats", "q_motion", "latent_error", "energy_time_std", "energy_drift"):
    table = figures.table_of_arms(over_rates, name, columns, title=name, where=asked)
    display(table)

# %% [markdown]
# ## Finding, limits, next
#
# * Errors of tests A and B differ by what the encoder's window is told; those of repeated and single steps by what the
#   predictor is.
# * Latents are compared with those of true frames that are as far apart as in training, at the times that have them.
# * Next: `26_visual_report`, the systems side by side.
