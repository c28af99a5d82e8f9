"""Hardware, not a simulation: records of a double pendulum (`book/measured/NOTICE`) at several rates."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tdlib.data.decimate import decimate
from tdlib.data.sources.door import import_log
from tdlib.data.sources.recording import Reading
from tdlib.doctor import examine, rates_table
from tdlib.limits import fixed_step_ratio

FOLDER, H = Path(__file__).resolve().parents[1] / "book" / "measured", 0.02
ARM = Reading(
    columns={
        "timestamp": "time_s", "qpos": ["pos1_rad", "pos2_rad"], "qvel": ["vel1_rad_s", "vel2_rad_s"],
        "ctrl": ["tau_cmd1_nm", "tau_cmd2_nm"],
    }
)  # fmt: skip


def record(name):
    return import_log(FOLDER / f"double_pendulum_{name}_50hz.csv", ARM)


def features(state, action):
    first, second = state[..., :1], state[..., 1:2]
    return torch.cat([state, action, first.sin(), second.sin(), (first + second).sin(), first * 0 + 1], dim=-1)


@pytest.fixture(scope="module")
def model():
    """Least squares on record b: the change over one row, linear in states, torques and sines of the angles."""
    log = record("b")
    state, action, after = (torch.from_numpy(np.array(x)) for x in (log.state, log.action, log.next_state))
    weights = torch.linalg.lstsq(features(state, action), after - state).solution
    return lambda state, action, delta_t: state + features(state, action) @ weights


def test_a_model_of_one_record_errs_on_another_by_the_law(model):
    log = record("a")
    assert log.spec.velocity_dims == (2, 3) and log.spec.state_units == ("rad", "rad", "rad/s", "rad/s")
    assert "49.99" in log.attributes["import_report"]
    found = {n: decimate(log, n, filtered=False) for n in (1, 2, 3, 4, 5)}
    table = {n: rates_table(model, each, H, every=[1]).iloc[0] for n, each in found.items()}
    assert 0.2 < table[1]["as it is"] < 0.35  # what least squares leaves at its own rate
    for n in (2, 3, 4, 5):
        assert table[n]["as it is"] == pytest.approx(fixed_step_ratio(H, n * H), abs=0.02)
    assert table[2]["rescaled"] == pytest.approx(0.18, abs=0.02) and table[5]["rescaled"] < 0.45
    assert table[2]["composed"] < 0.2 and table[5]["composed"] < table[5]["rescaled"]


def test_the_doctor_finds_the_other_rate_on_hardware(model):
    log = decimate(record("a"), 2, filtered=False)
    found = examine(model, log, label=30.0)
    assert found.verdict.name == "label wrong" and "labeled 30 Hz, its stamps say 25 Hz" in found.verdict.evidence
    assert dict(found.verdict.also)["other rate"].startswith("its changes fit when multiplied by 1.9")
    told = examine(model, log, train_delta_t=H)
    assert told.verdict.name == "other rate" and told.verdict.expected_error < 0.22
    assert told.h == H and told.repair in ("composed", "newton_2") and "def repaired" in told.wrapper
