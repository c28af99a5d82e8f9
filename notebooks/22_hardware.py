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
# # Does it also happen on hardware?
#
# Nothing here is simulated. A model is fitted at one rate on one stretch of a record and asked, unchanged, at others on another.
# Beside it stands what the record itself says of an exact map of the step $h$,
#
# $$\frac{\lVert x(t + \Delta) - x(t + h) \rVert}{\lVert x(t + \Delta) - x(t) \rVert},$$
#
# which needs no equation. The records lie in `book/measured`, with their licenses.

# %% tags=["parameters", "remove-cell"]
preset: str = "hardware_smoke"  # name of a preset of this chapter in params/, or a path

# %% tags=["part:imports"]
from IPython.display import display

from tdlib.figures import WholeTable, records
from tdlib.study.live import live
from tdlib.study.phases.records import evaluate_records
from tdlib.study.run import open_run

run = open_run(preset)

# %% [markdown]
# ## The records
#
# What their stamps say, and which share of a change over one training step is noise at most. Stamps that are equal to the last
# digit were made, not read from a clock.

# %%
tables = evaluate_records(run)
statistics, save = tables.statistics, run.save_figure
main, run_a = "double pendulum b to a", "double pendulum a"
others = ["free swing", "swing-up", "UR10 arm", "Panda arm", "Crazyflie"]
others += ["cascaded tanks", "buck converter"]
clock = ["kind", "rows", "seconds", "rate", "jitter", "gaps", "generated", "noise"]
display(WholeTable(tables.clocks.set_index("env")[clock].round(4)))

# %% [markdown]
# ## At their own rate
#
# Before any other rate is asked: is the model worth anything? Going on as before is a rival that costs nothing.

# %%
own = {"names": [main, *others], "said": "UR10 arm"}
save("hardware", "own_rate", records.draw_own_rate, statistics, **own)

# %% [markdown]
# Of the tanks others report how well a level is simulated from its inputs alone; in the sensor's volts:

# %%
tables.simulations.set_index(["env", "method"]).round(3)

# %% [markdown]
# ## At other rates

# %%
panels = [(main, "all"), ("free swing", "all")]
panels += [("UR10 arm", "positions"), ("Crazyflie", "positions")]
save("hardware", "law", records.draw_law, statistics, panels=panels, at="25")

# %% [markdown]
# Any record, and any kind of state.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt, on systems that are simulated.

# %%
choices = records.choices_of(statistics)
live(run, "records", records.live_record, choices, env=main, detail="all")

# %% [markdown]
# ## Where the formula ends

# %%
noise = {"record": main, "fine": "250", "names": [main, *others]}
save("hardware", "noise", records.draw_noise, statistics, tables.clocks, **noise)

# %% [markdown]
# ## Coverage is not the interval
#
# In run a both torques have one frequency.

# %%
pairs = [f"{run_a} {way}" for way in ("halves", "to b", "to c")] + [main, "double pendulum c to a"]
coverage = {"names": pairs, "said": f"{run_a} to c"}
save("hardware", "coverage", records.draw_own_rate, statistics, **coverage)

# %% [markdown]
# ## Predictions
#
# Written before anything was fitted here; the notes that came with the records were known, and `book/predictions.yaml` says
# which. What stands as seeds are blocks of one record; of networks, the lesser of blocks and networks, and their interval counts
# how both differ.

# %%
found = ["measured", "ci_low", "ci_high", "n_seeds", "verdict"]
WholeTable(tables.predictions[["prediction", "env", "what", "expected", *found]].round(3))

# %% [markdown]
# Errors of models as they are over the record's own limit, record by record; 1 is an exact map of the step.

# %%
over = statistics.query("metric == 'record.over_limit'")
columns = ["env", "model", "test_frequency", "detail"]
WholeTable(over.set_index(columns)[["mean", "ci_low", "ci_high"]].round(2))

# %% [markdown]
# ## Finding, limits
#
# * Where a model errs little at its own rate, it errs off its rate by what the record says; on the arms and the
#   quadrotor that shows in the positions. Where noise and curvature are small, it is $|1 - h/\Delta|$.
# * One run of each plant: an interval over its blocks does not say what another run would do.
# * A log of your own: `python -m tdlib.doctor MODEL LOG`.
