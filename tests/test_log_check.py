"""The log check of the page: its numbers are the doctor's on the same files, and it reads CSV as the import does."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from javascript import ScriptError, Scripts

from tdlib.data.decimate import decimate
from tdlib.data.sources.csv_text import CsvStyle, read_csv_text
from tdlib.data.sources.door import import_log
from tdlib.data.sources.recording import Reading
from tdlib.data.sources.stamps import in_seconds, report_stamps
from tdlib.doctor.bursts import was_even
from tdlib.doctor.noise import noise_of
from tdlib.doctor.rows import evened

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "book" / "measured"
SCRIPT = (ROOT / "book" / "_static" / "log_check.js").read_text(encoding="utf-8")
FILES = {  # time column, states, inputs
    "double_pendulum_a_50hz.csv": ("time_s", ["pos1_rad", "pos2_rad", "vel1_rad_s", "vel2_rad_s"], ["tau_cmd1_nm"]),
    "panda_30hz.csv": ("stamp_ns", ["q1_rad", "dq1_rad_s"], ["tau1_nm"]),
    "crazyflie_50hz.csv": ("timestamp_ms", ["x_m", "vx_m_s"], ["ax_g"]),
    "free_swing_50hz.csv": ("time_s", ["angle_rad", "velocity_rad_s"], ["torque_nm"]),
    "imu_handheld_100hz.csv": ("Time (s)", ["Gyroscope X (deg/s)"], []),
}


@pytest.fixture(scope="module")
def script():
    return Scripts(SCRIPT)


def checked(script, text, **options):
    return script(f"tdLogCheck.check({json.dumps(text)}, {json.dumps(options)})")


def message(script, text, **options):
    with pytest.raises(ScriptError) as caught:
        checked(script, text, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_its_numbers_are_the_doctors(script, name, tmp_path):
    path, (column, states, inputs) = MEASURED / name, FILES[name]
    found = checked(script, path.read_text(encoding="utf-8"))
    stamps = read_csv_text(path, CsvStyle()).columns[column]
    report = report_stamps([in_seconds(stamps, None, column, name)[0]])
    assert found["column"] == column
    for key, value in found["stamps"].items():
        assert value == pytest.approx(getattr(report, key), rel=1e-9, abs=1e-12), key
    reading = Reading(columns={"timestamp": column, "state": states, "ctrl": inputs}, stamps="repair")
    log = import_log(path, reading)
    scale = math.pi / 180 if "deg" in states[0] else 1.0
    by_name = {each["name"]: each for each in found["columns"]}
    for place, (state, noise) in enumerate(zip(states, noise_of(log), strict=True)):
        assert scale * by_name[state]["noise"] == pytest.approx(noise, rel=1e-9)
        for each in by_name[state]["changes"]:
            coarse = decimate(log, each["every"], filtered=False)
            change = math.sqrt(np.mean((coarse.next_state - coarse.state)[:, place] ** 2))
            assert scale * each["change"] == pytest.approx(change, rel=1e-9)
            assert each["share"] == pytest.approx(math.sqrt(2) * noise / change, rel=1e-9)
            assert each["rate"] == pytest.approx(1 / (each["every"] * float(np.median(log.delta_t))), rel=1e-3)


LINES = ["t,q,u", "0.0,1.0,0", "0.1,2.0,0", "0.2,4.5,0", "0.3,7.0,1"]


@pytest.mark.parametrize(
    ("text", "rows", "note"),
    [
        ("\n".join(LINES), 4, None),
        ("\ufeff# made here\n\n" + "\r\n".join(LINES) + "\r\n\r\n", 4, None),
        ("# t,q,u\n" + "\n".join(LINES[1:]), 4, "stand in a comment"),
        ("\n".join(line.replace(",", ";") for line in LINES), 4, "parted by ';'"),
        ("\n".join(line.replace(",", " ") for line in LINES), 4, "parted by blanks"),
        ("\n".join([*LINES, "0.4,8"]), 4, "the last line is cut"),
        ("\n".join(line + "," for line in LINES), 4, None),
        ("\n".join([LINES[0] + ",", *LINES[1:]]), 4, None),  # a separator behind the last name alone
        ("\n".join([LINES[0] + ",,", *(line + "," for line in LINES[1:])]), 4, None),
        ("\n".join([LINES[0] + ",constructor", *(line + ",a" for line in LINES[1:])]), 4, "left out: constructor"),
        (
            "\n".join([LINES[0] + ",said", *(line + ',"two\nli,""nes"""' for line in LINES[1:])]),
            4,
            "left out: said",
        ),
        ("\n".join([LINES[0] + ",said", *(line + ',5" pipe' for line in LINES[1:])]), 4, "left out: said"),
        ("\n".join([LINES[0] + ',"a, b"', *(line + ',"x, y"' for line in LINES[1:])]), 4, "left out: a, b"),
    ],
)
def test_a_file_as_people_have_it_is_read(script, text, rows, note, tmp_path):
    found = checked(script, text)
    assert found["stamps"]["rows"] == rows and found["stamps"]["rate"] == pytest.approx(10)
    assert [each["name"] for each in found["columns"]] == ["q", "u"]
    assert note is None or any(note in said for said in found["notes"]), found["notes"]
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    there = read_csv_text(tmp_path / "log.csv", CsvStyle())  # as the import reads it
    assert len(there.columns["q"]) == rows and list(there.columns) == found["names"]
    assert there.columns["u"][-1] == script(f"tdLogCheck.readText({json.dumps(text)}).columns.u.map(Number)")[-1]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("x", "1"), "column AUTO/3 must hold numbers, got 'x' in row 5; it is left out"),
        (("", "1"), "column AUTO/3 must hold finite numbers, got '' in row 5; it is left out"),
        (("1", "nan"), "column AUTO/3 must hold finite numbers, got 'nan' in row 6; it is left out"),
    ],
)
def test_a_column_that_nobody_needs_does_not_refuse_the_log(script, cells, said, tmp_path):
    rows = [f"{line},{extra}" for line, extra in zip(LINES, ["AUTO/3", "1", "2", "3", "4"], strict=True)]
    text = "\n".join([*rows, *(f"{0.1 * k:.1f},1,0,{cell}" for k, cell in enumerate(cells, 4))])
    found = checked(script, text)
    assert [each["name"] for each in found["columns"]] == ["q", "u"] and said in found["notes"]
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    log = import_log(tmp_path / "log.csv", Reading(columns={"timestamp": "t", "state": ["q"], "ctrl": ["u"]}))
    assert len(log.delta_t) + 1 == found["stamps"]["rows"] == 6


def test_a_quoted_cell_without_an_end_is_an_error(script):
    assert "row 4 must end its quoted cell" in message(script, "\n".join([*LINES[:-1], '0.3,7.0,"1', "0.4,8,1"]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n".join([*LINES, "0.4,1,0,7", "0.5,1,0"]), "row 5 must hold 3 cells, got 4"),
        ("t;q;u\n0,0;1,0;0\n0,1;2,0;0\n", "column t must hold numbers, got '0,0' in row 1; decimal commas"),
        ("t,q,q\n0,1,1\n1,2,2\n", "columns must have names of their own, got 'q' more than once"),
        ("q,u\n1,2\n2,3\n", "one column must be the time; choose it among q, u"),
        ("1,2\n2,3\n3,4\n", "the first line must name the columns"),
        ("t,q\n", "at least two rows, got 0 rows"),
        ("t,q\n5,1\n5,2\n5,3\n", "stamps must rise somewhere"),
        ("t,q\n0,1\n5000000,2\n10000000,3\n", "column t must be in seconds unless its unit is chosen"),
    ],
)  # fmt: skip
def test_an_error_names_row_and_column(script, text, said):
    assert said in message(script, text)


def test_whole_stamps_of_any_size_are_exact_and_a_unit_can_be_chosen(script):
    first = 1_764_000_000_123_456_789
    rows = [f"{first + 5_000_000 * k + (k % 3)},{k * k}" for k in range(50)]
    found = checked(script, "\n".join(["stamp,q", *rows]), unit="ns")
    assert found["stamps"]["rate"] == pytest.approx(1e9 / 5_000_001, rel=1e-12) and not found["stamps"]["generated"]
    named = checked(script, "\n".join(["stamp_ns,q", *rows]))
    assert named["unit"] == "ns" and named["stamps"] == found["stamps"]


def test_steps_back_repeats_gaps_and_bursts_are_those_of_the_import(script):
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.009, 0.011, 300))
    times[100:] += 0.05
    times[200:] -= 1.0
    times[50] = times[49]
    bursts = np.repeat(np.arange(60) * 0.1, 5) + np.tile(np.arange(5) * 1e-3, 60)
    for stamps in (times, bursts):
        rows = [f"{t!r},{math.sin(t)!r}" for t in stamps.tolist()]
        found = checked(script, "\n".join(["t,q", *rows]))["stamps"]
        report = report_stamps([stamps - stamps[0]])
        for key, value in found.items():
            assert value == pytest.approx(getattr(report, key), rel=1e-9, abs=1e-12), key
    assert report.bursts > 0 and found["rows"] == 300


@pytest.mark.parametrize("sent", [True, False])
def test_rates_of_rows_in_bursts_are_those_of_their_number(script, sent, tmp_path):
    """Five rows each 0.1 s make 50 Hz, whatever lies between two rows of a burst."""
    rows = np.arange(3000)
    stamps = (rows // 5) * 0.1 + (rows % 5) * 1e-3
    measured = rows * 0.02 if sent else stamps
    wave = np.sin(2 * np.pi * 0.3 * measured) + 1e-4 * np.random.default_rng(5).normal(size=3000)
    text = "\n".join(["t,q", *(f"{t:.3f},{x!r}" for t, x in zip(stamps, wave.tolist(), strict=True))])
    found = checked(script, text)
    assert found["evenly"] == sent and found["interval"] == pytest.approx(0.02, rel=0.01)
    (q,) = found["columns"]
    assert all(each["rate"] * each["every"] == pytest.approx(50, rel=0.01) for each in q["changes"])
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    log = import_log(
        tmp_path / "log.csv", Reading(columns={"timestamp": "t", "state": ["q"], "ctrl": []}, stamps="repair")
    )
    assert was_even(log) == sent
    assert q["noise"] == pytest.approx(noise_of(evened(log) if sent else log)[0], rel=1e-6)
    sentences = script(f"tdLogCheck.sentences(tdLogCheck.check({json.dumps(text)}, {{}}), 0)")
    said = next(each for each, _ in sentences if each.startswith("It can answer"))
    rate, least, truth = map(float, re.findall(r"([\d.]+) Hz", said))
    assert least < rate <= 50.5 and truth == pytest.approx(50, rel=0.01)


def test_what_a_log_can_answer_follows_its_noise(script):
    """A slow wave under white noise is clear where its change over n rows is twice the noise of two readings."""
    rng = np.random.default_rng(3)
    times, noise = np.arange(4000) * 0.01, 0.02
    wave = np.sin(2 * np.pi * 0.2 * times)
    rows = [
        f"{t:.2f},{x!r},{k % 7}"
        for k, (t, x) in enumerate(zip(times, (wave + noise * rng.normal(size=4000)).tolist(), strict=True))
    ]
    columns = {each["name"]: each for each in checked(script, "\n".join(["t,q,label", *rows]))["columns"]}
    assert columns["q"]["noise"] == pytest.approx(noise, rel=0.1)
    clear = next(
        n
        for n in (1, 2, 3, 4, 5, 8, 10, 20)
        if math.sqrt(2) * noise < 0.5 * math.hypot(0.4 * math.pi * 0.01 * n / math.sqrt(2), math.sqrt(2) * noise)
    )
    assert columns["q"]["clear"] == pytest.approx(100 / clear, rel=0.5) and columns["q"]["clear"] < 50


def test_the_script_asks_for_nothing_outside_the_page():
    assert not re.search(r"fetch\(|XMLHttpRequest|https?://|WebSocket|sendBeacon|importScripts", SCRIPT)
