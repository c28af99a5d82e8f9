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
# # The same models open loop, at other intervals, and where no energy is lost
#
# Three questions of one set of checkpoints: how far does a rollout stay with the truth, what happens to it at other intervals,
# and what happens to the energy
#
# $$E(T) - E(0) = \int_0^T P(x, u)\, dt ,$$
#
# which is the power of inputs and losses in a driven system, and nothing in one without either.

# %% tags=["parameters", "remove-cell"]
preset: str = "physics_smoke"  # name of a preset of the physics chapter in params/, or a path
env: str = "oscillator"  # one of the preset's systems
models: list = []  # some of the preset's models; empty for all, as in what follows
methods: list = []  # for example [baseline, ode]
forms: list = []  # for example [scaled_concat]; of fields, their solvers
train_frequencies: list = []  # for example [10, mixed]
seeds: list = []  # some of the preset's seeds
checkpoints: list = []  # folders or short names to show; empty for one arm of several rates per model, and the map of one
horizon: int = 0  # steps of the open-loop sequences; 0 for those of the preset

# %% tags=["part:imports"]
from tdlib import figures
from tdlib.study import checkpoint_report
from tdlib.study.live import live
from tdlib.study.phases.evaluate import evaluate_environment, example_rollouts
from tdlib.study.phases.limit_tables import limit_curves
from tdlib.study.phases.train import ensure_trained
from tdlib.study.run import is_cell, open_run
from tdlib.study.selection import select_arms

run = open_run(preset)
parts = {"models": models, "methods": methods, "forms": forms, "seeds": seeds}
chosen = select_arms(run, train_frequencies=train_frequencies, **parts)
ensure_trained(run, env, chosen)
tables, part = evaluate_environment(run, env, chosen), {"part": chosen.label}
{name: len(table) for name, table in tables.items()}

# %% [markdown]
# ## One step, against the limits

# %%
errors = tables.get("one_step_errors")
run.save_figure("limits", env, figures.draw_limits, errors, limit_curves(run, env, seeds), **part)

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
# Every checkpoint begins at the held-out starts of its own seed and is fed its own predictions.

# %%
compared = checkpoints or checkpoint_report.main_checkpoints(run, env, chosen)
steps, report, drawn = horizon or None, None, {}
if not is_cell(chosen.label):  # else the notebook of the whole compares them
    report = checkpoint_report.evaluate_checkpoints(run, compared, horizon=steps)
    drawn = checkpoint_report.drawings(report)
    print(checkpoint_report.console_tables(report))

# %%
for name in report.folders if report and checkpoints else ():  # asked for by hand
    folder = checkpoint_report.write_evaluation(run, report, name)
    print("written to", folder.relative_to(run.layout.root))

# %%
run.save_figure("physics", f"{env}-rollout", lambda: drawn["rollout_comparison.png"], **part)

# %%
run.save_figure("physics", f"{env}-horizon", lambda: drawn["mse_over_horizon.png"], **part)

# %% [markdown]
# ## Other intervals
#
# As many steps are more time at a longer interval. Equal time under the same force is the fairer question; both are shown.

# %%
name = f"{env}-dt_generalization"
run.save_figure("physics", name, lambda: drawn["dt_generalization.png"], **part)

# %%
figures.table_of_arms(
    tables.get("dt_generalization"),
    "relative_error",
    ["protocol", "delta_t"],
    title="relative error of whole sequences by protocol and interval [s]",
)

# %% [markdown]
# ## Energy
#
# *Driven* rollouts follow the inputs of the test. *Unforced* ones begin at the same states, without input, on the system
# that loses nothing: a model is not told, so what it loses it has learned.

# %%
run.save_figure("physics", f"{env}-energy", lambda: drawn["energy_comparison.png"], **part)

# %%
figures.table_of_arms(
    tables.get("energy_drift"),
    "scaled_drift",
    ["kind", "test_frequency"],
    title="drift of the energy at the end [σ of the starts' energies] by kind and test rate [Hz]",
    at_last="time",
)

# %% [markdown]
# ## One rollout at any rate
#
# In JupyterLab every choice draws this small figure again. On a page the first one stands still; the
# [explorer](07_explorer.ipynb) there follows any Δt.

# %%
rollouts = example_rollouts(run, env, chosen)
first = {"arm": "baseline, 10 Hz", "test_frequency": "20", "seed": 0, "start": 0}
live(run, f"{env}-rollout", figures.live_rollout, rollouts, **part, **first)

# %% [markdown]
# ## Finding, limits, next
#
# * A prediction may keep its energy and be wrong about the phase; read both figures together.
# * The first sequence is a picture, not a measure: the tables average all starts of all seeds.
# * Next: `12_physics_report`, the systems side by side.
