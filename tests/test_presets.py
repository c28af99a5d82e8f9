"""Presets: the four of the repository load; every mistake is refused before work starts, naming key, rule and value."""

import pytest
import yaml

from tdlib.core.time_grid import delta_t_of
from tdlib.evaluation.control.rows import ORACLE_STARTS
from tdlib.grid.jobs import PHASES, grid_jobs
from tdlib.planning import planning_steps
from tdlib.study.layout import ROOT
from tdlib.study.presets import PRESET_FOLDER, PresetError, load_preset
from tdlib.study.run import open_run
from tdlib.study.selection import select_arms

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


def test_the_presets_are_the_four_of_the_design():
    assert set(PRESETS) == {"smoke", "quick", "full", "full_literal"}


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
        assert set(cell.after) <= seen, cell
        assert cell.name not in seen
        assert (ROOT / "notebooks" / f"{cell.notebook}.ipynb").is_file()
        seen.add(cell.name)


@pytest.mark.parametrize("name", ["smoke", "quick"])
def test_small_presets_start_at_most_seventeen_kernels(name):
    assert len(grid_jobs(load_preset(name))) <= 17


def test_full_splits_data_by_seed_and_later_phases_by_model():
    preset = load_preset("full")
    names = [cell.name for cell in grid_jobs(preset)]
    assert sum(name.startswith(f"cells/{PHASES[0]}-Pendulum-v1-seed") for name in names) == len(preset.seeds)
    assert sum(name.startswith(f"cells/{PHASES[1]}-Pendulum-v1-") for name in names) == len(preset.models)
