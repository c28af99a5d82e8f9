"""The calculator and the log check in a real browser, on the page that has both."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from tdlib.data.sources.csv_text import CsvStyle, read_csv_text
from tdlib.data.sources.door import import_log
from tdlib.data.sources.recording import Reading
from tdlib.data.sources.stamps import in_seconds, report_stamps
from tdlib.doctor.measure import noise_of

MEASURED = Path(__file__).resolve().parents[2] / "book" / "measured"
ROWS = {  # label -> the arm that it stands for, trained at the reader's rate
    "do nothing": {"model": "jump", "method": "baseline", "form": "none"},
    "rescale it": {"model": "jump", "method": "rescaled", "form": "none"},
    "RK4 field, one rate": {"model": "first_order_ode", "method": "ode", "form": "rk4"},
    "factor Δt, three rates": {"model": "jump", "method": "multi_resolution", "form": "scaled_concat"},
}


@pytest.fixture
def address(html):
    return (html / "book/recommendations.html").as_uri()


@pytest.fixture(scope="module")
def rows(html):
    """The table that the page reads: of the published edition where the site has one."""
    site = html.parent / "site"
    folders = [site / "book/published", site]
    path = next(each for folder in folders if (each := folder / "results/metrics/statistics.csv").is_file())
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["metric"] == "one_step.relative_error"]


def table_value(rows, arm, train, test, env):
    mixed = arm["method"] == "multi_resolution"
    wanted = {
        **arm, "env": env, "test_frequency": test, "size": "hidden64",
        "data": "transitions", "train_frequency": "mixed" if mixed else train,
    }  # fmt: skip
    (row,) = (row for row in rows if wanted.items() <= row.items())
    return float(row["mean"])


def test_the_calculator_shows_the_tables_values(rows, address, new_page):
    page = new_page(address)
    box = page.locator(".td-calculator")
    train, test = (box.get_by_label(words) for words in ("Model trained at [Hz]", "Asked at [Hz]"))
    systems = box.locator("thead th").all_inner_texts()[1:]
    assert len(systems) == 3
    for given, nearest in ((("20", "50"), ("20", "50")), (("10", "5"), ("10", "5")), (("52", "19"), ("50", "20"))):
        train.fill(given[0])
        test.fill(given[1])
        readout = box.locator(".td-readout").inner_text()
        assert f"trained at {nearest[0]} Hz, asked at {nearest[1]} Hz" in readout
        assert ("Nearest" in readout) == (given != nearest)
        told = float(readout.split("=")[1].split()[0])
        assert told == pytest.approx(abs(1 - float(given[1]) / float(given[0])), rel=6e-3)
        for label, arm in ROWS.items():
            line = box.locator("tbody tr").filter(has=page.get_by_role("rowheader", name=label, exact=True))
            shown = line.locator(".td-number").all_inner_texts()
            for env, text in zip(("Pendulum-v1", "CartPole-v1", "CartPoleContinuous-v1"), shown, strict=True):
                value = table_value(rows, arm, *nearest, env)
                assert float(text.replace("−", "-").rstrip(",")) == pytest.approx(value, abs=0.00051)
    train.fill("0")
    assert "must be positive" in box.locator(".td-readout").inner_text() and box.locator("tbody tr").count() == 0


def test_a_dropped_log_says_what_the_doctor_says(address, new_page):
    page = new_page(address)
    path = MEASURED / "panda_30hz.csv"
    page.get_by_label("Drop a CSV file here").set_input_files(path)
    page.locator(".td-logcheck tbody tr").first.wait_for()
    found = page.evaluate("document.querySelector('.td-logcheck').tdFound")
    stamps = read_csv_text(path, CsvStyle()).columns["stamp_ns"]
    report = report_stamps([in_seconds(stamps, None, "stamp_ns", path.name)[0]])
    for key, value in found["stamps"].items():
        assert value == pytest.approx(getattr(report, key), rel=1e-9, abs=1e-12), key
    states = ["q1_rad", "q2_rad", "q3_rad", "q7_rad", "dq1_rad_s", "dq2_rad_s", "dq3_rad_s", "dq7_rad_s"]
    columns = {"timestamp": "stamp_ns", "state": states, "ctrl": ["tau1_nm"]}
    log = import_log(path, Reading(columns=columns))
    change = np.sqrt(np.square(log.next_state - log.state).mean(axis=0))
    by_name = {each["name"]: each["changes"][0] for each in found["columns"]}
    for name, size, noise in zip(states, change, noise_of(log), strict=True):
        assert by_name[name]["change"] == pytest.approx(size, rel=1e-9)
        assert by_name[name]["share"] == pytest.approx(math.sqrt(2) * noise / size, rel=1e-9)
    assert page.locator(".td-logcheck .td-readout").inner_text().startswith("30 Hz")
    page.get_by_label("Labeled rate [Hz]").fill("50")
    assert "Labeled 50 Hz, the stamps say 30 Hz" in page.locator(".td-findings").inner_text()


@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("dark", [False, True])
def test_a_bad_file_is_refused_by_row_and_column_at_any_width(address, new_page, tmp_path, width, dark):
    page = new_page(address, width=width, dark=dark)
    bad, column = tmp_path / "bad.csv", "time_with_a_rather_long_name_of_one_column"
    bad.write_text(f"{column},q\n0.0,1\noops,2\n0.2,3\n", encoding="utf-8")
    page.get_by_label("Drop a CSV file here").set_input_files(bad)
    said = page.locator(".td-logcheck [role=alert]")
    assert said.inner_text() == f"bad.csv: column {column} must hold numbers, got 'oops' in row 2"
    page.get_by_label("Drop a CSV file here").set_input_files(MEASURED / "imu_handheld_100hz.csv")
    page.locator(".td-logcheck tbody tr").first.wait_for()
    assert (
        "3 gaps of up to 0.0302 s (6 rows lost" in page.locator(".td-findings").inner_text() and not said.is_visible()
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_chosen_time_column_and_unit_are_used(address, new_page, tmp_path):
    page = new_page(address)
    log = tmp_path / "log.csv"
    log.write_text("when,q\n" + "\n".join(f"{20 * k},{k * k}" for k in range(80)), encoding="utf-8")
    page.get_by_label("Drop a CSV file here").set_input_files(log)
    assert (
        "one column must be the time; choose it among when, q" in page.locator(".td-logcheck [role=alert]").inner_text()
    )
    page.get_by_label("Time column").select_option("when")
    page.get_by_label("Unit of time").select_option("ms")
    assert page.locator(".td-logcheck .td-readout").inner_text().startswith("50 Hz")


def test_cases_narrow_down(html, new_page):
    for width in (375, 1440):
        page = new_page((html / "book/find_your_case.html").as_uri(), width=width)
        rows = page.locator(".td-cases tbody tr")
        whole = rows.count()
        page.get_by_label("Filter rows").fill("angle")
        shown = [row for row in rows.all() if row.is_visible()]
        assert 2 <= len(shown) < whole and all("ngle" in row.inner_text() for row in shown)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
