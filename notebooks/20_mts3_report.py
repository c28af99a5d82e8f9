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
# # What does a second clock buy?
#
# Everything that the chapter's runs came to, over systems and seeds. Predictions were written before; a seed is its own
# data, split and weights, and intervals are Student's t over seeds,
#
# $$\bar r \pm t_{0.975,\,m-1}\, s / \sqrt m .$$

# %% tags=["parameters", "remove-cell"]
preset: str = "mts3_smoke"  # name of a preset of the chapter on two time scales in params/, or a path
levels: str = "mts3"  # the model with a second level
one_level: str = "acrkn"  # the model that it is compared with

# %% tags=["part:imports"]
import torch

from tdlib import figures
from tdlib.models.beliefs import MTS3, MTS3Options
from tdlib.study.checkpoint_report import compared_rates
from tdlib.study.live import live
from tdlib.study.run import open_run
from tdlib.study.statistics import evaluate_predictions, merge_parts, summarize

run = open_run(preset)
tables = merge_parts(run)
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## Two clocks in one drawing
#
# Who depends on whom, and what is computed of it. These drawings show structure, which is that of any run.

# %%
run.save_figure("mts3", "graphical_model", figures.draw_graphical_model)

# %%
run.save_figure("mts3", "architecture", figures.draw_architecture)

# %% [markdown]
# Both levels are made of the same operations: conditioning on what is seen, marginalization over a step.

# %%
run.save_figure("mts3", "conditioning", figures.draw_conditioning)

# %%
run.save_figure("mts3", "marginalization", figures.draw_marginalization)

# %%
run.save_figure("mts3", "covariance", figures.draw_covariance)

# %% [markdown]
# ## Across horizons, or across rates?

# %%
windows = tables.get("sliding_windows")
whole = windows[windows["env"].isin(run.preset.environments)]
both = {"with_level": levels, "without": one_level}
run.save_figure("mts3", "levels", figures.draw_levels, whole, **both)

# %% [markdown]
# ## Treatments of time

# %%
statistics = summarize(run, tables)
trained, _ = compared_rates(run)
rates = sorted(run.preset.train_frequencies)
shown = f"{rates[0]:g}", "irregular", f"{rates[-1]:g}"
asked = {"rates": shown, "rate": trained, "model": levels}
run.save_figure("mts3", "treatments", figures.draw_imagined_treatments, statistics, **asked)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
errors = figures.errors_by_rate(tables.get("one_step_errors"))
first = {"env": run.preset.environments[0], "arm": "MTS3: multi-resolution flow, mixed"}
live(run, "beliefs", figures.live_errors, errors[errors["model"] != "none"], **first)

# %% [markdown]
# ## Where a part is seen
#
# At the one rate that a set was recorded at, three seconds ahead, in standard deviations of what is seen.

# %%
seen = windows[windows["env"].isin(run.preset.seen_sets)]
words = "sliding RMSE [standard deviations] 3 s ahead by partly seen set"
figures.table_of_arms(seen, "rmse", ["env"], title=words, where={"time": 3.0})

# %% [markdown]
# ## Predictions

# %%
predictions = evaluate_predictions(run, tables)
found = ["measured", "ci_low", "ci_high", "n_seeds", "verdict"]
figures.WholeTable(predictions[["prediction", "env", "what", "expected", *found]].round(3))

# %% [markdown]
# ## Creating new architectures
#
# Three levels are one option. Another composition is one class of a few lines; the chapter's page has one, which runs
# in its tests.

# %%
options = {"latent_dim": 6, "windows": (5, 20), "task_feed": "prior", "form": "flow"}
three = MTS3(4, 2, MTS3Options(**options))
observations, actions = torch.randn(8, 50, 4), torch.randn(8, 50, 2)
found = three(observations, actions, delta_t=torch.full((8, 50), 0.05))
[tuple(tasks.priors.mean.shape) for tasks in found.tasks], tuple(found.predicted.mean.shape)


# %% [markdown]
# ## Finding, limits, next
#
# * A level is a filter of its own clock; whether it knows anything that the one below does not, a system decides.
# * Equal steps, weights of about one number, equal data; smaller than published, since this is a laptop's budget.
# * One more model: any class on the same contract, by its import path in the preset.
