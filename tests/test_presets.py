"""Presets: the four of the repository load; every mistake is refused before work starts, naming key, rule and value."""

import re

import pytest
import yaml

from tdlib.core.time_grid import delta_t_of
from tdlib.evaluation.control.rows import ORACLE_STARTS
from tdlib.grid.jobs import PHASES, cells_of_seeds, grid_jobs
from tdlib.planning import planning_steps
from tdlib.study.chapters import CHAPTERS, STUDY
from tdlib.study.layout import ROOT
from tdlib.study.predicted_cost import of_all_seeds
from tdlib.study.presets import PRESET_FOLDER, PresetError, load_preset
from tdlib.study.run import open_run
from tdlib.study.selection import arms_of, select_arms

PRESETS = sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml"))


@pytest.fixture
def smoke() -> dict:
    return yaml.safe_load((PRESET_FOLDER / "smoke.yaml").read_text())


@pytest.mark.parametrize("name", PRESETS)
def test_presets_of_the_repository_load(name):
    assert load_preset(name).name == name


@pytest.mark.parametrize("name", PRESETS)
def test_control_of_the_presets_compares_like_with_like(name):
    """As many plans per second at every rate that is compared, and a mark that rests on twenty starts."""
    preset = load_preset(name)
    control, seeds = preset.control, len(preset.seeds)
    counts = {
        len(planning_steps(round(60 * rate), delta_t_of(rate), control.replan_seconds)) for rate in control.frequencies
    }
    assert counts == {round(60 / control.replan_seconds)}
    assert control.oracle_episodes(seeds) * seeds >= ORACLE_STARTS
    assert control.oracle_episodes(seeds) >= control.episodes_per_seed
    if name == "full":
        assert (seeds, control.oracle_episodes(seeds), control.episodes_per_seed) == (12, 5, 5)


def test_the_presets_are_those_of_the_design():
    """A chapter has one for each size of the study; where seconds are enough, quick shows the whole one."""
    others, small = {name for name in CHAPTERS if name != STUDY}, {"hardware"}
    chapters = {name + size for name in others for size in ("", "_quick", "_smoke")} - {f"{n}_quick" for n in small}
    cards = {"visual_gpu"}  # at widths that ask for a graphics card
    assert set(PRESETS) == {"smoke", "quick", "full", "full_literal"} | chapters | cards
    for name, size in (("smoke", "_smoke"), ("quick", "_quick"), ("full", "")):
        beside = [load_preset(run) for run in load_preset(name).chapters]
        wanted = {each if size == "_quick" and each in small else each + size: each for each in others}
        assert {run.name: run.chapter for run in beside} == wanted


def change(content: dict, key: str, value: object) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        content = content[parent]
    content[last] = value


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("trainng", {}, ["trainng", "unknown key"]),
        ("training.steps", 10, ["training.steps", "unknown key", "10"]),
        ("collection.planned_share", 1.0, ["collection.planned_share", "less than 1", "1.0"]),
        ("training.num_steps", "many", ["training.num_steps", "integer", "'many'"]),
        ("training.num_steps", 0, ["training.num_steps", "greater than or equal to 1", "0"]),
        ("training.learning_rate", -1, ["training.learning_rate", "greater than 0", "-1"]),
        ("training.batch_size", 100, ["batch_size", "multiple of the model's window", "100", "16"]),
        ("training.num_epochs", 3, ["training", "exactly one of num_steps and num_epochs"]),
        ("seeds", [], ["seeds", "at least 1"]),
        ("seeds", [0, 0], ["seeds", "differ"]),
        ("seeds", [-1], ["seeds", "greater than or equal to 0", "-1"]),
        ("environments", ["Pendulum-v2"], ["environments", "Pendulum-v1", "'Pendulum-v2'"]),
        ("models", ["jmp"], ["models", "jump", "'jmp'"]),
        ("sizes", ["huge"], ["sizes", "small", "'huge'"]),
        ("train_frequencies", [], ["train_frequencies", "at least 1"]),
        ("train_frequencies", [10, 20, 40], ["test_frequencies", "every training rate", "40"]),
        ("test_frequencies", [10, 20, 50, 0], ["test_frequencies", "greater than 0", "0"]),
        ("test_frequencies", [10, 20, 50, 5000], ["test_frequencies", "0.001 s", "5000"]),
        ("test_frequencies", [10, 20], ["test_frequencies", "every training rate", "50"]),
        ("evaluation.horizon", 0.1, ["evaluation.horizon", "one step of every rate", "0.1"]),
        ("control.replan_seconds", 0.25, ["control", "replan_seconds", "whole number", "every rate", "0.25", "10"]),
        ("control.replan_seconds", 0.05, ["control", "replan_seconds", "whole number", "every rate", "0.05", "10"]),
        ("control.replan_seconds", 0.5, ["control.replan_seconds", "at most the 0.3 s", "CartPole-v1", "0.5"]),
        ("control.replan_seconds", None, ["control.replan_seconds", "number", "None"]),  # at every step: unequal rates
        ("control.frequencies", [10, 20, 16], ["control", "replan_seconds", "whole number", "0.3", "16"]),
        ("control.extra_frequencies", [5, 20], ["control", "extra_frequencies must differ", "20"]),
        ("control.extra_frequencies", [0.5], ["control", "episode_seconds", "0.5 Hz"]),
        ("control.extra_frequencies", [2], ["control.frequencies", "CartPole-v1", "enumeration", "0.3 s", "2.0 Hz"]),
        ("control.num_samples", 5, ["control", "num_samples", "at least 6", "5"]),
        ("control.oracle_starts", 0, ["control.oracle_starts", "greater than or equal to 1", "0"]),
        ("device", "tpu", ["device", "'cpu'", "'tpu'"]),
        ("name", "my preset", ["name", "my preset"]),
    ],
)
def test_a_mistake_is_refused_with_key_rule_and_value(smoke, tmp_path, key, value, words):
    change(smoke, key, value)
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(smoke))
    with pytest.raises(PresetError) as error:
        load_preset(path)
    assert all(word in str(error.value) for word in words), error.value


def test_a_missing_key_is_refused(smoke, tmp_path):
    del smoke["training"]
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(smoke))
    with pytest.raises(PresetError, match="training: required key is missing"):
        load_preset(path)


@pytest.mark.parametrize(("text", "words"), [("a: [", "valid YAML"), ("- 1\n", "mapping"), ("", "mapping")])
def test_a_file_that_is_no_preset_is_refused(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(PresetError, match=words):
        load_preset(path)


def test_an_unknown_preset_lists_those_that_exist():
    with pytest.raises(PresetError, match=r"smoke.*'quickk'"):
        load_preset("quickk")


def test_yaml_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(PresetError, match="valid YAML"):
        load_preset(path)


def test_a_choice_outside_the_preset_is_refused():
    run = open_run("smoke")
    with pytest.raises(PresetError, match=r"seeds must be among .*\[0\].*\[7\]"):
        run.select_seeds([7])
    with pytest.raises(PresetError, match=r"models must be among .*'jmp'"):
        select_arms(run, models=["jmp"])
    with pytest.raises(PresetError, match=r"env must be among .*'Acrobot-v1'"):
        run.select_environment("Acrobot-v1")


@pytest.mark.parametrize("name", PRESETS)
def test_every_job_waits_only_for_jobs_before_it(name):
    cells = grid_jobs(load_preset(name))
    seen: set[str] = set()
    for cell in cells:
        assert {*cell.after, *cell.order} <= seen, cell
        assert cell.name not in seen
        assert (ROOT / "notebooks" / f"{cell.notebook}.ipynb").is_file()
        seen.add(cell.name)


@pytest.mark.parametrize("name", ["smoke", "quick"])
def test_small_presets_start_at_most_seventeen_kernels(name):
    assert len(grid_jobs(load_preset(name))) <= 17


def test_full_splits_data_by_seed_and_later_phases_by_model_and_seeds():
    preset = of_all_seeds(load_preset("full"))
    names = [cell.name for cell in grid_jobs(preset)]

    def count(phase: int, rest: str) -> int:
        return sum(name.startswith(f"cells/{PHASES[phase]}-Pendulum-v1-{rest}") for name in names)

    blocks = len(preset.seeds) // preset.seeds_per_cell
    assert count(0, "seed") == len(preset.seeds)
    assert count(1, "lstm") == count(3, "lstm") == blocks
    assert count(1, "jump-seeds") == count(3, "jump") == blocks  # larger networks are not planned with
    assert (count(1, "jump-small"), count(1, "jump-medium"), count(1, "jump-large")) == (15, 15, 3 + 1 + 1)
    assert count(1, "none") == 0 and count(2, "none") == blocks


def test_a_chapter_collects_by_seed_trains_by_model_and_seeds_and_evaluates_by_model():
    preset = load_preset("physics")
    jobs = {job.name: job for job in grid_jobs(preset)}
    where = "cells/10_physics_train-pendulum"
    data = [f"{where}-seed{seed}" for seed in preset.seeds]
    assert [jobs[name].parameters for name in data] == [
        {"env": "pendulum", "models": ["none"], "seeds": [seed]} for seed in preset.seeds
    ]
    block = jobs[f"{where}-newtonian-seeds2"]
    assert block.parameters == {"env": "pendulum", "models": ["newtonian"], "seeds": [2]}
    assert block.after == (data[2],) and not any(jobs[name].after for name in data)
    whole = jobs["10_physics_train-pendulum"]
    own = {name for name in jobs if name.startswith(where)}
    assert set(whole.after) == own and len(own) == 5 + 5 * len(preset.models)
    first, other = (jobs[f"cells/11_physics_evaluate-pendulum-{model}"] for model in ("jump", "newtonian"))
    assert other.parameters == {"env": "pendulum", "models": ["newtonian"]}
    assert other.after == (*(f"{where}-newtonian-seeds{seed}" for seed in preset.seeds), first.name)
    assert first.name not in first.after and len(first.after) == 5
    shown = jobs["11_physics_evaluate-pendulum"].after
    assert shown[0] == "10_physics_train-pendulum" and len(shown) == 1 + len(preset.models)


def test_a_block_of_seeds_is_all_cells_of_these_seeds_and_no_other():
    preset = of_all_seeds(load_preset("full"))
    block = cells_of_seeds(preset, [0, 1, 2, 3])
    names = {job.name for job in block}
    assert {seed for job in block for seed in job.parameters["seeds"]} == {0, 1, 2, 3}
    assert all(job.name.startswith("cells/") for job in block)
    others = {job.name for seeds in ([4, 5, 6, 7], [8, 9, 10, 11]) for job in cells_of_seeds(preset, seeds)}
    cells = {job.name for job in grid_jobs(preset) if job.name.startswith("cells/")}
    assert not names & others and names | others == cells
    last = cells_of_seeds(preset, [8, 9, 10, 11])
    for some in (block, last):  # any of them may be the first: it needs nothing of other seeds
        assert {name for job in some for name in job.after} <= {job.name for job in some}
    assert {name for job in last for name in job.order} & names  # but no two write into the same tables at once
    for seeds, words in (([0, 1, 2], "whole cells of 2, got [0, 1, 2]"), ([12], "seeds must be among")):
        with pytest.raises(ValueError, match=re.escape(words)):
            cells_of_seeds(preset, seeds)
    with pytest.raises(ValueError, match=r"among the preset's \[0, 1\], got \[2\]; those in taken lie in blocks"):
        cells_of_seeds(preset.model_copy(update={"taken": tuple(range(2, 12))}), [2])
    with pytest.raises(ValueError, match="preset must have cells .* smoke has none"):
        cells_of_seeds(load_preset("smoke"), [0])


def test_some_arms_have_fewer_seeds():
    preset = load_preset("full")
    arms = arms_of(preset)
    seeds = {(arm.size, arm.method, arm.data): len(preset.seeds_of(arm)) for arm in arms}
    assert seeds["hidden64", "baseline", "transitions"] == seeds["none", "persistence", "none"] == 12
    assert seeds["small", "baseline", "transitions"] == seeds["hidden64", "baseline", "seconds_30pct"] == 5
    assert seeds["large", "baseline", "transitions"] == 3 and seeds["large", "dt_conditioned", "transitions"] == 1
    assert {arm.train_frequency for arm in arms if arm.size == "large"} == {"20", "mixed"}


def test_a_planner_collects_only_where_there_is_one(smoke, tmp_path):
    """Whose set is an agent's has no use for it; a planner's noise is for inputs in a box."""
    smoke["collection"]["planned_share"] = 0.5
    path = tmp_path / "planned.yaml"
    path.write_text(yaml.safe_dump(smoke))
    preset = load_preset(path)
    shares = {env: preset.planned_share(env) for env in preset.environments}
    assert shares == {"Pendulum-v1": 0.0, "CartPole-v1": 0.0, "CartPoleContinuous-v1": 0.5}
    smoke["control"]["num_iterations"] = 3
    for planned, iterations in ((None, 3), (1, 1)):
        smoke["collection"]["planned_iterations"] = planned
        path.write_text(yaml.safe_dump(smoke))
        preset = load_preset(path)
        budgets = [preset.planner("CartPoleContinuous-v1", collecting=each) for each in (False, True)]
        assert [planner.num_iterations for planner in budgets] == [3, iterations]
    path.write_text(yaml.safe_dump({**smoke, "environments": ["Pendulum-v1"]}))
    with pytest.raises(
        PresetError, match=r"collection.planned_share must be 0 where no system has a task.*got 0.5 for"
    ):
        load_preset(path)
