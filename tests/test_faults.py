"""What users and strangers ran into: each fault's kind, with the right value."""

import dataclasses
import errno
import json
import math
import os
import subprocess
import sys
import threading

import gymnasium
import h5py
import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces

from tdlib.core import hdf5
from tdlib.core.files import parse_yaml
from tdlib.core.specs import state_difference, wrap_state
from tdlib.data import DatasetError, collect_random, load_dataset, save_dataset
from tdlib.envs import SYSTEMS, FixedFrequencyWrapper, make_environment
from tdlib.grid.batch import execute
from tdlib.grid.owner import Ended, RunningError, end_group, only_owner, signals_end
from tdlib.models import NewtonIncrement, RecurrentRollout, RescaledIncrement, build_model
from tdlib.planning import CEM, MPPI, BoxInputs, CategoricalInputs, fresh_start
from tdlib.planning.registry import PLANNERS
from tdlib.publish.edition import pack
from tdlib.study.presets import PRESET_FOLDER, PresetError, load_preset

PENDULUM = SYSTEMS["Pendulum-v1"]

# --- environments ---------------------------------------------------------------------------------------------------


class Plain(gymnasium.Env):
    """Adds up what it is told, and writes into it if it is asked to."""

    tau = 0.02
    observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def __init__(self, factor=1.0):
        self.factor, self.x = factor, 0.0

    def reset(self, *, seed=None, options=None):
        self.x = 0.0
        return np.zeros(1), {}

    def step(self, action):
        action *= self.factor
        self.x += float(action[0])
        return np.array([self.x]), 0.0, False, False, {}


def test_every_inner_step_is_given_the_action_itself():
    env = FixedFrequencyWrapper(Plain(factor=5.0), 10)
    env.reset(seed=0)
    action = np.array([1.0])
    assert env.step(action)[0] == 5 * 5.0 and action == 1.0


def test_a_time_limit_needs_no_specification_of_its_environment():
    limited = gymnasium.wrappers.TimeLimit
    assert FixedFrequencyWrapper(limited(Plain(), 1000), 10).substeps == 5
    with pytest.raises(ValueError, match="TimeLimit counts 10 inner steps = 0.2 s"):
        FixedFrequencyWrapper(limited(Plain(), 10), 10)


def test_what_is_refused_leaves_the_environment_as_it_was():
    env = gymnasium.make("InvertedPendulum-v5")
    before = env.unwrapped.frame_skip, env.unwrapped.dt
    assert before[0] > 1
    for options in ({"control_frequency": 33}, {"control_frequency": 10, "sim_dt": 0.03}):
        with pytest.raises(ValueError, match="inner step"):
            FixedFrequencyWrapper(env, **options)
        assert (env.unwrapped.frame_skip, env.unwrapped.dt) == before
    wrapped = FixedFrequencyWrapper(env, 10)
    assert env.unwrapped.frame_skip == 1 and wrapped.sim_dt == pytest.approx(before[1] / before[0])


@pytest.mark.parametrize("name", ["time_limit", "reward_delta_t", "sim_dt"])
def test_times_are_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be positive and finite .* got -1"):
        FixedFrequencyWrapper(Plain(), 10, **{name: -1.0})


@pytest.mark.parametrize(
    ("env", "options", "reached"),
    [
        ("Pendulum-v1", {"x_init": 1e-6, "y_init": 2e-6}, 2e-6),
        ("CartPole-v1", {"low": -1e-6, "high": 1e-6}, 1e-6),
        ("CartPole-v1", {"low": [0.01, 0, 0, 0], "high": [0.01, 0, 0, 0]}, 0.01),
    ],
)
def test_resets_take_gymnasium_s_options(env, options, reached):
    _, info = make_environment(env, 20).reset(seed=0, options=options)
    assert 0 < np.abs(info["state"]).max() <= reached


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stat": [0, 0, 0, 0]}, r"options must be among .*'low', 'high'.*, got \['stat'\]"),
        ({"x_init": 1.0}, r"got \['x_init'\]"),  # Pendulum's
        ({"low": 1.0}, "low <= high"),
        ({"high": math.nan}, "finite"),
        ({"high": [1, 1]}, "one or 4 finite numbers"),
    ],
)
def test_other_options_are_refused_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        make_environment("CartPole-v1", 20).reset(seed=0, options=options)


@pytest.mark.parametrize("bad", [np.array([np.nan], np.float32), np.array([np.inf]), float("nan"), [math.nan]])
def test_an_action_that_is_no_number_earns_nothing(bad):
    for env in (make_environment("CartPoleContinuous-v1", 20).unwrapped, FixedFrequencyWrapper(Plain(), 10)):
        env.reset(seed=0)
        with pytest.raises(ValueError, match="action must be finite numbers, got"):
            env.step(bad)


# --- states ---------------------------------------------------------------------------------------------------------


def test_whole_numbers_and_other_shapes_are_no_states():
    whole, action = torch.tensor([[2, 1]]), torch.zeros(1, 1)
    jump = build_model("jump", spec=PENDULUM.spec, seed=0)
    rescaled = RescaledIncrement(lambda s, a, d: s + 1, 0.05, spec=PENDULUM.spec)
    for call in (PENDULUM.flow, jump, rescaled):
        with pytest.raises(TypeError, match="state must hold real numbers .* got torch.int64"):
            call(whole, action, 0.02)
    with pytest.raises(ValueError, match=r"state of Pendulum-v1 must have a last axis of 2, got shape \(1, 3\)"):
        PENDULUM.flow(torch.zeros(1, 3), action, 0.02)
    with pytest.raises(ValueError, match=r"action of Pendulum-v1 must have a last axis of 1, got shape \(1, 2\)"):
        PENDULUM.flow(torch.zeros(1, 2), torch.zeros(1, 2), 0.02)
    indices = SYSTEMS["CartPole-v1"].flow(torch.zeros(1, 4), torch.tensor([[1]]), 0.02)  # an index may be whole
    assert indices[0, 1] > 0


@pytest.mark.parametrize("index", [2, -1, 0.5, math.nan])
def test_an_action_outside_of_the_table_is_named_and_is_no_other_action(index):
    cartpole, state = SYSTEMS["CartPole-v1"], torch.zeros(3, 4)
    actions = torch.tensor([[0.0], [1.0], [index]])
    for call in (cartpole.flow, cartpole.simulate):
        with pytest.raises(ValueError, match=rf"action of CartPole-v1 must be whole numbers in 0 .. 1, got {index:g}"):
            call(state, actions, 0.02)


@pytest.mark.parametrize("delta_t", [math.nan, math.inf])
def test_an_interval_is_finite(delta_t):
    with pytest.raises(ValueError, match=f"delta_t must be finite, got {delta_t}"):
        PENDULUM.flow(torch.zeros(2, 2), torch.zeros(2, 1), torch.tensor([0.05, delta_t]))


@pytest.mark.parametrize(
    "wrap", [RescaledIncrement, RecurrentRollout, lambda f, h, spec: NewtonIncrement(f, 2, h, spec)]
)
def test_a_callable_may_return_its_angles_wrapped(wrap):
    state = torch.tensor([[3.10, 2.0], [-3.13, -1.0], [0.3, 0.1]], dtype=torch.float64)
    action = torch.zeros(3, 1, dtype=torch.float64)

    def wrapped(s, a, d):
        return wrap_state(PENDULUM.flow(s, a, d), PENDULUM.spec)

    for delta_t in (0.02, 0.125):
        plain, seam = (wrap(model, 0.05, PENDULUM.spec)(state, action, delta_t) for model in (PENDULUM.flow, wrapped))
        assert torch.allclose(state_difference(seam, plain, PENDULUM.spec), torch.zeros(3, 2).double(), atol=1e-12)
    # one that has a specification is taken at its word, and its numbers stay bit for bit
    model = build_model("jump", spec=PENDULUM.spec, seed=0).double()
    bare = wrap(lambda *x: model(*x), 0.05, PENDULUM.spec)
    assert torch.equal(wrap(model, 0.05, PENDULUM.spec)(state, action, 0.02), bare(state, action, 0.02))


# --- planners -------------------------------------------------------------------------------------------------------


def plan(planner, inputs, warm_start, score=lambda plans: -((plans[..., 0] - 9.0) ** 2).sum(-1)):
    generator = torch.Generator().manual_seed(0)
    return planner.plan(score, inputs, warm_start, lambda P, N: inputs.draw_noise(P, N, generator))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-math.inf, math.inf, "low must be a finite bound"),
        (0.0, math.nan, "high must be a finite bound"),
        (2.0, -2.0, "low must be one bound per input, none above high"),
        ((), (), "low must be a finite bound of each input"),
        ((0.0,), (1.0, 1.0), "one bound per input"),
    ],
)
def test_a_box_has_finite_sides_in_order(low, high, words):
    with pytest.raises(ValueError, match=words):
        BoxInputs(low, high)


@pytest.mark.parametrize("name", ["cem", "mppi", "predictive_sampling", "dial"])
def test_what_is_kept_from_wider_limits_stays_inside_the_present_ones(name):
    planner = PLANNERS[name]()
    wide, narrow = BoxInputs(-10.0, 10.0), BoxInputs(-2.0, 2.0)
    warm = plan(planner, wide, fresh_start(wide, (), 3)).warm_start
    assert warm.proposal.center.abs().max() > 2  # what is kept would be outside
    assert plan(planner, narrow, warm).knots.abs().max() <= 2
    nothing = plan(planner, narrow, warm, score=lambda plans: plans.sum((-1, -2)) * math.nan)
    assert nothing.knots.abs().max() <= 2


def test_more_plans_may_be_kept_than_the_next_planner_scores():
    box = BoxInputs(-1.0, 1.0)
    warm = plan(CEM(population=64, num_elites=32, num_kept=32), box, fresh_start(box, (), 3)).warm_start
    sizes = []

    def score(plans):
        sizes.append(plans.shape[-3])
        return plans.sum((-1, -2))

    plan(MPPI(population=8), box, warm, score)
    assert set(sizes) == {8}


@pytest.mark.parametrize("count", [0, -1, 2.0, True])
def test_choices_are_counted_in_whole_numbers(count):
    with pytest.raises(ValueError, match="num_actions must be a whole number >= 1"):
        CategoricalInputs(count)


# --- presets --------------------------------------------------------------------------------------------------------


def test_a_key_given_twice_is_refused_with_its_lines(tmp_path):
    text = (PRESET_FOLDER / "quick.yaml").read_text()
    twice = text.replace("  num_steps: 400\n", "  num_steps: 250\n  num_steps: 40000\n")
    assert twice != text
    path = tmp_path / "quick.yaml"
    path.write_text(twice)
    with pytest.raises(PresetError, match="key 'num_steps' must be given once, got it in lines"):
        load_preset(path)
    with pytest.raises(yaml.YAMLError, match="'c' must be given once"):
        parse_yaml("a: 1\nb: [{c: 2, c: 3}]")
    assert parse_yaml("a: &x {b: 1}\nc:\n  <<: *x\n  b: 2") == {"a": {"b": 1}, "c": {"b": 2}}  # overriding is no repeat


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  num_transitions: 20000", "  num_transitions: 1", "collection.num_transitions: .* 100, got 1"),
        ("  num_random_transitions: 20000", "  num_random_transitions: 99", "num_random_transitions: .* 100, got 99"),
        (
            "  num_random_transitions: 20000",
            "  num_random_transitions: 200\n  sequence_length: 100",
            "a sequence for each of .* got 200",
        ),
        ("  num_samples: 32", "  num_samples: 4", "num_samples must be at least 6"),
    ],
)
def test_a_preset_that_cannot_run_is_refused_before_anything_runs(tmp_path, old, new, words):
    text = (PRESET_FOLDER / "quick.yaml").read_text()
    assert old in text
    (tmp_path / "quick.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(PresetError, match=words):
        load_preset(tmp_path / "quick.yaml")


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    return collect_random("Pendulum-v1", 20, 0, 120)


def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(small, tmp_path, monkeypatch):
    path = save_dataset(small, tmp_path / "a.h5")
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hdf5, "write_bytes", full)  # all that touches the disk: the file is whole in memory by then
    with pytest.raises(OSError, match="No space left"):
        save_dataset(small.select_episodes([0]), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.h5"] and len(load_dataset(path)) == 120


def test_damage_anywhere_is_one_kind_of_error(small, tmp_path):
    raw = save_dataset(small, tmp_path / "a.h5").read_bytes()
    refused = 0
    for position in np.random.default_rng(0).integers(0, len(raw), 150):
        broken = bytearray(raw)
        broken[position] ^= 0xFF
        (tmp_path / "b.h5").write_bytes(bytes(broken))
        try:
            load_dataset(tmp_path / "b.h5")
        except DatasetError as error:
            refused += 1
            assert "b.h5" in str(error)
    assert refused > 20  # the others hit rows (which the hash tells) or nothing that is read


def test_a_file_that_is_being_written_is_said_to_be(small, tmp_path):
    path = save_dataset(small, tmp_path / "a.h5")
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline().strip() == "open"
    with pytest.raises(DatasetError, match="a.h5.*another process has it open for writing"):
        load_dataset(path)
    holder.communicate()


@pytest.mark.parametrize("value", [None, [1, 2], {"a": 1}])
def test_an_attribute_that_a_file_cannot_keep_is_named(small, tmp_path, value):
    with pytest.raises(DatasetError, match="attribute 'note' must be a text or a number, got"):
        save_dataset(dataclasses.replace(small, attributes={"note": value}), tmp_path / "n.h5")
    assert not list(tmp_path.iterdir())


def _rows_without_bytes(file):
    del file["reward"]
    file.create_dataset("reward", shape=(10**12,), dtype="f8", chunks=(10**6,), compression="gzip")


def _claimed_rows(file):
    _rows_without_bytes(file)
    del file["episode_offsets"]
    file["episode_offsets"] = [0, 10**12]


def _external(file):
    file.copy("state", "hidden")
    other = file.filename + ".other"
    with h5py.File(other, "w") as target:
        target["state"] = file["state"][()]
    del file["state"]
    file["state"] = h5py.ExternalLink(other, "/state")


def _virtual(file):
    shape = file["state"].shape
    layout = h5py.VirtualLayout(shape=shape, dtype="f8")
    layout[:] = h5py.VirtualSource(file.filename, "next_state", shape=shape)
    del file["state"]
    file.create_virtual_dataset("state", layout)


def _loop(file):
    del file["state"]
    file["state"] = h5py.SoftLink("/state")


def _scalar(file):
    del file["delta_t"]
    file["delta_t"] = np.float64(3)


def _attribute(name, value):
    def edit(file):
        file.attrs[name] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        _rows_without_bytes, _claimed_rows, _external, _virtual, _loop, _scalar, _attribute("spec", "3"),
        _attribute("spec", "[" * 30_000), _attribute("control_frequency", "abc"), _attribute("control_frequency", 0.0),
        _attribute("schema", np.array([1, 2])), lambda file: file.attrs.__delitem__("content_hash"),
    ],
)  # fmt: skip
def test_a_stranger_s_file_is_refused_without_being_unpacked(small, tmp_path, edit):
    path = save_dataset(small, tmp_path / "bad.h5")
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(DatasetError, match=r"bad\.h5"):
        load_dataset(path)


# --- one grid per run -----------------------------------------------------------------------------------------------


def test_a_run_has_one_owner_and_a_dead_one_owns_nothing(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from tdlib.grid.owner import only_owner\n"
        "with only_owner(Path(sys.argv[1])):\n    print('mine', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline().strip() == "mine"
    with pytest.raises(RunningError, match=f"belongs to process {holder.pid} on "), only_owner(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with only_owner(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".owner").read_text()
    assert (tmp_path / ".owner").read_text() == ""


def test_a_signal_ends_the_block_and_a_group_ends_as_one(monkeypatch):
    import signal
    import time

    monkeypatch.setattr("tdlib.grid.owner.PATIENCE", 1.0)
    process = subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    child = int(process.stdout.readline())
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Ended) as ended, signals_end():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        time.sleep(10)
    assert ended.value.code == 128 + signal.SIGTERM and signal.getsignal(signal.SIGTERM) == before
    end_group(process)
    assert process.poll() is not None
    for _ in range(50):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        # without an init that reaps, a zombie is all that may be left
        assert "Z" in open(f"/proc/{child}/stat").read().rpartition(")")[2].split()[0]


# --- kernels and editions -------------------------------------------------------------------------------------------


def test_half_a_notebook_that_a_killed_job_left_is_no_page(tmp_path):
    empty = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "00_whole.ipynb").write_text(empty)
    (tmp_path / "run" / ".00_whole.4711.ipynb").write_text(empty[:20])
    (tmp_path / "results").mkdir()
    pack(tmp_path / "run", tmp_path / "results", tmp_path / "edition")
    assert [path.name for path in (tmp_path / "edition" / "notebooks").iterdir()] == ["00_whole.ipynb"]


def test_a_kernel_takes_no_port_and_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": CONNECTED}
    kernel = {"name": "python3", "display_name": "p", "language": "python"}
    book = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "a.ipynb").write_text(json.dumps(book))
    execute(tmp_path / "a.ipynb", tmp_path / "out.ipynb", {}, tmp_path)
    (output,) = json.loads((tmp_path / "out.ipynb").read_text())["cells"][0]["outputs"]
    assert "".join(output["text"]).strip() == "ipc"
    assert not list(tmp_path.glob("td-*"))


CONNECTED = """
import json
from ipykernel.connect import get_connection_file
print(json.load(open(get_connection_file()))["transport"])
"""
