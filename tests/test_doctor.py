"""The rate doctor: planted faults in plants that its rules were not tuned on, healthy logs, and what it cannot tell."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tdlib.core.specs import wrap_angle
from tdlib.data import collect_random
from tdlib.data.decimate import decimate
from tdlib.data.sources.csv import export_csv
from tdlib.doctor import RULES, best_repair, examine, judge, measure, rates_table, wrapper
from tdlib.doctor.bursts import was_even
from tdlib.doctor.command import main
from tdlib.doctor.leaps import jumps_of
from tdlib.doctor.noise import noise_of
from tdlib.doctor.onnx_model import load_onnx
from tdlib.doctor.pace import pace_of
from tdlib.doctor.page import drawings, page
from tdlib.doctor.planted import (
    NOISE,
    PLANTED,
    TURNING_ONLY,
    at_step,
    healthy_cases,
    measured_in_bursts,
    sent_in_bursts,
    trained,
)
from tdlib.doctor.plants import DELTA_T, PLANTS, RATE, TUNED, UNSEEN, as_log, record, spec_of
from tdlib.doctor.repair import WRAPPERS, repaired_models
from tdlib.doctor.rules import TRIALS, repairs
from tdlib.models import NewtonIncrement, RecurrentRollout, RescaledIncrement, build_model
from tdlib.study.phases.doctor import HEALTHY, shares_and_errors

CHECKPOINT = Path(__file__).parents[1] / "book/published/models/Pendulum_v1/jump/baseline_20hz/seed0"
CASES = [
    (fault, plant, noise, seed)
    for fault in PLANTED
    for plant in UNSEEN
    for noise in NOISE
    for seed in (0, 1)
    if PLANTS[plant][3] or fault not in TURNING_ONLY
]


@pytest.mark.parametrize(("fault", "plant", "noise", "seed"), CASES)
def test_a_planted_fault_gets_its_verdict(fault, plant, noise, seed):
    make, verdict = PLANTED[fault]
    model, log, told = make(plant, seed, noise)
    findings = measure(model, log, **told)
    found = judge(findings)
    assert found.name == verdict, (found.name, found.evidence)
    if found.rule.repair:
        assert found.expected_error < 0.4 and found.expected_error < findings.error


def test_faults_enough_are_planted_in_plants_that_no_rule_was_tuned_on():
    faults = [fault for fault, (_, verdict) in PLANTED.items() if not verdict.startswith("healthy")]
    assert len(faults) >= 12 and len(NOISE) == 3 and len({seed for *_, seed in CASES}) > 1
    assert len(UNSEEN) == 2 and not {*UNSEEN} & {*TUNED} and all(PLANTS[plant][3] for plant in UNSEEN)


def test_healthy_logs_raise_no_alarm():
    alarms = []
    for plant, seed, noise, (model, log, told) in healthy_cases(30):
        verdict = judge(measure(model, log, **told))
        if not verdict.rule.healthy:
            alarms.append((plant, seed, noise, verdict.name))
    assert len(alarms) <= 1, alarms  # 5 % of 30


def test_shares_of_right_verdicts_and_alarms_have_intervals_and_come_from_unseen_plants():
    logs = list(healthy_cases(12))
    assert {(plant, noise) for plant, _, noise, _ in logs} == {(plant, noise) for plant in UNSEEN for noise in NOISE}
    table = pd.DataFrame([
        {"fault": fault, "plant": "shaft", "noise": 0.0, "seed": i, "right": True}
        for fault in (HEALTHY, "wrong rate") for i in range(30)
    ])  # fmt: skip
    found = examine(at_step(trained("arm", 0), DELTA_T), record("arm", 0, 0.0), num_rows=64)
    rows = shares_and_errors(table, found).set_index(["metric", "detail"])
    alarms, right = rows.loc[("doctor.alarms", "")], rows.loc[("doctor.right", "all")]
    end = 0.025 ** (1 / 30)  # all of 30, or none
    assert alarms[["mean", "ci_low"]].tolist() == [0, 0] and alarms["ci_high"] == pytest.approx(1 - end)
    assert right[["mean", "ci_high"]].tolist() == [1, 1] and right["ci_low"] == pytest.approx(end)
    assert rows.loc[("doctor.cases", ""), "mean"].tolist() == [30, 30]


def alarms_of(cases):
    found = [(*case, judge(measure(model, log, **told))) for case, (model, log, told) in cases]
    return [(*case, verdict.name, verdict.evidence) for *case, verdict in found if not verdict.rule.healthy]


def test_healthy_logs_of_slow_rates_raise_no_alarm():
    cases = []
    for seed in range(200, 232):
        plant, noise, rate = list(PLANTS)[seed % 4], NOISE[seed % 3], (4, 5, 7, 10)[seed // 4 % 4]
        model, log = trained(plant, seed), record(plant, seed, noise, rate=rate)
        cases.append(((plant, rate, noise), (at_step(model, 1 / rate) if seed % 2 else model, log, {})))
    alarms = alarms_of(cases)
    assert len(alarms) <= 1, alarms


def oscillator(speed, *, rate=10, jitter=0.0, push=0.3, late=0, rows=1500, hold=10, seed=0):
    """A log of q'' = u − ω² (q − u / ω²) without noise, ωΔ = speed, and its exact model, which may have one step."""
    rng, w = np.random.default_rng(seed), speed * rate
    delta_t = (1 + jitter * rng.uniform(-1, 1, rows)) / rate
    inputs = push * w**2 * np.repeat(rng.normal(size=rows // hold + 1), hold)[:rows]

    def model(state, action, delta_t, gain=1.0):
        rest = action[..., 0] / w**2
        (q, v), c, s = state.unbind(-1), torch.cos(w * delta_t), torch.sin(w * delta_t)
        moved = torch.stack([rest + (q - rest) * c + v * s / w, v * c - w * (q - rest) * s], -1)
        return state + gain * (moved - state)

    states = [torch.tensor([1.0, 0.0]).double()]
    for acting, step in zip(np.roll(inputs, late), delta_t, strict=True):
        states.append(model(states[-1], torch.tensor([acting]).double(), torch.tensor(step).double()))
    return model, as_log([(torch.stack(states).numpy(), inputs[:, None], delta_t)], spec_of("hard_spring"), None)


@pytest.mark.parametrize("speed", [0.3, 0.9, 1.0, 1.3, 1.6, 2.0])
def test_an_exact_model_of_fast_or_irregular_motion_is_healthy(speed):
    logs = [((speed, push, jitter), (*oscillator(speed, push=push, jitter=jitter), {}))
            for push, jitter in ((0.0, 0.0), (0.3, 0.0), (0.3, 0.5))]  # fmt: skip
    steps = [((*case, "map"), (at_step(model, 0.1), log, {})) for case, (model, log, _) in logs[:2]]
    assert alarms_of([*logs, *steps]) == []


def test_a_wrong_clock_is_told_where_the_model_shows_it():
    model, log = oscillator(0.3)
    slow = dataclasses.replace(log, delta_t=0.6 * log.delta_t, t=0.6 * log.t)
    assert judge(measure(model, slow)).name == judge(measure(at_step(model, 0.1), slow)).name == "label wrong"


def test_noise_of_irregular_logs_is_that_of_their_sensors():
    _, log = oscillator(0.1, jitter=0.5, push=0.0)
    size = np.array([0.02, 0.02])
    assert (noise_of(log) < 1e-4 * np.std(log.state, axis=0)).all()
    seen = np.concatenate([log.state, log.next_state[-1:]])
    seen = seen + size * np.random.default_rng(0).normal(size=seen.shape)
    assert np.allclose(noise_of(dataclasses.replace(log, state=seen[:-1], next_state=seen[1:])), size, rtol=0.1)


def test_velocities_and_ends_within_a_turn_do_not_leap():
    rng = np.random.default_rng(0)
    spec, steps = spec_of("hard_spring"), np.full(600, 0.01)
    turning = 0.05 * np.arange(601) + 0.01 * rng.normal(size=601)
    bounce = np.where(np.arange(601) // 60 % 2, 3.14, -3.14) + 0.01 * rng.normal(size=601)

    def leaps(position, velocity):
        states = np.stack([position, velocity], 1)
        return jumps_of(as_log([(states, np.zeros((600, 1)), steps)], spec, 100))

    assert leaps(turning % (2 * np.pi), bounce).keys() == leaps((turning % 6.283) - np.pi, bounce).keys() == {"q0"}
    assert leaps(0 * turning, bounce) == {}  # a ball that turns around
    assert leaps(2 * bounce, bounce) == {} and leaps(bounce + 1, bounce) == {}  # a leap, and no ends of one turn


def test_inputs_that_lag_and_inputs_that_lead_are_two_verdicts():
    for late, name in ((1, "input shifted"), (-1, "input late in the log")):
        verdict = judge(measure(*oscillator(0.3, push=1.0, late=late, hold=1)))
        assert verdict.name == name and verdict.expected_error < 1e-6
        assert ("makes it worse" in verdict.rule.remedy) == (late < 0)


def test_a_gain_is_no_step():
    model, log = oscillator(0.15, push=1.0)

    def weak(state, action, delta_t):
        return at_step(lambda *asked: model(*asked, gain=0.6), 0.1)(state, action, delta_t)

    assert judge(measure(weak, log, train_delta_t=0.1)).name == "other gain"
    assert judge(measure(weak, log, train_delta_t=0.25)).name == "other gain"
    assert judge(measure(weak, log, train_delta_t=0.06)).name == judge(measure(weak, log)).name == "other rate"


@pytest.mark.parametrize("told", [1.6, 2.0, 2.5])
def test_the_expected_error_is_that_of_the_step_that_is_told(told):
    model, log = at_step(trained("arm", 0), 1.6 * DELTA_T), record("arm", 0, 0.0)
    found = examine(model, log, train_delta_t=told * DELTA_T)
    assert found.verdict.name == "other rate" and found.repair in WRAPPERS
    names = {"model": lambda x, u: model(torch.from_numpy(x), torch.from_numpy(u), torch.zeros(1)).numpy()}
    exec(found.wrapper, names)
    change = log.next_state - log.state
    apart = names["repaired"](log.state, log.action, DELTA_T) - log.next_state
    left = float(np.sqrt((np.mean(apart**2, axis=0) / np.mean(change**2, axis=0)).mean()))
    assert found.verdict.expected_error == pytest.approx(left, rel=1e-3)
    assert ("fits, and leaves" in str(found)) == (told != 1.6) == (left > 2 * found.findings.tried["scaled"])


def test_a_repair_that_gives_no_number_is_not_the_best():
    table = pd.DataFrame({
        "every": [1, 2], "as it is": [0.1, 0.5], "rescaled": [0.1, 0.3], "newton_2": [0.1, math.nan],
        "composed": [math.nan, math.nan],
    })  # fmt: skip
    assert best_repair(table) == "rescaled"
    found = examine(at_step(trained("arm", 0), DELTA_T), record("arm", 0, 0.0), num_rows=64)
    broken = dataclasses.replace(found, rates=found.rates.assign(composed=math.nan))
    rows = json.loads(json.dumps(broken.as_dict(), allow_nan=False))["rates"]
    assert rows[0]["composed"] is None and rows[0]["every"] == 1


def test_a_model_that_raises_is_answered_in_one_line(place, capsys):
    text = "import torch\nnet = torch.nn.Linear(5, 3)\n\ndef five(state, action, delta_t):\n"
    (place / "bench_model.py").write_text(text + "    return net(torch.cat([state, action], -1).float())\n")
    assert main(["bench_model:five", "logs"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: model must answer state (570, 2), action (570, 1) and delta_t (570,)")
    assert "got RuntimeError: " in said and said.count("\n") == 1


def test_in_bursts_the_step_is_not_the_interval_inside_one():
    for noise in NOISE:
        _, sent, _ = sent_in_bursts("arm", 0, noise)
        _, measured, _ = measured_in_bursts("arm", 0, noise)
        assert was_even(sent) and not was_even(measured)
    plain = at_step(trained("arm", 0), DELTA_T)
    found = examine(plain, sent, label=RATE)
    assert found.verdict.name == "healthy map" and found.h == pytest.approx(DELTA_T, rel=0.01)
    assert np.allclose(found.rates["delta_t"], DELTA_T * found.rates["every"]) and found.rates["as it is"][0] < 0.3
    assert "were stamped when they were sent" in str(found)
    found = examine(trained("arm", 0), measured)
    assert found.findings.delta_t == pytest.approx(float(measured.delta_t.mean())) and not found.findings.even
    assert judge(measure(plain, measured)).name == "interval ignored"


def test_a_model_that_raises_where_only_a_repair_leads_is_told_by_its_reason():
    log = record("arm", 0, 0.0)
    plain, far = at_step(trained("arm", 0), DELTA_T), float(np.abs(log.state).max())

    def fenced(state, action, delta_t):
        if state.abs().max() > 1.001 * far:
            raise RuntimeError("joint\nout of range")
        return plain(state, action, delta_t)

    found = examine(fenced, log)
    assert found.verdict.name == "healthy map" and math.isfinite(found.rates["as it is"][0])
    assert "RuntimeError: joint out of range" in found.findings.refused["degrees in the model"]
    text = str(found)
    assert "composed: RuntimeError: joint out of range" in text and "the model refuses degrees in the model" in text
    rows = json.loads(json.dumps(found.as_dict(), allow_nan=False))["rates"]
    refused = [row for row in rows if row["refused"]]
    assert refused and all(row["composed"] is None for row in refused if "composed: " in row["refused"])


def test_a_model_that_refuses_other_steps_is_a_map_that_says_so():
    plain = trained("arm", 0)

    def strict(state, action, delta_t):
        if not torch.allclose(torch.as_tensor(delta_t), torch.tensor(DELTA_T).double(), rtol=1e-3):
            raise ValueError(f"delta_t must be {DELTA_T} s")
        return plain(state, action, torch.full_like(state[..., 0], DELTA_T))

    found = examine(strict, record("arm", 0, 0.0), train_delta_t=DELTA_T)
    assert found.verdict.name == "healthy map" and "refuses half a step or two" in found.verdict.evidence
    assert found.repair in ("composed", "newton_2") and math.isnan(found.rates["as it is"].iloc[-1])


def test_what_no_trial_mends_is_not_told():
    plain = trained("arm", 0)

    def rough(state, action, delta_t):
        moved = plain(state, action, delta_t)
        return moved + 0.6 * (moved - state).abs() * torch.sin(40 * state + 9 * action[..., :1])

    verdict = judge(measure(rough, record("arm", 0, 0.0)))
    assert verdict.name == "cannot tell" and "errs by 0." in verdict.evidence


def test_two_kinds_of_repair_that_do_equally_well_are_no_verdict():
    model, log, told = PLANTED["wrong rate"][0]("arm", 0, 0.0)
    findings = measure(model, log, **told)
    assert judge(findings).name == "other rate"
    rival = findings.tried | {"shifted": 1.05 * findings.tried["scaled"]}
    both = dataclasses.replace(findings, tried=rival, sure=findings.sure | {"shifted": 20.0}, shift=1.0)
    assert repairs(both, "scaled") and repairs(both, "shifted")
    verdict = judge(both)
    assert verdict.name == "cannot tell" and "scaled and shifted mend it about equally well" in verdict.evidence


def test_a_short_log_and_one_that_stands_still_say_too_little():
    model, log = trained("arm", 0), record("arm", 0, 0.0)
    short = log.select_rows(slice(0, 25))
    short = dataclasses.replace(short, episode_offsets=np.array([0, 25]), episode_id=np.array([0]))
    assert judge(measure(model, short)).name == "too little"
    still = dataclasses.replace(log, state=0 * log.state, next_state=0 * log.state)
    verdict = judge(measure(lambda state, action, delta_t: state, still))
    assert verdict.name == "too little" and verdict.evidence == "nothing in the log changes"
    with pytest.raises(ValueError, match="an episode of more than 6 rows, got at most 5"):
        few = log.select_rows(slice(0, 5))
        measure(model, dataclasses.replace(few, episode_offsets=np.array([0, 5]), episode_id=np.array([0])))


def test_a_model_with_memory_is_asked_with_its_past():
    log = record("arm", 0, 0.0)
    model = build_model("lstm", log.spec, seed=0, form="scaled_concat", train_delta_t=DELTA_T)
    found = examine(model, log, num_rows=32)
    assert found.verdict.name == "not learned" and math.isnan(found.findings.defect) and not len(found.rates)
    assert list(drawings(found)) == ["verdict", "stamps", "trials"]
    assert "Errors by rate" not in page(found, model="lstm", log="arm")


def test_the_table_of_rules_is_whole():
    assert [rule.name for rule in RULES][-1] == "cannot tell"
    assert len({rule.name for rule in RULES}) == len(RULES)
    planted, elsewhere = {verdict for _, verdict in PLANTED.values()}, {"too little", "other gain", "cannot tell"}
    assert planted | elsewhere | {"input late in the log"} == {rule.name for rule in RULES}  # each is tried somewhere
    trials = {name for names in TRIALS.values() for name in names}
    assert {rule.repair for rule in RULES if rule.repair} <= trials
    assert all(rule.verdict.endswith(".") and rule.remedy.endswith(".") for rule in RULES)


# --- what it measures -----------------------------------------------------------------------------------------------


def test_noise_is_that_of_the_sensors_and_pace_that_of_the_clock():
    smooth = record("arm", 0, 0.0, rate=5 * RATE)  # inputs change with every row, which differences see too
    rng = np.random.default_rng(0)
    sensors = np.array([0.05, 0.1, 0.3, 0.6])
    run = np.concatenate([smooth.state, smooth.next_state[-1:]]) + 0.0
    noisy = run + sensors * rng.normal(size=run.shape)
    offsets = smooth.episode_offsets
    log = dataclasses.replace(smooth, state=noisy[:-1], next_state=noisy[1:])
    assert np.allclose(noise_of(log), sensors, rtol=0.2) and len(offsets) > 2
    low, high = pace_of(record("arm", 0, 0.1))
    assert 0.97 < low <= high < 1.03
    slow = dataclasses.replace(smooth, delta_t=smooth.delta_t / 2, control_frequency=None)
    assert pace_of(slow) == pytest.approx((2.0, 2.0), rel=0.02)


def test_errors_at_coarser_rates_follow_the_limit_and_repairs_mend_them():
    log = record("hard_spring", 0, 0.0, rate=4 * RATE)
    h = DELTA_T / 4
    model = at_step(trained("hard_spring", 0, off=0.0), h)
    table = rates_table(model, log, h).set_index("every")
    assert list(table.index) == [1, 2, 4, 8] and np.allclose(table["limit"], [0, 1 / 2, 3 / 4, 7 / 8])
    assert table.loc[1, "as it is"] < 1e-6
    assert np.allclose(table.loc[2:, "as it is"], table.loc[2:, "limit"], atol=0.05)
    assert (table.loc[2:, "rescaled"] < table.loc[2:, "as it is"] / 2).all()
    assert (table.loc[2:, "composed"] <= table.loc[2:, "rescaled"]).all()
    assert best_repair(table.reset_index()) in ("composed", "newton_2")
    field = rates_table(trained("hard_spring", 0), log, h)
    assert best_repair(field) == "as it is"
    with pytest.raises(ValueError, match="h must be positive"):
        rates_table(model, log, math.nan)


@pytest.mark.parametrize(
    ("repair", "make"),
    [("rescaled", RescaledIncrement), ("composed", RecurrentRollout),
     ("newton_2", lambda model, h, spec: NewtonIncrement(model, 2, h, spec))],
)  # fmt: skip
def test_the_wrapper_does_in_numpy_what_the_model_does(repair, make):
    spec, flow = spec_of("arm"), at_step(trained("arm", 0), 0.05)
    state = torch.tensor([[0.3, -0.2, 1.0, 0.5], [1.3, 0.4, -1.0, 2.5], [-0.3, 0.2, 0.1, -3.0]]).double()
    action = torch.tensor([[0.7, -1.0], [0.0, 1.0], [0.2, 0.3]]).double()

    def model(x, u):  # as somebody has it: one step, plain arrays
        return flow(torch.from_numpy(x), torch.from_numpy(u), torch.zeros(x.shape[:-1])).numpy()

    names = {"model": model}
    exec(wrapper(repair, 0.05), names)
    for delta_t in (0.02, 0.1, 0.13, [0.02, 0.1, 0.13], [[0.1], [0.27], [0.05]]):  # one for all rows, or each its own
        asked = torch.tensor(delta_t).double()
        ours = make(flow, 0.05, spec)(state, action, asked.flatten() if asked.ndim else asked)
        found = names["repaired"](state.numpy(), action.numpy(), delta_t)
        assert found.shape == state.shape and np.allclose(found, ours, atol=1e-6)
    alone = names["repaired"](state[1].numpy(), action[1].numpy(), 0.13)
    assert np.allclose(alone, make(flow, 0.05, spec)(state[1], action[1], 0.13), atol=1e-6)
    single = {"model": lambda x, u: (x + 0.5 * u.sum(-1, keepdims=True)).astype(np.float32)}
    exec(wrapper(repair, 0.05), single)
    kept = single["repaired"](state.numpy().astype(np.float32), action.numpy().astype(np.float32), 0.13)
    assert kept.dtype == np.float32  # an answer can be asked about again
    assert len(wrapper(repair, 0.05).splitlines()) <= 9
    with pytest.raises(ValueError, match="repair must be one of"):
        wrapper("wish", 0.05)


@pytest.mark.parametrize("repair", WRAPPERS)
def test_the_wrapper_continues_angles_as_what_was_scored_does(repair):
    """A joint at its seam: a model that answers within one turn must not be rescaled by a turn."""
    spec = dataclasses.replace(spec_of("hard_spring"), angle_dims=(0,))

    def spin(state, action, delta_t):
        return torch.stack([wrap_angle(state[..., 0] + 0.05 * state[..., 1]), state[..., 1]], -1)

    state = torch.tensor([[3.1, 2.0], [-3.1, -2.0], [7.0, 1.0], [0.3, 9.0]]).double()
    names = {"model": lambda x, u: spin(torch.from_numpy(x), u, None).numpy()}
    exec(wrapper(repair, 0.05, spec.angle_dims), names)
    scored = repaired_models(spin, 0.05, spec)[repair]
    for delta_t in (0.02, 0.12, 0.3):
        ours = scored(state, torch.zeros(4, 1).double(), torch.full((4,), delta_t).double())
        assert np.allclose(names["repaired"](state.numpy(), np.zeros((4, 1)), delta_t), ours, atol=1e-6)
        assert np.allclose(ours[:, 0], state[:, 0] + delta_t * state[:, 1], atol=1e-6)
    log = record("hard_spring", 0, 0.0)
    found = examine(spin, dataclasses.replace(log, spec=spec), train_delta_t=0.1, num_rows=64)
    assert found.angles == (0,) and found.wrapper.count("angles=[0]") == (found.repair != "as it is")


# --- the command ----------------------------------------------------------------------------------------------------

MODULE = """
import torch

def turned(state, action, delta_t):
    q, v = state.unbind(-1)
    a = -6 * (q + 0.5 * q**3) - 0.4 * v + 2 * action[..., 0]
    h = {step}
    return torch.stack([q + h * v + h * h / 2 * a, v + h * a], -1)

count = 3
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench_model.py").write_text(MODULE.format(step=0.1))
    export_csv(record("hard_spring", 0, 0.0), tmp_path / "logs")
    yield tmp_path
    sys.modules.pop("bench_model", None)


def test_the_command_answers_in_one_page_and_by_its_exit_code(place, capsys):
    assert main(["bench_model:turned", "logs", "--train-delta-t", "0.1", "--json", "out.json"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("Verdict: other rate.") and "a step of 0.1" in said and "trained at 0.1 s" in said
    assert "def repaired(state, action, delta_t, h=0.1):" in said and "Clock: " in said and "What was read:" in said
    found = json.loads((place / "out.json").read_text())
    assert found["verdict"] == "other rate" and found["expected_error"] < 0.35 < found["error"]
    assert [row["every"] for row in found["rates"]] == [1, 2, 4, 8]
    result = subprocess.run(
        [sys.executable, "-m", "tdlib.doctor", "bench_model:turned", "logs"], cwd=place, capture_output=True, text=True
    )
    assert result.returncode == 1 and "other rate" in result.stdout, result.stderr


def test_a_checkpoint_says_itself_what_its_states_and_its_step_are(tmp_path, capsys):
    for rate, verdict, code in ((20, "healthy map", 0), (50, "other rate", 1)):
        logs = export_csv(collect_random("Pendulum-v1", rate, 5, 1500), tmp_path / f"{rate}hz")
        assert main([str(CHECKPOINT), str(logs), "--json", str(tmp_path / "out.json")]) == code
        found = json.loads((tmp_path / "out.json").read_text())
        assert (found["verdict"], found["h"]) == (verdict, 0.05), capsys.readouterr().out
        assert found["tried"]["scaled"] < 0.2
    assert main([str(CHECKPOINT), str(logs), "--angles", "qpos_0"]) == 2
    assert "--angles and --units are for models that do not say" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["nothing", "logs"],
            "MODEL must be a checkpoint's folder, an .onnx file, a TorchScript .pt, or an import",
        ),
        (["bench_model:count", "logs"], "MODEL 'bench_model:count' must be callable, got int"),
        (["bench_model:gone", "logs"], "must name something that can be imported"),
        (["logs", "logs"], "must be a checkpoint folder"),
        (["bench_model:turned", "elsewhere"], "path must be a log of one of the kinds"),
        (["bench_model:turned", "logs", "--columns", "speed=v"], "--columns must be GROUP=NAME,NAME"),
        (["bench_model:turned", "logs", "--columns", "ctrl=u", "qpos=qpos_0"], "must be in the file, got 'u'"),
        (["bench_model:turned", "logs", "--on", "/x"], "options of csv must be among"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_line(place, capsys, arguments, words):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.startswith("error: ") and said.count("\n") == 1


def test_an_onnx_file_is_asked_as_any_model(tmp_path, capsys):
    for package in ("onnxruntime", "onnx"):
        pytest.importorskip(package, reason="the extra `onnx`, and `onnx` to write a file, are not installed")
    import onnx
    from onnx import TensorProto, helper

    log = record("hard_spring", 0, 0.0)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("u", TensorProto.DOUBLE, ["N", 1]),
        helper.make_tensor_value_info("h", TensorProto.FLOAT, ["N", 1]),
    ]
    matrix = np.array([[0.0, -6.0], [1.0, -0.4]], np.float32)  # the spring, its cube left out
    nodes = [
        helper.make_node("MatMul", ["x", "A"], ["moved"]),
        helper.make_node("Cast", ["u"], ["v"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["v", "B"], ["pushed"]),
        helper.make_node("Add", ["moved", "pushed"], ["rate"]),
        helper.make_node("Mul", ["rate", "h"], ["change"]),
        helper.make_node("Add", ["x", "change"], ["y"]),
    ]
    constants = [
        helper.make_tensor("A", TensorProto.FLOAT, [2, 2], matrix.ravel()),
        helper.make_tensor("B", TensorProto.FLOAT, [1, 2], [0.0, 2.0]),
    ]
    output = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])]
    graph = helper.make_graph(nodes, "spring", inputs, output, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "spring.onnx")
    asked = load_onnx(tmp_path / "spring.onnx")
    state, action = torch.tensor([[0.5, 1.0], [0.0, -1.0]]).double(), torch.tensor([[1.0], [0.0]]).double()
    assert np.allclose(asked(state, action, torch.tensor(0.1)), [[0.6, 0.86], [-0.1, -0.96]], atol=1e-6)
    logs = export_csv(log, tmp_path / "logs")
    assert main([str(tmp_path / "spring.onnx"), str(logs), "--json", str(tmp_path / "out.json")]) in (0, 1)
    assert capsys.readouterr().out.startswith("Verdict: ")
    assert json.loads((tmp_path / "out.json").read_text())["response"] == pytest.approx(1.5, abs=1e-3)
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    assert main([str(tmp_path / "bad.onnx"), str(logs)]) == 2
    assert "path must be an ONNX model, got" in capsys.readouterr().err


def test_a_coarser_log_of_the_same_model_is_told_apart():
    """The path from a healthy log to a wrong rate is decimation alone."""
    log = record("arm", 3, 0.0, rate=2 * RATE)
    model = at_step(trained("arm", 3), DELTA_T / 2)
    assert judge(measure(model, log)).name == "healthy map"
    assert judge(measure(model, decimate(log, 3, filtered=False))).name == "other rate"
