"""The JavaScript engine computes what torch computes: run by V8, in float64, with the same rounded weights."""

import base64
import functools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from javascript import ScriptError, Scripts

from tdlib.core.seeding import torch_generator
from tdlib.core.transitions import Transitions
from tdlib.explorer.assets import engine_script
from tdlib.explorer.python.entries import DERIVED
from tdlib.explorer.python.pack import (
    SIZE_LIMIT,
    Pack,
    pack_models,
    packed_model,
    packed_seeds,
    published_arms,
    write_pack,
    write_weights,
)
from tdlib.models import MODELS, build_model, describe
from tdlib.study.arms import Arm, build_arm, trained_arms
from tdlib.systems import SYSTEMS
from tdlib.training import load_checkpoint, save_checkpoint

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "book" / "published" / "models"
ENVIRONMENTS = list(SYSTEMS)
STUDY = ENVIRONMENTS[:3]  # the systems of the main study
REGULAR = [0.1] * 10
IRREGULAR = [0.005, 0.2, 0.03, 0.0125, 0.1, 0.05, 0.18, 0.02, 0.0625, 0.1, 0.04, 0.1, 0.1]  # [s]; 1 s in all
FINE = [0.005] * 200
FIELDS = ("first_order_ode", "newtonian", "velocity", "port_hamiltonian", "separable_hamiltonian", "mass_matrix")


class Engine:
    """tdEngine without a page; arguments and results travel as JSON."""

    def __init__(self):
        self.scripts = Scripts(engine_script())

    def __call__(self, function: str, *arguments: object):
        return self.scripts(f"tdEngine{function}({', '.join(json.dumps(x) for x in arguments)})")

    def load(self, pack: Pack):
        self.scripts.run(pack.script())

    def system(self, env: str, function: str, *arguments: object):
        return self(f".systems[{env!r}].{function}", *arguments)


@pytest.fixture(scope="module")
def engine():
    return Engine()


def seeded_model(arm: Arm, env: str):
    """An arm's model with weights of the size of trained ones and statistics that are not the identity."""
    system = SYSTEMS[env]
    model, generator = build_arm(arm, system.spec, seed=0), torch_generator(0, env, arm.folder)
    state, action = random_states(env, 500, generator), random_actions(env, 500, generator)
    delta_t = torch.full((500,), 0.05, dtype=torch.float64)
    model.fit_scales(Transitions(state, action, system.flow(state, action, delta_t), delta_t))
    with torch.no_grad():
        for values in () if arm.model == "mass_matrix" else model.parameters():  # whose forces grow with speed squared
            values.mul_(1 + torch.rand(values.shape, generator=generator))
    return describe(model, {**arm.keys(), "seed": 0})


def random_states(env: str, count: int, generator: torch.Generator) -> torch.Tensor:
    if env not in STUDY:
        return SYSTEMS[env].draw_starts(count, generator)
    scale = {"Pendulum-v1": [3.0, 6.0]}.get(env, [1.5, 1.5, 0.5, 1.5])
    return (2 * torch.rand(count, len(scale), dtype=torch.float64, generator=generator) - 1) * torch.tensor(scale)


def random_actions(env: str, count: int, generator: torch.Generator) -> torch.Tensor:
    spec = SYSTEMS[env].spec
    if spec.discrete:
        return torch.randint(spec.num_actions, (count, 1), generator=generator).double()
    return spec.input_low[0] + (spec.input_high[0] - spec.input_low[0]) * torch.rand(
        count, 1, dtype=torch.float64, generator=generator
    )


def plain(actions: torch.Tensor, env: str) -> list:
    return [int(a) if SYSTEMS[env].spec.discrete else float(a) for a in actions.flatten()]


def assert_rollout(engine, env, name, model, delta_ts, *, tolerance=1e-9, label="", **options):
    """Compare one rollout of the engine with torch's; errors relative to the scale of the states."""
    generator = torch_generator(1, env, name, label)
    state = 0.5 * random_states(env, 1, generator)[0]
    actions = random_actions(env, len(delta_ts), generator)
    with torch.no_grad():
        expected = model.predict_sequence(state, actions, torch.tensor(delta_ts, dtype=torch.float64)).numpy()
    request = {"state": state.tolist(), "actions": plain(actions, env), "deltaTs": delta_ts, **options}
    found = np.array(engine(".predict", env, name, request), dtype=float)
    scale = max(1.0, np.abs(expected).max())
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale, err_msg=f"{env} {name} {options}")


# arms of 10 and 50 Hz differ from those of 20 Hz in numbers alone; of the GRU, the largest, one for each kind of
# memory, and of families that no page carries none
GRUS = ["baseline_20hz", *(f"multi_resolution_{form}" for form in ("scaled", "decay", "ode"))]
CARRIED = [
    arm
    for arm in trained_arms()
    if arm.train_frequency not in ("10", "50") and (arm.model != "gru" or arm.folder in GRUS)
    if MODELS[arm.model].shown is None or MODELS[arm.model].shown.on_page != ()
]


def test_the_page_says_which_models_it_leaves_out():
    """A GRU that reads its window anew has a list of rows that grows, which no generated step has."""
    arm = trained_arms(["gru"])[0]
    model = build_model("gru", SYSTEMS["oscillator"].spec, hidden_dim=8, memory="window")
    pack = pack_models("oscillator", {"window": describe(model, {**arm.keys(), "seed": 0})})
    assert pack.payload["index"] == [] and [entry["id"] for entry in pack.payload["missing"]] == ["window"]
    assert "grows with every step" in pack.payload["missing"][0]["why"]


@functools.cache
def loaded(env: str) -> tuple[Engine, dict]:
    """An engine with the arms of one environment, all of the LSTM's, and the torch models it holds."""
    models = {f"{arm.model}/{arm.folder}": seeded_model(arm, env) for arm in CARRIED}
    engine = Engine()
    engine.load(pack_models(env, models))
    return engine, {name: packed_model(model) for name, model in models.items()}


# ------------------------------------------------------------------------------------------------------------ models
@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
@pytest.mark.parametrize("name", [f"{arm.model}/{arm.folder}" for arm in CARRIED])
def test_every_arm_equals_torch_over_one_second(env, name):
    engine, models = loaded(env)
    for delta_ts in (REGULAR, IRREGULAR):
        assert_rollout(engine, env, name, models[name], delta_ts)


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
@pytest.mark.parametrize(
    "name", ["jump/multi_resolution_scaled_concat", "lstm/baseline_20hz", "port_hamiltonian/ode_rk4_mixed"]
)
def test_200_steps_of_5_ms_equal_torch(env, name):
    engine, models = loaded(env)
    assert_rollout(engine, env, name, models[name], FINE)


@pytest.mark.parametrize("family", FIELDS)
@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_the_reader_chooses_solver_and_substeps_of_a_field(env, family):
    engine, models = loaded(env)
    name = f"{family}/ode_euler_20hz"
    choices = (("euler", 1), ("euler", 5), ("midpoint", 2), ("rk4", 1), ("rk4", 3), ("leapfrog", 2),
               ("symplectic_euler", 1), ("implicit_midpoint", 2))  # fmt: skip
    for solver, substeps in choices:
        model = models[name].with_solver(solver, substeps)
        assert_rollout(engine, env, name, model, REGULAR, solver=solver, substeps=substeps)


@pytest.mark.parametrize("family", FIELDS)
@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_learned_fields_equal_torch(env, family):
    engine, models = loaded(env)
    name = f"{family}/ode_rk4_mixed"
    states, generator = random_states(env, 40, torch_generator(2, env)), torch_generator(3, env)
    actions = random_actions(env, 40, generator)
    with torch.no_grad():
        expected = models[name].derivative(states, actions).numpy()
    found = [engine(".field", env, name, s.tolist(), a) for s, a in zip(states, plain(actions, env), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
    if hasattr(models[name].field, "energy"):
        with torch.no_grad():
            energy = models[name].field.energy(states).numpy()
        learned = [engine(".energy", env, name, s.tolist()) for s in states]
        np.testing.assert_allclose(learned, energy, rtol=0, atol=1e-12 * np.abs(energy).max())
    else:
        assert engine(".energy", env, name, states[0].tolist()) is None


def test_softplus_is_linear_where_torch_makes_it_linear():
    env, arm = "Pendulum-v1", Arm("port_hamiltonian", "ode", "rk4", train_frequency="20")
    model, engine = seeded_model(arm, env), Engine()
    with torch.no_grad():
        model.field.network[0].bias.add_(20.0)  # about half of the units above the threshold
    engine.load(pack_models(env, {"high": model}))
    model = packed_model(model)
    for state in random_states(env, 10, torch_generator(8)):
        with torch.no_grad():
            energy, rate = model.field.energy(state), model.derivative(state, torch.zeros(1, dtype=torch.float64))
        assert engine(".energy", env, "high", state.tolist()) == pytest.approx(float(energy), rel=1e-13)
        found = engine(".field", env, "high", state.tolist(), 0)
        np.testing.assert_allclose(found, rate.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["jump/baseline_20hz", "lstm/baseline_20hz"])
@pytest.mark.parametrize("derive", DERIVED)
def test_derived_methods_equal_torch(name, derive):
    env, (wrapper, *arguments) = "Pendulum-v1", DERIVED[derive]
    engine, models = loaded(env)
    model = wrapper(models[name], *arguments, 0.05)
    almost = [0.05 * (1 + 1e-7), 0.05 * (1 - 1e-7), 0.1 * (1 - 1e-7)] * 4  # counts of steps within rounding
    for delta_ts in ([0.02, 0.05, 0.1, 0.17, 0.03, 0.2, 0.25, 0.18], almost):
        assert_rollout(engine, env, name, model, delta_ts, derive=derive)


def test_persistence_and_one_number_for_all_intervals():
    engine, models = loaded("Pendulum-v1")
    assert engine(".predict", "Pendulum-v1", None, {"state": [1, 2], "actions": [0, 1], "deltaTs": 0.1}) == [[1, 2]] * 2
    name = "jump/multi_resolution_concat"
    request = {"state": [1, 2], "actions": [0.5, 1], "deltaTs": 0.04}
    each = engine(".predict", "Pendulum-v1", name, {**request, "deltaTs": [0.04, 0.04]})
    assert engine(".predict", "Pendulum-v1", name, request) == each
    steps = engine(".steps", "Pendulum-v1", name, {"states": [[1, 2], each[0]], "actions": [0.5, 1], "deltaTs": 0.04})
    assert steps == each
    rate = engine(".field", "Pendulum-v1", name, [1, 2], 0.5, {"deltaT": 0.04})
    np.testing.assert_allclose(rate, (np.array(each[0]) - [1, 2]) / 0.04, rtol=1e-12)


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_the_spread_of_an_ensemble_equals_torch(env):
    engine, models = loaded(env)
    name, generator = "ensemble/multi_resolution_scaled_concat", torch_generator(5, env)
    state, actions = random_states(env, 1, generator)[0], random_actions(env, 3, generator)
    request = {"state": state.tolist(), "actions": plain(actions, env), "deltaTs": [0.1, 0.05, 0.02]}
    expected = []
    with torch.no_grad():
        for action, delta_t in zip(actions, request["deltaTs"], strict=True):
            expected.append(models[name].spread(state, action, delta_t).numpy())
            state = models[name](state, action, delta_t)
    np.testing.assert_allclose(engine(".spread", env, name, request), expected, rtol=1e-9, atol=1e-12)
    assert engine(".spread", env, "jump/baseline_20hz", request) is None


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Weight files of the edition, the study's and those of its chapters, and their sizes."""
    folder = tmp_path_factory.mktemp("weights")
    return folder, write_weights([PUBLISHED, *sorted(PUBLISHED.parent.glob("*/models"))], 0, folder)


@pytest.mark.parametrize("env", STUDY)
def test_the_published_checkpoints_equal_torch(env, published):
    engine, name = Engine(), f"weights-{env.replace('-', '_')}.js"
    path = published[0] / name
    assert published[1][name] == path.stat().st_size
    engine.scripts.run(path.read_text(encoding="utf-8"))
    entries = engine(".models", env)
    stored = PUBLISHED / env.replace("-", "_")  # an edition holds the arms of its time
    shown = [arm for arm in published_arms() if (stored / arm.model / arm.folder).is_dir()]
    assert [(e["model"], e["method"], e["form"], e["train_frequency"], e["data"]) for e in entries] == [
        (a.model, a.method, a.form, a.train_frequency, a.data) for a in shown
    ]
    assert len(shown) > 50
    for entry in entries:
        model = packed_model(load_checkpoint(PUBLISHED / env.replace("-", "_") / entry["id"] / "seed0"))
        assert_rollout(engine, env, entry["id"], model, [0.03, 0.1, 0.02, 0.05])


# ------------------------------------------------------------------------------------------------------------- truth
@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_truth_is_the_flow_of_tdlib(engine, env):
    system, generator = SYSTEMS[env], torch_generator(4, env)
    for rate in (5, 10, 16, 20, 25, 1 / 0.03, 50, 77.7, 100, 200):
        states, actions = random_states(env, 12, generator), 1.2 * random_actions(env, 12, generator)
        if system.spec.discrete:
            actions = random_actions(env, 12, generator)
        outcome = system.simulate(states, actions, 1 / rate)
        found = [
            engine.system(env, "flow", s.tolist(), a, 1 / rate)
            for s, a in zip(states, plain(actions, env), strict=True)
        ]
        expected = outcome.next_state.numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))
    inputs, pairs = system.spec.held_input(actions), list(zip(states.tolist(), plain(actions, env), strict=True))
    for name, expected in (("field", system.derivative(states, inputs)), ("power", system.input_power(states, inputs))):
        found = np.array([engine.system(env, name, *pair) for pair in pairs])
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-12 * max(1, float(expected.abs().max())))
    found, energy = [engine.system(env, "energy", s) for s, _ in pairs], system.total_energy(states)
    np.testing.assert_allclose(found, energy.numpy(), rtol=0, atol=1e-12 * max(1, float(energy.abs().max())))


def test_the_page_knows_what_the_truth_meets(engine):
    met = {}
    for env, starts in (("Pendulum-v1", [[1.5, 7.5], [0.3, 1.0]]), ("bouncing_ball", [[0.2, -1.0], [1.5, 1.0]])):
        action, met[env] = torch.tensor([2.0], dtype=torch.float64), []
        for start in starts:
            state, expected = torch.tensor(start, dtype=torch.float64), []
            for delta_t in REGULAR:
                outcome = SYSTEMS[env].simulate(state, action, delta_t)
                state = outcome.next_state
                expected.append(bool(outcome.limit_hit))
            found = engine.system(env, "touched", start, [2] * len(REGULAR), REGULAR)
            assert found == expected
            met[env].append(sum(found))
    assert all(0 < counts[0] < len(REGULAR) and counts[1] < counts[0] for counts in met.values()), met
    smooth = [env for env in ENVIRONMENTS if engine.scripts(f"tdEngine.systems[{env!r}].kink") is None]
    assert smooth == [env for env in ENVIRONMENTS if env not in met]


def test_the_speed_limit_acts_after_every_substep(engine):
    start, action = torch.tensor([1.5, 7.5], dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    outcome = SYSTEMS["Pendulum-v1"].simulate(start, action, 0.2)
    assert bool(outcome.limit_hit)
    found = engine.system("Pendulum-v1", "flow", [1.5, 7.5], 2, 0.2)
    np.testing.assert_allclose(found, outcome.next_state.numpy(), rtol=1e-13)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_truth_follows_a_sequence_of_intervals_also_backward(engine, env):
    system, generator = SYSTEMS[env], torch_generator(6, env)
    state, actions = random_states(env, 1, generator)[0], random_actions(env, len(IRREGULAR), generator)
    state = 0.3 * state if env in STUDY else state
    found = engine.system(env, "truth", state.tolist(), plain(actions, env), IRREGULAR)
    expected, at = [], state
    for action, delta_t in zip(actions, IRREGULAR, strict=True):
        at = system.flow(at, action, delta_t)
        expected.append(at.numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))
    back = engine.system(env, "flow", found[0], plain(actions[:1], env)[0], -IRREGULAR[0])
    np.testing.assert_allclose(back, state.numpy(), atol=1e-9)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_descriptions_are_those_of_tdlib(engine, env):
    system = engine.scripts(f"tdEngine.systems[{env!r}]")
    spec = SYSTEMS[env].spec
    assert system["name"] == env
    for ours, theirs in (
        ("stateNames", spec.state_names), ("stateUnits", spec.state_units), ("angleDims", spec.angle_dims),
        ("positionDims", spec.position_dims), ("velocityDims", spec.velocity_dims),
    ):  # fmt: skip
        assert tuple(system[ours]) == theirs
    for key, theirs in (
        ("low", spec.input_low),
        ("high", spec.input_high),
        ("name", spec.input_names),
        ("unit", spec.input_units),
    ):
        assert tuple(entry[key] for entry in system["inputs"]) == theirs
    table = system["actionTable"]
    assert table == (None if spec.action_table is None else [list(row) for row in spec.action_table])
    assert system["reset"] == {"low": list(SYSTEMS[env].reset_low), "high": list(SYSTEMS[env].reset_high)}


@pytest.mark.parametrize("env", STUDY)
def test_energy_is_conserved_without_input_and_changes_by_the_power_of_the_input(engine, env):
    generator = torch_generator(7, env)
    moved = {"Pendulum-v1": 1}.get(env, 1)  # the velocity that the input works on: ω, or the cart's
    for state in random_states(env, 5, generator) * 0.5:
        start = engine.system(env, "energy", state.tolist())
        if env == "CartPole-v1":  # it knows ±10 N only
            power = [(0, -10 * float(state[moved])), (1, 10 * float(state[moved]))]
        else:
            end = engine.system(env, "flow", state.tolist(), 0, 0.1)
            assert engine.system(env, "energy", end) == pytest.approx(start, abs=1e-6)
            power = [(0, 0.0), (1.5, 1.5 * float(state[moved]))]
        for action, expected in power:
            ahead, behind = (engine.system(env, "flow", state.tolist(), action, t) for t in (1e-4, -1e-4))
            slope = (engine.system(env, "energy", ahead) - engine.system(env, "energy", behind)) / 2e-4
            assert slope == pytest.approx(expected, rel=1e-5, abs=1e-5)
    upright = engine.system(env, "energy", [0.0] * len(SYSTEMS[env].spec.state_names))
    assert upright == pytest.approx({"Pendulum-v1": 5.0}.get(env, 0.1 * 9.8 * 0.5))  # m g times height


# ------------------------------------------------------------------------------------------------------ weight files
def test_every_half_precision_number_is_decoded_exactly(engine):
    numbers = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    found = engine.scripts("Array.from({length: 65536}, (_, k) => `${tdEngine.weights.half(k)}`)")
    found = np.array([float(x.replace("Infinity", "inf")) for x in found])
    np.testing.assert_array_equal(found, numbers)


def test_base64_is_decoded_from_any_byte(engine):
    content = bytes(range(256)) + b"\xff"
    text = base64.b64encode(content).decode()
    for start, end in ((0, 257), (1, 5), (2, 2), (3, 257), (100, 256)):
        found = engine.scripts(f"Array.from(tdEngine.weights.decodeBytes({text!r}, {start}, {end}))")
        assert bytes(found) == content[start:end]


JUMP = Arm("jump", "baseline", train_frequency="20")


def jump(env: str = "Pendulum-v1", **config):
    return describe(build_arm(JUMP, SYSTEMS[env].spec, seed=0), {**JUMP.keys(), "seed": 0, **config})


def test_equal_models_give_equal_files(tmp_path):
    for name in ("one", "two"):
        save_checkpoint(tmp_path / name / "Pendulum_v1/jump/baseline_20hz/seed0", jump(), jump().record)
        sizes = write_weights([tmp_path / name], 0, tmp_path / name / "page")
        assert list(sizes) == ["weights-Pendulum_v1.js"]
    one, two = ((tmp_path / name / "page/weights-Pendulum_v1.js").read_bytes() for name in ("one", "two"))
    assert one == two and len(one) == sizes["weights-Pendulum_v1.js"]
    assert one.startswith(b'tdEngine.load("Pendulum-v1", {')


def test_a_page_reads_models_of_another_seed_beside_the_first(tmp_path):
    models = {seed: describe(build_arm(JUMP, SYSTEMS["Pendulum-v1"].spec, seed), {**JUMP.keys(), "seed": seed})
              for seed in (0, 2)}  # fmt: skip
    for seed, model in models.items():
        save_checkpoint(tmp_path / f"models/Pendulum_v1/jump/{JUMP.folder}/seed{seed}", model, model.record)
    names = ["weights-Pendulum_v1.js", "weights-Pendulum_v1-seed2.js"]
    assert list(write_weights([tmp_path / "models"], 0, tmp_path)) == names
    assert packed_seeds([tmp_path / "models"], "Pendulum-v1", 0) == [0, 2]
    assert packed_seeds([tmp_path / "models"], "Pendulum-v1", 1) == []
    engine = Engine()
    for name in names:
        engine.scripts.run((tmp_path / name).read_text(encoding="utf-8"))
    found = engine(".models", "Pendulum-v1")
    first = f"jump/{JUMP.folder}"
    assert [(entry["id"], entry["seed"]) for entry in found] == [(first, 0), (f"{first}/seed2", 2)]
    for entry in found:
        assert_rollout(engine, "Pendulum-v1", entry["id"], packed_model(models[entry["seed"]]), [0.03, 0.1])
    broken = (tmp_path / names[1]).read_text(encoding="utf-8").replace('"weights":"', '"weights":"A')
    with pytest.raises(ScriptError, match="another seed of Pendulum-v1 cannot be used: it is incomplete"):
        engine.scripts.run(broken)
    assert len(engine(".models", "Pendulum-v1")) == 2  # what was there stays


def test_the_published_weights_fit_the_page(published):
    """Those of the first seed: the study's together, and those of chapters; a page reads one system's at a time."""
    first = [name for name in published[1] if "-seed" not in name]
    assert first[:3] == [f"weights-{env.replace('-', '_')}.js" for env in STUDY] and len(first) > 3
    for names in (first[:3], first[3:]):
        assert sum(published[1][name] for name in names) < SIZE_LIMIT
    assert [sum(arm.model == name for arm in published_arms()) for name in ("lstm", "gru")] == [2, 2]  # they are large


def test_a_system_of_two_chapters_has_one_file_with_the_models_of_both(tmp_path):
    other = Arm("newtonian", "ode", "rk4", train_frequency="20")
    for root, arms in (("physics", [JUMP]), ("history", [JUMP, other])):
        for arm in arms:
            model = describe(build_arm(arm, SYSTEMS["oscillator"].spec, seed=0), {**arm.keys(), "seed": 0})
            save_checkpoint(tmp_path / root / "oscillator" / arm.model / arm.folder / "seed0", model, model.record)
    roots = [tmp_path / "physics", tmp_path / "history"]
    assert list(write_weights(roots, 0, tmp_path)) == ["weights-oscillator.js"]
    engine = Engine()
    engine.scripts.run((tmp_path / "weights-oscillator.js").read_text(encoding="utf-8"))
    found = {entry["model"]: entry["root"] for entry in engine(".models", "oscillator")}
    assert found == {"jump": 0, "newtonian": 1} and packed_seeds(roots, "oscillator", 0) == [0]


def test_a_shooting_model_is_packed_as_its_flow():
    spec = SYSTEMS["Pendulum-v1"].spec
    model = build_model("newtonian", spec, seed=3, trajectory="shooting", substeps=2)
    describe(model, {**Arm("newtonian", "ode", "rk4", train_frequency="20").keys(), "seed": 0})
    engine = Engine()
    engine.load(pack_models("Pendulum-v1", {"shot": model}))
    assert_rollout(engine, "Pendulum-v1", "shot", packed_model(model), IRREGULAR)


def broken(change):
    pack = pack_models("Pendulum-v1", {"jump": jump()})
    return replace(pack, payload=change(pack.payload) or pack.payload)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"version": 2}, "index or weights are missing"),
        (lambda p: {**p, "weights": p["weights"][:-400]}, "it is incomplete"),
        (lambda p: {**p, "version": 9}, "version 9"),
        (lambda p: {**p, "env": "CartPole-v1"}, "belongs to CartPole-v1"),
        (lambda p: {**p, "index": [{**p["index"][0], "structure": "crystal"}]}, "crystal is unknown"),
        (lambda p: {**p, "index": [{**p["index"][0], "tensors": None}]}, "its index is damaged"),
        (lambda p: {**p, "index": [{**p["index"][0], "offset": 8}]}, "its index is damaged"),
    ],
)
def test_a_broken_weight_file_says_what_is_wrong(change, message):
    engine = Engine()
    engine.load(broken(change))
    with pytest.raises(ScriptError, match="the weight file of Pendulum-v1 cannot be used: .*" + message):
        engine(".models", "Pendulum-v1")
    with pytest.raises(ScriptError, match="cannot be used"):
        engine(".predict", "Pendulum-v1", "jump", {"state": [0, 0], "actions": [0], "deltaTs": 0.1})
    engine.load(broken(lambda p: None))  # a good file heals it
    assert [entry["id"] for entry in engine(".models", "Pendulum-v1")] == ["jump"]


def test_damaged_weights_are_noticed_when_they_are_used():
    for damage in ("A", "*"):
        pack = broken(lambda p: None)
        weights = pack.payload["weights"]
        at = 1000 if weights[1000] != damage else 1001
        pack.payload["weights"] = weights[:at] + damage + weights[at + 1 :]
        engine = Engine()
        engine.load(pack)
        with pytest.raises(ScriptError, match="the weights of jump in Pendulum-v1 are damaged"):
            engine(".predict", "Pendulum-v1", "jump", {"state": [0, 0], "actions": [0], "deltaTs": 0.1})


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (".models", ["Acrobot-v1"], "environment must be one of Pendulum-v1, .*Acrobot"),
        (".predict", ["CartPole-v1", "jump", {}], "weights of CartPole-v1 are not loaded"),
        (".predict", ["Pendulum-v1", "jump/x", {}], "model must be one of .* got jump/x"),
        (".predict", [{"state": [1, 2, 3]}], "must have 2 numbers, got 3"),
        (".predict", [{"actions": ["a"]}], "action of Pendulum-v1 must be a finite number"),
        (".predict", [{"deltaTs": 0}], "deltaTs must be positive times in seconds, got 0"),
        (".predict", [{"deltaTs": [0.1, -1]}], "deltaTs must be positive"),
        (
            ".predict",
            [{"solver": "heun"}],
            "solver must be one of euler, midpoint, rk4, symplectic_euler, .*, got heun",
        ),
        (".predict", [{"substeps": 1.5}], "substeps must be a whole number >= 1, got 1.5"),
        (
            ".predict",
            [{"derive": "guessed"}],
            "derive must be one of rescaled, recurrent_rollout, newton_2, newton_3, got guessed",
        ),
    ],
)
def test_bad_arguments_are_named(function, arguments, message):
    engine, _ = loaded("Pendulum-v1")
    if isinstance(arguments[0], dict):
        request = {"state": [1, 2], "actions": [0, 1], "deltaTs": 0.1, **arguments[0]}
        arguments = ["Pendulum-v1", "jump/baseline_20hz", request]
    with pytest.raises(ScriptError, match=message):
        engine(function, *arguments)


def test_an_index_outside_the_actions_is_named():
    engine, _ = loaded("CartPole-v1")
    request = {"state": [0, 0, 0, 0], "actions": [2], "deltaTs": 0.1}
    with pytest.raises(ScriptError, match="whole number from 0 to 1, got 2"):
        engine(".predict", "CartPole-v1", "jump/baseline_20hz", request)


def test_packing_refuses_what_it_cannot_pack(tmp_path):
    with pytest.raises(ValueError, match="environment CartPole-v1, jump is of Pendulum-v1"):
        pack_models("CartPole-v1", {"jump": jump()})
    with pytest.raises(ValueError, match="record, jump lacks .*seed"):
        pack_models("Pendulum-v1", {"jump": describe(jump(), JUMP.keys())})
    for value in (math.nan, 1e6):
        model = jump()
        with torch.no_grad():
            model.network[0].weight[0, 0] = value
        with pytest.raises(ValueError, match="network.0.weight has not"):
            pack_models("Pendulum-v1", {"jump": model})
    with pytest.raises(ValueError, match="roots must hold checkpoints with seed 4"):
        write_weights([PUBLISHED], 4, tmp_path)
    with pytest.raises(ValueError, match="roots must hold checkpoints of Pendulum-v1 with seed 4"):
        write_pack([PUBLISHED], "Pendulum-v1", 4, tmp_path / "x.js")
