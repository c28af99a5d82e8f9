"""The explorer: links, inputs, limits and Python lines of its script; models, messages and numbers of its widget."""

import html
import json
import math
import re
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from javascript import Scripts

from tdlib.core.time_grid import delta_t_of
from tdlib.explorer import Explorer, find_checkpoints
from tdlib.explorer.assets import (
    EXPLORER_PARTS,
    STATE_PARTS,
    engine_script,
    explorer_script,
    read_asset,
    write_assets,
)
from tdlib.explorer.python import answers
from tdlib.explorer.python.answers import Answers, pack_arrays
from tdlib.explorer.python.entries import TRUE_FIELD, entry_of, mixture_of
from tdlib.explorer.python.explorer import widget_script
from tdlib.explorer.python.pack import pack_models, packed_model, published_arms
from tdlib.explorer.python.page import HEATMAP_SOURCE, heatmap_rows, motion_error, page_script
from tdlib.explorer.python.scenes import scenes
from tdlib.explorer.python.signals import held_inputs
from tdlib.explorer.python.true_field import TrueField
from tdlib.explorer.python.views import first_view
from tdlib.figures.theme import TEXT_CONTRAST, contrast
from tdlib.models import NewtonIncrement, RecurrentRollout, RescaledIncrement, describe
from tdlib.publish import explore
from tdlib.publish.edition import PUBLISHED
from tdlib.publish.explore import explorer_choices, find_source, open_explorer
from tdlib.speed import traced
from tdlib.study import limits
from tdlib.study.arms import Arm, build_arm
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint, save_checkpoint

BOOK = Path(__file__).parents[1] / "book"
sys.path.insert(0, str(BOOK / "_ext"))
import td_explorer  # noqa: E402

CARRIED = published_arms()
BASELINE = Arm("jump", "baseline", train_frequency="20")
MIXED = Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed")
ARMS = [
    BASELINE, MIXED,
    Arm("lstm", "baseline", train_frequency="20"), Arm("newtonian", "ode", "rk4", train_frequency="20"),
    Arm("port_hamiltonian", "ode", "euler", train_frequency="10"),
    Arm("ensemble", "multi_resolution", "scaled_concat", train_frequency="mixed"),
]  # fmt: skip
ENVS = list(SYSTEMS)
# systems whose one action is none differ on the page in their equation: long tests take one of them
FEWER = [env for env in ENVS if SYSTEMS[env].spec.num_actions != 1 or env == "chaotic_pendulum"]
INPUTS = [
    {"kind": "constant", "value": 1.0}, {"kind": "random", "seed": 3},
    {"kind": "pulse", "value": 1.0, "begin": 0.2, "end": 0.55},
    {"kind": "sine", "amplitude": 1.7, "frequency": 2.3}, {"kind": "drawn", "values": [math.sin(k) for k in range(50)]},
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's folder with one checkpoint of every kind; untrained weights predict as well as trained ones for this."""
    root = tmp_path_factory.mktemp("runs") / "tiny"
    for env in ENVS:
        for arm in ARMS:
            place = root / "models" / SYSTEMS[env].spec.folder / arm.model / arm.folder / "seed0"
            config = {"env": env, **arm.keys(), "seed": 0}
            save_checkpoint(place, build_arm(arm, SYSTEMS[env].spec, 0), config)
    return root


@pytest.fixture(scope="module")
def explorer(folder):
    return Explorer(folder, env="Pendulum-v1")


@pytest.fixture(scope="module")
def script():
    """The script's parts that need no page, beside the engine."""
    own = ("explorer_dom.js", "explorer_map.js", "explorer_push.js", "explorer_page.js")
    parts = explorer_script((*STATE_PARTS, *own))
    return Scripts(engine_script(), parts, "var td = globalThis.tdExplorer;")


def call(scripts, expression: str):
    return scripts(expression)


def state_of(context, env: str, **changes) -> dict:
    return {**call(context, f"td.defaultState({json.dumps(env)})"), **changes}


def entries_of(explorer, env: str) -> str:
    return f"td.withDerived({json.dumps(explorer.config['models'][env])})"


# --- rates and links --------------------------------------------------------------------------------------------------


def test_the_slider_reaches_the_rates_of_the_study_exactly(script):
    rates = call(script, "td.TEST_RATES.map(function (r) { return td.rateAt(td.positionOf(r)); })")
    assert rates == [5, 10, 16, 20, 25, 33.3, 50, 100, 200]
    assert call(script, "td.TEST_RATES.map(td.deltaTOf)") == pytest.approx([delta_t_of(rate) for rate in rates])
    every = call(script, "Array.from({length: td.SLIDER_STEPS + 1}, function (_, k) { return td.rateAt(k); })")
    assert every[0] == 5 and every[-1] == 200 and every == sorted(set(every))


def per_input(env, signal):
    """The same signal for each of a system's inputs."""
    return [signal] * SYSTEMS[env].spec.input_dim


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("signal", INPUTS, ids=lambda s: s["kind"])
def test_a_link_restores_the_state(script, env, signal):
    low, high = SYSTEMS[env].spec.input_low[0], SYSTEMS[env].spec.input_high[0]
    kept = {**signal, **({"values": [round(v, 4) for v in signal["values"]]} if "values" in signal else {})}
    state = state_of(script, env, rate=42.0, inputs=per_input(env, kept), solver="midpoint", substeps=3)
    state["start"][0] = -0.321
    state["a"] = {"model": "newtonian", "how": "ode.rk4.transitions", "train_frequency": "50", "seed": "4"}
    link = call(script, f"td.toFragment({json.dumps(state)})")
    assert call(script, f"td.fromFragment('#' + {json.dumps(link)}, {json.dumps(ENVS)})") == {
        "state": state,
        "problems": [],
    }
    assert low < high and re.fullmatch(r"[\w&=~.,;%-]+", link)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("env=Pendulum-v1&hz=500", ["Δt must lie between 5 ms", "2 ms"]),
        ("env=Pendulum-v1&hz=zebra", ["Δt must lie between", "zebra"]),
        ("env=Acrobot-v1", ["env must be one of Pendulum-v1", "Acrobot-v1"]),
        ("env=Pendulum-v1&x0=1,2,3", ["x0 must have 2 numbers, got 3"]),
        ("env=Pendulum-v1&x0=1,99", ["x0[1] must lie within ±8", "99"]),
        ("env=Pendulum-v1&u=noise~2", ["u must be one of constant, pulse, random, sine, drawn", "noise"]),
        ("env=Pendulum-v1&u=drawn~1,2", ["50 values", "2"]),
        ("env=Pendulum-v1&dim=7", ["dim must be 0 to 1", "7"]),
        ("env=Pendulum-v1&solver=verlet", ["solver must be one of euler, midpoint, rk4", "verlet"]),
        ("env=Pendulum-v1&substeps=0", ["substeps must be a whole number from 1 to 16", "0"]),
        ("env=Pendulum-v1&a=jump", ["a model must be named", "jump"]),
        ("env=Pendulum-v1&color=red", ["unknown part", "color"]),
        ("env=Pendulum-v1&hz=%E0%A4%A", ["unreadable part"]),
    ],
)
def test_a_broken_link_is_named_and_keeps_its_defaults(script, link, words):
    read = call(
        script,
        f"td.fromFragment({json.dumps('#dt-explorer&b=none~persistence&' + link)}, {json.dumps(ENVS)})",
    )
    assert len(read["problems"]) == 1
    assert all(word in read["problems"][0] for word in words)
    expected = state_of(script, "Pendulum-v1")
    assert {k: read["state"][k] for k in ("env", "rate", "start", "inputs", "dim", "solver", "substeps", "a")} == {
        k: expected[k] for k in ("env", "rate", "start", "inputs", "dim", "solver", "substeps", "a")
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("{start: [1]}", ["x0 must have 2 numbers, got 1"]),
        ("{start: ['1', 0]}", ["x0[0] must lie within"]),
        ("{start: null}", ["x0 must be a list"]),
        ("{rate: 1e9}", ["Δt must lie between"]),
        ("{env: 'Acrobot-v1'}", ["env must be one of", "Acrobot-v1"]),
        ("{dim: 2}", ["dim must be 0 to 1, got 2"]),
        ("{solver: 'verlet'}", ["solver must be one of", "verlet"]),
        ("{substeps: 0.5}", ["substeps must be a whole number"]),
        ("{inputs: [{kind: 'sine', amplitude: 'a', frequency: 1}]}", ["amplitude of the input must be finite, got a"]),
        ("{inputs: [{kind: 'drawn', values: [1, 2]}]}", ["50 values, got 2"]),
        ("{inputs: [null]}", ["u must be one of constant, pulse, random, sine, drawn"]),
        ("{inputs: null}", ["u must be one signal of each of 1 input, got none"]),
        ("{channel: 1}", ["ch must be 0 to 0, got 1"]),
        ("{a: null}", ["a model must be"]),
        ("{b: {model: 3}}", ["a model must be", "3"]),
    ],
)
def test_a_broken_state_is_refused_with_a_sentence(script, change, words):
    said = call(
        script,
        f"(function () {{ try {{ td.checkState(Object.assign(td.defaultState('Pendulum-v1'), {change}), {ENVS}); }}"
        " catch (error) { return [error.name, error.message]; } })()",
    )
    assert said[0] == "RangeError" and all(word in said[1] for word in words), said


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("signal", INPUTS, ids=lambda s: s["kind"])
def test_a_good_state_is_taken_as_it_is(script, env, signal):
    state = state_of(script, env, rate=42.0, inputs=per_input(env, signal), solver="midpoint", substeps=3, b=None)
    assert call(script, f"td.checkState({json.dumps(state)}, {ENVS})") == state
    assert call(script, f"td.checkState({{env: {json.dumps(env)}}}, {ENVS})") == state_of(script, env)


def test_views_of_book_pages_are_links_to_arms_that_a_page_carries(script):
    found = {}
    for page in BOOK.glob("*.md"):
        for env, view in re.findall(r"\{explorer\} (\S+)\n:view: (\S+)", page.read_text(encoding="utf-8")):
            link = html.unescape(re.search('data-view="(.*?)"', td_explorer.system_element(env, view))[1])
            read = call(script, f"td.fromFragment({json.dumps(link)}, {json.dumps(ENVS)})")
            assert read["problems"] == [] and read["state"]["env"] == env
            for side in "ab":
                arm = read["state"][side]
                method, form, data = arm["how"].split(".")
                assert Arm(arm["model"], method, form, data=data, train_frequency=arm["train_frequency"]) in CARRIED
            found[page.stem] = env
    assert found == {"physics": "oscillator", "history": "double_cart_pole"}


def test_a_foreign_fragment_is_left_alone(script):
    assert call(script, f"td.fromFragment('#the-result', {json.dumps(ENVS)})") is None


def test_the_default_view_is_among_the_arms_and_its_labels_are_words(script, explorer):
    for env in ENVS:
        for side, arm in (("a", BASELINE), ("b", MIXED)):
            wanted = json.dumps(state_of(script, env)[side])
            entry = call(script, f"td.choose({entries_of(explorer, env)}, {wanted})")
            assert {key: entry[key] for key in ("model", "method", "form", "train_frequency")} == {
                key: value for key, value in arm.keys().items() if key in ("model", "method", "form", "train_frequency")
            }
    labels = call(script, f"{entries_of(explorer, 'Pendulum-v1')}.map(function (entry) {{ return entry.label; }})")
    assert len(set(labels)) == len(labels) == len(ARMS) + 6  # four derived arms, persistence, the true field
    assert all("undefined" not in label for label in labels)


# --- inputs, errors, limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("signal", INPUTS, ids=lambda s: s["kind"])
def test_held_inputs_are_the_same_in_both_languages(script, env, signal):
    signals = per_input(env, signal)
    for rate in (5, 20, 33.3, 47.3, 200):
        asked = json.dumps({"rate": rate, "inputs": signals})
        plan = call(script, f"td.plan({asked}, tdEngine.systems[{json.dumps(env)}])")
        expected = held_inputs(signals, SYSTEMS[env].spec, delta_t_of(rate), plan["steps"])
        assert plan["actions"] == pytest.approx(expected, abs=0)
        assert sum(plan["fineDeltaTs"]) == pytest.approx(plan["steps"] * plan["deltaT"])
        assert max(plan["fineDeltaTs"]) <= 0.01 * (1 + 1e-9)


@pytest.mark.parametrize("env", ENVS)
def test_a_button_pushes_with_an_action_all_along_or_as_a_pulse(script, env):
    spec = SYSTEMS[env].spec
    script.run(f"var system = tdEngine.systems[{json.dumps(env)}], rows = td.pushes(system);")
    rows = call(script, "rows")
    assert rows == [list(row) for row in spec.action_table or ((spec.input_low[0],), (0.0,), (spec.input_high[0],))]
    for k, row in enumerate(rows):
        held = []
        for pulse in ("false", "true"):
            signals = call(script, f"td.pushWith(rows[{k}], {pulse})")
            assert call(script, f"td.pushedBy(system, {json.dumps(signals)})") == k
            actions = torch.tensor(held_inputs(signals, spec, 0.05, 20), dtype=torch.float64).reshape(20, -1)
            held.append(spec.held_input(actions).tolist())
        assert held[0] == [row] * 20 and held[1][4:8] == [row] * 4
        if (idle := [0.0] * len(row)) in rows:
            assert held[1][:4] == [idle] * 4 and held[1][8:] == [idle] * 12
    places = call(script, "td.pushPlaces(rows)")
    assert places is None if spec.input_dim == 1 else sorted(places) == [[i, j] for i in (1, 2, 3) for j in (1, 2, 3)]
    assert call(script, f"td.pushedBy(system, {json.dumps(per_input(env, INPUTS[1]))})") == -1


@pytest.mark.parametrize("env", ENVS)
def test_errors_are_those_of_the_library(script, env):
    system, generator = SYSTEMS[env], torch.Generator().manual_seed(1)
    start = torch.tensor(first_view(SYSTEMS[env]).start, dtype=torch.float64)
    truth = start + torch.randn(20, len(start), generator=generator, dtype=torch.float64).cumsum(dim=0)
    predicted = truth + 4 * torch.randn(20, len(start), generator=generator, dtype=torch.float64)
    values = json.dumps([start.tolist(), truth.tolist(), predicted.tolist()])
    errors = call(script, f"td.relativeErrors(tdEngine.systems[{json.dumps(env)}], ...{values})")
    for k in (1, 7, 20):
        assert errors[k - 1] == pytest.approx(motion_error(predicted[:k], truth[:k], start, system), rel=1e-12)


def series_limit(system, state, action, delta_t):
    """Relative error of the third order of Newton's series in iterates of the exact map of 50 ms."""
    truth = limits.increment(system, state, action, delta_t)
    predicted = NewtonIncrement(system.flow, 3, 0.05, system.spec)(
        state, action, torch.tensor([delta_t], dtype=state.dtype)
    )
    return limits.relative_size(predicted - state - truth, truth)


@pytest.mark.parametrize("env", FEWER)
@pytest.mark.parametrize("rate", [8, 33.3, 150])
@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        (BASELINE, lambda s, x, a, d: limits.fixed_step_limit(s, x, a, 0.05, d)),
        (Arm("jump", "rescaled", train_frequency="20"), lambda s, x, a, d: limits.rescaled_limit(s, x, a, 0.05, d)),
        (Arm("jump", "newton_3", train_frequency="20"), lambda s, x, a, d: series_limit(s, x, a, d)),
        *[
            (
                Arm("jump", "multi_resolution", form, train_frequency="mixed"),
                lambda s, x, a, d, form=form: limits.interpolation_limit(s, x, a, d, form),
            )
            for form in ("scaled", "scaled_concat", "concat", "log_tau")
        ],
        (
            Arm("first_order_ode", "ode", "euler", train_frequency="20"),
            lambda s, x, a, d: limits.rescaled_limit(s, x, a, 0.05, d),
        ),
    ],
    ids=lambda value: value.folder if isinstance(value, Arm) else "",
)  # fmt: skip
def test_limits_drawn_at_the_first_step_are_those_of_the_library(script, env, rate, arm, expected):
    system, state = SYSTEMS[env], state_of(script, env, rate=rate)
    if env == "Pendulum-v1":
        state["start"] = [1.0, 0.5]  # slow enough that the speed limit, which limits leave out, is not touched
    code = f"""(function () {{
      var state = {json.dumps(state)}, system = tdEngine.systems[state.env], plan = td.plan(state, system);
      var truth = system.truth(state.start, plan.actions, plan.actions.map(function () {{ return plan.deltaT; }}));
      var limit = td.limitOf({json.dumps(entry_of(arm))}, system, {json.dumps(arm.form)}, 1);
      var states = td.followLimit(limit, state.start, plan);
      return {{errors: td.relativeErrors(system, state.start, truth, states), action: plan.actions[0]}};
    }})()"""
    drawn = call(script, code)
    x = torch.tensor([state["start"]], dtype=torch.float64)
    a = torch.tensor([[drawn["action"]]], dtype=torch.float64)
    assert drawn["errors"][0] == pytest.approx(expected(system, x, a, delta_t_of(rate)), rel=1e-6, abs=1e-9)


def test_persistence_scores_one_at_every_step(script):
    code = """(function () {
      var state = td.defaultState("CartPoleContinuous-v1"), system = tdEngine.systems[state.env];
      var plan = td.plan(state, system);
      var truth = system.truth(state.start, plan.actions, plan.actions.map(function () { return plan.deltaT; }));
      return td.relativeErrors(system, state.start, truth, truth.map(function () { return state.start; }));
    })()"""
    assert call(script, code) == pytest.approx([1.0] * 33)


def test_a_memory_follows_the_double_cart_pole_in_both_homes(script, tmp_path):
    env, arm = "double_cart_pole", Arm("gru", "multi_resolution", "scaled", train_frequency="mixed")
    model = describe(build_arm(arm, SYSTEMS[env].spec, 0), {"env": env, **arm.keys(), "seed": 0})
    save_checkpoint(tmp_path / "models" / env / arm.model / arm.folder / "seed0", model, model.record)
    explorer = Explorer(tmp_path)
    state = state_of(script, env, rate=25, inputs=[INPUTS[2]])
    script.run(f"var plan = td.plan({json.dumps(state)}, tdEngine.systems[{json.dumps(env)}]);")
    job = {"kind": "rollout", "id": "0", "states": [state["start"]], "actions": call(script, "plan.actions")}
    job |= {"deltaT": call(script, "plan.deltaT")}
    start, actions = (torch.tensor(x, dtype=torch.float64) for x in (state["start"], job["actions"]))
    with torch.no_grad():
        expected, rounded = (
            own.predict_sequence(start, actions.unsqueeze(-1), job["deltaT"]).numpy()
            for own in (load_checkpoint(explorer.checkpoints[0].folder).double(), packed_model(model))
        )
    np.testing.assert_allclose(explorer.answers.answer(env, job), expected, rtol=1e-12)
    script.run(pack_models(env, {"memory": model}).script())
    asked = f"Object.assign({json.dumps(job)}, {{entry: tdEngine.models({json.dumps(env)})[0]}})"
    np.testing.assert_allclose(call(script, f"td.runJob(tdEngine, {json.dumps(env)}, {asked})"), rounded, rtol=1e-9)


# --- energy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ENVS)
def test_inputs_and_losses_explain_the_energy_of_the_truth_and_no_more(script, env):
    script.run(f"""
      var state = td.defaultState({json.dumps(env)}), system = tdEngine.systems[state.env];
      state.inputs = system.inputs.map(function (one, i) {{ return td.signalOf("sine", system, state.inputs, i); }});
      var plan = td.plan(state, system);
      var path = [state.start].concat(system.truth(state.start, plan.fineActions, plan.fineDeltaTs));
    """)
    left = np.array(call(script, "td.unexplained(system, path, plan.fineActions, plan.fineDeltaTs)"))
    work = np.array(call(script, "td.workAlong(system, path, plan.fineActions, plan.fineDeltaTs)"))
    assert len(left) == len(work) == call(script, "path.length") and left[0] == work[0] == 0
    jumps = np.diff(np.array(call(script, "path"))[:, 1]) > 1 if SYSTEMS[env].contact else np.zeros(len(left) - 1)
    smooth = left[: 1 + int(jumps.argmax())] if jumps.any() else left
    assert np.abs(smooth).max() < 1e-5 * max(1, np.abs(work).max())
    if SYSTEMS[env].contact:  # the impact takes what no power says
        assert 20 < len(smooth) < len(left) and left[len(smooth)] < -0.1


def test_the_work_of_a_constant_force_is_exact_however_long_the_step(script):
    path = [[0.1, 2.0], [0.7, -1.0], [-0.4, 3.0]]  # no motion of the system: force times distance, whatever its speeds
    work = call(script, f"td.workAlong(tdEngine.systems['Pendulum-v1'], {path}, [1.5, -0.5], [0.2, 0.4])")
    assert work == pytest.approx([0.0, 1.5 * 0.6, 1.5 * 0.6 + 0.5 * 1.1], rel=1e-12)


def test_a_learned_energy_is_the_models_own_in_both_homes(script, explorer):
    arm = ARMS[4]
    name, checkpoint = explorer.find("Pendulum-v1", **arm.keys())
    states = (2 * torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))).tolist()
    model = load_checkpoint(checkpoint.folder)
    with torch.no_grad():
        own = model.double().energy(torch.tensor(states, dtype=torch.float64)).numpy()
        packed = packed_model(model).energy(torch.tensor(states, dtype=torch.float64)).numpy()
    job = {"id": name, "kind": "energy", "states": states, "actions": None, "deltaT": None, "solver": "rk4"}
    np.testing.assert_allclose(explorer.answers.answer("Pendulum-v1", job)[:, 0], own, rtol=1e-12)
    script.run(pack_models("Pendulum-v1", {"energy": describe(model, {**arm.keys(), "seed": 0})}).script())
    script.run("var entry = tdEngine.models('Pendulum-v1')[0];")
    on_page = call(script, f"td.runJob(tdEngine, 'Pendulum-v1', Object.assign({json.dumps(job)}, {{entry: entry}}))")
    np.testing.assert_allclose(np.array(on_page)[:, 0], packed, rtol=1e-12)
    assert call(script, "entry.energy") is True and entry_of(arm)["energy"] and not entry_of(BASELINE)["energy"]
    energies = [float(SYSTEMS["Pendulum-v1"].total_energy(torch.tensor(x, dtype=torch.float64))) for x in states]
    fit = call(script, f"td.energyScale({own.tolist()}, {energies})")
    slope, correlation = np.polyfit(own, energies, 1)[0], np.corrcoef(own, energies)[0, 1]
    assert fit == pytest.approx({"scale": slope, "explained": correlation**2}, rel=1e-9)
    none, _ = explorer.find("Pendulum-v1", **BASELINE.keys())
    with pytest.raises(ValueError, match="model must have learned an energy"):
        explorer.answers.answer("Pendulum-v1", {**job, "id": none})


# --- Python lines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", FEWER)
@pytest.mark.parametrize(
    ("a", "b", "changes"),
    [
        (BASELINE, MIXED, {}),
        (
            Arm("jump", "rescaled", train_frequency="20"),
            Arm("jump", "recurrent_rollout", train_frequency="20"),
            {"rate": 12.3, "inputs": INPUTS[1]},
        ),
        (ARMS[2], ARMS[5], {"rate": 100, "inputs": INPUTS[3]}),
        (ARMS[3], ARMS[4], {"rate": 25, "solver": "midpoint", "substeps": 2}),
        (ARMS[4], Arm("none", "persistence", size="none", data="none"), {"rate": 33.3, "inputs": INPUTS[4]}),
    ],
    ids=["default", "derived", "memory and ensemble", "another solver", "persistence"],
)  # fmt: skip
def test_the_python_lines_run_and_give_what_the_view_shows(script, explorer, env, a, b, changes, capsys):
    def wanted(arm):
        how = f"{arm.method}.{arm.form}.transitions"
        return {"model": arm.model, "how": how, "train_frequency": arm.train_frequency}

    signals = {name: per_input(env, value) for name, value in changes.items() if name == "inputs"}
    state = state_of(script, env, a=wanted(a), b=wanted(b), **{**changes, **signals})
    script.run(
        f"var state = {json.dumps(state)}, entries = {entries_of(explorer, env)}, system = tdEngine.systems[state.env];"
    )
    script.run(
        "var plan = td.plan(state, system), pair = {a: td.choose(entries, state.a), b: td.choose(entries, state.b)};"
    )
    plan, pair = call(script, "plan"), call(script, "pair")
    names = {}
    exec(call(script, "td.pythonLines(state, pair, plan, false)"), names)
    printed = [float(value) for value in capsys.readouterr().out.split()]
    for i, side in enumerate("ab"):
        entry = pair[side]
        solver = call(script, f"td.solverOf(pair.{side}, state)")
        job = {"kind": "rollout", "id": entry.get("id"), "derive": entry.get("derive"), "solver": solver,
               "substeps": state["substeps"], "states": [state["start"]], "actions": plan["actions"],
               "deltaT": plan["deltaT"]}  # fmt: skip
        shown = explorer.answers.answer(env, job)
        assert np.abs(shown - names[f"predicted_{side}"].numpy()).max() < 1e-12
        fine = "system.truth(state.start, plan.fineActions, plan.fineDeltaTs)"
        fine += ".filter(function (_, k) { return (k + 1) % plan.parts === 0; })"
        errors = call(script, f"td.relativeErrors(system, state.start, {fine}, {json.dumps(shown.tolist())})")
        assert printed[2 * i] == names[f"first_{side}"] == pytest.approx(errors[0], rel=1e-9)
        assert printed[2 * i + 1] == names[f"error_{side}"] == pytest.approx(errors[-1], rel=1e-9)


@pytest.mark.parametrize("env", FEWER)
def test_the_python_lines_of_a_page_give_the_numbers_of_its_weights(script, folder, env, capsys):
    models = {
        f"{arm.model}/{arm.folder}": load_checkpoint(
            folder / "models" / SYSTEMS[env].spec.folder / arm.model / arm.folder / "seed0"
        )
        for arm in ARMS
    }
    script.run(pack_models(env, models).script())
    script.run(
        f"var page = td.pageBackend(tdEngine, '', null, null, [{json.dumps(str(folder / 'models'))}]), found = [];"
        f"page.open({json.dumps(env)}).then(e => (found = e));"
    )
    script.run(f"""
      var entries = td.withDerived(found), state = td.defaultState({json.dumps(env)});
      var system = tdEngine.systems[state.env], plan = td.plan(state, system);
      var pair = {{a: td.choose(entries, state.a), b: td.choose(entries, state.b)}};
      var job = {{kind: "rollout", states: [state.start], actions: plan.actions, deltaT: plan.deltaT, substeps: 1}};
    """)
    lines = call(script, "td.pythonLines(state, pair, plan, page.rounded)")
    names = {}
    exec(lines, names)
    assert "packed_model" in lines and len(capsys.readouterr().out.split()) == 4
    for side in "ab":
        shown = call(script, f"page.run(state.env, [Object.assign({{entry: pair.{side}}}, job)])[0]")
        assert np.abs(np.array(shown) - names[f"predicted_{side}"].numpy()).max() < 1e-9


# --- Python's answers -------------------------------------------------------------------------------------------------


def test_checkpoints_are_known_from_their_places(folder):
    found = find_checkpoints([folder])
    assert len(found) == len(ENVS) * len(ARMS)
    assert {(c.env, c.arm) for c in found} == {(env, arm) for env in ENVS for arm in ARMS}
    one = find_checkpoints([found[0].folder])
    assert one == [found[0]] and one[0].run == "tiny"
    assert one[0].name.endswith("/seed0") and one[0].name.count("/") == 3


def test_a_checkpoint_elsewhere_is_known_from_its_description(folder, tmp_path):
    source = find_checkpoints([folder])[0].folder
    target = tmp_path / "a" / "b" / "c" / "mine"
    target.mkdir(parents=True)
    for name in ("model.pt", "config.yaml"):
        (target / name).write_bytes((source / name).read_bytes())
    assert find_checkpoints([target])[0].arm == find_checkpoints([source])[0].arm


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: f"{arm.model}-{arm.folder}")
@pytest.mark.parametrize("env", FEWER)
def test_recorded_steps_equal_the_models(explorer, env, arm):
    name, checkpoint = explorer.find(env, **arm.keys())
    model = load_checkpoint(checkpoint.folder).double()
    start = torch.tensor(first_view(SYSTEMS[env]).start, dtype=torch.float64)
    actions = torch.tensor(held_inputs(per_input(env, INPUTS[1]), SYSTEMS[env].spec, 0.02, 50), dtype=torch.float64)
    variants = [(None, model)]
    if arm == BASELINE:
        variants += [("rescaled", RescaledIncrement(model, 0.05)), ("recurrent_rollout", RecurrentRollout(model, 0.05))]
    for derive, reference in variants:
        job = {
            "kind": "rollout",
            "id": name,
            "derive": derive,
            "states": [start.tolist()],
            "actions": actions.tolist(),
            "deltaT": 0.02,
        }
        with torch.inference_mode():
            expected = reference.predict_sequence(start, actions[:, None], 0.02)
            states = start + 0.1 * torch.randn(17, len(start), dtype=torch.float64)
            one_step = reference(states, actions[:17, None], 0.07)
        assert np.abs(explorer.answers.answer(env, job) - expected.numpy()).max() < 1e-12
        job = {**job, "kind": "steps", "states": states.tolist(), "actions": actions[:17].tolist(), "deltaT": 0.07}
        assert np.abs(explorer.answers.answer(env, job) - one_step.numpy()).max() < 1e-12


def test_a_request_is_answered_by_one_buffer(explorer):
    name, _ = explorer.find("Pendulum-v1", **MIXED.keys())
    job = {"kind": "rollout", "id": name, "states": [[2.0, 0.0]], "actions": [1.0] * 20, "deltaT": 0.05}
    steps = {"kind": "steps", "id": None, "states": [[0.1, 0.2]] * 3, "actions": [0.0] * 3, "deltaT": 0.05}
    reply, numbers = explorer.respond({"id": "7", "env": "Pendulum-v1", "jobs": [job, steps]})
    assert reply == {"id": "7", "shapes": [[20, 2], [3, 2]]}
    values = np.frombuffer(numbers, dtype="<f8")
    np.testing.assert_array_equal(values[:40].reshape(20, 2), explorer.answers.answer("Pendulum-v1", job))
    np.testing.assert_array_equal(values[40:], [0.1, 0.2] * 3)
    assert pack_arrays([]) == ([], b"")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "999"}, ["model must be one of", "999"]),
        ({"kind": "plot"}, ["kind must be", "plot"]),
        ({"deltaT": 0}, ["deltaT must lie in (0, 1]", "0"]),
        ({"deltaT": float("nan")}, ["deltaT must lie in"]),
        ({"states": [[1.0, 2.0, 3.0]]}, ["states must have 2 numbers"]),
        ({"actions": []}, ["actions must be 1 to"]),
        ({"solver": "verlet", "model": "newtonian"}, ["solver must be one of", "verlet"]),
        ({"derive": "squared"}, ["derive must be one of", "squared"]),
    ],
)
def test_a_bad_request_is_answered_with_a_sentence(explorer, change, words):
    arm = ARMS[3] if change.pop("model", None) else BASELINE
    name, _ = explorer.find("Pendulum-v1", **arm.keys())
    job = {"kind": "rollout", "id": name, "states": [[2.0, 0.0]], "actions": [1.0], "deltaT": 0.05, **change}
    reply, numbers = explorer.respond({"id": "1", "env": "Pendulum-v1", "jobs": [job]})
    assert numbers == b"" and all(word in reply["error"] for word in words), reply


def test_sources_must_hold_models(tmp_path, folder):
    with pytest.raises(ValueError, match="source must be a folder"):
        Explorer(tmp_path / "nothing")
    with pytest.raises(ValueError, match="source must hold checkpoints"):
        Explorer(tmp_path)
    with pytest.raises(ValueError, match="env must be one of"):
        Explorer(folder, env="Acrobot-v1")


def test_a_slider_move_records_nothing_anew(folder, monkeypatch):
    """A and B of the dearest kind with both fields: the first request records the steps, another Δt replays them."""
    recorded = []
    monkeypatch.setattr(answers, "traced", lambda f, *x: recorded.append(f) or traced(f, *x))
    explorer = Explorer(folder, env="Pendulum-v1")
    pair = [explorer.find("Pendulum-v1", **arm.keys())[0] for arm in (ARMS[4], ARMS[3])]
    grid = [[0.1 * k, 0.2] for k in range(77)]
    jobs = []
    for name in pair:
        jobs.append(
            {
                "kind": "rollout",
                "id": name,
                "states": [[2.0, 0.0]],
                "actions": [1.0] * 50,
                "deltaT": 0.02,
                "solver": "rk4",
            }
        )
        jobs.append(
            {"kind": "steps", "id": name, "states": grid, "actions": [1.0] * 77, "deltaT": 0.02, "solver": "rk4"}
        )
    explorer.respond({"id": "1", "env": "Pendulum-v1", "jobs": jobs})
    assert recorded
    count = len(recorded)
    explorer.respond({"id": "2", "env": "Pendulum-v1", "jobs": [{**job, "deltaT": 0.021} for job in jobs]})
    assert len(recorded) == count


# --- messages ---------------------------------------------------------------------------------------------------------


def test_only_the_newest_waiting_request_is_sent(script):
    script.run("""
      var sent = [], shown = [], failed = [], open = [];
      var ask = td.newestWins(function (request) {
        sent.push(request);
        return new Promise(function (resolve, reject) { open.push({resolve: resolve, reject: reject}); });
      });
      function request(k) {
        ask(k, function (answer) { shown.push(answer); }, function (error) { failed.push(error.message); });
      }
      [1, 2, 3, 4].forEach(request);
    """)

    assert call(script, "sent") == [1]  # one on its way, the rest waits
    script.run("open[0].resolve('one')")
    assert call(script, "[sent, shown]") == [[1, 4], ["one"]]  # 2 and 3 were overtaken
    script.run("request(5); open[1].reject(new Error('lost'))")
    assert call(script, "[sent, shown, failed]") == [[1, 4, 5], ["one"], ["lost"]]  # a failure does not block
    script.run("open[2].resolve('five')")
    assert call(script, "shown") == ["one", "five"]


# --- the two homes ----------------------------------------------------------------------------------------------------


def test_the_widget_carries_engine_explorer_and_models(explorer):
    module = widget_script()
    assert engine_script() in module and explorer_script() in module
    assert module.count("export default") == 1
    assert not re.search(r"https?://|\bfetch\(|\bimport\(|XMLHttpRequest", module)
    assert explorer._esm == module
    assert ".td-x-slider" in explorer._css and "--td-baseline" in explorer._css
    assert set(explorer.config["models"]) == set(ENVS)
    assert list(explorer.config["models"])[0] == "Pendulum-v1"
    bundle, _ = explorer._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html"} <= set(bundle)


def test_page_files_are_written_whole(tmp_path):
    names = {path.name for path in write_assets(tmp_path)}
    written = {path.name for path in tmp_path.iterdir()}
    assert names == {"engine.js", "explorer.js", "beliefs.js", "pictures.js", "explorer.css"} == written
    text = (tmp_path / "explorer.js").read_text()
    assert all(read_asset(name) in text for name in EXPLORER_PARTS)


@pytest.mark.parametrize("env", FEWER)
def test_the_page_without_scripts_shows_the_numbers_of_the_first_view(script, folder, env):
    explorer = Explorer(folder, env=env)
    page = explorer.page_element()
    assert f'data-env="{env}"' in page and "http" not in page.replace("http://www.w3.org", "")
    assert 'role="img"' in page and "aria-label=" in page and "<caption>" in page
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page)
    assert len(rows) == 2
    for (label, cells), side in zip(rows, "ab", strict=True):
        assert label.startswith(f"{side.upper()}: ")
        shown = re.findall(r"<td>(.*?)</td>", cells)
        for rate, number in zip((5, 10, 16, 20, 25, 33.3, 50, 100, 200), shown, strict=True):
            state = state_of(script, env, rate=rate)
            script.run(
                f"var state = {json.dumps(state)}, system = tdEngine.systems[state.env], plan = td.plan(state, system);"
            )
            entry = call(script, f"td.choose({entries_of(explorer, env)}, state.{side})")
            job = {
                "kind": "rollout",
                "id": entry["id"],
                "states": [state["start"]],
                "actions": call(script, "plan.actions"),
                "deltaT": call(script, "plan.deltaT"),
            }
            predicted = explorer.page_answers.answer(env, job).tolist()
            truth = "system.truth(state.start, plan.actions, plan.actions.map(function () { return plan.deltaT; }))"
            errors = call(script, f"td.relativeErrors(system, state.start, {truth}, {json.dumps(predicted)})")
            assert number == call(script, f"td.errorText({errors[0]!r})").replace("<", "&lt;")


def test_a_view_cannot_break_out_of_the_page_element(folder):
    page = Explorer(folder, view='"><script>').page_element()
    assert "<script" not in page and "data-view=" in page


def test_the_heat_map_takes_whole_rows_of_the_statistics():
    keys = {
        "env": "Pendulum-v1",
        "model": "jump",
        "method": "baseline",
        "form": "none",
        "size": "hidden64",
        "data": "transitions",
    }
    rates = ["5", "10", "16", "20", "25", "33.3", "50", "100", "200"]
    rows = [
        {
            **keys,
            "train_frequency": "20",
            "test_frequency": r,
            "metric": "one_step.relative_error",
            "detail": None,
            "mean": i / 10,
            "n_seeds": 2,
        }
        for i, r in enumerate(rates)
    ]
    rows += [
        {**rows[0], "train_frequency": "10"},
        {**rows[0], "metric": "one_step.mse"},
    ]  # one rate only; another metric
    table = pd.DataFrame(rows)
    assert heatmap_rows(table) == {
        "Pendulum-v1": [
            {
                "model": "jump",
                "method": "baseline",
                "form": "none",
                "data": "transitions",
                "train_frequency": "20",
                "values": [i / 10 for i in range(9)],
                "seeds": 2,
            }
        ]
    }
    text = page_script(table, ["runs/tiny/models"])
    assert text.startswith("globalThis.tdExplorerPage = ") and HEATMAP_SOURCE in text
    assert json.loads(page_script(None, ["runs/tiny/models"]).split(" = ")[1].rstrip(";\n")) == {
        "models": ["runs/tiny/models"]
    }


def test_numbers_in_the_heat_map_stand_out_from_their_color(script):
    for value in np.geomspace(0.005, 50, 200):
        look = call(script, f"td.heatColors({value})")
        back = "#" + "".join(f"{int(x):02x}" for x in re.findall(r"\d+", look["back"]))
        assert contrast(look["front"], back) >= TEXT_CONTRAST, value


def test_a_run_opens_its_explorer(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match="preset must have trained models.*got 'smoke' without any"):
        open_explorer("smoke")
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "models").symlink_to(folder / "models")
    opened = open_explorer("smoke", "CartPole-v1", view="dt-explorer&env=CartPole-v1&hz=50")
    assert opened.environments[0] == "CartPole-v1" and opened.view.endswith("hz=50")


def test_without_a_preset_the_best_models_are_opened_and_named(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    assert find_source().models == PUBLISHED / "models" and "edition" in find_source().name
    monkeypatch.setattr(explore, "PUBLISHED", tmp_path / "none")
    with pytest.raises(ValueError, match="make book"):
        find_source()
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "models").symlink_to(folder / "models")
    assert find_source().name == "run of preset quick"
    assert open_explorer().environments == ENVS


def test_every_answer_is_for_a_known_environment(folder):
    answers = Answers({}, {"Pendulum-v1": SYSTEMS["Pendulum-v1"].spec})
    with pytest.raises(ValueError, match="env must be one of"):
        answers.answer("CartPole-v1", {"kind": "steps"})


# --- guided scenes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guided():
    """The script beside the edition's models that the scenes show."""
    parts = ("explorer_dom.js", "explorer_axes.js", "explorer_map.js", "explorer_strip.js", "explorer_guide.js")
    script = Scripts(engine_script(), explorer_script((*STATE_PARTS, *parts, "explorer_page.js")))
    env = next(iter(SYSTEMS))
    folder = PUBLISHED / "models" / SYSTEMS[env].spec.folder
    arms = [BASELINE, MIXED]
    models = {f"{a.model}/{a.folder}": load_checkpoint(folder / a.model / a.folder / "seed0") for a in arms}
    script.run(pack_models(env, models).script())
    script.run(f"""
      var td = globalThis.tdExplorer, known = {json.dumps(ENVS)}, system = tdEngine.systems[{json.dumps(env)}];
      var entries = td.withDerived(tdEngine.models({json.dumps(env)}));
      function stepsOf(scene, when) {{
        var state = td.sceneState(scene[when], known), asked = td.sceneSteps(state, system, entries);
        return asked.values(asked.jobs.map(function (job) {{ return td.runJob(tdEngine, state.env, job); }}));
      }}
      function asked(scene) {{
        return td.sceneValues(scene, {{before: stepsOf(scene, "before"), after: stepsOf(scene, "after")}});
      }}
    """)
    return script


def first_step_by_torch(state: dict, side: str) -> float:
    """Error of the first step of one side of a view, by torch with the weights as a page holds them."""
    system, wanted, delta_t = SYSTEMS[state["env"]], state[side], delta_t_of(state["rate"])
    method, form, _ = wanted["how"].split(".")
    if wanted["model"] == TRUE_FIELD:
        model = TrueField(system, "euler", state["substeps"])
    else:
        trained = "baseline" if method == "rescaled" else method
        arm = Arm(wanted["model"], trained, form, train_frequency=wanted["train_frequency"])
        folder = PUBLISHED / "models" / system.spec.folder / arm.model / arm.folder / "seed0"
        model = packed_model(load_checkpoint(folder))
        model = RescaledIncrement(model, arm.train_delta_t, system.spec) if method == "rescaled" else model
    action = torch.tensor(held_inputs(state["inputs"], system.spec, delta_t, 1), dtype=torch.float64).reshape(1, -1)
    start = torch.tensor(state["start"], dtype=torch.float64)
    with torch.inference_mode():
        predicted = model.predict_sequence(start, action, delta_t)
    return motion_error(predicted, system.flow(start, action[0], delta_t)[None], start, system)


@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_a_scene_opens_by_its_link_and_the_models_answer_as_it_expects(guided, scene):
    opened = guided(f"td.fromFragment('#dt-explorer&scene={scene.name}', known)")
    before, after = (guided(f"td.fromFragment({json.dumps(link)}, known)") for link in (scene.before, scene.after))
    assert opened == {**before, "scene": scene.name} and before["problems"] == after["problems"] == []
    for read, link in ((before, scene.before), (after, scene.after)):
        assert guided(f"td.checkState({json.dumps(read['state'])}, known)") == read["state"]
        restored = guided(f"td.fromFragment(td.toFragment({json.dumps(read['state'])}), known).state")
        assert restored == read["state"], link
    values = guided(f"asked({json.dumps(asdict(scene))})")
    for when, read in (("before", before), ("after", after)):
        for side in ("a", "b"):
            if read["state"][side]:
                assert values[f"{when}.{side}"] == pytest.approx(first_step_by_torch(read["state"], side), rel=1e-6)
    assert guided(f"td.answerOf({json.dumps(asdict(scene))}, {values['value']!r})") == scene.expected
    assert len(scene.answers) == len(scene.bounds) + 1 and list(scene.bounds) == sorted(scene.bounds)
    for text in (scene.question, scene.says + scene.because):
        told = guided(f"td.sceneText({json.dumps(text)}, {json.dumps(values)})")
        assert "{" not in told and "–" not in told
    number = re.compile(r"(?<![\w|/²])\d")  # numbers are computed: none is typed, but 1 as what persistence scores
    assert not number.search(
        re.sub(r"\{[\w.]+\}|Δ²/2|miss 1\b|\|1 − h/Δ\|", "", scene.question + scene.says + scene.because)
    )


def test_a_scene_that_is_not_there_is_named(guided):
    read = guided("td.fromFragment('#dt-explorer&scene=nowhere', known)")
    assert "scene" not in read and "scene must be one of step, rescale" in read["problems"][0]


def test_the_true_field_is_solved_alike_in_both_languages(guided, explorer):
    job = {"states": [[2.0, 1.5]], "actions": [0.4] * 10, "deltaT": 0.1, "solver": "midpoint", "substeps": 3}
    for kind, states in (("rollout", [[2.0, 1.5]]), ("steps", [[2.0 - 0.1 * k, 1.5] for k in range(10)])):
        asked = {**job, "kind": kind, "states": states}
        by_torch = explorer.answers.answer("Pendulum-v1", {**asked, "id": TRUE_FIELD})
        entry = "td.DEFAULTS.untrained.filter(td.isTruth)[0]"
        on_page = guided(f"td.runJob(tdEngine, 'Pendulum-v1', Object.assign({json.dumps(asked)}, {{entry: {entry}}}))")
        assert np.abs(by_torch - np.array(on_page)).max() < 1e-12


@pytest.mark.parametrize("env", ENVS)
def test_the_strip_says_at_each_rate_what_the_first_step_says(script, env):
    script.run(read_asset("explorer_strip.js"))
    rates = call(script, "td.stripRates()")
    assert set(call(script, "td.TEST_RATES")) <= set(rates) and rates == sorted(set(rates))
    nothing = "td.DEFAULTS.untrained[0]"
    errors = call(
        script,
        f"""(function () {{
      var state = td.defaultState({json.dumps(env)}), system = tdEngine.systems[state.env];
      var asked = td.firstSteps(state, system, {nothing}, td.stripRates());
      return asked.errors(asked.jobs.map(function (job) {{ return td.runJob(tdEngine, state.env, job); }}));
    }})()""",
    )
    assert errors == pytest.approx([1.0] * len(rates))  # that nothing moves misses all of the motion


# --- choices in JupyterLab --------------------------------------------------------------------------------------------


def test_run_seed_and_checkpoints_are_chosen_by_widgets(tmp_path, monkeypatch, folder, script):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    for name in ("quick", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "quick" / "models").symlink_to(folder / "models")
    place = tmp_path / "other" / "models" / "CartPole_v1" / "jump" / BASELINE.folder
    for seed in (0, 3):
        config = {"env": "CartPole-v1", **BASELINE.keys(), "seed": seed}
        save_checkpoint(place / f"seed{seed}", build_arm(BASELINE, SYSTEMS["CartPole-v1"].spec, seed), config)
    source = find_source("quick")
    explorer = open_explorer(source, "Pendulum-v1")
    choices = explorer_choices(explorer, source)
    beside = {"run of preset quick", "run of preset other", "edition in book/published/physics"}
    assert beside <= set(choices.run.options)
    assert (choices.env.value, choices.seed.value) == ("Pendulum-v1", 0)
    named = dict(choices.a.options)
    assert choices.a.label.startswith("jump/baseline_20hz, seed 0") and choices.b.label.startswith("jump/multi_res")

    choices.a.value = next(value for text, value in named.items() if text.startswith("newtonian/"))
    read = call(script, f"td.fromFragment({json.dumps(explorer.view)}, {json.dumps(ENVS)})")
    assert (
        read["problems"] == [] and read["state"]["a"]["model"] == "newtonian" and read["state"]["b"]["model"] == "jump"
    )
    choices.b.value = "none"
    assert call(script, f"td.fromFragment({json.dumps(explorer.view)}, {json.dumps(ENVS)})")["state"]["b"] is None
    explorer.view = (
        "dt-explorer&env=CartPole-v1&hz=50&a=jump~rescaled.none.transitions~20"  # as the controls of the page do
    )
    assert (choices.env.value, choices.a.value, choices.b.value) == ("CartPole-v1", None, "none")

    before = explorer.config
    choices.run.value = "run of preset other"
    assert explorer.config != before and explorer.environments == ["CartPole-v1"]
    assert list(choices.env.options) == ["CartPole-v1"] and dict(choices.seed.options)["3"] == 3
    choices.seed.value = 3
    assert "~20~3" in explorer.view and "hz=50" in explorer.view
    (tmp_path / "other" / "models").rename(tmp_path / "gone")
    choices.run.value = "run of preset quick"
    choices.run.value = "run of preset other"
    assert "cannot be shown" in choices.shown.value and len(explorer.environments) == len(ENVS)


def test_models_on_other_data_are_told_apart(script):
    kinds = ("transitions", "seconds", "pooled", "contacts")
    arms = [Arm("jump", "baseline", data=kind, train_frequency="20") for kind in kinds]
    entries = json.dumps([{**entry_of(arm), "id": str(k), "seed": 0} for k, arm in enumerate(arms)])
    assert len(set(call(script, f"{entries}.map(td.how)"))) == len(kinds)
    assert len({entry["label"] for entry in json.loads(entries)}) == len(kinds)


def test_an_arm_of_several_rates_names_those_of_its_run():
    arm = Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed")
    record = {"data_hashes": {"5hz_train": "", "10hz_train": "", "20hz_train": "", "branched_train": "", "5hz_val": ""}}
    entry = entry_of(arm, mixture=mixture_of(record))
    assert entry["rates"] == [5.0, 10.0, 20.0] and entry["range"] == [5.0, 20.0]
    assert entry["rateLabel"] == "5, 10, 20 Hz" and entry["limit"]["nodes"] == [0.2, 0.1, 0.05]
    assert entry_of(arm)["rateLabel"] == "10, 20, 50 Hz" and mixture_of({}) == (10.0, 20.0, 50.0)
