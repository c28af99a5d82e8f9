"""The doctor's page: figures from its tables, limits for the states of a log, one file that needs nothing beside it."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from tdlib.data.decimate import decimate
from tdlib.data.sources.csv import export_csv
from tdlib.doctor import RULES, examine
from tdlib.doctor.changes import changes_table
from tdlib.doctor.command import main
from tdlib.doctor.finer import finer_table
from tdlib.doctor.limit import limits_here
from tdlib.doctor.page import SECTIONS, drawings, page
from tdlib.doctor.planted import at_step, sent_in_bursts, trained
from tdlib.doctor.plants import DELTA_T, RATE, as_log, record, spec_of
from tdlib.doctor.repair import REPAIRS, rates_table
from tdlib.doctor.rows import clock_of
from tdlib.doctor.tables import intervals_table
from tdlib.figures import draw_log_rates, draw_stamps, style
from tdlib.figures.live_picture import LivePicture
from tdlib.figures.log_changes import live_changes
from tdlib.figures.style import NothingToDrawError
from tdlib.study.phases.doctor import open_patient


@pytest.fixture(scope="module")
def found():
    fine = record("shaft", 0, 0.05, rate=2 * RATE)
    return examine(at_step(trained("shaft", 0), DELTA_T / 2), decimate(fine, 2), train_delta_t=DELTA_T / 2, label=30.0)


def test_the_limit_of_these_states_is_what_an_exact_map_errs_by():
    log, h = record("hard_spring", 0, 0.0, rate=4 * RATE), DELTA_T / 4
    table = rates_table(at_step(trained("hard_spring", 0, off=0.0), h), log, h).set_index("every")
    assert table.loc[1, "limit_here"] < 1e-9
    for name, limit in (("as it is", "limit_here"), ("rescaled", "rescaled_here")):
        assert np.allclose(table.loc[2:, name], table.loc[2:, limit], rtol=0.15)
    away = np.exp(-np.arange(200) * 0.1)[:, None] * [1.0, -1.0]
    plain = as_log([(away, np.zeros((199, 1)), np.full(199, 0.1))], spec_of("hard_spring"), 10.0)
    expected = abs(math.exp(-0.05) - math.exp(-0.1)) / (1 - math.exp(-0.1))  # between rows
    assert limits_here(plain, 1, 0.05)[0] == pytest.approx(expected, rel=0.01)
    assert all(map(math.isnan, limits_here(plain, 1, 1e3)))


def test_many_short_steps_of_a_flow_are_one_and_those_of_a_map_are_not():
    log = record("rocker", 0, 0.0)
    assert (finer_table(trained("rocker", 0), log)["defect"] < 0.01).all()
    table = finer_table(at_step(trained("rocker", 0), DELTA_T), log)
    assert np.allclose(table["defect"] / table["of_a_map"], 1, atol=0.2) and np.allclose(
        table["delta_t"] * table["parts"], DELTA_T
    )

    def strict(state, action, delta_t):
        raise ValueError("delta_t must be 0.05")

    table = finer_table(strict, log)
    assert table["defect"].isna().all() and set(table["refused"]) == {"ValueError: delta_t must be 0.05"}


def test_every_figure_is_whole_and_concludes_with_its_log(found):
    drawn = drawings(found)
    assert list(drawn) == list(SECTIONS)
    for name, drawing in drawn.items():
        figure, (width, height) = drawing.figure, drawing.figure.get_size_inches()
        figure.canvas.draw()
        box = figure.get_tightbbox()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.05, (name, box)
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        assert min(sizes) / 72 / width * style.PHONE_WIDTH >= style.PHONE_TEXT, name
        assert re.search(r"\(shaft, n = \d+ \w+\)\.$", drawing.caption) and drawing.alt.endswith("."), drawing.caption
        assert len(drawing.data)


def test_sentences_turn_with_what_was_found(found):
    healthy = examine(trained("shaft", 0), record("shaft", 0, 0.0))
    said, calm = ({name: each.caption for name, each in drawings(x).items()} for x in (found, healthy))
    assert "The verdict is label wrong; other rate would apply too" in said["verdict"]
    assert "The verdict is healthy field; none below it applies" in calm["verdict"]
    assert "is labeled 30 Hz and has 20 Hz, 0.67 times as much" in said["stamps"] and "are equal" in calm["stamps"]
    assert "8 steps of 6.25 ms differ from one by" in said["finer"]
    assert "as an exact map of its step does" in said["rates"] and "as an exact map" not in calm["rates"]
    assert "no rule takes one of these for its repair" in calm["trials"]
    table = found.rates.assign(**{"as it is": math.nan, "refused": "as it is: ValueError: no"})
    caption = draw_log_rates(table, found.h, "shaft").caption
    assert "the model gives no number" in caption and "No number: as it is: ValueError: no." in caption
    with pytest.raises(NothingToDrawError):
        draw_log_rates(table.iloc[:0], found.h, "shaft")


def test_pauses_and_bursts_are_drawn_as_they_are():
    log = record("rocker", 0, 0.0)
    starts = np.arange(log.num_episodes) * 30.0  # one clock, five stretches of six seconds
    later = dataclasses.replace(log, t=log.t + np.repeat(starts, log.episode_lengths))
    table = intervals_table(later)
    assert (table["pause"] > 0).sum() == 4 and table["pause"].max() == pytest.approx(24.0)
    assert "4 pauses of up to 24 s begin an episode" in draw_stamps(table, RATE, "rocker").caption
    assert not intervals_table(log)["pause"].any()  # each file begins its own clock
    _, sent, _ = sent_in_bursts("rocker", 0, 0.0)
    caption = draw_stamps(intervals_table(sent), RATE, "rocker", RATE).caption
    assert "The log has the 20 Hz of its label; its intervals spread by" in caption


def test_the_page_is_one_file_that_asks_for_nothing(found):
    text = page(found, model="a<b>:step", log="arm.csv")
    assert "a&lt;b&gt;:step" in text and "<b>:step" not in text
    addresses = re.findall(r"(?:src|srcset|href)=\"([^\"]{0,30})", text)
    assert len(addresses) == 2 * len(SECTIONS) and all(each.startswith("data:image/png;base64,") for each in addresses)
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text) and "<script" not in text and "@import" not in text
    assert text.count('media="(prefers-color-scheme: dark)"') == len(SECTIONS)
    assert "def repaired(state, action, delta_t, h=0.025):" in text and "limit, these states" in text
    for words in (found.verdict.rule.remedy, found.verdict.evidence, *SECTIONS.values()):
        assert words.replace("'", "&#x27;") in text
    assert len(text.encode()) < 1_000_000


def test_the_command_writes_the_page_beside_its_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_model.py").write_text("def still(state, action, delta_t):\n    return state\n")
    logs = export_csv(record("rocker", 0, 0.0), tmp_path / "logs")
    assert main(["own_model:still", str(logs), "--out", "answers/new"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("Verdict: ") and said.rstrip().endswith("Page: answers/new/doctor.html")
    text = (tmp_path / "answers" / "new" / "doctor.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and "own_model:still" in text and [*(tmp_path / "answers/new").iterdir()]


def test_a_model_that_gives_no_number_has_a_page_of_what_there_is():
    log = record("rocker", 0, 0.0)
    lost = examine(lambda state, action, delta_t: math.nan * state, log)
    assert list(drawings(lost)) == ["verdict", "stamps", "rates", "finer"] and page(lost, model="m", log="l")


def test_a_folder_that_is_a_file_is_said_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_model.py").write_text("def still(state, action, delta_t):\n    return state\n")
    logs = export_csv(record("rocker", 0, 0.0), tmp_path / "logs")
    assert main(["own_model:still", str(logs), "--out", "own_model.py"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "own_model.py" in said and said.count("\n") == 1


def test_a_choice_of_rate_and_repair_moves_the_small_figure():
    log, h = record("rocker", 0, 0.0), DELTA_T
    table = changes_table(at_step(trained("rocker", 0), h), log, h, every=(1, 2))
    assert set(table["rate"]) == {"20", "10"} and set(table["repair"]) == set(REPAIRS)
    picture = LivePicture(live_changes, table, repair="as it is", rate="20")
    own, words = picture.png(repair="as it is", rate="20")
    other, slow = picture.png(repair="as it is", rate="10")
    assert own != other and "Predicted changes are 0.99" in words.replace("1 times", "0.99 times")
    assert re.search(r"changes are 0\.[45]\d* times the recorded ones", slow) and "(rocker, n = " in slow

    def fenced(state, action, delta_t):
        raise ValueError("not today")

    assert changes_table(fenced, log, h).empty


def test_the_books_patient_is_the_record_at_half_its_rate_and_others_are_given_whole(tmp_path):
    patient = open_patient()
    assert patient.train_delta_t == pytest.approx(0.02, rel=1e-3) and clock_of(patient.log).rate == pytest.approx(
        25, rel=1e-3
    )
    found = examine(patient.model, patient.log, train_delta_t=patient.train_delta_t)
    assert found.verdict.name == "other rate" and found.verdict.expected_error < 0.2 < found.findings.error
    with pytest.raises(ValueError, match="model and log must be given both or neither, got model='a:b' and log=''"):
        open_patient("a:b")
    logs = export_csv(record("rocker", 0, 0.0), tmp_path / "logs")
    own = open_patient("tdlib.doctor.planted:healthy_field", str(logs), {}, 0.05)
    assert own.train_delta_t == 0.05 and len(own.log) == len(record("rocker", 0, 0.0))


def test_the_chapter_lists_the_rules_as_they_are():
    page = (Path(__file__).parents[1] / "book" / "doctor.md").read_text(encoding="utf-8").replace("`", "")
    rows = [f"| {rule.name} | {rule.verdict} | {rule.remedy} |" for rule in RULES]
    assert "\n".join(rows) in page and page.count("\n| ") == len(rows) + 1
