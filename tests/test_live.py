"""Live figures: a choice draws another picture, a page has the still one of the first, and no page has a widget."""

import ast
import re
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pandas as pd
import pytest
import test_figures as planted
import yaml

from tdlib.evaluation import plant_motions
from tdlib.figures import live as drawings
from tdlib.figures.live import errors_by_rate
from tdlib.figures.live_picture import LivePicture
from tdlib.publish.edition import WIDGET_VIEW, write_stripped_notebook
from tdlib.study.live import LiveFigure, live
from tdlib.study.run import Missing, open_run
from tdlib.study.statistics import intervals_by_seeds
from tdlib.systems import SYSTEMS

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))
PHASES = [path for path in NOTEBOOKS if not path.name.startswith("07")]  # 07 is the explorer itself
ENVS = ("Pendulum-v1", "CartPole-v1")


def states():
    table = planted.data_table(theta=0.0, theta_dot=0.1)
    return table.rename(columns={"train_frequency": "control_frequency"}).assign(source="ppo")


def returns():
    table = planted.control(planted.FEW[4:]).query("method != 'oracle'")
    return table.assign(regret=50.0 + table["episode"])


CASES = {  # drawing -> its table, the first choice, another one
    "live_plant": (lambda: pd.concat([plant_motions(SYSTEMS[env]) for env in ENVS], ignore_index=True),
                   {"env": ENVS[0], "control_frequency": "10"}, {"control_frequency": "5"}),
    "live_states": (states, {"control_frequency": "20", "seed": 0}, {"seed": 1}),
    "live_curve": (lambda: planted.curves(planted.FEW), {"arm": "baseline, 20 Hz", "seed": 0}, {"seed": 1}),
    "live_rollout": (lambda: planted.trajectories(planted.FEW),
                     {"arm": "baseline, 20 Hz", "test_frequency": "50", "seed": 0, "start": 0}, {"start": 1}),
    "live_returns": (returns, {"arm": "baseline, 20 Hz", "control_frequency": "50"}, {"control_frequency": "10"}),
    "live_intervals": (lambda: intervals_by_seeds(planted.everywhere(planted.one_step(planted.FEW))),
                       {"env": ENVS[0], "arm": "baseline, 20 Hz", "test_frequency": "50"}, {"test_frequency": "5"}),
    "live_errors": (lambda: errors_by_rate(planted.everywhere(planted.one_step(planted.ALL))),
                    {"env": ENVS[0], "arm": "baseline, 20 Hz"}, {"arm": "persistence"}),
}  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    return open_run("smoke")


@pytest.mark.parametrize("name", CASES)
def test_another_choice_gives_another_picture(name, run):
    table, first, other = CASES[name]
    figure = live(run, "case", getattr(drawings, name), table(), **first)
    assert isinstance(figure, LiveFigure)
    assert {column: control.value for column, control in figure.choices.items()} == first
    before = figure.shown.value
    for column, value in other.items():
        figure.choices[column].value = value
    after = figure.shown.value
    assert before != after and after.count("<img") == 1
    pictures = [re.search(r'src="([^"]+)" alt="([^"]+)"', shown).groups() for shown in (before, after)]
    assert pictures[0][0] != pictures[1][0] and pictures[0][1] != pictures[1][1]
    for column, value in first.items():
        figure.choices[column].value = value
    again = re.search(r"<figcaption>(.*)</figcaption>", figure.shown.value)[1]
    assert again == re.search(r"<figcaption>(.*)</figcaption>", before)[1]  # the same choice says the same
    # what stands on a page: a file with words, in place of the widgets
    assert figure._still.path.is_file() and "n =" in figure._still.caption and "-v1" in figure._still.caption
    bundle = figure._repr_mimebundle_()
    assert WIDGET_VIEW in bundle and bundle["text/html"] == before


@pytest.mark.parametrize("name", CASES)
def test_a_picture_does_not_depend_on_the_choices_before_it(name):
    table, first, other = CASES[name]
    table, draw = table(), getattr(drawings, name)
    used = LivePicture(draw, table, **first)
    for chosen in (first, first | other, first, first | other):
        assert used.png(**chosen) == LivePicture(draw, table, **first).png(**chosen)
    used.still()
    assert used.png(**first)[0].startswith(b"\x89PNG")


def test_a_choice_that_a_run_does_not_have_says_so():
    table, first, _ = CASES["live_curve"]
    _, words = LivePicture(drawings.live_curve, table(), **first).png(arm="baseline, 20 Hz", seed=9)
    assert words == "Chosen: baseline, 20 Hz, seed 9. This is not in this run (n = 0)."
    few = table().query("seed == 1")
    assert LivePicture(drawings.live_curve, few, arm="an arm of another run", seed=0).first["seed"] == 1


def test_without_rows_nothing_is_drawn(run):
    for table in (None, pd.DataFrame()):
        assert isinstance(live(run, "case", drawings.live_curve, table, arm="baseline, 20 Hz"), Missing)


def test_values_that_are_not_finite_are_said():
    table = planted.trajectories(planted.FEW)
    broken = table.assign(theta=np.where(table["time"] > 0.5, np.nan, table["theta"]))
    first = {"arm": "baseline, 20 Hz", "test_frequency": "50", "seed": 0, "start": 0}
    assert "is not finite" in LivePicture(drawings.live_rollout, broken, **first).png(**first)[1]
    lost = planted.curves(planted.FEW).assign(val_loss=np.inf)
    chosen = {"arm": "baseline, 20 Hz", "seed": 0}
    assert "No validation loss is finite" in LivePicture(drawings.live_curve, lost, **chosen).png(**chosen)[1]
    diverged = returns().assign(episode_return=-np.inf)
    chosen = {"arm": "baseline, 20 Hz", "control_frequency": "50"}
    assert "not finite: 4" in LivePicture(drawings.live_returns, diverged, **chosen).png(**chosen)[1]


def test_intervals_are_those_of_the_first_seeds():
    table = planted.one_step(planted.FEW).assign(relative_error=lambda rows: 1.0 + 0.2 * rows["seed"])
    table = pd.concat([table, table.assign(seed=table["seed"] + 2, relative_error=1.1)], ignore_index=True)
    found = intervals_by_seeds(table).query(
        "test_frequency == '50' and method == 'baseline' and size == 'hidden64' and data == 'transitions'"
    )
    assert found["n_seeds"].tolist() == [1, 2, 3, 4] and found["value"].tolist() == pytest.approx([1.0, 1.2, 1.1, 1.1])
    assert found["mean"].tolist() == pytest.approx([1.0, 1.1, 1.1, 1.1]) and np.isnan(found["ci_low"].iloc[0])
    half = 12.706205 * 0.1  # Student's t of one degree of freedom
    assert found["ci_high"].iloc[1] == pytest.approx(1.1 + half)
    assert (found["ci_high"] - found["ci_low"]).iloc[1:].is_monotonic_decreasing


@pytest.mark.parametrize("env", ENVS)
def test_the_motions_of_a_simulator_converge_to_the_exact_one(env):
    motions = plant_motions(SYSTEMS[env])
    ends = motions.groupby("control_frequency", sort=False).last()
    assert np.ptp(ends["time"]) < 1e-9 and np.ptp(ends["exact"]) < 1e-9  # one flow, whatever the rate
    assert motions.groupby("control_frequency")["off"].first().eq(0).all()
    worst = motions.assign(off=motions["off"].abs()).groupby("control_frequency", sort=False)["off"].max()
    assert worst.is_monotonic_decreasing and worst["200"] < 0.1 * worst["10"]


@pytest.mark.parametrize("path", PHASES, ids=lambda path: path.stem)
def test_every_phase_has_one_live_figure_and_a_link_to_the_explorer(path):
    cells = jupytext.read(path).cells
    calls = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and _calls_live(cell.source)]
    assert len(calls) == 1
    assert "[explorer](07_explorer.ipynb)" in cells[calls[0] - 1].source
    assert isinstance(ast.parse(cells[calls[0]].source).body[-1], ast.Expr)  # it is what the cell shows


def _calls_live(source: str) -> bool:
    found = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return any(isinstance(function, ast.Name) and function.id == "live" for function in found)


def test_a_page_has_the_still_picture_and_no_widget(run, tmp_path):
    table, first, _ = CASES["live_curve"]
    figure = live(run, "case", drawings.live_curve, table(), **first)
    data = figure._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", data, execution_count=1)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("live()", outputs=[output])])
    notebook.metadata["widgets"] = {WIDGET_VIEW: {"state": {}}}
    nbformat.write(notebook, tmp_path / "run.ipynb")
    write_stripped_notebook(tmp_path / "run.ipynb", tmp_path / "page.ipynb")
    page = nbformat.read(tmp_path / "page.ipynb", as_version=4)
    (kept,) = page.cells[0].outputs
    assert set(kept.data) == {"text/html"} and "<img" in kept.data["text/html"] and "alt=" in kept.data["text/html"]
    assert "widget" not in (tmp_path / "page.ipynb").read_text()
    config = yaml.safe_load((Path(__file__).parents[1] / "_config.yml").read_text())["sphinx"]["config"]
    assert config["nb_ipywidgets_js"] == {}
