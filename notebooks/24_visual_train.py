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
# # Learning to predict what a camera sees
#
# An encoder reads two frames, a predictor moves what it says by $\Delta t$, a decoder shows it again:
#
# $$\hat x(t + \Delta t) = D\big(P(E(x(t - h), x(t)),\, a,\, \Delta t)\big).$$
#
# Predictors differ in how $\Delta t$ enters. Frames are painted from stored states, so models that see the states
# train on the same motions.

# %% tags=["parameters", "remove-cell"]
preset: str = "visual_smoke"  # name of a preset of the chapter of visual world models in params/, or a path
env: str = "oscillator"  # one of the preset's systems
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [hgn, two_phase]
forms: list = []  # for example [spatial_jump, spatial_hamiltonian]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from tdlib.figures import WholeTable, live_curve
from tdlib.figures.learned_pictures import draw_learned
from tdlib.figures.strips import draw_motions
from tdlib.figures.visual import draw_visual_curves
from tdlib.study.live import live
from tdlib.study.phases.collect import collect_environment
from tdlib.study.phases.filmed import motion_frames, select_pictures
from tdlib.study.phases.pictures import learned_pictures, train_pictures
from tdlib.study.phases.train import load_curves, training_means
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
chosen = select_arms(run, models=models, methods=methods, forms=forms, seeds=seeds)
part = {"part": chosen.label}

# %% [markdown]
# ## Motions
#
# Sequences under actions that are drawn anew at every interval, split by sequence; a hidden parameter, where a system
# has one, is drawn for each.

# %%
collect_environment(run, env, seeds).round(2)

# %%
frames = motion_frames(run, env, chosen.seeds[0])
run.save_figure("visual", f"{env}-frames", draw_motions, frames, env=env, **part)

# %% [markdown]
# ## Train
#
# End to end (`hgn`), one encoded state is rolled out and all of it decoded, one lower bound for everything. On cached
# latents (`two_phase`) encoder and decoder learn alone, then the predictor on what they make of the frames; its loss is
# an error of latents and compares with no other. On codes (`vqvae`) a flat latent is rounded to one of a table, and the
# predictor, which reads the last two, learns beside it. Models of states have the loss of the other chapters.

# %%
summary = train_pictures(run, env, chosen)
WholeTable(training_means(summary).round(5))

# %%
curves = load_curves(run, env, select_pictures(run, env, chosen))
run.save_figure("visual", f"{env}-curves", draw_visual_curves, curves, **part)

# %% [markdown]
# What a model shows is kept while it learns: a few frames of one clip after every validation, in a file beside its
# checkpoint that is there before training ends.

# %%
pictures = learned_pictures(run, env, chosen)
run.save_figure("visual", f"{env}-learned", draw_learned, pictures, **part)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any $\Delta t$ of systems whose state is seen.

# %%
first = {"arm": "visual world model: end to end spatial_jump, 10 Hz", "seed": 0}
live(run, f"{env}-picture_curve", live_curve, curves, **part, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * A reconstruction loss says how well pictures come out on the mean, and the ground is most of a picture: read it
#   beside the baselines of the next notebook.
# * Widths are a laptop's; those of the founding document are the preset `visual_gpu`, from the same code.
# * Next: `25_visual_evaluate`, held-out motions at this rate and at others.
