"""A chapter is one file and one line: a toy one is run, checked, staged and kept by what it says of itself."""

import lzma

import nbformat
import pandas as pd
import pytest
import yaml

from tdlib.core.files import parse_yaml, write_text
from tdlib.evaluation import MEASURES
from tdlib.evaluation.tables import write_table
from tdlib.explorer.python.page import read_statistics
from tdlib.grid.checks import check_figures, check_tables
from tdlib.grid.jobs import grid_jobs
from tdlib.publish import site
from tdlib.publish.contents import leave_out_absent, own_contents, write_own_contents
from tdlib.publish.origin import ORIGIN
from tdlib.publish.staged_explorer import stage_explorer
from tdlib.study.chapters import CHAPTERS, STUDY, load_chapter, measures_of, owner_of
from tdlib.study.chapters.chapter import RESULTS, TRAINING, Chapter, Notebook, Rows
from tdlib.study.chapters.expected import any_arm, is_field, rates_tested, some
from tdlib.study.layout import ROOT, RunLayout
from tdlib.study.presets import PRESET_FOLDER, PresetError, load_preset
from tdlib.study.provenance import file_hash
from tdlib.study.run import Run, open_run
from tdlib.study.selection import arms_of

TRAIN, EVALUATE, REPORT, MORE = "10_physics_train", "11_physics_evaluate", "12_physics_report", "13_physics_visualize"
TOY = Chapter(
    notebooks={
        TRAIN: Notebook(TRAINING),
        EVALUATE: Notebook(RESULTS, "first", after=(TRAIN,)),
        REPORT: Notebook(RESULTS, "whole", after=(TRAIN, EVALUATE), reads="params"),
        MORE: Notebook(RESULTS, "whole", needs=lambda preset, env: "lstm" in preset.models),
    },
    tables={"one_step_errors": Rows(any_arm, rates_tested), "convergence_test": Rows(is_field)},
    figures={"toy/all": None, "toy/{}": lambda preset, env: env == "spaceship", "toy/fields": some(is_field)},
    shipped=lambda run, env: [run.layout.model_folder(env, "jump", "baseline_10hz", seed) for seed in (0, 1)],
    max_bytes=20_000,
    measures=("energy",),
    foretells=("toy",),
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setitem(CHAPTERS, "toy", f"{__name__}:TOY")
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path / "runs"))
    content = yaml.safe_load((PRESET_FOLDER / "physics_smoke.yaml").read_text(encoding="utf-8"))
    content |= {"name": "mine", "chapter": "toy", "environments": ["oscillator", "spaceship"], "models": ["jump"]}
    content |= {"methods": ["baseline"], "forms": ["none"]}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return open_run(tmp_path / "mine.yaml")


def test_its_notebooks_run_for_each_system_the_first_or_once_after_those_they_wait_for(run):
    jobs = {job.name: job for job in grid_jobs(run.preset)}
    trained = tuple(f"{TRAIN}-{env}" for env in ("oscillator", "spaceship"))
    assert list(jobs) == [*trained, EVALUATE, REPORT]  # nothing needs the last
    assert jobs[trained[1]].parameters == {"env": "spaceship"} and jobs[trained[1]].after == ()
    assert jobs[EVALUATE].parameters == {"env": "oscillator"} and jobs[EVALUATE].after == trained[:1]
    assert jobs[REPORT].parameters == {} and jobs[REPORT].after == (*trained, EVALUATE)
    assert jobs[REPORT].reads == "params"
    remembering = run.preset.model_copy(update={"models": ("jump", "lstm")})
    assert grid_jobs(remembering)[-1].name == MORE
    parts = {part["caption"]: [page["file"] for page in part["chapters"]] for part in own_contents(run.preset)["parts"]}
    assert parts[TRAINING] == [f"notebooks/{name}" for name in trained]
    assert parts[RESULTS][:2] == [f"notebooks/{EVALUATE}", f"notebooks/{REPORT}"]


@pytest.mark.parametrize("name", ["rate_doctor_smoke", "hardware_smoke"])
def test_a_chapter_without_checkpoints_has_a_book_of_its_own_without_an_explorer(name, tmp_path):
    """Neither trains models that a page carries; the doctor has no page of results beside its own."""
    preset = load_preset(name)
    files = [page["file"] for part in own_contents(preset)["parts"] for page in part["chapters"]]
    assert files[0] == f"notebooks/{grid_jobs(preset)[0].name}" and files.count("book/gallery") == 1
    static = tmp_path / "static"
    stage_explorer(static, tmp_path / "models", 0, tmp_path / "statistics.csv")
    assert (static / "engine.js").is_file() and not (static / "weights").exists()
    said = (static / "explorer_run.js").read_text(encoding="utf-8")
    assert '"environments"' not in said
    checkpoint = tmp_path / "models" / "oscillator" / "jump" / "baseline_20hz" / "seed1" / "model.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    with pytest.raises(ValueError, match="roots must hold checkpoints with seed 0"):
        stage_explorer(static, tmp_path / "models", 0, tmp_path / "statistics.csv")


def test_a_chapter_takes_its_own_measures_and_those_of_all(run):
    assert "energy" in measures_of("toy") and "energy" in measures_of("physics") and "energy" not in measures_of(STUDY)
    assert "dt_generalization" not in measures_of("toy") and "one_step" in measures_of("toy")
    assert set(measures_of("physics")) == set(MEASURES) - {"known_rows", "imagined", "pictures"}
    assert "known_rows" in measures_of("history") and "energy" not in measures_of("history")


def test_a_preset_of_no_chapter_is_refused(tmp_path):
    content = yaml.safe_load((PRESET_FOLDER / "physics_smoke.yaml").read_text(encoding="utf-8"))
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**content, "chapter": "toy"}), encoding="utf-8")
    with pytest.raises(PresetError, match=r"chapter must be one of \['study', 'physics'.*got 'toy'"):
        load_preset(tmp_path / "other.yaml")


def test_the_checks_ask_for_its_tables_and_figures_and_no_others(run):
    assert check_tables(run, {}) == ["one_step_errors.csv must exist"]  # there is no field
    rows = [
        {"env": env, **arm.keys(), "seed": 0, "test_frequency": rate}
        for env in run.preset.environments for arm in arms_of(run.preset) for rate in rates_tested(run.preset)
    ]  # fmt: skip
    assert check_tables(run, {"one_step_errors": pd.DataFrame(rows)}) == []
    (problem,) = check_tables(run, {"one_step_errors": pd.DataFrame(rows[:-1])})
    assert "1 are missing" in problem and "irregular" in problem
    assert check_figures(run) == [f"figure toy/{name}.png must exist" for name in ("all", "spaceship")]


@pytest.fixture
def finished(run):
    for folder in (run.layout.notebooks, run.layout.metrics, run.layout.figures / "toy", run.layout.videos):
        folder.mkdir(parents=True)
    for job in grid_jobs(run.preset):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title")])
        nbformat.write(notebook, run.layout.notebooks / f"{job.name}.ipynb")
    write_table(run.layout.metrics / "statistics.csv", pd.DataFrame({"env": ["spaceship"], "mean": [1.0]}))
    (run.layout.figures / "toy" / "all.png").write_bytes(b"figure")
    (run.layout.videos / "toy.mp4").write_bytes(b"film")
    for env in run.preset.environments:
        for checkpoint in TOY.shipped(run, env):
            checkpoint.mkdir(parents=True)
            for name in ("model.pt", "config.yaml"):
                (checkpoint / name).write_bytes(bytes(100))
    return run


def test_its_edition_keeps_what_it_ships_of_the_first_seed_within_its_own_limit(finished, tmp_path, monkeypatch):
    published, path = tmp_path / "published", str(tmp_path / "mine.yaml")
    monkeypatch.setattr(site, "PUBLISHED", published)
    statistics = pd.DataFrame({"env": ["spaceship"] * 2000, "mean": [1.5] * 2000})  # more than is kept as it is
    write_table(finished.layout.metrics / "statistics.csv", statistics)
    size = site.make_edition(path)
    packed = published / "toy/results/metrics/statistics.csv"
    assert not packed.is_file() and read_statistics(packed).equals(statistics)
    study = tmp_path / "study/metrics/statistics.csv"
    write_table(study, pd.DataFrame({"env": ["Pendulum-v1"], "mean": [2.0]}))
    site.add_rows("toy", "mine", packed.parents[1], study.parents[1])
    assert pd.read_csv(study)["env"].value_counts().to_dict() == {"spaceship": 2000, "Pendulum-v1": 1}
    kept = sorted(path.relative_to(published / "toy").as_posix() for path in (published / "toy").rglob("*.pt"))
    assert kept == [f"models/{env}/jump/baseline_10hz/seed0/model.pt" for env in ("oscillator", "spaceship")]
    assert (published / "toy" / "results/figures/toy/all.png").is_file() and site.published_chapters() == ["toy"]
    origin = parse_yaml((published / "toy" / ORIGIN).read_text(encoding="utf-8"))
    files = {p.relative_to(published / "toy").as_posix(): p for p in (published / "toy").rglob("*") if p.is_file()}
    del files[ORIGIN]
    assert origin["files"] == {name: file_hash(path) for name, path in files.items()} and origin["preset"] == "mine"
    assert {"command", "commits", "versions"} <= set(origin)
    large = finished.layout.figures / "toy" / "large.png"
    large.write_bytes(bytes(TOY.max_bytes))
    more = len("  results/figures/toy/large.png: \n") + len(file_hash(large) or "")  # its line among the hashes
    with pytest.raises(ValueError, match=rf"must be at most 20000 bytes in all, got {size + 20000 + more}"):
        site.make_edition(path)
    assert (published / "toy" / "notebooks").is_dir()  # the one before stays


def test_the_studys_edition_ships_what_pages_carry_and_of_more_seeds_what_figures_compare():
    """At the size of `full`, a single large network would take half of the room that the whole edition has."""
    preset, chapter = load_preset("full"), load_chapter(STUDY)
    run = Run(preset, RunLayout.of(preset.name))
    for env in preset.environments:
        names = {path.parent.name for path in chapter.shipped(run, env)}
        assert {"baseline_20hz", "multi_resolution_scaled_concat", "ode_rk4_20hz"} <= names
        assert not [name for name in names if name.endswith(("small", "medium", "large", "pooled", "pct"))]
        more = {path.relative_to(run.layout.models).parts[1:] for path in chapter.shipped_of_more_seeds(run, env)}
        compared = {
            ("jump", "baseline_20hz"), ("jump", "baseline_50hz"), ("jump", "dt_conditioned_scaled_concat_20hz"),
            ("jump", "multi_resolution_scaled_concat"), ("newtonian", "ode_rk4_20hz"),
        }  # fmt: skip
        assert more == {(*names, seed) for names in compared for seed in ("seed1", "seed2")}


def test_models_of_a_seed_in_a_block_are_shipped_where_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("TDLIB_RUNS", str(tmp_path))
    preset = load_preset("full").model_copy(update={"taken": tuple(range(2, 12))})
    run = Run(preset, RunLayout.of(preset.name))
    assert {path.name for path in site.shipped_checkpoints(run)} == {"seed0", "seed1"}
    there = run.layout.models / "Pendulum_v1" / "jump" / "baseline_20hz" / "seed2"
    there.mkdir(parents=True)
    assert [path for path in site.shipped_checkpoints(run) if path.name == "seed2"] == [there]


def test_an_edition_of_a_part_of_the_study_would_take_the_place_of_the_whole():
    with pytest.raises(ValueError, match="all that the book speaks of, which 'full_literal' does not run"):
        site.make_edition("full_literal")


def test_its_pages_are_staged_with_figures_beside_the_studys_and_tables_in_a_folder_of_their_own(finished, tmp_path):
    place = tmp_path / "site"
    write_table(place / "results/metrics/statistics.csv", pd.DataFrame({"env": ["Pendulum-v1"], "mean": [2.0]}))
    (place / "_toc.yml").write_text(f"- file: notebooks/{REPORT}\n", encoding="utf-8")
    layout = finished.layout
    site.stage_chapter("toy", site.Finished(layout.notebooks, layout.root / "results", layout.models, "mine"), place)
    assert [path.name for path in (place / "notebooks").iterdir()] == [f"{REPORT}.ipynb"]
    assert (place / "results/figures/toy/all.png").is_file() and (place / "results/videos/toy.mp4").is_file()
    assert [path.name for path in (place / "results/toy").iterdir()] == ["metrics"]
    rows = pd.read_csv(place / "results/metrics/statistics.csv", keep_default_na=False)
    assert list(rows["env"]) == ["Pendulum-v1", "spaceship"] and list(rows["preset"]) == ["", "mine"]


def test_of_its_verdicts_those_on_its_own_predictions_are_shown_and_say_whose_run_they_are(tmp_path, monkeypatch):
    """Two chapters have a map of one rate on one system: whose error a page shows must not depend on their order."""
    monkeypatch.setitem(CHAPTERS, "toy", f"{__name__}:TOY")
    assert [owner_of(name) for name in ("toy-law", "off-rate-formula", "prior-inside")] == ["toy", STUDY, "physics"]
    for folder, names in (("study", ["off-rate-formula"]), ("toy", ["toy-law", "prior-inside", "off-rate-formula"])):
        rows = pd.DataFrame({"prediction": names, "measured": folder})
        write_text(tmp_path / folder / "metrics/predictions.csv", rows.to_csv(index=False))
    packed = (tmp_path / "toy/metrics/predictions.csv.xz").write_bytes
    packed(lzma.compress((tmp_path / "toy/metrics/predictions.csv").read_bytes()))
    (tmp_path / "toy/metrics/predictions.csv").unlink()
    site.add_rows("toy", "mine", tmp_path / "toy", tmp_path / "study")
    rows = pd.read_csv(tmp_path / "study/metrics/predictions.csv", keep_default_na=False)
    assert rows.to_dict("list") == {
        "prediction": ["off-rate-formula", "toy-law"], "measured": ["study", "toy"], "preset": ["", "mine"],
    }  # fmt: skip


def test_a_link_to_a_notebook_that_such_a_run_has_not_keeps_its_words(finished, tmp_path):
    pages = tmp_path / "notebooks"
    pages.mkdir()
    text = f"The [explorer](07_explorer.ipynb), and [one]({REPORT}.ipynb)."
    for name in (REPORT, TRAIN):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
        nbformat.write(notebook, pages / f"{name}.ipynb")
    write_own_contents(tmp_path, finished.preset)
    found = nbformat.read(pages / f"{TRAIN}.ipynb", as_version=4)
    assert found.cells[0].source == f"The explorer, and [one]({REPORT}.ipynb)."


def test_a_notebook_that_only_some_presets_have_is_in_the_contents_where_it_is_there(tmp_path):
    name, entry = "16_history_control", "    - file: notebooks/16_history_control\n"
    contents, page = (ROOT / "_toc.yml").read_text(encoding="utf-8"), (ROOT / "book/history.md").read_text("utf-8")
    link = f"{{doc}}`planning <../notebooks/{name}>`"
    for folder in ("notebooks", "book"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_toc.yml").write_text(contents, encoding="utf-8")
    (tmp_path / "book/history.md").write_text(page, encoding="utf-8")
    notebook = tmp_path / f"notebooks/{name}.ipynb"
    for path in (notebook, tmp_path / "notebooks/08_bring_your_own.ipynb"):
        path.touch()
    leave_out_absent(tmp_path)
    assert (tmp_path / "book/history.md").read_text(encoding="utf-8") == page and link in page
    notebook.unlink()
    leave_out_absent(tmp_path)
    kept = (tmp_path / "_toc.yml").read_text(encoding="utf-8")
    gone = (entry.strip(), "- file: notebooks/23_mts3_partly_seen")  # others that are not there are a mistake
    assert entry in contents and "23_mts3_partly_seen" in contents
    assert kept == "".join(x for x in contents.splitlines(keepends=True) if not x.strip().startswith(gone))
    assert (tmp_path / "book/history.md").read_text(encoding="utf-8") == page.replace(link, "planning")
