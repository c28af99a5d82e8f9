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
# # Does what I bring obey the same law?
#
# A system, a form of Δt, a model and a log, each written in some thirty lines in files of its own (`book/own`), trained here
# and drawn beside ours. The gray line is what an exact map of the step $h$ errs by at another, relative to the true change, to first
# order:
#
# $$\left|1 - \frac{h}{\Delta}\right| .$$

# %% tags=["parameters", "remove-cell"]
preset: str = "smoke"  # name of a preset in params/, or a path: the run to stand beside
env: str = "Pendulum-v1"  # one of its environments
own: str = ""  # a preset beside files of one's own; the book's, in book/own, if empty

# %% tags=["part:imports"]
import pandas as pd
from IPython.display import Markdown

from tdlib.figures import draw_beside, errors_by_rate, live_errors
from tdlib.study.live import live
from tdlib.study.phases.beside import errors_beside, import_beside, log_errors, open_beside
from tdlib.study.phases.evaluate import evaluate_environment
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
mine = open_beside(run, own)

# %% [markdown]
# ## A system
#
# Its data are collected, our models trained and scored on it as on any: the phases are those of the grid, for a few arms.

# %%
here, same = mine.preset.environments[0], {"train_frequencies": [20], "methods": ["baseline", "ode"]}
chosen = select_arms(mine, models=["jump", "first_order_ode"], forms=["none", "rk4"], **same)
ensure_trained(mine, here, chosen)
there = evaluate_environment(mine, here, chosen)["one_step_errors"]
chosen = select_arms(run, models=["jump", "first_order_ode", "newtonian"])
ensure_trained(run, env, chosen)
ours = evaluate_environment(run, env, chosen)["one_step_errors"]

# %%
jump, field = ("jump", "baseline", "none", "20"), ("first_order_ode", "ode", "rk4", "20")
run.save_figure("own", "system", draw_beside, pd.concat([there, ours]), own=here, arms=[jump, field])

# %% [markdown]
# ## A form of Δt, and a model
#
# Both train on the data of this run with the budget of its own models, and are scored on the same states. The form saw three
# rates, of which 50 Hz is the finest, so it is compared at 100 Hz.

# %%
form, model = "square_root_step", "damped_map"
errors = pd.concat([ours, errors_beside(run, env, [form, model])])
newtonian = ("newtonian", "ode", "rk4", "20")

# %%
mixed = [("jump", "multi_resolution", each, "mixed") for each in ("concat", "scaled_concat")]
run.save_figure("own", "form", draw_beside, errors, own=form, arms=[jump, *mixed, newtonian], at=0.01)

# %%
run.save_figure("own", "model", draw_beside, errors, own=model, arms=[jump, newtonian])

# %% [markdown]
# ## Choose an arm and a seed
#
# One's own models among ours.
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
own_first = errors_by_rate(errors.iloc[::-1])  # so that one's own head the list
live(run, "own", live_errors, own_first, arm="DampedMap: baseline, 20 Hz", seed=0)

# %% [markdown]
# ## A log
#
# Seven joints whose clock jitters and some of whose rows are lost; no equation is known to the reader of the files. Each model
# is scored on the intervals that were recorded.

# %%
write_logs, read_log = (import_beside(name, own) for name in ("seven_joints:write_logs", "read_log:read_log"))
found = read_log(write_logs(mine.layout.data / "log", lost=0.5))
Markdown("\n\n".join(f"*{arm.model}, {arm.form}:* {diagnosis}" for arm, diagnosis in found.items()))

# %%
log, h = log_errors(found), next(iter(found.values())).train_delta_t
run.save_figure("own", "log", draw_beside, log, own=log["env"].iloc[0], train_delta_t=h)

# %% [markdown]
# ## Finding, limits
#
# * The gray line was drawn for none of these: a map of one step errs near it on a stranger's system and on a log too.
# * A form or a model is judged between and beyond its training rates, not at them.
# * A log has no truth at other intervals than its own, so its curve ends where its intervals do.
