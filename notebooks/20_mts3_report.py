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

# %% tags=["part:imports"]
import torch

from tdlib import figures
from tdlib.models.beliefs import MTS3, Belief, FastLevel, MTS3Options, condition
from tdlib.models.beliefs.levels import TASK, first_belief
from tdlib.models.beliefs.windows import StepWindows, sense
from tdlib.study.checkpoint_report import compared_rates
from tdlib.study.live import live
from tdlib.study.run import open_run
from tdlib.study.statistics import evaluate_predictions, merge_parts, summarize

run = open_run(preset)
tables = merge_parts(run)
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## Across horizons, or across rates?

# %%
windows = tables.get("sliding_windows")
run.save_figure("mts3", "levels", figures.draw_levels, windows)

# %% [markdown]
# ## Treatments of time

# %%
statistics = summarize(run, tables)
trained, _ = compared_rates(run)
coarse, fine = (f"{rate:g}" for rate in (min(run.preset.train_frequencies), max(run.preset.train_frequencies)))
asked = {"rates": (coarse, "irregular", fine), "rate": trained}
run.save_figure("mts3", "treatments", figures.draw_imagined_treatments, statistics, **asked)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
errors = figures.errors_by_rate(tables.get("one_step_errors"))
first = {"env": run.preset.environments[0], "arm": "MTS3: multi-resolution flow, mixed"}
live(run, "beliefs", figures.live_errors, errors[errors["model"] != "none"], **first)

# %% [markdown]
# ## Predictions

# %%
predictions = evaluate_predictions(run, tables)
found = ["measured", "ci_low", "ci_high", "n_seeds", "verdict"]
predictions[["prediction", "env", "what", "expected", *found]].round(3)

# %% [markdown]
# ## Creating new architectures
#
# Three levels are one option. Another composition is one class: here a fast level whose task is that of a model with
# no memory of its own, the last window's.

# %%
three = MTS3(4, 2, MTS3Options(latent_dim=6, windows=(5, 20), sequence_length=60, task_feed="prior", form="flow"))
observations, actions = torch.randn(8, 60, 4), torch.randn(8, 60, 2)
found = three(observations, actions, delta_t=torch.full((8, 60), 0.05))
[tuple(tasks.priors.mean.shape) for tasks in found.tasks], tuple(found.predicted.mean.shape)


# %%
class LastWindow(torch.nn.Module):
    """The mean belief of one window acts on the steps of the next: no slow transition at all."""

    def __init__(self, observation_dim, action_dim, options, window):
        super().__init__()
        self.window, self.fast = window, FastLevel(observation_dim, action_dim, options, causes=(TASK,))

    def forward(self, observations, actions):
        seen = sense(self.fast.observation, observations, None)
        windows = StepWindows(self.window, observations.shape[-2], observations)
        whole = condition(first_belief(self.fast.options, observations), windows.pooled(seen))
        before = Belief(*(torch.cat([x[..., :1, :] * 0, x[..., :-1, :]], dim=-2) for x in whole))
        return self.fast(observations, actions, task=windows.spread(before))


own = LastWindow(4, 2, MTS3Options(latent_dim=6), window=10)
tuple(own(observations, actions).mean.shape)

# %% [markdown]
# ## Finding, limits, next
#
# * A level is a filter of its own clock; whether it knows anything that the one below does not, a system decides.
# * Equal steps, weights of about one number, equal data; smaller than published, since this is a laptop's budget.
# * One more model: any class on the same contract, by its import path in the preset.
