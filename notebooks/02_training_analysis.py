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
# # Do the models learn, each at its own rate?
#
# Every arm gets the same number of optimizer steps and the same loss, the error of the predicted rate of change in units of
# its standard deviation $\sigma$,
#
# $$\ell = \Big\langle \Big(\frac{\hat x' - x'}{\Delta t\,\sigma}\Big)^2 \Big\rangle .$$
#
# Arms of one architecture train together as one program, over seeds, rates and forms.

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path
env: str = "Pendulum-v1"  # one of the preset's environments
models: list = []  # some of the preset's models; empty for all
seeds: list = []  # some of the preset's seeds; empty for all

# %% tags=["part:imports"]
from tdlib.figures import draw_training_overview, draw_velocity_field
from tdlib.study.phases.evaluate import load_velocity_fields
from tdlib.study.phases.train import load_curves, train_environment
from tdlib.study.run import open_run

run = open_run(preset)

# %% [markdown]
# ## Train
#
# The best weights by validation at the arm's own rate are kept; no test rate is looked at.

# %%
summary = train_environment(run, env, models, seeds)
summary.groupby(["model", "method", "form", "train_frequency"], sort=False)[
    ["best_val_loss", "best_step", "final_grad_norm"]
].mean().round(4)

# %% [markdown]
# ## Curves

# %%
run.save_figure("training", f"{env}-curves", draw_training_overview(load_curves(run, env, models, seeds)))

# %% [markdown]
# ## The learned velocity field
#
# A continuous-time model claims to know $f$ itself. Here it is, beside the true one.

# %%
run.save_figure("training", f"{env}-velocity_field", draw_velocity_field(load_velocity_fields(run, env)))

# %% [markdown]
# ## Finding, limits, next
#
# * A model that has not learned at its own rate says nothing about other rates; the build fails if the baseline has not.
# * The budget is equal in optimizer steps, not in arithmetic: an ODE evaluates its network four times per step.
# * Next: `03_results_visualization`, the same models at other rates.
