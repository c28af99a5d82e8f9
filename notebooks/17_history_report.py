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
# # Which treatment of time carries over?
#
# Everything that the chapter's runs came to, over systems and seeds. Predictions were written before; a seed is its own
# data, split and weights, and intervals are Student's t over seeds,
#
# $$\bar r \pm t_{0.975,\,m-1}\, s / \sqrt m .$$

# %% tags=["parameters", "remove-cell"]
preset: str = "history_smoke"  # name of a preset of the history chapter in params/, or a path
memory: str = "gru"  # the model with a memory whose treatments of time are compared

# %% tags=["part:imports"]
from tdlib import figures
from tdlib.study.checkpoint_report import compared_rates
from tdlib.study.live import live
from tdlib.study.run import open_run
from tdlib.study.statistics import evaluate_predictions, merge_parts, summarize

run = open_run(preset)
tables = merge_parts(run)
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## Treatments of time

# %%
statistics = summarize(run, tables)
trained, (coarse, fine) = compared_rates(run)
rates = (coarse, "25", fine)  # 25 Hz is between the rates of training
asked = {"model": memory, "rates": rates, "rate": trained}
run.save_figure("history", "treatments", figures.draw_treatments, statistics, **asked)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
errors = figures.errors_by_rate(tables.get("one_step_errors"))
own = errors[errors["model"] == memory]
first = {"env": run.preset.environments[0], "arm": "GRU: baseline, 20 Hz"}
live(run, "treatments", figures.live_errors, own, **first)

# %% [markdown]
# ## Predictions

# %%
predictions = evaluate_predictions(run, tables)
found = ["measured", "ci_low", "ci_high", "n_seeds", "verdict"]
figures.WholeTable(predictions[["prediction", "env", "what", "expected", *found]].round(3))

# %% [markdown]
# ## Finding, limits, next
#
# * An arm that repairs the increment and one that repairs the memory differ by what the memory holds; where the state is
#   whole, that is little.
# * Equal steps, equal width, equal data. How long a history pays is a question of the noise, and there is none here.
# * One more model: any class on the same contract, by its import path in the preset.
