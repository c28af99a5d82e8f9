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
# # The figures of the paper
#
# Figures 1 to 5 of the founding document, drawn from the tables of this run alone. The measure of the
# first two is the relative error
#
# $$\lVert \hat x' - x' \rVert \,/\, \lVert x' - x \rVert .$$

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path

# %% tags=["part:imports"]
from IPython.display import display

from tdlib import figures
from tdlib.study.live import live
from tdlib.study.phases.evaluate import load_parts
from tdlib.study.phases.failure_films import film_failures
from tdlib.study.run import open_run
from tdlib.study.statistics import merge_parts

run = open_run(preset)
tables = merge_parts(run)
states = load_parts(run, run.preset.environments[0], ["none", *run.preset.models]).get("state_errors")

# %%
run.save_figure("paper_figures", "figure1_heatmaps", figures.draw_figure1, tables.get("one_step_errors"))

# %%
run.save_figure("paper_figures", "figure2_horizon", figures.draw_figure2, tables.get("rollout_errors"))

# %%
run.save_figure("paper_figures", "figure3_control", figures.draw_figure3, tables.get("control_performance"))

# %%
run.save_figure("paper_figures", "figure4_state_space", figures.draw_figure4, states)

# %%
run.save_figure("paper_figures", "figure5_ablations", figures.draw_figure5, tables.get("one_step_errors"))

# %% [markdown]
# ## Choose a system and an arm
#
# A row of figure 1 for any arm, one line for every seed, over all other arms.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
first = {"env": run.preset.environments[0], "arm": "baseline, 20 Hz"}
errors = figures.errors_by_rate(tables.get("one_step_errors"))
live(run, "errors", figures.live_errors, errors, **first)

# %% [markdown]
# ## How it fails
#
# One film for each way to fail; which start it shows is computed from the stored rollouts and episodes.

# %%
display(*film_failures(run, tables))

# %% [markdown]
# ## Finding, limits, next
#
# * Each figure's data lie beside it as CSV; `make report` writes the figure itself as a vector.
# * Next: `07_explorer`, where you choose.
