"""Logs whose names, clocks and cells mislead: what is read is right, refused, or said."""

import math

import h5py
import numpy as np
import pytest

from tdlib.data import DatasetError, collect_random
from tdlib.data.sources.csv import import_csv
from tdlib.data.sources.door import import_log
from tdlib.data.sources.logs import REPORT, make_set
from tdlib.data.sources.messages import Topic, topics_set
from tdlib.data.sources.recording import Reading, Recording
from tdlib.data.sources.roles import find_roles
from tdlib.data.sources.stamps import report_stamps, stretches
from tdlib.data.storage import save_dataset

ROWS = 200
TIMES = 1000.0 + 0.01 * np.arange(ROWS)


def topic(**fields):
    messages = [{name: float(values[i]) for name, values in fields.items()} for i in range(ROWS)]
    return Topic("json", [round(x * 1e9) for x in TIMES], messages)


def of_messages(reading, **fields):
    return topics_set({"/s": topic(**fields)}, reading, source="f.mcap", kind="MCAP")


def test_a_field_that_is_called_timestamp_is_not_the_clock_of_messages():
    motion = {"q": np.sin(TIMES), "u": np.cos(TIMES)}
    log = of_messages(Reading(), timestamp=TIMES / 7, **motion)
    assert log.control_frequency == pytest.approx(100)
    assert "is called 'message.timestamp'" in log.attributes[REPORT] and "message_timestamp" in log.extras
    columns = {"state": ["q"], "ctrl": ["u"]}
    for name, scale in (("dev_s", 1.0), ("message.timestamp", 1.0), ("dev_ms", 1e3)):
        fields = {name.removeprefix("message."): 2 * scale * TIMES, **motion}
        log = of_messages(Reading(columns={**columns, "timestamp": name}), **fields)
        assert log.control_frequency == pytest.approx(50), name
        assert f"stamps are those of the field {name!r}" in log.attributes[REPORT]
    with pytest.raises(DatasetError, match="time_unit must be 'ns' for the clock of messages, got 's'"):
        of_messages(Reading(time_unit="s"), **motion)
    short = topic(**motion)
    short.messages = short.messages[:30]
    with pytest.raises(DatasetError, match="f.mcap: topic /s must have a time for every message, got 30 messages with"):
        topics_set({"/s": short}, Reading(), source="f.mcap", kind="MCAP")


def test_the_sign_of_comments_inside_a_cell_is_text(tmp_path):
    path = tmp_path / "log.csv"
    lines = ["timestamp,state_0,label,ctrl_0,temp"]
    for i in range(8):
        lines += [f"{i / 10:.1f},{i},{'ev#3' if i == 4 else 'ok'},{i},{20 + i}", *(["# pause", " # more"] * (i == 2))]
    path.write_text("\n".join(lines) + "\n")
    log = import_csv(path)
    assert len(log) == 7 and log.extras["temp"].tolist() == [20.0 + i for i in range(7)]
    assert log.next_state[-1] == 7
    path.write_text("\n".join(lines).replace(",6,26", ",six,26"))
    with pytest.raises(DatasetError, match="log.csv: ctrl_0 must be a number, got 'six' in row 7"):
        import_csv(path)


def test_a_bad_stamp_is_named_in_its_own_file(tmp_path):
    for k in range(3):
        rows = [f"{i / 10:.1f},{i},{i}" for i in range(5)]
        rows[3] = "oops,3,3" if k == 2 else rows[3]
        (tmp_path / f"traj_{k}.csv").write_text("timestamp,state_0,ctrl_0\n" + "\n".join(rows) + "\n")
    with pytest.raises(DatasetError, match="traj_2.csv: timestamp must be a number, got 'oops' in row 4"):
        import_csv(tmp_path)


def test_hdf5_loses_no_column_by_a_name_that_two_have_and_names_its_links(tmp_path):
    path = tmp_path / "log.h5"
    with h5py.File(path, "w") as file:
        file["t"], file["q"], file["u"] = np.arange(50) / 10, np.random.rand(50, 2), np.random.rand(50)
        file["lost"], file["again"] = h5py.SoftLink("/u"), file["u"]
    reading = Reading(columns={"timestamp": "t", "state": ["q"], "ctrl": []})
    report = import_log(path, reading).attributes[REPORT]
    assert "link 'lost' is left out" in report and ("link 'again' is" in report) != ("link 'u' is" in report)
    with h5py.File(path, "a") as file:
        file["q_0"] = np.full(50, 7.0)
    with pytest.raises(DatasetError, match=r"log.h5: columns must have names of their own, got \['q_0'\] more than"):
        import_log(path, reading)


def test_a_link_to_an_episode_is_no_episode(tmp_path):
    path = tmp_path / "log.h5"
    with h5py.File(path, "w") as file:
        for k in range(2):
            episode = file.create_group(f"episode_{k}")
            episode["timestamp"], episode["state_0"] = np.arange(9) / 10, np.random.rand(9)
            episode["ctrl_0"] = np.random.rand(9)
        file["latest"] = h5py.SoftLink("/episode_1")
    log = import_log(path)
    assert log.num_episodes == 2 and "link 'latest' is left out" in log.attributes[REPORT]


def test_what_our_own_files_say_is_not_declared_otherwise(tmp_path):
    dataset = collect_random("Pendulum-v1", 20, 0, 100)
    path = save_dataset(dataset, tmp_path / "own.h5") or tmp_path / "own.h5"
    assert len(import_log(path, Reading(spec=dataset.spec, stamps="repair", control_frequency=20))) == len(dataset)
    for said in ({"columns": {"state": ["q"]}}, {"units": {"q": "deg"}}, {"angles": ("q",)}, {"time_unit": "ms"}):
        with pytest.raises(DatasetError, match=f"own.h5: {next(iter(said))} must be left out, the file itself says it"):
            import_log(path, Reading(**said))
    other = collect_random("CartPole-v1", 20, 0, 100).spec
    with pytest.raises(DatasetError, match="spec must be the set's own, that of Pendulum-v1, got another"):
        import_log(path, Reading(spec=other))
    (tmp_path / "set").mkdir()
    with pytest.raises(DatasetError, match="set: units must be left out"):
        import_log(tmp_path / "set", Reading(units={"q": "deg"}), kind="minari")


def test_inputs_in_degrees_become_radians_too(tmp_path):
    path = tmp_path / "log.csv"
    rows = [f"{i / 10:.1f},{10 * i},{20 * i}" for i in range(8)]
    path.write_text("timestamp,elbow_deg,ctrl_elbow_deg\n" + "\n".join(rows) + "\n")
    columns = {"timestamp": "timestamp", "qpos": "elbow_deg", "ctrl": "ctrl_elbow_deg"}
    log = import_csv(path, columns=columns)
    assert np.allclose(log.action, 2 * log.state) and np.isclose(log.state[1, 0], math.radians(10))
    assert log.spec.input_units == ("rad",) and np.isclose(log.spec.input_high[0], math.radians(120))
    assert "degrees made radians: ['elbow_deg', 'ctrl_elbow_deg']" in log.attributes[REPORT]


@pytest.mark.parametrize(
    ("names", "ctrl", "positions", "velocities"),
    [
        (["time", "motor_position", "motor_velocity", "motor_voltage"], ["motor_voltage"],
         ["motor_position"], ["motor_velocity"]),
        (["time", "pos", "vel", "uptime", "u"], ["u"], ["pos"], ["vel"]),
        (["t", "theta", "omega", "torque_measured", "force_sensor", "action"], ["action"], ["theta"], ["omega"]),
        (["t", "q1", "dq1", "cmd_velocity", "u1", "tau_elbow"], ["cmd_velocity", "u1", "tau_elbow"], ["q1"], ["dq1"]),
    ],
)  # fmt: skip
def test_what_a_name_begins_with_makes_no_input(names, ctrl, positions, velocities):
    found = find_roles(names, None, {}, "f").groups
    assert [list(found[group]) for group in ("ctrl", "qpos", "qvel")] == [ctrl, positions, velocities]


def log_at(times, **reading):
    columns = {"timestamp": times, "state_0": np.sin(np.arange(len(times))), "ctrl_0": np.zeros(len(times))}
    return make_set([Recording("x", columns)], Reading(**reading), "t")


def test_a_sensor_that_sends_some_values_at_a_time_has_no_gaps():
    times = np.concatenate([0.04 * k + 0.0005 * np.arange(4) for k in range(200)])
    found = report_stamps([times])
    assert (found.gaps, found.lost, found.bursts) == (0, 0, pytest.approx(2000)) and 99 < found.rate < 101
    assert "their median interval would make 2000 Hz" in str(found) and len(stretches(times)) == 1
    assert log_at(times, stamps="repair").num_episodes == log_at(times).num_episodes == 1
    lossy = np.delete(np.arange(1000) / 50, np.arange(10, 990, 8))  # one row in eight is lost: gaps, and the rate stays
    assert report_stamps([lossy]).gaps == 123 and report_stamps([lossy]).rate == pytest.approx(50)


def test_a_pause_is_no_step_unless_that_is_said():
    times = np.concatenate([np.arange(100) / 20, 20 + np.arange(100) / 20])
    with pytest.raises(DatasetError, match=r"x: timestamp must go on without a pause .*got 15.05 s before row 101"):
        log_at(times)
    assert log_at(times, stamps="repair").num_episodes == 2
    assert log_at(times, irregular=True).delta_t.max() == pytest.approx(15.05)


def test_unsigned_stamps_that_step_back_do_not_wrap():
    stamps = np.arange(50, dtype=np.uint64) * 10_000 + 5000
    stamps[20] = 1000
    with pytest.raises(DatasetError, match="must rise from row to row, got 1000 in row 21"):
        log_at(stamps, time_unit="us")
    log = log_at(stamps, time_unit="us", stamps="repair")
    assert log.control_frequency == pytest.approx(100) and log.num_episodes == 2
