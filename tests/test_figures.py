"""Figures from synthetic tables: nothing clipped, axes and captions complete, files whole, no pyplot, small videos."""

import functools
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.text import Text

from tdlib import figures
from tdlib.core.facts import RATES
from tdlib.evaluation.tables import ARM_DEFAULTS, arm_of, tidy
from tdlib.figures import dark, heatmaps, live, style, theme
from tdlib.figures.conclusions import conclusion
from tdlib.figures.history_models import draw_ablations
from tdlib.figures.live_picture import LivePicture
from tdlib.figures.save import png_bytes
from tdlib.figures.selection import is_placed, key_arms, pick, shown_arms
from tdlib.figures.style import counts_text, plain_log_axis, state_label, state_plane
from tdlib.models import MODELS
from tdlib.study.analyses import analyze
from tdlib.study.arms import Arm, all_arms
from tdlib.systems import SYSTEMS

DRAWN = list(SYSTEMS)[:9]  # as many as a run draws beside each other

ENV = "CartPole-v1"
SPREAD = [name for name in MODELS if "variance" in getattr(MODELS[name].model, "predicts", ())]  # figures of their own
ALL = [arm_of(arm, seed, ENV) for arm in all_arms() if arm.model not in SPREAD for seed in (0, 1)]
FEW = [
    member for member in ALL
    if member["train_frequency"] in ("20", "mixed", "") and member["model"] in ("none", "jump", "newtonian")
    or member["method"] == "recurrent_rollout"
]  # fmt: skip
LONG = [
    arm_of(Arm("gru", method, form, train_frequency=rate), seed, ENV)
    for method, form, rate in [
        ("baseline", "none", "20"), *(("multi_resolution", form, "mixed") for form in ("scaled", "scaled_concat")),
    ]
    for seed in (0, 1)
]  # fmt: skip
SHARES = [arm_of(arm, seed, ENV) for arm in all_arms(["jump"], amounts=(0.01, 0.1)) for seed in (0, 1)]
TWINS = [member for member in ALL if member["model"] in ("jump", "newtonian") and member["method"] != "rescaled"]
FIELDS = [member for member in ALL if member["method"] == "ode"]
ENSEMBLES = [member for member in ALL if member["model"] == "ensemble"]


def numbers(shape, seed=0, low=-2.0, high=1.0):
    return 10 ** np.random.default_rng(seed).uniform(low, high, shape)


def both_sets(members):
    """Errors on both test sets, smaller where an arm was trained on pooled states, most so for one arm."""
    table = pd.concat([one_step(members).assign(test_set=name) for name in ("pooled", "ppo")], ignore_index=True)
    pooled, best = table["data"].eq("pooled"), table["model"].eq("newtonian") & table["train_frequency"].eq("50")
    error = np.where(pooled, np.where(best, 0.001, 0.01), 0.02) * np.where(table["test_set"].eq("ppo"), 3, 1)
    return table.assign(relative_error=error * np.where(table["seed"].eq(0), 0.9, 1.1))


def one_step(members):
    shape = (len(members), len(RATES))
    values = {"mse": numbers(shape), "relative_error": numbers(shape, 1), "n": 64}
    table = tidy(members, {"test_frequency": RATES}, values)
    return table.assign(test_set="pooled", dimension="all")


def rollouts(members):
    axes = {"test_frequency": ["10", "20", "50"], "time": [0.1, 0.5, 1.0], "truncated": [True, False]}
    shape = (len(members), 3, 3, 2)
    left = np.array([[10, 10], [6, 10], [2, 10]])  # truncated, not; at the last time too few to draw
    values = {"mse": numbers(shape), "relative_error": numbers(shape, 1), "n": left, "n_starts": 10}
    return tidy(members, axes, values).assign(dimension="all")


def control(members):
    shape = (len(members), 3, 2)
    axes = {"test_frequency": ["10", "20", "50"], "episode": [0, 1]}
    table = tidy(members, axes, {"episode_return": -100 * numbers(shape), "success": numbers(shape) > 0.3, "n": 1})
    table = table.assign(control_frequency=table["test_frequency"], model_frequency=table["test_frequency"],
                         planner="CEM", planner_limited=table["test_frequency"] == "10")  # fmt: skip
    return pd.concat([table[table["method"] == "persistence"].assign(method="oracle"), table], ignore_index=True)


def trajectories(members, env=ENV):
    names = SYSTEMS[env].spec.state_names
    axes = {"test_frequency": ["10", "20", "50"], "start": [0, 1], "step": np.arange(11)}
    shape = (len(members), 3, 2, 11)
    values = {"time": np.arange(11) * 0.1}
    for i, name in enumerate(names):
        values |= {name: numbers(shape, i), f"{name}_true": np.sin(np.arange(11.0))}
    return tidy(members, axes, values).assign(env=env)


def convergence(members):
    shape = (len(members), 8)
    values = {"error": numbers(shape), "solver_step": 0.1, "n": 60}
    return tidy(members, {"k": range(-2, 6)}, values).assign(verdict="fail")


def calibration(members):
    axes = {"test_frequency": RATES, "bin": ["all", *map(str, range(1, 11))]}
    shape = (len(members), len(RATES), 11)
    values = {"spread": numbers(shape), "error": numbers(shape, 1), "auroc": numbers(shape, 2, -1, 0), "n": 100}
    return tidy(members, axes, values)


def defects(members):
    shape = (len(members), 2)
    table = tidy(members, {"coarse_frequency": ["10", "5"]},
                 {"defect": numbers(shape) - 0.01, "relative_error": numbers(shape, 1), "n": 64})  # fmt: skip
    return table.assign(fine_frequency=table["coarse_frequency"].map({"10": "50", "5": "10"}))


def state_errors(members):
    shape = (len(members), 3, 20)
    axes = {"test_frequency": ["10", "20", "50"], "point": range(20)}
    values = {"theta": numbers(shape), "theta_dot": numbers(shape, 1), "relative_error": numbers(shape, 2)}
    return tidy(members, axes, values)


def velocity(members):
    shape = (len(members), 9)
    names = ("x", "y", "dx", "dy", "dx_true", "dy_true", "dx_map", "dy_map")
    values = {name: numbers(shape, i) for i, name in enumerate(names)}
    return tidy(members, {"point": range(9)}, values).assign(horizontal="theta", vertical="theta_dot")


def poles(members):
    shape = (len(members), 2, 2)
    parts = [f"{part}{what}" for part in ("real", "imag") for what in ("", "_true", "_limit", "_step")]
    values = {name: numbers(shape, i, -1, 1) for i, name in enumerate(parts)}
    values |= {"real_true": np.array([[3.9, -3.9], [0.0, 0.0]])}
    values |= {"imag_true": np.array([[0.0, 0.0], [3.9, -3.9]])}
    return tidy(members, {"equilibrium": ["theta=0", "theta=pi"], "pole": [0, 1]}, values)


def curves(members):
    shape = (len(members), 5)
    values = {"train_loss": numbers(shape), "val_loss": np.where(numbers(shape) > 5, np.nan, numbers(shape, 1))}
    return tidy(members, {"step": range(0, 50, 10)}, values)


def data_table(**columns):
    rows = [{"env": ENV, "train_frequency": rate, "seed": seed, **{k: v + i for k, v in columns.items()}}
            for rate in ("10", "20", "50") for seed in (0, 1) for i in range(8)]  # fmt: skip
    return pd.DataFrame(rows)


def contrasts():
    cases = (("less", 0.1, 0.5, "consistent"), ("greater", 0.5, np.nan, "inconsistent"), ("equal", 1.0, 1.0, "open"))
    rows = [{"env": env, "name": f"a contrast with a name, {expected}", "expected": expected, "ratio": ratio,
             "ci_low": ratio * 0.9, "ci_high": ratio * 1.2, "p_holm": p, "n_seeds": 2, "margin": 1.1,
             "verdict": verdict}
            for env in DRAWN for expected, ratio, p, verdict in cases]  # fmt: skip
    return pd.DataFrame(rows)


def plant_change():
    rows = [
        {"env": env, "control_frequency": rate, "dimension": name, "relative_change": 1 / rate, "n": 100}
        for env in ("Pendulum-v1", ENV)
        for rate in (5, 10, 50)
        for name in SYSTEMS[env].spec.state_names
    ]
    return pd.DataFrame(rows)  # fmt: skip


def limits():
    rows = [{"limit": name, "train_frequency": "20", "test_frequency": rate, "relative_error": abs(1 - rate / 20)}
            for name in ("fixed_step", "rescaled", "interpolation log_tau") for rate in (5, 20, 200)]  # fmt: skip
    return pd.DataFrame(rows)


def everywhere(table):
    return pd.concat([table.assign(env=env) for env in DRAWN], ignore_index=True)


@functools.cache
def analyses():
    """Tables of the analyses over environments, from planted errors of every arm."""
    table = everywhere(one_step(ALL)).query("test_frequency != 'irregular'")
    both = pd.concat([table, table.assign(test_set="shift")], ignore_index=True)
    forms = ("fixed_step", "rescaled", "interpolation scaled_concat")
    known = [{"env": env, "limit": prefix + form, "train_frequency": train, "test_frequency": rate, "detail": "",
              "seed": seed, "relative_error": 0.3, "n": 64}
             for env in DRAWN for prefix in ("", "shift ") for form in forms for train in ("10", "20", "50", "mixed")
             for rate in RATES[:-1] for seed in (0, 1)]  # fmt: skip
    counts = {"n_tested": 100, "n_alarms": 20, "n_failures": 50, "n_missed": 40}
    alarms = everywhere(calibration(ENSEMBLES)).assign(**counts)
    tables = {"one_step_errors": both, "limits": pd.DataFrame(known), "ensemble_calibration": alarms}
    return analyze(SimpleNamespace(save_table=lambda *_: None), tables)


def checkpoints(**axes):
    """A report's table of eight arms: every column that one of its figures reads."""
    models = list(MODELS)[:8]
    place = pd.MultiIndex.from_product([models, *axes.values()], names=["model", *axes]).to_frame(index=False)
    mean = numbers(len(place))
    table = place.assign(env="Pendulum-v1", arm=place["model"] + ", 10 Hz", seed=0, start=0, mean=mean, unaware=0.3)
    table = table.assign(low=mean / 2, high=2 * mean, seeds=5, bad=0, n=32, energy=mean, energy_true=0.2)
    return table.assign(energy_learned=mean, theta=mean, theta_true=np.sin(mean), omega=-mean, omega_true=0.1)


def priors():
    """Statistics of the models of several rates on five systems, as the chapter on physics compares them."""
    arms = [{"model": "jump", "method": "multi_resolution", "form": "scaled_concat"}]
    arms += [{"model": name, "method": "ode", "form": "rk4"} for name in ("newtonian", "port_hamiltonian", "velocity")]
    what = [("one_step.relative_error", "", rate) for rate in ("2", "10", "40")]
    what += [("energy.scaled_drift", "unforced", "10"), ("rollout.relative_error", "1", "10")]
    rows = [{**arm, "env": env, "metric": metric, "detail": detail, "test_frequency": rate}
            for env in PRIOR_SYSTEMS for arm in arms for metric, detail, rate in what]  # fmt: skip
    table = pd.DataFrame(rows).assign(train_frequency="mixed", size="hidden64", data="transitions", n_seeds=5, n=320)
    mean = numbers(len(table))
    return table.assign(mean=mean, ci_low=mean / 2, ci_high=2 * mean)


GRUS = [member for member in ALL if member["model"] == "gru" or member["form"] == "scaled_concat"]


def ablated():
    names = [name for name in ("plain", "raw angles", "boundless learning rate") for _ in range(2)]
    columns = {"ablation": names, "seed": [0, 1] * 3, "last_step": [0.1, 0.2, 0.3, 0.4, 1.0, 1.1]}
    return pd.DataFrame(columns | {"env": "Pendulum-v1", "gap": [1.5, 2.0, 3.0, 3.5, np.nan, np.nan]})


def known_rows(members):
    rates = ["5", "20", "100", "irregular"]
    pasts = ["0 rows", "1 rows", "8 rows", "every other of 8 rows"]
    values = {"relative_error": numbers((len(members), len(rates), len(pasts))), "n": 64}
    return tidy(members, {"test_frequency": rates, "past": pasts}, values)


def treatments():
    """Statistics of a memory of one rate and of three, and of a map of three, on two systems."""
    table = one_step([member for member in GRUS if member["seed"] == 0]).drop(columns=["env", "test_set", "dimension"])
    table = table.assign(mean=table["relative_error"], ci_low=table["relative_error"] / 2, n_seeds=5, detail="")
    table = table.assign(ci_high=2 * table["mean"], metric="one_step.relative_error")
    return pd.concat([table.assign(env=env) for env in PRIOR_SYSTEMS[:2]], ignore_index=True)


def beliefs():
    """Members of models with beliefs and of a memory, in some treatments of time."""
    kinds = [("baseline", "none", "20"), ("dt_conditioned", "flow", "20"), ("multi_resolution", "flow", "mixed")]
    arms = [(model, *kind) for model in ("acrkn", "mts3") for kind in kinds]
    arms += [("gaussian_gru", "multi_resolution", "concat", "mixed"), ("none", "persistence", "none", "")]
    names = ("model", "method", "form", "train_frequency")
    return [{**ARM_DEFAULTS, **dict(zip(names, arm, strict=True)), "env": ENV, "seed": seed,
             "size": "none" if arm[0] == "none" else "hidden64", "data": "none" if arm[0] == "none" else "transitions"}
            for arm in arms for seed in (0, 1)]  # fmt: skip


def sliding_windows(env=ENV):
    members, rates, times = beliefs(), ["10", "20", "25", "50", "irregular"], [0.0, 0.5, 1.0, 3.0, 5.0, 10.0]
    shape = len(members), len(rates), len(times)
    values = {"rmse": numbers(shape), "nll": numbers(shape) - 1, "hidden_rmse": 0.1 + 0 * numbers(shape), "n": 8}
    values["window"] = np.array([0.5, 0.5, 0.48, 0.5, 0.5])[None, :, None] + 0 * numbers(shape)
    return tidy(members, {"test_frequency": rates, "time": times}, values).assign(env=env)


def intervals():
    members, spans = [member for member in beliefs() if member["model"] != "none"], ["to 1 s", "1 to 3 s", "3 s on"]
    shape = len(members), 1, len(spans)
    values = {f"coverage_{level}": np.full(shape, level / 100) for level in (50, 80, 95)}
    values |= {f"pit_{k}": np.full(shape, 0.1) for k in range(1, 11)}
    return tidy(members, {"test_frequency": ["20"], "span": spans}, values | {"n": 8})


def belief_paths():
    members = [member for member in beliefs() if member["model"] != "none"]
    times = np.linspace(-0.95, 10, 40)
    table = tidy(members, {"test_frequency": ["20"], "start": [0, 1], "time": times}, {})
    known, true = table["time"] <= 0, np.sin(table["time"])
    columns = {f"{name}_true": true for name in ("theta", "theta_dot")}
    columns |= {name: np.where(known, np.nan, true + 0.1) for name in ("theta", "theta_dot")}
    columns |= {f"{name}_spread": np.where(known, np.nan, 0.1) for name in ("theta", "theta_dot")}
    return table.assign(**columns)


def far_ahead():
    """Statistics of errors three seconds ahead on two systems."""
    table = sliding_windows()
    table = table[(table["time"] == 3.0) & (table["seed"] == 0)].assign(metric="imagined.rmse", detail="3", n_seeds=5)
    table = table.assign(mean=table["rmse"], ci_low=table["rmse"] / 2, ci_high=2 * table["rmse"])
    return pd.concat([table.assign(env=env) for env in PRIOR_SYSTEMS[:2]], ignore_index=True)


PRIOR_SYSTEMS = tuple(f"Pendulum-v1 {i}" for i in range(5))
DRAWINGS = {
    "heatmaps": lambda: figures.draw_error_heatmaps(one_step(ALL[::3])),
    "heatmaps_mse": lambda: figures.draw_error_heatmaps(one_step(FEW[:6]), value="mse"),
    "limits": lambda: figures.draw_limits(one_step(FEW + FIELDS[:8]), limits()),
    "own_and_pooled": lambda: figures.draw_own_and_pooled(everywhere(both_sets(TWINS))),
    "horizon": lambda: figures.draw_error_vs_horizon(rollouts(FEW[4:])),
    "trajectories": lambda: figures.draw_trajectories(trajectories(FEW, "Pendulum-v1")),
    "state_space": lambda: figures.draw_state_space(state_errors(FEW[:4])),
    "consistency": lambda: figures.draw_consistency(defects(FEW)),
    "convergence": lambda: figures.draw_convergence(convergence(FIELDS[:20])),
    "calibration": lambda: figures.draw_calibration(calibration(ENSEMBLES)),
    "control": lambda: figures.draw_control(control(ALL[::4])),
    "overview": lambda: figures.draw_training_overview(curves(FEW)),
    "overview of long names": lambda: figures.draw_training_overview(curves(LONG)),
    "velocity_field": lambda: figures.draw_velocity_field(velocity(FIELDS)),
    "poles": lambda: figures.draw_poles(poles(ALL)),
    "returns": lambda: figures.draw_returns(data_table(time=10.0, episode_return=-100.0)),
    "coverage": lambda: figures.draw_coverage(data_table(theta=0.0, theta_dot=0.1).assign(source="ppo")),
    "plant_change": lambda: figures.draw_plant_change(plant_change()),
    "hold": lambda: figures.draw_zero_order_hold(SYSTEMS["Pendulum-v1"], frequencies=(10, 20, 50)),
    "contrasts": lambda: figures.draw_contrasts(contrasts()),
    "shift": lambda: figures.draw_shift(analyses()["shift"]),
    "excess_forms": lambda: figures.draw_excess_forms(analyses()["excess_forms"]),
    "predictors": lambda: figures.draw_predictors(analyses()["failure"]),
    "reliability": lambda: figures.draw_reliability(analyses()["reliability"]),
    "alarm": lambda: figures.draw_alarm(analyses()["alarms"]),
    "figure1": lambda: figures.draw_figure1(everywhere(one_step(FEW[:8]))),
    "figure2": lambda: figures.draw_figure2(everywhere(rollouts(FEW[:6]))),
    "figure3": lambda: figures.draw_figure3(everywhere(control(FEW))),
    "figure4": lambda: figures.draw_figure4(state_errors(FEW)),
    "figure5": lambda: figures.draw_figure5(everywhere(one_step([m for m in ALL if m["model"] == "jump"]))),
    "sequence": lambda: figures.draw_sequence(checkpoints(time=np.linspace(0, 5, 51))),
    "energy": lambda: figures.draw_energy(checkpoints(kind=["driven", "unforced"], time=np.linspace(0, 5, 51))),
    "dt_generalization": lambda: figures.draw_dt_generalization(
        checkpoints(protocol=["fixed_steps", "fixed_time"], delta_t=[0.05, 0.1, 0.2, 0.5])
    ),
    "mse_over_horizon": lambda: figures.draw_mse_over_horizon(checkpoints(time=np.linspace(0.1, 5, 50))),
    "priors": lambda: figures.draw_priors(priors(), inside="10", outside=("2", "40")),
    "energy_beside_error": lambda: figures.draw_energy_beside_error(priors(), rate="10"),
    "memories": lambda: figures.draw_memories(one_step(GRUS), limits(), "gru"),
    "known_rows": lambda: figures.draw_known_rows(known_rows(GRUS), "gru"),
    "ablations": lambda: draw_ablations(ablated(), "plain"),
    "treatments": lambda: figures.draw_treatments(treatments(), "gru", ("5", "25", "100"), "20"),
    "imagined": lambda: figures.draw_imagined(sliding_windows()),
    "imagined_rates": lambda: figures.draw_imagined_rates(sliding_windows()),
    "imagined_treatments": lambda: figures.draw_imagined_treatments(
        far_ahead(), ("10", "irregular", "50"), "20", "mts3"
    ),
    "levels": lambda: figures.draw_levels(
        pd.concat([sliding_windows(env) for env in PRIOR_SYSTEMS[:2]]), "mts3", "acrkn"
    ),
    "intervals": lambda: figures.draw_intervals(intervals()),
    "likelihoods": lambda: figures.draw_likelihoods(curves(beliefs()).assign(val_loss=lambda t: t["val_loss"] - 3)),
    "belief": lambda: figures.draw_belief(belief_paths()),
    "live_belief": lambda: LivePicture(
        figures.live_belief, belief_paths(), arm="MTS3: multi-resolution, mixed", test_frequency="20", start=0
    ).still(),
    "live_rollout": lambda: LivePicture(
        live.live_rollout, trajectories(FEW), arm="baseline, 20 Hz", test_frequency="50", seed=0, start=0
    ).still(),
    "live_errors": lambda: LivePicture(live.live_errors, live.errors_by_rate(one_step(ALL)), env=ENV, arm="").still(),
    "figure5_amounts": lambda: figures.draw_figure5(everywhere(one_step(SHARES))),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_figure_is_complete_and_not_clipped(name, tmp_path):
    drawing = DRAWINGS[name]()
    saved = figures.save_drawing(drawing, tmp_path / f"{name}.png")
    assert "n =" in saved.caption and saved.alt.endswith(".")
    figure = drawing.figure
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.05, (box, width, height)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert any(axis.get_xlabel() for axis in shown)
    assert saved.path.stat().st_size < 350_000 and not list(tmp_path.glob("*.tmp*"))
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    on_phone = min(sizes) / 72 / width * style.PHONE_WIDTH  # [px]
    assert on_phone >= style.PHONE_TEXT, on_phone
    last = re.split(r"(?<=[^A-Z]\.) (?=[A-Z])", saved.caption)[-1]
    assert re.search(r"\d", last) and re.search("-v1|Pendulum", last), last  # it concludes: with a number and a system
    assert not pyplot.get_fignums()  # seaborn asked pyplot for nothing
    assert set(json.loads(saved.path.with_suffix(".json").read_text())) == {"caption", "alt"}
    assert len(pd.read_csv(saved.path.with_suffix(".csv"))) > 0


SUMMARIES = {  # what is drawn of tables of every arm
    "heatmaps": lambda table: figures.draw_error_heatmaps(one_step(table)),
    "limits": lambda table: figures.draw_limits(one_step(table), limits()),
    "horizon": lambda table: figures.draw_error_vs_horizon(rollouts(table)),
    "trajectories": lambda table: figures.draw_trajectories(trajectories(table, "Pendulum-v1")),
    "state_space": lambda table: figures.draw_state_space(state_errors(table)),
    "consistency": lambda table: figures.draw_consistency(defects(table)),
    "convergence": lambda table: figures.draw_convergence(convergence([m for m in table if m["method"] == "ode"])),
    "poles": lambda table: figures.draw_poles(poles(table)),
    "control": lambda table: figures.draw_control(control(table)),
    "overview": lambda table: figures.draw_training_overview(curves(table)),
    "figure1": lambda table: figures.draw_figure1(everywhere(one_step(table))),
    "figure2": lambda table: figures.draw_figure2(everywhere(rollouts(table))),
    "figure3": lambda table: figures.draw_figure3(everywhere(control(table))),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_at_most_six_kinds_of_arms_are_shown_of_a_whole_study(name):
    data = SUMMARIES[name](ALL).data
    learned = data[~data["method"].isin(("oracle", "random"))]
    assert 3 <= len(learned[["model", "method", "form"]].drop_duplicates()) <= 6


def planted(**means):
    table = pd.DataFrame({"arm": list(means), "mean": list(map(float, means.values()))})
    return table.assign(env="Pendulum-v1", low=0.9 * table["mean"], high=1.1 * table["mean"], seeds=2, bad=0)


def test_the_concluding_sentence_turns_with_the_rows():
    said = "Of those shown, at 50 Hz {} errs by {}, the least, and {} errs by {}, the most (Pendulum-v1, 2 seeds)."
    there = conclusion(planted(map=1.49, field=0.003, other=0.2), place="At 50 Hz")
    assert there == said.format("field", "0.0030", "map", "1.5")
    reverse = conclusion(planted(map=0.003, field=1.49), place="At 50 Hz")
    assert reverse == said.format("map", "0.0030", "field", "1.5")
    null = conclusion(planted(map=0.41, field=0.40), place="At 50 Hz")
    assert "at 50 Hz no order is seen beyond the span of the seeds: field errs by 0.40, map 0.41 (Pend" in null
    tie = conclusion(planted(a=350.0, b=350.2, c=9.0), place="At 50 Hz", verb="returns", words=("lowest", "highest"))
    assert "b (and 1 more) returns 350, the highest" in tie
    alone = conclusion(planted(map=1.0), place="At 50 Hz")
    assert alone == "Of those shown, at 50 Hz map errs by 1.0, with nothing to compare it to (Pendulum-v1, 2 seeds)."
    assert conclusion(planted(), place="At 50 Hz") == "Of those shown, at 50 Hz nothing was measured."
    rows = planted(map=np.nan, field=0.1, other=0.5).assign(bad=[2, 0, 1])
    broken = conclusion(rows, place="At 50 Hz")
    assert "field errs by 0.10, the least, and other" in broken
    assert broken.endswith("; not finite, by arm: map 2, other 1.")
    nothing = conclusion(planted(map=np.nan).assign(seeds=0, bad=2), place="At 50 Hz")
    assert "no value is finite" in nothing and "map 2" in nothing
    two = pd.concat([planted(a=0.1, b=1.0), planted(a=1.0, b=0.1).assign(env="CartPole-v1")])
    both = conclusion(two, place="At 50 Hz")
    assert "a errs by 0.10, the least, and b errs by 1.0, the most (Pendulum-v1" in both
    assert "b errs by 0.10, the least, and a errs by 1.0, the most (CartPole-v1" in both


def test_a_figures_sentence_turns_with_its_table():
    table = one_step(FEW).assign(relative_error=1.0)
    field = table["model"].eq("newtonian")
    turned = {
        0.01: "Newtonian ODE, 20 Hz errs by 0.010, the least",
        9.0: "Newtonian ODE, 20 Hz errs by 9.0, the most",
        1.0: "arms alike: each errs by 1.0",
    }
    for value, text in turned.items():
        for drawn in (figures.draw_error_heatmaps, lambda rows: figures.draw_limits(rows, limits())):
            assert text in drawn(table.assign(relative_error=table["relative_error"].mask(field, value))).caption


def test_captions_of_long_predictions_say_what_is_cut_and_how_long_windows_are():
    table, words = sliding_windows(), "What lies below 0.01 or above 10 is drawn there."
    inside = table.assign(rmse=table["rmse"].clip(0.02, 5.0))
    beyond = inside.assign(rmse=inside["rmse"].where(inside["model"] == "mts3", 20.0))
    levels = beyond.assign(rmse=inside["rmse"].where(inside["model"] != "mts3", 20.0 * inside["rmse"]))
    drawn = {
        "rates": (figures.draw_imagined_rates, beyond), "time": (figures.draw_imagined, beyond),
        "levels": (lambda table: figures.draw_levels(table, "mts3", "acrkn"), levels),
    }  # fmt: skip
    for draw, cut in drawn.values():
        same = inside.assign(rmse=1.0)
        assert words in draw(cut).caption and words not in draw(same).caption
    assert "(0.48–0.5 s)" in figures.draw_imagined_rates(table).caption
    assert "over the last 0.5 s before each time" in figures.draw_imagined(table).caption


def test_the_sentence_of_a_report_orders_arms_only_where_their_intervals_part():
    table = checkpoints(time=[0.1]).assign(mean=1.0, low=0.5, high=2.0)
    null = figures.draw_mse_over_horizon(table.assign(mean=np.linspace(1, 1.1, 8))).caption
    assert "their intervals overlap, so no order is seen (Pendulum-v1)." in null
    best = table["model"].eq("jump")
    parted = table.assign(mean=table["mean"].mask(best, 0.01), high=table["high"].mask(best, 0.02))
    said = figures.draw_mse_over_horizon(parted).caption
    assert "least for jump, 10 Hz (0.01)" in said and "their intervals do not overlap (Pendulum-v1)." in said
    single = figures.draw_mse_over_horizon(parted.assign(low=np.nan, high=np.nan, seeds=1)).caption
    assert "one seed is no evidence of an order" in single and "one seed has no interval" in single
    lost = parted.assign(mean=parted["mean"].mask(best), bad=best.astype(int), seeds=5 - best.astype(int))
    assert "(Pendulum-v1; 1 not finite)." in figures.draw_mse_over_horizon(lost).caption


def test_a_model_looks_the_same_in_all_figures_of_its_chapter():
    def looks(handles):
        return {handle.get_label(): (handle.get_color(), handle.get_marker()) for handle in handles}

    table = checkpoints(time=np.linspace(0.1, 5, 50))
    horizon = figures.draw_mse_over_horizon(table.assign(arm=table["model"])).figure.axes[0]
    lines = {line.get_label(): line.get_color() for line in horizon.lines}
    drawn = figures.draw_energy_beside_error(priors(), rate="10").figure
    marked = looks(drawn.legends[0].legend_handles)
    assert len(set(marked.values())) == 4
    assert {color for color, _ in marked.values()} == {lines[name] for name in set(priors()["model"])}


def test_the_lowest_panel_of_every_column_names_its_axis():
    axes = figures.draw_energy_beside_error(priors(), rate="10").figure.axes
    assert [bool(axis.get_xlabel()) for axis in axes] == [False, False, False, True, True, False]
    assert [axis.axison for axis in axes] == [True] * 5 + [False]


def test_what_is_not_finite_is_counted_and_marked_and_what_is_missing_too():
    table = one_step(FEW)
    lost = table["method"].eq("baseline") & table["model"].eq("jump") & table["test_frequency"].eq("50")
    lost &= table["size"].eq("hidden64") & table["data"].eq("transitions")
    one, both = lost & table["seed"].eq(0), lost
    for rows, count in ((one, 1), (both, 2)):
        for bad in (np.nan, np.inf):
            broken = table.assign(relative_error=table["relative_error"].mask(rows, bad))
            drawing = figures.draw_error_heatmaps(broken)
            assert f"Not finite (diverged): {count} of " in drawing.caption and "marked: hatched" in drawing.caption
            assert drawing.caption.endswith(f"; not finite, by arm: baseline, 20 Hz {count}.")
            hatched = [patch.get_hatch() for patch in drawing.figure.axes[0].patches]
            assert hatched == ["////"]
            drawing = figures.draw_limits(broken, limits())
            assert f"Not finite (diverged): {count} of " in drawing.caption
            assert sum(line.get_marker() == "x" for axis in drawing.figure.axes for line in axis.lines) == 1
    none = table[~(table["method"].eq("baseline") & table["model"].eq("jump"))]
    for drawing in (figures.draw_error_heatmaps(none), figures.draw_limits(none, limits())):
        missing = re.search(r"Not among these results: ([^.]*)\.", drawing.caption)
        assert missing and "baseline, 20 Hz" in missing[1]
    absent = figures.draw_error_heatmaps(table[~lost])
    assert [patch.get_hatch() for patch in absent.figure.axes[0].patches] == ["...."]
    episodes = control(FEW)
    lost = episodes["method"].eq("baseline") & episodes["episode"].eq(1) & episodes["seed"].eq(1)
    drawing = figures.draw_control(episodes.assign(episode_return=episodes["episode_return"].mask(lost)))
    assert "Not finite (diverged): 3 of " in drawing.caption and "baseline, 20 Hz 1" in drawing.caption
    assert "Planner-limited: 1 of 3 pairs" in drawing.caption
    titles = [axis.get_title("left") for axis in drawing.figure.axes]
    assert titles == ["control at 10 Hz (planner-limited)", "control at 20 Hz", "control at 50 Hz"]
    times = rollouts(FEW)
    lost = times["method"].eq("baseline") & times["time"].eq(1.0) & ~times["truncated"]
    drawing = figures.draw_error_vs_horizon(times.assign(relative_error=times["relative_error"].mask(lost, np.inf)))
    assert "Not finite (diverged): 6 of " in drawing.caption and "no value" not in drawing.caption


@pytest.mark.parametrize("value", heatmaps.VALUES)
def test_numbers_in_heat_maps_are_readable_in_both_themes(value):
    def hexadecimal(color):
        return "#" + "".join(f"{round(255 * channel):02x}" for channel in color)

    light = heatmaps.color_map(value)(np.linspace(0, 1, 65))[:, :3]
    ink = np.array([dark._channels(style.NEUTRAL["text"])])
    night, text = dark.dark_colors(light), dark.dark_colors(ink)[0]
    for colors, letters in ((light, ink[0]), (night, text)):
        found = [theme.contrast(hexadecimal(color), hexadecimal(letters)) for color in colors]
        assert min(found) >= theme.TEXT_CONTRAST, min(found)


def test_every_arm_stands_in_the_table_with_what_is_not_finite_and_what_is_missing():
    table = one_step(ALL)
    lost = table["method"].eq("rescaled") & table["test_frequency"].eq("50")
    one, other = lost & table["seed"].eq(0), table["method"].eq("persistence") & table["test_frequency"].eq("5")
    broken = table.assign(relative_error=table["relative_error"].mask(one, np.inf).mask(other, np.nan))
    broken = broken[~(broken["method"].eq("recurrent_rollout") & broken["test_frequency"].eq("200"))]
    title, where = "errors", {"dimension": "all"}
    shown = figures.table_of_arms(broken, "relative_error", "test_frequency", title=title, where=where)
    assert len(shown.table) == len(pd.DataFrame(ALL).drop(columns="seed").drop_duplicates()) > 60
    html = shown._repr_html_()
    assert html.count("<tr") == len(shown.table) + 1 and "…" not in html and "..." not in html
    cells = shown.table.set_index("method")
    assert cells.loc["rescaled", "50"].str.contains(r"\(1 not finite\)").all()
    assert (cells.loc[["persistence"], "5"] == "not finite").all()
    assert (cells.loc[["recurrent_rollout"], "200"] == "–").all()
    assert list(shown.table.columns[-len(RATES) :]) == list(RATES)
    fewer = table[~(table["method"].eq("rescaled") & table["seed"].eq(1))]  # as the larger networks of a long study
    assert "mean over 1–2 seeds" in figures.table_of_arms(fewer, "relative_error", "test_frequency", title=title).title
    assert counts_text(fewer).startswith("n = 1–2 seeds") and counts_text(table).startswith("n = 2 seeds")
    last = figures.table_of_arms(rollouts(FEW), "relative_error", "test_frequency", title=title, at_last="time")
    assert len(last.table) == len(pd.DataFrame(FEW).drop(columns="seed").drop_duplicates())
    both = rollouts(FEW).assign(path=lambda table: table["seed"].map({0: "long"}).fillna("short"))
    several = figures.table_of_arms(both, "relative_error", ["path", "test_frequency"], title=title, at_last="time")
    assert set(several.table["path"]) == {"long", "short"} and len(several.table) == 2 * len(last.table)
    assert list(several.table.columns[-4:]) == ["path", *last.table.columns[-3:]]
    assert "size" not in last.table and "size hidden64" in last.title  # where all share it, it stands above
    assert "<th></th>" not in last._repr_html_()  # no numbers of rows
    assert "not measured" in figures.table_of_arms(None, "x", "y", title=title, where=where)._repr_html_()
    words = "what is checked, in more words than a cell of pandas has room for"
    shown = figures.WholeTable(pd.DataFrame({"what": [words], "n": [2]}))._repr_html_()
    assert f'<td class="td-words">{words}</td>' in shown and "<td>2</td>" in shown


def test_own_and_pooled_states_stand_beside_each_other_and_the_largest_difference_is_said():
    table = both_sets(TWINS)
    drawing = figures.draw_own_and_pooled(table)
    arms = drawing.data[["model", "train_frequency", "test_frequency"]].drop_duplicates().to_numpy().tolist()
    places = [["10", "10"], ["20", "20"], ["50", "50"], ["mixed", "10"], ["mixed", "20"], ["mixed", "50"]]
    assert arms == [[model, *place] for model in ("jump", "newtonian") for place in places]
    counts = drawing.data.groupby(["data", "test_set"]).size()
    assert len(counts) == 4 and (counts == 12).all() and (drawing.data["seeds"] == 2).all()
    jump = drawing.data.query("model == 'jump' and train_frequency == '20' and test_set == 'pooled'").set_index("data")
    assert np.allclose(jump.loc["pooled", ["mean", "low", "high"]].astype(float), [0.01, 0.009, 0.011])
    assert np.isclose(jump.loc["transitions", "mean"], 0.02)
    assert drawing.caption.endswith(
        "The training states make the largest difference for Newtonian ODE rk4, 50 Hz on CartPole-v1 at 50 Hz: on "
        "pooled test states it errs by 0.02 if trained on own and 0.001 if trained on pooled states, on own test "
        "states by 0.06 if trained on own and 0.003 if trained on pooled states (2 seeds)."
    )
    alike = table.assign(relative_error=np.where(table["seed"].eq(0), 0.9, 1.1))
    assert figures.draw_own_and_pooled(alike).caption.endswith(
        "For no arm do the training states make a difference beyond the span of the seeds (CartPole-v1, 2 seeds)."
    )
    with pytest.raises(figures.style.NothingToDrawError, match="no arm trained on pooled states"):
        figures.draw_own_and_pooled(table[table["data"] != "pooled"])


def test_a_line_over_too_few_starts_is_not_drawn_and_survivors_are_counted():
    table = rollouts(FEW[4:])
    drawing = figures.draw_error_vs_horizon(table)
    cut, whole = (drawing.data[drawing.data["truncated"] == flag] for flag in (True, False))
    assert set(cut["time"]) == {0.1, 0.5} and set(whole["time"]) == {0.1, 0.5, 1.0}  # two of ten are left at the end
    assert "n = 2 seeds, 10 starts each" in drawing.caption
    assert "of 10, after 0.5 s these are 6 at 10 Hz, 6 at 20 Hz, 6 at 50 Hz." in drawing.caption
    lowest = drawing.figure.axes[-1]
    assert list(lowest.lines[0].get_ydata()) == [10, 10, 6, 2] and list(lowest.lines[0].get_xdata()) == [0, 0.1, 0.5, 1]
    one = table["seed"].eq(0) & table["truncated"] & table["time"].eq(0.5)
    fewer = figures.draw_error_vs_horizon(table.assign(n=table["n"].mask(one, 2))).data
    assert set(fewer[fewer["truncated"]]["time"]) == {0.1}  # no line goes on with one of two seeds
    block = table[table["seed"].eq(1) & table["time"].ne(0.5)]  # rows of a block have few times
    part = figures.draw_error_vs_horizon(pd.concat([table[table["seed"].eq(0)], block]))
    assert list(part.figure.axes[-1].lines[0].get_xdata()) == [0, 0.1, 1]
    free = figures.draw_error_vs_horizon(table[~table["truncated"]])
    assert "starts are left" not in free.caption and len(free.figure.axes) < len(drawing.figure.axes)


def test_a_cell_of_one_model_still_has_its_figures():
    members = [member for member in ALL if member["model"] == "lstm"]
    assert len(figures.draw_state_space(state_errors(members)).data) > 0
    assert len(figures.draw_trajectories(trajectories(members, "Pendulum-v1")).data) > 0
    assert figures.draw_limits(one_step(members), limits()).figure is not None


def test_saving_refuses_what_cannot_be_shown(tmp_path):
    drawing = DRAWINGS["plant_change"]()
    with pytest.raises(ValueError, match="must end in .png"):
        figures.save_drawing(drawing, tmp_path / "a.svg")
    with pytest.raises(ValueError, match="alt"):
        figures.save_figure(drawing.figure, tmp_path / "a.png", caption="something", alt=" ")
    with pytest.raises(ValueError, match="value must be one of"):
        figures.draw_error_heatmaps(one_step(FEW), value="rmse")
    saved = figures.save_figure(drawing.figure, tmp_path / "a.png", caption="<b> n = 1", alt='a "plot"')
    text = saved._repr_html_()
    assert "&lt;b&gt; n = 1" in text and 'alt="a &quot;plot&quot;"' in text and "data:image/png;base64," in text
    first = saved.path.read_bytes()
    figures.save_drawing(DRAWINGS["plant_change"](), tmp_path / "a.png")
    assert saved.path.read_bytes() == first  # equal figures give equal files


def test_training_curves_reuse_one_figure(tmp_path):
    table = pd.DataFrame({"step": range(10), "train_loss": numbers(10), "val_loss": [np.nan] * 5 + [0.1] * 5,
                          "grad_norm": numbers(10), "learning_rate": 1e-3})  # fmt: skip
    table.to_csv(tmp_path / "c.csv", index=False)
    figures.draw_training_curves(tmp_path / "c.csv", tmp_path / "c.png")
    first = (tmp_path / "c.png").read_bytes()
    table.assign(train_loss=0.5, val_loss=np.nan).to_csv(tmp_path / "d.csv", index=False)
    figures.draw_training_curves(tmp_path / "d.csv", tmp_path / "d.png")
    figures.draw_training_curves(tmp_path / "c.csv", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes() == first != (tmp_path / "d.png").read_bytes()


@pytest.mark.parametrize("env", ["Pendulum-v1", ENV])
def test_videos_are_small_and_play_in_browsers(env, tmp_path):
    table = trajectories(FEW[:1], env).query("test_frequency == '50'")
    saved = figures.save_rollout_video(table, tmp_path / "v.mp4", title="a model", starts=(0,), speed=1.0)
    content = saved.path.read_bytes()
    assert content[4:8] == b"ftyp" and b"avc1" in content and len(content) < 300_000
    assert "n = 1" in saved.caption and "<video" in saved._repr_html_() and len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="must end in .mp4"):
        figures.save_rollout_video(table, tmp_path / "v.gif", title="a model")
    with pytest.raises(ValueError, match="one arm"):
        figures.save_rollout_video(trajectories(FEW, env), tmp_path / "v.mp4", title="a model")
    with pytest.raises(ValueError, match="starts must be among"):
        figures.save_rollout_video(table, tmp_path / "v.mp4", title="a model", starts=(7,))
    with pytest.raises(ValueError, match="a system with a scene, one of .*Pendulum-v1.*got 'Other-v0'"):
        figures.save_rollout_video(table.assign(env="Other-v0"), tmp_path / "v.mp4", title="a model", starts=(0,))


def test_the_oracles_return_is_of_the_starts_that_all_share():
    table = control(FEW)
    more = table[table["method"] == "oracle"].assign(episode=7, episode_return=1e6, success=False)
    before, after = (figures.control.episode_means(t).set_index("method") for t in (table, pd.concat([table, more])))
    columns = ["mean", "low", "high"]
    pd.testing.assert_frame_equal(before[columns], after[columns])
    assert (after.loc["oracle", "success"] < before.loc["oracle", "success"]).any()


def test_models_of_ones_own_stand_beside_ours():
    baseline = next(member for member in FEW if member["method"] == "baseline")
    mine = [dict(baseline, model="mine.models:Mine", train_frequency=rate) for rate in ("10", "20")]
    table = one_step([*FEW, *mine])
    for name, arms in (("shown", shown_arms()), ("key", key_arms())):
        chosen = pick(table, arms)
        assert list(dict.fromkeys(chosen["model"]))[-1] == "mine.models:Mine", name
        assert set(chosen.query("model == 'mine.models:Mine'")["train_frequency"]) == {"20"}
    axes = figures.draw_limits(table, limits()).figure.axes
    labels = [text for axis in axes for text in axis.get_legend_handles_labels()[1]]
    assert sum("Mine" in label for label in labels) == 1  # where ours of its method, form and rate is
    rows = figures.draw_figure1(table).data
    assert set(rows[rows["model"] == "mine.models:Mine"]["arm"]) == {"Mine: baseline, 10 Hz", "Mine: baseline, 20 Hz"}
    assert all(is_placed(arm[0]) for arm in (*shown_arms(), *key_arms())) and not is_placed("mine.models:Mine")


def test_states_are_named_by_their_system():
    assert state_label("theta_dot", ENV) == "dθ/dt [rad/s]" and state_label("x", ENV) == "x [m]"
    assert state_label("theta_1", "double_cart_pole") == "θ₁ [rad]" and state_label("v_x", "spaceship") == "v_x [m/s]"
    assert state_label("omega", "Pendulum-v1") == "ω [rad/s]" and state_label("qpos_3", "a log") == "qpos_3"
    assert state_plane(["x", "theta", "theta_dot"], ENV) == ("theta", "theta_dot")
    assert state_plane(["qpos_0", "qpos_1"], "a log") == ("qpos_0", "qpos_1") and state_plane(["q"], "") == ("q", "q")


def test_importing_figures_needs_neither_torch_nor_pyplot():
    code = "import sys, tdlib.figures; print(sorted({'torch', 'matplotlib.pyplot', 'gymnasium'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_equal_figures_give_equal_files():
    from matplotlib.figure import Figure

    def figure():
        drawn = Figure(figsize=(4, 3), layout="constrained")
        drawn.subplots().plot(np.geomspace(1e-3, 20, 30), np.linspace(-4, 1234.5, 30))
        return drawn

    assert png_bytes(figure()) == png_bytes(figure())


def test_minor_ticks_go_only_where_decades_carry_the_scale():
    from matplotlib.figure import Figure

    figure = Figure()
    wide, narrow = figure.subplots(1, 2)
    for axes, top in ((wide, 1e3), (narrow, 5.0)):
        axes.set(yscale="log", ylim=(1.0, top))
    png_bytes(figure)
    assert len(wide.yaxis.get_minorticklocs()) == 0
    assert len(narrow.yaxis.get_minorticklocs()) > 0  # without them one label would be left


def test_a_plain_axis_of_many_decades_labels_decades_alone():
    from matplotlib.figure import Figure

    for top, few in ((30, True), (3000, False)):
        axes = Figure().subplots()
        axes.set(xscale="log")
        plain_log_axis(axes.xaxis)
        axes.set_xlim(0.01, top)
        assert (0.2 in axes.get_xticks().round(6)) == few and 0.1 in axes.get_xticks().round(6)


def test_what_is_ones_own_is_drawn_beside_ours_and_compared_in_words():
    baseline = next(member for member in FEW if member["method"] == "baseline")
    mine = dict(baseline, model="mine.models:Mine", train_frequency="20")
    other = dict(mine, model="mine.models:Other")
    table = one_step([*FEW, mine, other])
    row = ("mine.models:Mine", "baseline", "none", "20")
    values = {"mine.models:Mine": 0.4, "jump": 0.41}
    table["relative_error"] = [values.get(model, 2.0) for model in table["model"]]
    drawing = figures.draw_beside(table, row[0], arms=[("jump", *row[1:])])
    labels = drawing.figure.axes[0].get_legend_handles_labels()[1]
    assert sum("Mine" in label for label in labels) == 1 and not any("Other" in label for label in labels)
    shown = drawing.data[drawing.data["own"]]
    assert set(shown["model"]) == {row[0]} and np.allclose(shown["limit"], abs(1 - 0.05 / shown["delta_t"]))
    said = drawing.caption[drawing.caption.index("At ") :]
    assert said.startswith("At 20 ms Mine: baseline, 20 Hz errs by 0.4: less than |1 − h/Δ| (1.5)"), said
    assert re.search(r"as much as jump[^;]*\(0\.41\)", said)
    assert said.endswith("(CartPole-v1, 2 seeds).")
    broken = table.assign(relative_error=table["relative_error"].mask(table["model"].eq(row[0]), np.inf))
    drawing = figures.draw_beside(broken, row[0], arms=[("jump", *row[1:])])
    assert "Not finite" in drawing.caption
    assert drawing.caption.endswith("At 20 ms no error of Mine: baseline, 20 Hz is finite (CartPole-v1, 2 seeds).")
    with pytest.raises(figures.style.NothingToDrawError, match="nothing of Absent"):
        figures.draw_beside(table, "Absent", arms=[("jump", *row[1:])])


def test_shares_of_the_data_stand_in_order_and_end_with_all_of_it():
    drawing = figures.draw_figure5(everywhere(one_step(SHARES)))
    axis = next(axis for axis in drawing.figure.axes if axis.get_xlabel() == "share of the data")
    assert not any(axis.get_xlabel() == "every arm has equally many" for axis in drawing.figure.axes)
    named = {text.get_text() for text in drawing.figure.legends[0].get_texts()}
    assert {"baseline at 50 Hz", "multi-resolution scaled_concat at 33.3 Hz"} <= named
    assert "equal seconds instead of transitions" in named
    assert "multi-resolution scaled_concat at 33.3 Hz, seconds" in set(drawing.data["arm"])
    drawing.figure.draw_without_rendering()
    assert [text.get_text() for text in axis.get_xticklabels()] == ["1 %", "10 %", "100 %"]
    rows = drawing.data.query("arm == 'baseline at 50 Hz, transitions' and env == 'Pendulum-v1'")
    assert list(rows["data"]) == ["transitions_1pct", "transitions_10pct", "transitions"]


def test_captions_of_the_data_say_which_rate_is_most_and_which_least():
    table = data_table(time=10.0, episode_return=-100.0)
    skilled = table.assign(episode_return=table["episode_return"] + table["train_frequency"].eq("50") * 40)
    said = figures.draw_returns(skilled).caption
    assert "over the last tenth of the episodes the agent at 10 Hz (and 1 more) returns -93.0, the lowest" in said
    assert "the agent at 50 Hz returns -53.0, the highest (CartPole-v1, 2 seeds)." in said
    assert "all 3 arms alike: each returns -93.0" in figures.draw_returns(table).caption
    states = data_table(theta=0.0, theta_dot=0.0).assign(source="ppo")
    assert "visited: as much everywhere (CartPole-v1)." in figures.draw_coverage(states).caption
    still = {name: states[name].where(states["train_frequency"] != "20", 0.0) for name in ("theta", "theta_dot")}
    narrow = states.assign(**still)
    assert re.search(r"visited: most at \d+ Hz by ppo, least at 20 Hz by ppo", figures.draw_coverage(narrow).caption)
