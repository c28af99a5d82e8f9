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
# # The same memories at other rates
#
# Before it predicts, a model sees true rows at the rate that it is asked at. One that counts rows then remembers another
# stretch of time, and its change is that of another interval:
#
# $$\hat x_{k+1} - x_k = h\, g(m_k) \;\text{ where }\; \int_0^{\Delta} f\, dt \;\text{ is asked for.}$$

# %% tags=["parameters", "remove-cell"]
preset: str = "history_smoke"  # name of a preset of the history chapter in params/, or a path
env: str = "double_cart_pole"  # one of the preset's systems
memory: str = "gru"  # the model with a memory whose treatments of time are compared
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [baseline, multi_resolution]
forms: list = []  # for example [scaled, ode_scaled]
train_frequencies: list = []  # for example [20, mixed]
seeds: list = []  # some of the preset's seeds

# %% tags=["part:imports"]
from tdlib import figures
from tdlib.dynamics_model_training.evaluate import evaluate_member, report
from tdlib.figures.history_models import draw_errors_in_units, draw_prediction_errors
from tdlib.study.arms import Arm
from tdlib.study.live import live
from tdlib.study.phases.evaluate import evaluate_environment, example_rollouts
from tdlib.study.phases.limit_tables import limit_curves
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)
ensure_trained(run, env, chosen)

# %%
tables, part = evaluate_environment(run, env, chosen), {"part": chosen.label}
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## One step

# %%
errors, limits = tables.get("one_step_errors"), limit_curves(run, env, seeds)
run.save_figure("history", f"{env}-rates", figures.draw_memories, errors, limits, memory, **part)

# %%
figures.table_of_arms(
    errors,
    "relative_error",
    "test_frequency",
    title="relative one-step error by test rate [Hz]",
    where={"test_set": "pooled", "dimension": "all"},
)

# %% [markdown]
# ## Open loop
#
# A second of predictions, fed back; the memory goes on through them. Rows are relative errors after that second.

# %%
figures.table_of_arms(
    tables.get("rollout_errors"),
    "relative_error",
    "test_frequency",
    title="relative error of rollouts at their end by test rate [Hz]",
    where={"dimension": "all", "truncated": False},
    at_last="time",
)

# %% [markdown]
# ## Step by step, in units
#
# Windows of held-out episodes, as the founding document scores them: eleven rows of history, nine steps. Beside the model
# stand a constant velocity and the last change repeated, which need no training.

# %%
arm = Arm(memory, "baseline", train_frequency="20")
steps = evaluate_member(run, env, arm, chosen.seeds[0]) if arm in chosen.arms else None
print("the GRU of 20 Hz is not among what was chosen" if steps is None else report(steps))

# %%
words = f"{env}, GRU of 20 Hz"
table = None if steps is None else steps.steps
run.save_figure("history", f"{env}-steps", draw_prediction_errors, table, words, **part)

# %%
table = None if steps is None else steps.dimensions
run.save_figure("history", f"{env}-units", draw_errors_in_units, table, env, "GRU of 20 Hz", **part)

# %% [markdown]
# ## A history in rows, or in seconds?
#
# The same states, after less or other rows of their past. As many seconds as eight rows have at another rate are fewer
# rows at a coarser one; rows at the interval of training are as many and as long as there; rows may be lost.

# %%
known = tables.get("known_rows")
run.save_figure("history", f"{env}-rows", figures.draw_known_rows, known, memory, **part)

# %%
figures.table_of_arms(
    known,
    "relative_error",
    ["past", "test_frequency"],
    title="relative one-step error by the known past and test rate [Hz]",
)

# %% [markdown]
# ## One rollout at any rate
#
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
rollouts = example_rollouts(run, env, chosen)
own = rollouts[rollouts["model"] == memory]
first = {"arm": "GRU: baseline, 20 Hz", "test_frequency": "20", "seed": 0, "start": 0}
live(run, f"{env}-memory_rollout", figures.live_rollout, own, **part, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * Read a memory beside the map without one: with the whole state in view the past has nothing to add, with a hidden
#   parameter it has.
# * A model asked at another rate sees as many true rows as at its own, thus another stretch of time.
# * Next: `17_history_report`, the systems side by side.
