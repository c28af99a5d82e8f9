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
# # What is wrong between this model and this log?
#
# A model that knows a step $h$ meets a log of another. The doctor asks it in other ways (another clock, older inputs, degrees
# made radians, one Euler step of its field) and reads off which of them makes the error fall. Beside the errors stands what
# the log itself says of an exact map of the step $h$,
#
# $$\frac{\lVert x(t + h) - x(t + \Delta) \rVert}{\lVert x(t + \Delta) - x(t) \rVert} .$$
#
# By default a measured record is asked about: a model fitted at 50 Hz on one run of a double pendulum, and another run at 25 Hz.

# %% tags=["parameters", "remove-cell"]
preset: str = "rate_doctor_smoke"  # name of a preset of this chapter in params/, or a path
model: str = ""  # a checkpoint's folder, .onnx, .pt or module:name; the book's if empty
log: str = ""  # file or folder of any kind that the library reads; the book's if empty
columns: dict = {}  # such as {"timestamp": "time_s", "qpos": ["q1"], "qvel": ["dq1"], "ctrl": ["u"]}
train_delta_t: float = 0.0  # step that the model was trained at [s]; 0 if it says so itself
label: float = 0.0  # rate that the log is said to have [Hz]; 0 if nobody says

# %% tags=["part:imports"]
from IPython.display import Markdown

from tdlib import figures
from tdlib.doctor.tables import rules_table, trials_table
from tdlib.figures.log_changes import live_changes
from tdlib.study.live import live
from tdlib.study.phases.doctor import examine_patient, open_patient, try_doctor
from tdlib.study.run import open_run

run = open_run(preset)

# %% [markdown]
# ## The answer

# %%
patient = open_patient(model, log, columns, train_delta_t)
found, changes = examine_patient(run, patient, label)
print(found)

# %%
named, rules = {"log": found.log}, rules_table(found.verdict)
run.save_figure("rate_doctor", "verdict", figures.draw_verdict, rules, **named)

# %% [markdown]
# ## The clock of the log

# %%
clock = named | {"rate": found.findings.stamps.rate, "label": found.findings.label}
run.save_figure("rate_doctor", "stamps", figures.draw_stamps, found.intervals, **clock)

# %% [markdown]
# ## Errors by rate
#
# The log at its own rate and at coarser ones, where it is its own truth.

# %%
run.save_figure("rate_doctor", "rates", figures.draw_log_rates, found.rates, h=found.h, **named)

# %% [markdown]
# Finer than the log there is no truth. There many short steps should be one long one:

# %%
run.save_figure("rate_doctor", "finer", figures.draw_finer, found.finer, **named)

# %% [markdown]
# ## Choose Δt and a repair
#
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
live(run, "changes", live_changes, changes, repair="as it is", rate="")

# %% [markdown]
# ## What was tried

# %%
trials = trials_table(found.findings, found.verdict.rule.repair)
asked = named | {"rows": found.findings.rows}
run.save_figure("rate_doctor", "trials", figures.draw_trials, trials, **asked)

# %% [markdown]
# The repair that errs least over these rates, around one's own `model(state, action)`:

# %%
Markdown(f"```python\n{found.wrapper}```" if found.wrapper else "As it is the model errs least.")

# %% [markdown]
# ## How often is it right?
#
# Each fault is planted in plants that none of the rules was tuned on, at three levels of noise; healthy logs of the same plants
# should raise no alarm. `statistics` has Clopper and Pearson's interval of both shares.

# %%
tried = try_doctor(run, found)
shares = tried.groupby(["fault", "noise"], sort=False)["right"].mean()
shares.unstack().round(2)

# %% [markdown]
# ## Finding, limits
#
# * A verdict names what makes the error fall. Two faults at once may hide each other; the lines that apply too are listed.
# * Planted faults are of one kind each, and their models are the plants themselves with parameters some percent off.
# * The doctor says when a log does not tell: that is an answer, and a longer log is its remedy.
