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
# # Which inductive bias carries across Δt?
#
# Everything that the chapter's runs came to, over systems and seeds. Predictions were written before; a seed is its own data,
# split and weights, and intervals are Student's t over seeds,
#
# $$\bar r \pm t_{0.975,\,m-1}\, s / \sqrt m .$$

# %% tags=["parameters", "remove-cell"]
preset: str = "physics_smoke"  # name of a preset of the physics chapter in params/, or a path
checkpoints: list = []  # folders or short names to compare, of one system; empty for the main ones of the first system

# %% tags=["part:imports"]
from tdlib import figures
from tdlib.study import checkpoint_report as reports
from tdlib.study.live import live
from tdlib.study.prior_ratios import prior_ratios
from tdlib.study.run import open_run
from tdlib.study.statistics import evaluate_predictions, merge_parts, summarize

run = open_run(preset)
tables = merge_parts(run)
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## Intervals

# %%
statistics = summarize(run, tables)
inside, outside = reports.compared_rates(run)
rates = {"inside": inside, "outside": outside}
run.save_figure("physics", "priors", figures.draw_priors, statistics, **rates)

# %% [markdown]
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
errors = figures.errors_by_rate(tables.get("one_step_errors"))
first = {"env": run.preset.environments[0], "arm": "baseline, 10 Hz"}
live(run, "priors", figures.live_errors, errors, **first)

# %% [markdown]
# ## Does the prediction gain what the energy gains?

# %%
run.save_figure("physics", "energy", figures.draw_energy_beside_error, statistics, rate=inside)

# %% [markdown]
# ## With how much data, noise and friction?
#
# The arms of several rates a second time with one thing changed. Below 1 a field errs less than the network that was changed
# alike. Ways of training stand in the table alone.

# %%
ratios = prior_ratios(tables.get("one_step_errors"), [inside, outside[0]])
run.save_figure("physics", "variations", figures.draw_variations, ratios, rate=inside)

# %%
shown = ratios.drop(columns="order").round(3)
figures.WholeTable(shown, "error of a field, of the network, and their ratio")

# %% [markdown]
# ## Predictions

# %%
predictions = evaluate_predictions(run, tables)
found = ["measured", "ci_low", "ci_high", "n_seeds", "verdict"]
figures.WholeTable(predictions[["prediction", "env", "what", "expected", *found]].round(3))

# %% [markdown]
# ## A report of checkpoints
#
# Where checkpoints are named, `summary.csv`, `dt_generalization.csv` and four figures go to a folder of their own below
# `reports/`; a second report goes to a second folder. What belongs to one checkpoint, `11_physics_evaluate` writes.

# %%
compared = checkpoints or reports.main_checkpoints(run, run.preset.environments[0])
report = reports.evaluate_checkpoints(run, compared)
print(reports.console_tables(report))

# %%
if checkpoints:  # asked for by hand: the grid's own run leaves no folder with a time in its name
    print("written to", reports.write_report(run, report).relative_to(run.layout.root))

# %% [markdown]
# ## Finding, limits, next
#
# * Read an arm's error beside that of the exact flow at the mean of the hidden parameter: none can be far below.
# * Equal steps, equal width, equal data; what a prior gains with fewer data, noise or other friction is asked of few arms.
# * Next: `13_physics_visualize`, the sequences themselves.
