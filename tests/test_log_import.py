"""Logs as they are: layouts of CSV, clocks, roles of columns, other formats, several topics, coarser rates."""

import dataclasses
import json
import math
import re
import sqlite3
import zlib

import h5py
import numpy as np
import pandas as pd
import pytest

from tdlib.data import SOURCES, DatasetError, RateError, collect_random, save_dataset
from tdlib.data.decimate import decimate, low_passed
from tdlib.data.sources.align import align, held_rows
from tdlib.data.sources.csv import csv_files, export_csv, import_csv
from tdlib.data.sources.csv_text import CsvStyle
from tdlib.data.sources.door import import_log, kind_of_log
from tdlib.data.sources.logs import make_set
from tdlib.data.sources.messages import Topic, topics_set
from tdlib.data.sources.recording import Reading, Recording
from tdlib.data.sources.roles import find_roles, unit_of
from tdlib.data.sources.stamps import in_seconds, report_stamps, stretches, unit_in_name
from tdlib.data.storage import content_hash

HEAD = "timestamp,qpos_0,qvel_0,ctrl_0"
ROWS = [f"{0.02 * i:.2f},{0.1 * i:.1f},5.0,{(-1) ** i}" for i in range(6)]
PLAIN = "\n".join([HEAD, *ROWS]) + "\n"


def said(dataset):
    return dataset.attributes["import_report"]


def written(tmp_path, content, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- layouts of CSV -------------------------------------------------------------------------------------------------


def with_column(name, cells):
    return "\n".join([f"{HEAD},{name}", *(f"{row},{cell}" for row, cell in zip(ROWS, cells, strict=True))]) + "\n"


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("\ufeff" + PLAIN, ""),
        (PLAIN.encode("utf-16"), "the text is UTF-16"),
        (PLAIN.replace("\n", "\r\n"), ""),
        (PLAIN + "\n\n", ""),
        (PLAIN.replace("\n0.06", "\n\n0.06"), ""),
        ("".join(f"{line},\n" for line in PLAIN.splitlines()), ""),
        ("".join(f"{line},\n" if i else f"{line}\n" for i, line in enumerate(PLAIN.splitlines())), ""),
        ("# made by a logger\n\n# 50 Hz\n" + PLAIN, ""),
        (PLAIN.replace("\n0.06", "\n# mark, one\n0.06"), ""),
        ("# " + PLAIN, "the names of the columns stand in a comment"),
        (with_column("mode", ["idle"] * 6), "column 'mode' holds text and is left out"),
        (with_column("mode", ["a #1"] * 6), "column 'mode' holds text and is left out"),
        (with_column("temp", ["20.5", "", "", "21", "", ""]), "column 'temp' has 4 empty cells, kept as nan"),
        (with_column("temp", [""] * 6), "column 'temp' is empty and left out"),
        (PLAIN.replace(",", ";"), "cells are parted by ';'"),
        (PLAIN.replace(",", "\t"), "cells are parted by '\\t'"),
        (PLAIN.replace(",", "   "), "cells are parted by blanks"),
        (PLAIN + "0.12,0.6", "the last line is cut (2 of 4 cells) and left out"),
        ('"timestamp","qpos_0","qvel_0","ctrl_0"\n' + PLAIN.split("\n", 1)[1], ""),
        (PLAIN.replace("timestamp,", " timestamp , "), ""),
    ],
)
def test_a_layout_that_people_have_is_read_as_the_plain_one(tmp_path, content, note):
    plain = import_csv(written(tmp_path, PLAIN, "plain.csv"))
    dataset = import_csv(written(tmp_path, content))
    assert len(dataset) == 5 and note in said(dataset)
    for name in ("state", "action", "next_state", "delta_t"):
        assert np.array_equal(getattr(dataset, name), getattr(plain, name)), name


def test_decimal_commas_and_other_encodings_are_choices(tmp_path):
    commas = written(tmp_path, PLAIN.replace(",", ";").replace(".", ","))
    with pytest.raises(DatasetError, match="log.csv: timestamp must be a number, got '0,00' in row 1; decimal=','"):
        import_csv(commas)
    assert np.array_equal(import_csv(commas, style=CsvStyle(decimal=",")).state[:, 0], np.arange(5) / 10)
    latin = written(tmp_path, with_column("°C", ["1"] * 6).encode("latin-1"))
    with pytest.raises(DatasetError, match="log.csv: text must be utf-8.*encoding='latin-1'"):
        import_csv(latin)
    assert list(import_csv(latin, style=CsvStyle(encoding="latin-1")).extras) == ["_C"]
    with pytest.raises(ValueError, match="separator must differ from decimal"):
        CsvStyle(separator=",", decimal=",")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PLAIN.replace("0.3,", "N/A,"), "log.csv: qpos_0 must be a number, got 'N/A' in row 4"),
        (PLAIN.replace("0.3,", ","), "log.csv: qpos_0 must be a number, got '' in row 4"),
        (PLAIN.replace("0.3,", "inf,"), "log.csv: qpos_0 must be finite, got inf in row 4"),
        (PLAIN.replace("0.06,", "x,"), "log.csv: timestamp must be a number, got 'x' in row 4"),
        (PLAIN.replace("0.06,0.3,5.0,-1", "0.06,0.3"), "log.csv: row 4 must hold 4 cells, got 2"),
        (PLAIN.replace("0.06,0.3,5.0,-1", "0.06,0.3,5.0,-1,7"), "log.csv: row 4 must hold 4 cells, got 5"),
        (PLAIN.replace("0.06,0.3,5.0,-1", "0.06,0.3,5.0,-1,7,8,9"), "log.csv: row 4 must hold 4 cells, got 7"),
        (PLAIN.split("\n", 1)[1], "log.csv: the first line must name the columns, got numbers: '0.00,"),
        (HEAD + "\n" + ROWS[0] + "\n", "log.csv: file must have a header and at least two rows, got 1 rows"),
        ("", "log.csv: file must have a header"),
        ("timestamp\n1\n2\n", "log.csv: the header must hold several columns, got 'timestamp'"),
        (with_column("", ["1"] * 6), "log.csv: column 5 must have a name"),
        (with_column("qpos_0", ["1"] * 6), "log.csv: columns must have names of their own, got .'qpos_0'."),
        (
            with_column("qpos_00", ["1"] * 6),
            "columns qpos_0, qpos_1, ... must be there once each, got qpos_00 and another",
        ),
        (with_column("qpos_2", ["1"] * 6), "must be there once each, got qpos_2 and no qpos_1"),
        (with_column("ctrl_2", ["1"] * 6), "must be there once each, got ctrl_2 and no ctrl_1"),
        (PLAIN.replace("timestamp", "clock"), "exactly one timestamp column, got 0 in .*columns="),
    ],
)
def test_what_is_refused_names_file_row_column_and_value(tmp_path, content, words):
    with pytest.raises(DatasetError, match=words):
        import_csv(written(tmp_path, content))


def test_messages_stay_short(tmp_path):
    names = ",".join(f"qpos_{i}" for i in range(5000))
    content = f"timestamp,{names}\n" + "".join(",".join([str(t)] + ["0"] * 5000) + "\n" for t in range(2))
    with pytest.raises(DatasetError, match="at least one ctrl") as error:
        import_csv(written(tmp_path, content))
    assert len(str(error.value)) < 1000
    with pytest.raises(DatasetError, match="row 1") as error:
        import_csv(written(tmp_path, PLAIN.replace("0.00,0.0", f"0.00,{'x' * 10_000}")))
    assert len(str(error.value)) < 1000


def test_files_come_in_numeric_order_and_hidden_ones_not_at_all(tmp_path):
    for number in (1, 2, 10):
        written(tmp_path, PLAIN.replace("5.0", f"{number}.0"), f"ep_{number}.csv")
    written(tmp_path, b"\x00\x05\x16\x07\x00\xb0\xff", "._ep_1.csv")
    assert [file.name for file in csv_files(tmp_path)] == ["ep_1.csv", "ep_2.csv", "ep_10.csv"]
    dataset = import_csv(tmp_path)
    assert dataset.num_episodes == 3 and dataset.state[::5, 1].tolist() == [1, 2, 10]
    written(tmp_path, PLAIN.replace("0.06,", "x,"), "ep_3.csv")
    with pytest.raises(DatasetError, match="ep_3.csv: timestamp must be a number, got 'x' in row 4"):
        import_csv(tmp_path)
    with pytest.raises(DatasetError, match="must be a CSV file or a folder with .csv files, got .*missing.csv"):
        import_csv([tmp_path / "ep_1.csv", tmp_path / "missing.csv"])


def test_numbers_are_read_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000) * 10.0 ** rng.integers(-30, 30, 2000)
    rows = [f"{0.01 * i!r},{x!r},0" for i, x in enumerate(values.tolist())]
    dataset = import_csv(written(tmp_path, "timestamp,state_0,ctrl_0\n" + "\n".join(rows)), irregular=True)
    assert np.array_equal(dataset.state[:, 0], values[:-1])


def test_an_exported_log_comes_back_with_its_empty_cells(tmp_path):
    log = import_csv(written(tmp_path, with_column("temp", ["20.5", "", "", "21", "", ""])))
    again = import_csv(export_csv(log, tmp_path / "again"))
    assert np.isnan(log.extras["temp"]).sum() == 3 and content_hash(again) == content_hash(log)


# --- clocks ---------------------------------------------------------------------------------------------------------


def with_stamps(stamps, column="timestamp"):
    lines = [HEAD.replace("timestamp", column), *(f"{t},{i % 7},0,1" for i, t in enumerate(stamps))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("unit", "scale"), [("ns", 10**9), ("us", 10**6), ("ms", 10**3)])
def test_units_of_stamps_are_declared_or_named_or_refused(tmp_path, unit, scale):
    start = 1_700_000_000 * scale
    stamps = [start + i * scale // 50 for i in range(6)]
    path = written(tmp_path, with_stamps(stamps))
    found = f"timestamp must be in seconds .* got intervals of {re.escape(f'{scale / 50:.6g}')} .*time_unit="
    for irregular in (False, True):
        with pytest.raises(DatasetError, match=found):
            import_csv(path, irregular=irregular)
    read = import_csv(path, time_unit=unit)
    assert read.control_frequency == 50 and np.allclose(read.t, 0.02 * np.arange(5), rtol=0, atol=1e-12)
    named = written(tmp_path, with_stamps(stamps, f"stamp_{unit}"), "named.csv")
    columns = {"timestamp": f"stamp_{unit}", "qpos": "qpos_0", "qvel": "qvel_0", "ctrl": "ctrl_0"}
    dataset = import_csv(named, columns=columns)
    assert dataset.control_frequency == 50 and f"stamp_{unit} is read in {unit}, by its name" in said(dataset)
    with pytest.raises(DatasetError, match=r"time_unit must be one of \['s', 'ms', 'us', 'ns'\], got 'h'"):
        import_csv(path, time_unit="h")


def test_slow_clocks_are_seconds_if_that_is_said(tmp_path):
    path = written(tmp_path, with_stamps([4.0 * i for i in range(6)]))
    with pytest.raises(DatasetError, match="time_unit='s' if they are seconds"):
        import_csv(path)
    assert import_csv(path, time_unit="s").control_frequency == 0.25


@pytest.mark.parametrize(
    ("name", "unit"),
    [("Time (s)", "s"), ("stamp_ns", "ns"), ("timestamp_us", "us"), ("t [ms]", "ms"), ("time.µs", "us"), ("time", None),
     ("stamps", None)],
)  # fmt: skip
def test_units_in_names_of_clocks(name, unit):
    assert unit_in_name(name) == unit


def test_jitter_gaps_repeats_and_steps_back_are_counted():
    even = np.arange(200) * 0.01
    jitter = even + np.random.default_rng(0).uniform(-1e-3, 1e-3, 200)
    lost = np.delete(jitter, [50, 51, 120])
    double = np.insert(lost, 30, lost[30])
    back = np.concatenate([double, double[:40]])
    found = report_stamps([back])
    assert (found.gaps, found.lost, found.repeated, found.backward) == (2, 3, 2, 1) and not found.generated
    assert found.rate == pytest.approx(100, rel=0.02)
    assert found.jitter == pytest.approx(np.sqrt(2 / 3) * 0.1, rel=0.15)  # the difference of two uniform errors
    assert "2 gaps of up to 0.03" in str(found) and "2 stamps repeat and 1 step back" in str(found)
    parts = stretches(back)
    assert len(parts) == 4 and all((np.diff(back[rows]) > 0).all() for rows in parts)
    assert sum(map(len, parts)) == len(back) - 2  # those that repeat
    assert report_stamps([even]).generated and report_stamps([np.arange(9) / 30]).generated
    assert report_stamps([1.7e9 + even]).generated  # whatever the digits of an epoch round


def test_repair_leaves_out_what_repeats_and_begins_anew_where_rows_are_missing(tmp_path):
    stamps = [0.0, 0.1, 0.1, 0.2, 0.3, 0.6, 0.7, 0.05, 0.15, 0.25]
    path = written(tmp_path, with_stamps(stamps))
    with pytest.raises(DatasetError, match=r"log.csv: timestamp must rise from row to row, got 0.1 in row 3 after 0.1"):
        import_csv(path)
    dataset = import_csv(path, stamps="repair")
    assert dataset.episode_lengths.tolist() == [3, 1, 2] and dataset.control_frequency == 10
    assert dataset.state[:, 0].tolist() == [0, 1, 3, 5, 0, 1]  # rows 0-4 without 2, 5-6, 7-9
    assert "1 rows left out whose stamp repeats; a new episode begins at 1 steps back and 1 gaps" in said(dataset)
    with pytest.raises(ValueError, match="stamps must be 'strict' or 'repair', got 'drop'"):
        import_csv(path, stamps="drop")


def test_a_stated_rate_is_the_log_s_whatever_else_is_asked_for(tmp_path):
    path = written(tmp_path, PLAIN)
    for irregular in (False, True):
        with pytest.raises(RateError, match="control_frequency must be the log's rate, 50 Hz, got 999 Hz"):
            import_csv(path, irregular=irregular, control_frequency=999)
    assert import_csv(path, irregular=True, control_frequency=50).control_frequency is None
    jitter = written(tmp_path, with_stamps([0, 0.02, 0.041, 0.06, 0.08]), "jitter.csv")
    assert import_log(jitter).control_frequency is None and import_log(path).control_frequency == 50
    with pytest.raises(DatasetError, match="intervals must be constant to 0.001 unless irregular=True"):
        import_csv(jitter)


def test_whole_stamps_keep_every_nanosecond():
    stamps = 1_700_000_000_000_000_000 + np.array([0, 20_000_001, 40_000_003])
    times, _ = in_seconds(stamps, "ns", "t", "a.csv")
    assert np.diff(times).tolist() == pytest.approx([0.020000001, 0.020000002], abs=1e-16)


# --- roles ----------------------------------------------------------------------------------------------------------


def test_a_mapping_says_which_column_is_what(tmp_path):
    head = "time_s,elbow_deg,elbow speed (deg/s),motor_nm,lamp"
    lines = [f"{0.1 * i:.1f},{90 + i},{10},{i},{-i}" for i in range(5)]
    path = written(tmp_path, "\n".join([head, *lines]))
    columns = {"timestamp": "time_s", "qpos": ["elbow_deg"], "qvel": "elbow speed (deg/s)", "ctrl": "motor_nm"}
    dataset = import_csv(path, columns=columns, angle_positions=["elbow_deg"])
    spec = dataset.spec
    assert spec.state_names == ("elbow_deg", "elbow_speed_deg_s") and spec.input_names == ("motor_nm",)
    assert spec.state_units == ("rad", "rad/s") and spec.input_units == ("N m",) and spec.angle_dims == (0,)
    assert np.allclose(dataset.state[0], [np.pi / 2, np.pi / 18]) and list(dataset.extras) == ["lamp"]
    assert "degrees made radians: ['elbow_deg', 'elbow speed (deg/s)']" in said(dataset)
    assert json.loads(dataset.attributes["columns"])["motor_nm"] == "input"
    for bad, words in (
        ({**columns, "ctrl": "motor"}, r"columns\['ctrl'\] must be in the file, got 'motor'; there are \['motor_nm'\]"),
        ({**columns, "ctrl": "elbow_deg"}, "a column must be one thing, got 'elbow_deg' as qpos and ctrl"),
        ({"q": "elbow_deg"}, "columns must have keys among .*, got 'q'"),
        ({**columns, "timestamp": ["time_s", "lamp"]}, r"columns\['timestamp'\] must name one column"),
    ):
        with pytest.raises(ValueError, match=words):
            import_csv(path, columns=bad)
    with pytest.raises(ValueError, match="angles must be columns of the state"):
        import_csv(path, columns=columns, angle_positions=["lamp"])


def test_names_are_guessed_and_it_is_said():
    names = ["time_s", "pos1_rad", "pos2_rad", "vel1_rad_s", "vel2_rad_s", "tau_cmd1_nm", "battery_mv"]
    roles = find_roles(names, None, {}, "a.csv")
    assert roles.timestamp == "time_s" and roles.groups["qpos"] == ("pos1_rad", "pos2_rad")
    assert roles.groups["qvel"] == ("vel1_rad_s", "vel2_rad_s") and roles.groups["ctrl"] == ("tau_cmd1_nm",)
    assert roles.others == ("battery_mv",) and "columns guessed by their names" in roles.notes[0]
    assert [unit_of(name) for name in ("w (deg/s)", "a_m_s2", "x")] == ["deg/s", "m/s²", None]


def test_a_log_without_input_or_stamps_says_so(tmp_path):
    path = written(tmp_path, "time_s,angle_rad,velocity_rad_s\n" + "".join(f"{0.1 * i:.1f},{i},1\n" for i in range(5)))
    with pytest.raises(DatasetError, match="at least one ctrl column, got 0 .*'ctrl': .. that nothing acted"):
        import_log(path)
    columns = {"qpos": "angle_rad", "qvel": "velocity_rad_s", "ctrl": []}
    free = import_log(path, Reading(columns=columns))
    assert free.spec.input_names == ("no_input",) and not free.action.any() and free.control_frequency == 10
    bare = written(tmp_path, "y,u\n" + "".join(f"{i},{-i}\n" for i in range(5)), "bare.csv")
    columns = {"state": "y", "ctrl": "u"}
    with pytest.raises(DatasetError, match="exactly one timestamp"):
        import_log(bare, Reading(columns=columns))
    timed = import_log(bare, Reading(columns=columns, control_frequency=0.25))
    assert timed.control_frequency == 0.25 and "no stamps: 0.25 Hz is taken, as declared" in said(timed)
    assert "stamps are positions" in said(timed)


def test_a_column_that_only_some_files_have_is_named(tmp_path):
    written(tmp_path, with_column("lamp", ["1"] * 6), "a.csv")
    written(tmp_path, with_column("heat", ["1"] * 6), "b.csv")
    dataset = import_csv(tmp_path)
    assert not dataset.extras
    assert all(f"column '{name}' is not in all files and left out" in said(dataset) for name in ("lamp", "heat"))
    written(tmp_path, with_column("qpos_1", ["1"] * 6), "c.csv")
    with pytest.raises(DatasetError, match="all files must have the same columns, .* in a.csv and c.csv"):
        import_csv(tmp_path)


# --- other formats --------------------------------------------------------------------------------------------------

TIMES = np.arange(40) * 0.05
MOTION = {"q": np.stack([np.sin(TIMES), np.cos(TIMES)], 1), "v": np.stack([np.cos(TIMES), -np.sin(TIMES)], 1)}
INPUT = np.where(TIMES < 1, 0.5, -0.5)


def same_motion(dataset, rows=slice(None)):
    states = np.concatenate([MOTION["q"], MOTION["v"]], 1)[rows]
    assert np.allclose(dataset.state, states[:-1], atol=1e-6)
    assert np.allclose(dataset.next_state, states[1:], atol=1e-6)
    assert np.allclose(dataset.action[:, 0], INPUT[rows][:-1])


def test_hdf5_of_others_has_columns_by_path_and_episodes_by_group(tmp_path):
    reading = Reading(columns={"timestamp": "obs/t", "qpos": "obs/q", "qvel": "obs/v", "ctrl": "act"})
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name in ("demo_10", "demo_2"):
            group = file.create_group(f"data/{name}")
            group["obs/t"], group["obs/q"], group["obs/v"], group["act"] = TIMES, MOTION["q"], MOTION["v"], INPUT
            group["obs/image"] = np.zeros((40, 8, 8, 3), np.uint8)
            group["number"] = np.full(40, int(name[5:]))
    dataset = import_log(tmp_path / "a.hdf5", reading)
    assert dataset.num_episodes == 2 and dataset.extras["number"][::39].tolist() == [2, 10]
    same_motion(dataset.select_episodes([1]))
    assert "array 'obs/image' of shape (40, 8, 8, 3) is left out" in said(dataset)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        table = np.zeros(40, dtype=[("t", "f8"), ("x", "f8"), ("u", "f8")])
        table["t"], table["x"], table["u"] = TIMES, MOTION["q"][:, 0], INPUT
        file["table"] = table
    flat = Reading(columns={"timestamp": "table.t", "state": "table.x", "ctrl": "table.u"})
    assert np.array_equal(import_log(tmp_path / "b.h5", flat).state[:, 0], MOTION["q"][:-1, 0])
    with h5py.File(tmp_path / "c.h5", "w"):
        pass
    with pytest.raises(DatasetError, match="one row per stamp, got none in c.h5"):
        import_log(tmp_path / "c.h5")
    own = collect_random("Pendulum-v1", 20, 0, 100)
    back = import_log(save_dataset(own, tmp_path / "own.h5"))
    assert content_hash(back) == content_hash(own)
    with pytest.raises(RateError):
        import_log(tmp_path / "own.h5", Reading(control_frequency=50))


def test_minari_keeps_a_selection_and_a_log_as_they_are(tmp_path):
    from tdlib.data.sources.minari import export_minari, import_minari

    drawn = collect_random("Pendulum-v1", 10, 0, 1000).select_episodes([7, 3, 5])
    log = import_csv(written(tmp_path, with_column("temp", ["20.5", "", "", "21", "", ""])), irregular=True)
    for number, dataset in enumerate((drawn, log)):
        folder = export_minari(dataset, tmp_path, f"own/set-v{number}")
        back = import_log(folder)
        assert content_hash(back) == content_hash(dataset) and dict(back.attributes) == dict(dataset.attributes)
        assert np.array_equal(back.episode_complete, dataset.episode_complete)
    with pytest.raises(RateError, match="control_frequency must be the rate of set-v0, 10 Hz, got 50 Hz"):
        import_minari(tmp_path / "own" / "set-v0", control_frequency=50)
    other = dataclasses.replace(drawn.spec, name="other")
    with pytest.raises(DatasetError, match="spec must be the set's own"):
        import_minari(tmp_path / "own" / "set-v0", spec=other)
    data = tmp_path / "own" / "set-v0" / "data" / "main_data.hdf5"
    data.write_bytes(data.read_bytes()[:9000])
    with pytest.raises(DatasetError, match="whole Minari data set, got .*set-v0"):
        import_minari(tmp_path / "own" / "set-v0")
    before = sorted(tmp_path.rglob("*"))
    for name in ("../x-v0", "myset", str(tmp_path / "absolute-v0"), "a/../../b-v0"):
        with pytest.raises(ValueError, match="dataset_id must be a name such as"):
            export_minari(drawn, tmp_path / "own", name)
    assert sorted(tmp_path.rglob("*")) == before


def test_foreign_minari_sets_are_refused_in_our_words(tmp_path, monkeypatch):
    import minari
    from gymnasium import spaces
    from minari.data_collector import EpisodeBuffer

    from tdlib.data.sources.minari import import_minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    box, ends = spaces.Box(-9, 9, (3,), np.float32), np.arange(6) == 5
    buffer = EpisodeBuffer(
        observations={"o": np.zeros((7, 3), np.float32)}, actions=np.zeros((6, 1), np.float32), rewards=np.zeros(6),
        terminations=ends & False, truncations=ends,
    )  # fmt: skip
    about = {name: "x" for name in ("algorithm_name", "author", "author_email", "code_permalink")}
    spaced = {"observation_space": spaces.Dict({"o": box}), "action_space": spaces.Box(-2, 2, (1,), np.float32)}
    minari.create_dataset_from_buffers("dict-v0", [buffer], data_format="hdf5", **spaced, **about)
    spec = collect_random("Pendulum-v1", 20, 0, 20).spec
    with pytest.raises(DatasetError, match="observations are arrays, got .*dict-v0.*: dict"):
        import_minari(tmp_path / "dict-v0", spec=spec, control_frequency=20)
    described = tmp_path / "dict-v0" / "data" / "metadata.json"
    described.write_text(json.dumps({**json.loads(described.read_text()), "total_episodes": 0}))
    with pytest.raises(DatasetError, match="dict-v0"):
        import_minari(tmp_path / "dict-v0", spec=spec, control_frequency=20)


def test_lerobot_s_stamps_are_called_positions(tmp_path):
    pytest.importorskip("pyarrow", reason="the extra `logs` is not installed")
    import pyarrow
    from pyarrow import parquet

    states = np.concatenate([MOTION["q"], MOTION["v"]], 1).astype(np.float32)
    names = ["a.pos", "b.pos", "a.vel", "b.vel"]
    features = {
        "observation.state": {"dtype": "float32", "shape": [4], "names": names},
        "action": {"dtype": "float32", "shape": [1], "names": None},
        "observation.images.front": {"dtype": "video", "shape": [4, 4, 3]},
    }
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "info.json").write_text(
        json.dumps({"codebase_version": "v3.0", "fps": 20, "features": features})
    )
    for number, rows in enumerate((slice(0, 25), slice(25, 40))):  # the second file goes on with episode 0
        folder = tmp_path / "data" / "chunk-000"
        folder.mkdir(parents=True, exist_ok=True)
        episode = np.where(np.arange(40) < 30, 0, 1)[rows]
        frame = np.where(np.arange(40) < 30, np.arange(40), np.arange(40) - 30)[rows]
        table = pyarrow.table({
            "observation.state": list(states[rows]),
            "action": [[x] for x in INPUT[rows]],
            "timestamp": (frame / 20).astype(np.float32),
            "episode_index": episode,
            "frame_index": frame,
        })  # fmt: skip
        parquet.write_table(table, folder / f"file-{number:03d}.parquet")
    dataset = import_log(tmp_path)
    assert dataset.episode_lengths.tolist() == [29, 9] and dataset.control_frequency == 20
    same_motion(dataset.select_episodes([0]), slice(0, 30))
    assert dataset.spec.state_names[0] == "observation_state_a_pos" and dataset.attributes["declared_fps"] == 20
    assert "stamps are positions" in said(dataset)
    assert "feature 'observation.images.front' (video) lies in other files and is left out" in said(dataset)
    pairs = {"qpos": ["observation.state.a.pos", "observation.state.b.pos"], "ctrl": "action",
             "qvel": ["observation.state.a.vel", "observation.state.b.vel"], "timestamp": "timestamp"}  # fmt: skip
    assert import_log(tmp_path, Reading(columns=pairs)).spec.velocity_dims == (2, 3)
    with pytest.raises(RateError):
        import_log(tmp_path, Reading(control_frequency=30))
    (tmp_path / "meta" / "info.json").write_text(json.dumps({"codebase_version": "v1.6", "fps": 20, "features": {}}))
    with pytest.raises(DatasetError, match="codebase_version must be v2 or v3, got 'v1.6'"):
        import_log(tmp_path)


# --- topics ---------------------------------------------------------------------------------------------------------


def test_held_commands_are_those_of_merge_asof():
    rng = np.random.default_rng(3)
    times, stamps = np.sort(rng.integers(0, 10**9, 300)), np.sort(rng.integers(10**7, 10**9, 80))
    stamps[10] = stamps[11]  # of two at once the last counts
    times = np.sort(np.append(times, stamps[40]))  # what is said at that very moment is heard
    said_last = pd.merge_asof(
        pd.DataFrame({"t": times}), pd.DataFrame({"t": stamps, "u": np.arange(80.0)}), on="t", direction="backward"
    )["u"]
    rows = held_rows(times, stamps)
    assert np.array_equal(np.where(rows < 0, np.nan, rows), said_last, equal_nan=True)
    kept, columns, notes = align("/x", {"/x": (times, {"x": times * 2}), "/u": (stamps, {"u": np.arange(80.0)})})
    assert np.array_equal(columns["u"], said_last.dropna()) and np.array_equal(columns["x"], 2 * kept)
    assert len(kept) == said_last.notna().sum() and any("are left out" in note for note in notes)
    with pytest.raises(DatasetError, match="on must be one of the topics"):
        align("/y", {"/x": (times, {})})
    with pytest.raises(DatasetError, match="topics must overlap in time"):
        align("/x", {"/x": (times - 10**10, {}), "/u": (stamps, {})})


def joint_topics(offset=0.0):
    """A topic of joints at 20 Hz whose names swap places, and commands at 4 Hz on a clock that may be ahead."""
    joints, commands = Topic("JointState"), Topic("Command")
    for i, t in enumerate(TIMES):
        order = [0, 1] if i % 2 else [1, 0]
        stamp = {"sec": int(t), "nanosec": int(round((t - int(t)) * 1e9))}
        joints.log_times.append(int(t * 1e9) + 2_000_000)
        joints.messages.append({
            "header": {"stamp": stamp, "frame_id": "arm"}, "name": ["ab"[k] for k in order],
            "position": [MOTION["q"][i, k] for k in order], "velocity": [MOTION["v"][i, k] for k in order],
            "cloud": [0.0] * 500, "label": "x",
        })  # fmt: skip
    for t in np.arange(0, 2, 0.25):
        commands.log_times.append(int((t + offset) * 1e9))
        commands.messages.append({"data": float(0.5 if t < 1 else -0.5)})
    return {"/joints": joints, "/cmd": commands, "/camera": Topic("Image", [0], [], "messages in 'x' are not read")}


ARM = {"qpos": ["/joints/position.a", "/joints/position.b"], "qvel": ["/joints/velocity.a", "/joints/velocity.b"],
       "ctrl": "/cmd/data", "timestamp": "timestamp"}  # fmt: skip


def test_topics_become_columns_by_the_names_of_their_joints():
    dataset = topics_set(joint_topics(), Reading(columns=ARM), source="bag", kind="MCAP", on="/joints")
    same_motion(dataset)
    report = said(dataset)
    assert "stamps of the headers count; messages were recorded 2 ms later" in report
    assert "/cmd is held on the clock of /joints" in report and "cloud holds arrays of 500 and is left out" in report
    assert "topic /camera (Image) is left out: messages in 'x' are not read" in report
    late = topics_set(joint_topics(0.2), Reading(columns=ARM), source="bag", kind="MCAP", on="/joints")
    assert len(late) == len(dataset) - 4 and "4 rows before the first message" in said(late)
    with pytest.raises(DatasetError, match="bag: on must say which topic's clock the rows have, one of .*got None"):
        topics_set(joint_topics(), Reading(columns=ARM), source="bag", kind="MCAP")
    with pytest.raises(DatasetError, match="topics must be among /joints .JointState, 40 messages.*got '/joint'"):
        topics_set(joint_topics(), Reading(columns=ARM), source="bag", kind="MCAP", chosen=["/joint"])
    logged = topics_set(joint_topics(), Reading(columns=ARM), source="bag", kind="MCAP", on="/joints", clock="log")
    assert np.allclose(logged.t, dataset.t, atol=1e-8)


def test_mcap_of_json_is_read_and_cut_files_are_named(tmp_path):
    pytest.importorskip("mcap", reason="the extra `logs` is not installed")
    from mcap.writer import Writer

    path = tmp_path / "arm.mcap"
    with open(path, "wb") as stream:
        writer = Writer(stream)
        writer.start()
        for name, topic in joint_topics().items():
            schema = writer.register_schema(name=topic.kind, encoding="jsonschema", data=b"{}")
            channel = writer.register_channel(topic=name, message_encoding="json", schema_id=schema)
            for time, message in zip(topic.log_times, topic.messages, strict=False):
                data = json.dumps(message).encode()
                writer.add_message(channel_id=channel, log_time=time, publish_time=time, data=data)
        writer.finish()
    same_motion(import_log(path, Reading(columns=ARM), on="/joints"))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DatasetError, match="path must be a whole MCAP file, got .*arm.mcap"):
        import_log(path, Reading(columns=ARM), on="/joints")


def test_rosbag2_is_read_from_its_folder_and_its_files(tmp_path):
    pytest.importorskip("rosbags", reason="the extra `logs` is not installed")
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.LATEST)
    kinds = {name: store.types[name] for name in ("sensor_msgs/msg/JointState", "std_msgs/msg/Float64")}
    stamp, header = store.types["builtin_interfaces/msg/Time"], store.types["std_msgs/msg/Header"]
    topics = joint_topics()
    path = tmp_path / "arm_0.db3"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE topics(id INTEGER, name TEXT, type TEXT, serialization_format TEXT)")
        base.execute("CREATE TABLE messages(id INTEGER, topic_id INTEGER, timestamp INTEGER, data BLOB)")
        for number, (topic, kind) in enumerate(zip(("/joints", "/cmd"), kinds, strict=True)):
            base.execute("INSERT INTO topics VALUES(?, ?, ?, 'cdr')", (number, topic, kind))
            for time, values in zip(topics[topic].log_times, topics[topic].messages, strict=True):
                if topic == "/cmd":
                    message = kinds[kind](values["data"])
                else:
                    arrays = (np.array(values["position"]), np.array(values["velocity"]), np.zeros(0))
                    message = kinds[kind](header(stamp(**values["header"]["stamp"]), ""), values["name"], *arrays)
                data = bytes(store.serialize_cdr(message, kind))
                base.execute("INSERT INTO messages VALUES(0, ?, ?, ?)", (number, time, data))
    base.close()
    same_motion(import_log(path, Reading(columns=ARM), on="/joints"))
    described = {"rosbag2_bagfile_information": {"relative_file_paths": [path.name]}}
    (tmp_path / "metadata.yaml").write_text(json.dumps(described))
    assert kind_of_log(tmp_path) == "rosbag2"
    same_motion(import_log(tmp_path, Reading(columns=ARM), on="/joints"))
    (tmp_path / "metadata.yaml").write_text(json.dumps(described).replace(path.name, f"../{path.name}"))
    with pytest.raises(DatasetError, match="uncompressed files .* of the bag, got"):
        import_log(tmp_path)
    path.write_bytes(zlib.compress(path.read_bytes()))
    with pytest.raises(DatasetError, match="whole file of rosbag2, got .*arm_0.db3"):
        import_log(path)


# --- one door -------------------------------------------------------------------------------------------------------


def test_the_door_knows_every_kind_of_log_and_what_each_may_be_told(tmp_path):
    logs = [name for name, source in SOURCES.items() if source.needs == "log"]
    assert logs == ["lerobot", "minari", "rosbag2", "mcap", "hdf5", "csv"]
    assert all(SOURCES[name].signs and callable(SOURCES[name].read) and callable(SOURCES[name].call) for name in logs)
    path = written(tmp_path, PLAIN)
    assert kind_of_log(path) == kind_of_log(tmp_path) == kind_of_log([path]) == "csv"
    other = written(tmp_path, PLAIN, "log.dat")
    with pytest.raises(DatasetError, match="path must be a log of one of the kinds .*log.dat.*kind="):
        import_log(other)
    assert len(import_log(other, kind="csv")) == 5
    with pytest.raises(DatasetError, match=r"options of csv must be among \['style'\], got \['topics'\]"):
        import_log(path, topics=["/x"])
    with pytest.raises(DatasetError, match="kind must be one of .*, got 'ppo'"):
        import_log(path, kind="ppo")


# --- coarser rates --------------------------------------------------------------------------------------------------


def test_states_are_low_passed_without_delay_and_trends_go_on():
    t = np.arange(600) * 0.01
    slow, fast = np.sin(2 * np.pi * 1.0 * t), np.sin(2 * np.pi * 21.0 * t)  # half of 20 Hz is 10 Hz
    found = low_passed(np.stack([slow, fast, 3 * t, slow + fast], 1), 5)
    inner = slice(30, -30)
    assert np.abs(found[inner, 0] - slow[inner]).max() < 2e-3
    assert np.abs(found[inner, 1]).max() < 5e-3 and np.abs(found[:, 2] - 3 * t).max() < 1e-9
    assert np.abs(found[inner, 3] - slow[inner]).max() < 6e-3
    assert np.abs(fast[::5]).max() > 0.9  # what sampling alone would have taken for motion of 1 Hz


def test_a_coarser_log_has_the_inputs_as_they_acted(tmp_path):
    t = np.arange(101) * 0.01
    angle = (3 + 2 * t + np.pi) % (2 * np.pi) - np.pi
    rows = [f"{x!r},{a!r},2.0,{i % 4}" for i, (x, a) in enumerate(zip(t.tolist(), angle.tolist(), strict=True))]
    log = import_csv(written(tmp_path, HEAD + "\n" + "\n".join(rows)), angle_positions=[0])
    for filtered in (True, False):
        coarse = decimate(log, 5, filtered=filtered)
        assert len(coarse) == 20 and coarse.control_frequency == pytest.approx(20)
        assert np.allclose(coarse.next_state[:, 0] - coarse.state[:, 0], 0.1) and np.allclose(coarse.state[:, 1], 2)
        assert np.allclose(coarse.action[:, 0], [log.action[5 * k : 5 * k + 5, 0].mean() for k in range(20)])
        assert coarse.attributes["decimated"] == 5 and coarse.attributes["input_changes"] == 1
    assert decimate(log, 1) is log
    with pytest.raises(ValueError, match="every must be a whole number >= 1, got 0"):
        decimate(log, 0)
    with pytest.raises(DatasetError, match="every must leave a row, got 101"):
        decimate(log, 101)
    with pytest.raises(DatasetError, match="discrete actions"):
        decimate(collect_random("CartPole-v1", 20, 0, 100), 2)


def test_irregular_intervals_add_up_and_weigh_their_inputs(tmp_path):
    stamps = np.cumsum([0, 0.01, 0.03, 0.01, 0.02, 0.02, 0.01])
    rows = [f"{x!r},{i},0,{i}" for i, x in enumerate(stamps.tolist())]
    log = import_csv(written(tmp_path, HEAD + "\n" + "\n".join(rows)), irregular=True)
    coarse = decimate(log, 2, filtered=False)
    assert np.allclose(coarse.delta_t, [0.04, 0.03, 0.03]) and coarse.control_frequency is None
    assert np.allclose(coarse.action[:, 0], [0.75, (2 * 0.01 + 3 * 0.02) / 0.03, (4 * 0.02 + 5 * 0.01) / 0.03])
    assert coarse.state[:, 0].tolist() == [0, 2, 4] and coarse.next_state[:, 0].tolist() == [2, 4, 6]


def test_filtered_states_stay_at_their_stamps_where_intervals_differ():
    rng = np.random.default_rng(0)
    times = np.concatenate([[0], np.cumsum(0.05 * rng.uniform(0.5, 1.5, 1200))])
    columns = {"timestamp": times, "qpos_0": np.sin(math.pi * times), "state_0": 3 * times + 1, "ctrl_0": 0 * times}
    columns["state_1"] = np.sin(2 * math.pi * 9 * times)  # above half the coarser rates
    log = make_set([Recording("x", columns)], Reading(), "t")
    for every in (2, 4, 8):
        coarse = decimate(log, every)
        true = np.sin(math.pi * (coarse.t + coarse.delta_t)) - np.sin(math.pi * coarse.t)
        inner = slice(8, -8)
        error = (coarse.next_state - coarse.state)[inner, 0] - true[inner]
        assert np.sqrt(np.mean(error**2) / np.mean(true[inner] ** 2)) < 0.03
        assert np.allclose(coarse.state[:, 1], 3 * coarse.t + 1, atol=1e-9)
        assert np.std(coarse.state[inner, 2]) < 0.25  # of 0.7
        assert np.allclose(coarse.observation, coarse.state.astype(np.float32))


def test_what_is_seen_of_a_coarser_log_is_the_filtered_state():
    log = collect_random("Pendulum-v1", 20, 0, 100)
    coarse = decimate(log, 4)
    seen = np.stack([np.cos(coarse.state[:, 0]), np.sin(coarse.state[:, 0]), coarse.state[:, 1]], axis=1)
    assert np.allclose(coarse.observation, seen, atol=1e-6)
    assert np.array_equal(decimate(log, 4, filtered=False).observation[1], log.observation[4])


def test_a_pause_inside_an_episode_bends_no_filtered_state():
    times = np.cumsum(np.random.default_rng(1).uniform(0.5, 1.5, 600)) * 0.05
    times[300:] += 40
    columns = {"timestamp": times, "qpos_0": np.sin(math.pi * times), "state_0": 3 * times, "ctrl_0": 0 * times}
    coarse = decimate(make_set([Recording("x", columns)], Reading(irregular=True), "t"), 4)
    at = times[0] + coarse.t
    assert np.allclose(coarse.state[:, 1], 3 * at, atol=1e-9)
    beside = np.abs(np.arange(len(at)) - 75) < 5
    assert np.abs(coarse.state[~beside, 0] - np.sin(math.pi * at[~beside]))[5:-5].max() < 0.03
    assert np.abs(coarse.state[:, 0] - np.sin(math.pi * at)).max() < 0.5
