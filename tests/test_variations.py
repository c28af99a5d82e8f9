"""Variations of main arms: parts of the data, errors of a sensor, other losses, other training, and their figure."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from notebook_cells import run_cells

from tdlib import figures
from tdlib.core.facts import Data, data_of, part_of_data, with_friction_in_name, with_noise_in_name
from tdlib.data import collect_sequences, load_dataset
from tdlib.data.noise import with_noise
from tdlib.figures.style import NothingToDrawError
from tdlib.grid.checks import check_tables
from tdlib.study.arms import Arm
from tdlib.study.cost import preset_work
from tdlib.study.phases.collect import collect_environment, friction_dataset_path, main_dataset_path
from tdlib.study.phases.evaluate import evaluate_environment, load_test_set
from tdlib.study.phases.limit_tables import limit_curves
from tdlib.study.phases.seed_data import load_seed_data
from tdlib.study.phases.train import train_environment
from tdlib.study.presets import PresetError, load_preset
from tdlib.study.prior_ratios import prior_ratios
from tdlib.study.run import Missing, open_run
from tdlib.study.selection import arms_of, everything, select_arms
from tdlib.study.statistics import merge_parts
from tdlib.systems import SYSTEMS

ENV = "oscillator"
PRESET = {
    "name": "tiny",
    "chapter": "physics",
    "description": "Variations at toy size.",
    "environments": [ENV, "spaceship"],
    "seeds": [0],
    "models": ["jump", "newtonian"],
    "methods": ["multi_resolution", "ode"],
    "forms": ["scaled_concat", "rk4"],
    "data": ["transitions"],
    "train_frequencies": [5, 10],
    "test_frequencies": [5, 10],
    "collection": {"num_transitions": 800, "num_random_transitions": 800, "sequence_length": 20},
    "training": {"num_steps": 4, "learning_rate": 0.003},
    "evaluation": {"num_pairs": 24, "num_starts": 2, "horizon": 1.0, "hold": 1.0, "num_steps": 3},
    "control": {"frequencies": [5, 10], "replan_seconds": 0.2},
    "checks": {"max_own_rate_error": 2.0},
    "variations": [
        {"environments": [ENV], "models": ["jump", "newtonian"], "amounts": [0.1], "noise": [0.1], "friction": [0, 3]},
        {"environments": [ENV], "models": ["newtonian"], "training_modes": ["shooting"], "solvers": ["midpoint"]},
    ],
}
NAMES = ["transitions_10pct", "transitions_noise10pct", "transitions_friction0", "transitions_friction3"]


def load(tmp_path, **changes):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(PRESET | changes))
    return load_preset(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    (root / "tiny.yaml").write_text(yaml.safe_dump(PRESET))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        run = open_run(root / "tiny.yaml")
        chosen = select_arms(run, train_frequencies=["mixed"])
        train_environment(run, ENV, chosen)
        evaluate_environment(run, ENV, select_arms(run, models=["newtonian"], train_frequencies=["mixed"]))
        yield run


# --- names and arms ---------------------------------------------------------------------------------------------------


def test_names_of_data_say_what_they_were_made_of():
    made = [part_of_data("seconds", 0.1), with_noise_in_name("transitions", 0.005), with_friction_in_name("pooled", 0)]
    assert made == ["seconds_10pct", "transitions_noise0.5pct", "pooled_friction0"]
    assert [data_of(name) for name in made] == [
        Data("seconds", share=0.1),
        Data("transitions", noise=0.005),
        Data("pooled", friction=0.0),
    ]
    assert data_of("transitions") == Data("transitions") and data_of("none").friction == 1


def test_a_variation_changes_one_thing_of_the_arms_of_several_rates_on_its_systems(tmp_path):
    preset = load(tmp_path)
    plain = arms_of(load(tmp_path, variations=[]))
    there, elsewhere = arms_of(preset, ENV), arms_of(preset, "spaceship")
    assert elsewhere == plain and there[: len(plain)] == plain and set(arms_of(preset)) == set(there)
    network = Arm("jump", "multi_resolution", "scaled_concat", train_frequency="mixed")
    field = Arm("newtonian", "ode", "rk4", train_frequency="mixed")
    expected = [dataclasses.replace(arm, data=name) for arm in (network, field) for name in NAMES]
    expected += [dataclasses.replace(field, method="ode_shooting"), dataclasses.replace(field, form="midpoint")]
    assert set(there[len(plain) :]) == set(expected) and len(there) == len(plain) + len(expected)
    assert not any(arm.acts for arm in expected[: 2 * len(NAMES)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"environments": ["pendulum"]}, r"variations.0.environments must be among the preset's .*got \['pendulum'\]"),
        ({"models": ["lstm"]}, r"variations.0.models must be among the preset's .*got \['lstm'\]"),
        ({"noise": [0]}, r"variations.0.noise.0: .*greater than 0.*got 0"),
        ({"friction": [1]}, r"variations.0.friction: .*must differ from 1.*got \[1"),
        ({"friction": [-1]}, r"variations.0.friction.0: .*greater than or equal to 0.*got -1"),
        ({"environments": ["spaceship"], "friction": [3]}, "variations.0.friction must be of systems that declare"),
        ({"solvers": ["rk5"]}, "variations.0.solvers: .*rk5"),
        ({"nois": [0.1]}, "variations.0.nois: unknown key"),
    ],
)
def test_a_mistake_in_a_variation_is_refused(tmp_path, changes, words):
    with pytest.raises(PresetError, match=words):
        load(tmp_path, variations=[{"environments": [ENV], "models": ["jump"], **changes}])


def test_friction_needs_sets_that_are_collected_as_sequences(tmp_path):
    collection = {"num_transitions": 800, "num_random_transitions": 800}
    rules = [{"environments": [ENV], "models": ["jump"], "friction": [3]}]
    with pytest.raises(PresetError, match="collected as sequences"):
        load(tmp_path, variations=rules, collection=collection)


# --- losses and errors ------------------------------------------------------------------------------------------------


def test_losses_are_moved_away_from_the_lossless_value_and_drawn_over_wider_ranges():
    oscillator, ball = SYSTEMS[ENV], SYSTEMS["bouncing_ball"]
    thrice = oscillator.with_losses(3)
    assert thrice.parameters["damping"] == pytest.approx(0.3) and thrice.parameters["mass"] == 0.5
    assert thrice.parameter_ranges["damping"] == pytest.approx((0.3, 3.0)) and thrice.spec == oscillator.spec
    assert oscillator.with_losses(1) is oscillator
    low, high = ball.parameter_ranges["restitution"]
    assert ball.with_losses(2).parameter_ranges["restitution"] == pytest.approx((2 * low - 1, 2 * high - 1))
    state = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    idle = torch.ones(1, 1, dtype=torch.float64)  # the middle one of three forces
    none = oscillator.with_losses(0)
    drawn = none.draw_parameters(1, torch.Generator().manual_seed(0))
    kept = none.total_energy(none.flow(state, idle, 3.0, drawn), drawn)
    assert torch.allclose(kept, none.total_energy(state, drawn), rtol=1e-9)
    with pytest.raises(ValueError, match="factor must be finite and >= 0.*got -1"):
        oscillator.with_losses(-1)
    with pytest.raises(ValueError, match="declares what it loses, got 2 of spaceship"):
        SYSTEMS["spaceship"].with_losses(2)


def test_one_reading_ends_an_interval_and_begins_the_next():
    clean = collect_sequences("pendulum", 40, 30, seed=0)
    scale = clean.state.std(axis=0)
    noisy = with_noise(clean, 0.1, scale, seed=1)
    inside = np.setdiff1d(np.arange(len(clean)), clean.episode_offsets[1:] - 1)
    gap = noisy.next_state[inside] - noisy.state[inside + 1]
    gap[:, 0] = np.angle(np.exp(1j * gap[:, 0]))
    assert np.abs(gap).max() < 1e-9
    assert (np.abs(noisy.state[:, 0]) <= np.pi).all() and np.abs(noisy.next_state[:, 0]).max() > np.pi
    error = noisy.state - clean.state
    error[:, 0] = np.angle(np.exp(1j * error[:, 0]))
    assert error.std(axis=0) / scale == pytest.approx([0.1, 0.1], rel=0.1)  # 1200 numbers
    changes = (noisy.next_state - noisy.state) - (clean.next_state - clean.state)
    assert changes.std(axis=0) / scale == pytest.approx([0.1 * 2**0.5] * 2, rel=0.1)
    less = with_noise(clean, 0.01, scale, seed=1)
    assert np.allclose((less.state - clean.state)[:, 1] * 10, error[:, 1])  # the same numbers, ten times smaller
    assert np.allclose(with_noise(clean, 0.0, scale, seed=1).next_state, clean.next_state)
    assert not np.allclose(with_noise(clean, 0.1, scale, seed=2).state, noisy.state)
    with pytest.raises(ValueError, match="share must be finite and >= 0, got -1"):
        with_noise(clean, -1, scale, seed=0)


# --- a run ------------------------------------------------------------------------------------------------------------


def test_variations_train_on_parts_on_noisy_states_and_on_other_losses(run):
    data = load_seed_data(run, ENV, 0)
    whole = data.share["transitions"]
    for rate, (part, _) in whole.items():
        few, noisy, none, thrice = (data.share[name][rate][0] for name in NAMES)
        assert len(few) == len(part) // 10 and torch.equal(few.state, part.state[: len(few)])
        assert len(noisy) == len(none) == len(thrice) == len(part)
        assert 0.05 < float((noisy.state - part.state).std() / part.state.std()) < 0.2
        assert torch.equal(none.state[0], part.state[0]) and not torch.equal(none.next_state, part.next_state)
        assert (none.parameters == 0).all() and torch.allclose(thrice.parameters, 3 * part.parameters)
    arms = {arm.data: arm for arm in arms_of(run.preset, ENV) if arm.model == "jump"}
    for name in NAMES[1:]:  # their own, noisy too: no clean states are at hand where a sensor errs
        val = data.parts(arms[name])[1]
        assert all(
            torch.equal(part.state, data.val[name][rate][0].state) for (part, _), rate in zip(val, whole, strict=True)
        )
    val = data.parts(arms[NAMES[0]])[1]
    assert [len(part) for part, _ in val] == [len(part) for part, _ in data.val["transitions"].values()]


def test_variations_are_tested_on_clean_states_and_on_the_losses_that_they_were_trained_with(run):
    tables = merge_parts(run)
    errors = tables["one_step_errors"]
    assert {*NAMES, "transitions", "none"} == set(errors["data"])
    assert {"ode", "ode_shooting"} <= set(errors["method"]) and "midpoint" in set(errors["form"])
    there = [arm for arm in arms_of(run.preset, ENV) if arm.model == "none" or arm.model == "newtonian"]
    there = [arm for arm in there if arm.train_frequency in ("", "mixed")]
    keys = ["model", "method", "form", "size", "data", "train_frequency"]
    assert set(errors[keys].itertuples(index=False, name=None)) == {tuple(arm.keys().values()) for arm in there}
    worlds = {factor: load_test_set(run, ENV, 0, factor) for factor in (0.0, 1.0, 3.0)}
    pairs = {factor: world.pairs["pooled"] for factor, world in worlds.items()}
    assert torch.equal(pairs[0.0].action, pairs[1.0].action)
    still = [float(pairs[factor].increment[..., 1].square().mean()) for factor in (0.0, 1.0, 3.0)]
    assert still[0] > still[1] > still[2]
    unforced = tables["energy_drift"].query("kind == 'unforced' and model == 'newtonian'")
    assert set(unforced["data"]) == {*NAMES, "transitions"} and (unforced["true_drift"] < 1e-9).all()
    assert collect_environment(run, ENV)["policy"].tolist().count("random, friction3") == 2


def test_the_limit_of_hidden_friction_grows_with_it_and_is_none_without(run):
    table = limit_curves(run, ENV).set_index(["limit", "test_frequency"])["relative_error"]
    none, drawn, thrice = (
        table[name]["10"]
        for name in ("friction0 hidden_parameters", "hidden_parameters", "friction3 hidden_parameters")
    )
    assert none == 0 and 0.02 < drawn < thrice


def test_what_is_collected_and_trained_is_counted(run):
    work = preset_work(run.preset)
    collected = work[(work["kind"] == "collection") & (work["env"] == ENV)]["count"].sum()
    sets = [(main_dataset_path, {})] + [(friction_dataset_path, {"factor": factor}) for factor in (0.0, 3.0)]
    found = [load_dataset(path(run, ENV, rate, 0, **how), rate) for path, how in sets for rate in (5.0, 10.0)]
    assert collected == sum(map(len, found))
    trained = work[(work["kind"] == "training") & (work["env"] == ENV)]["count"].sum()
    assert trained == 4 * len(everything(run).on(ENV).trained_members)


def test_a_variation_is_asked_of_the_systems_that_have_it(run):
    arms = {env: [arm for arm in arms_of(run.preset, env) if arm.source == arm] for env in run.preset.environments}
    rows = [{"env": env, **arm.keys(), "seed": 0} for env, found in arms.items() for arm in found]

    def missing(table):
        return [line for line in check_tables(run, {"training_summary": table}) if "training_summary" in line]

    table = pd.DataFrame(rows)
    assert missing(table) == []
    (line,) = missing(table[table["data"] != NAMES[1]])
    assert "2 are missing" in line and f"'{ENV}'" in line and NAMES[1] in line


def test_a_cell_that_only_collects_shows_its_data_and_trains_nothing(run):
    variables: dict = {}
    shown = [
        each
        for each in run_cells("10_physics_train", variables, preset=run_path(run), env=ENV, models=["none"], seeds=[0])
        if each is not None
    ]
    missing = [each.reason for each in shown if isinstance(each, Missing)]
    names = [f"no figure training/{ENV}-curves", f"no figure live/{ENV}-curve"]
    assert [reason.split(":")[0] for reason in missing] == names
    assert variables["summary"].empty and not (run.layout.models / ENV / "jump" / "baseline_10hz").exists()


def run_path(run):
    return run.layout.root.parent / "tiny.yaml"


# --- the figure -------------------------------------------------------------------------------------------------------


def planted(factors, seeds=5, spread=0.01):
    """Errors of a network of .1, and of two fields of .1 times a factor by the name of the data, .05 if not named."""
    models = {
        "jump": ("multi_resolution", "scaled_concat"),
        "newtonian": ("ode", "rk4"),
        "port_hamiltonian": ("ode", "rk4"),
    }
    rows = [
        {"env": env, "model": model, "method": method, "form": form, "size": "hidden64", "data": data,
         "train_frequency": "mixed", "test_frequency": rate, "seed": seed, "test_set": "pooled", "dimension": "all",
         "relative_error": 0.1 * (1 + spread * seed) * (1 if model == "jump" else factors.get(data, 0.5)), "n": 64}
        for env in (ENV, "pendulum") for model, (method, form) in models.items() for data in ("transitions", *NAMES)
        for rate in ("2", "10") for seed in range(seeds)
    ]  # fmt: skip
    field = {"model": "newtonian", "form": "midpoint"}
    rows += [row | field for row in rows if (row["model"], row["data"]) == ("newtonian", "transitions")]
    return pd.DataFrame(rows)


def test_a_field_is_divided_by_the_network_that_was_changed_alike():
    table = prior_ratios(planted({"transitions_friction3": 0.8}), ["10"])
    assert list(dict.fromkeys(table["factor"])) == ["data", "noise", "friction", "training"]
    own = table[(table["env"] == ENV) & (table["model"] == "newtonian")].set_index(["factor", "level"])
    assert own.loc[("friction", "× 3"), "ratio"] == pytest.approx(0.8)
    assert set(own.loc["friction"].index) == {"× 0", "× 1", "× 3"} and set(own.loc["data"].index) == {"10 %", "all"}
    assert set(own.loc["training"].index) == {"rk4", "midpoint"}
    assert own.loc[("friction", "× 3"), "network"] == pytest.approx(0.102) and (own["n_seeds"] == 5).all()
    others = own.drop(("friction", "× 3"))
    assert others["ratio"].to_numpy() == pytest.approx(0.5) and (others["ci_high"] - others["ci_low"]).max() < 1e-9
    assert set(table[table["model"] == "port_hamiltonian"]["factor"]) == {"data", "noise", "friction"}
    assert (
        prior_ratios(planted({})[lambda errors: errors["data"] == "transitions"], ["10"])["factor"].eq("training").all()
    )
    assert prior_ratios(None, ["10"]).empty
    lost = planted({})
    lost.loc[(lost["data"] == NAMES[0]) & (lost["seed"] == 2), "relative_error"] = np.inf
    gone = prior_ratios(lost, ["10"])
    assert gone[gone["level"] == "10 %"].query("factor == 'data'")["ratio"].isna().all()  # no seed is left out
    assert gone[gone["level"] != "10 %"]["ratio"].notna().all()


def test_the_figure_says_what_moves_and_what_does_not(tmp_path):
    drawing = figures.draw_variations(prior_ratios(planted({NAMES[0]: 0.25}), ["10", "2"]), rate="10")
    saved = figures.save_drawing(drawing, tmp_path / "variations.png")
    last = saved.caption.split("panel. ")[-1]
    assert last.startswith(
        "At 10 Hz the ratio moves from 10 % to all of the data on oscillator (Newtonian 0.25 [0.25, 0.25] to"
    )
    moves, stays = last.split("; and no difference is shown, since intervals overlap, from ")
    assert moves.count("to all of the data") == 2 and "noise" not in moves
    assert stays.startswith(
        "none to 10 % noise on oscillator (Newtonian 0.5 [0.5, 0.5] to 0.5 [0.5, 0.5]); × 0 to × 3 friction"
    )
    assert stays.endswith("(5 seeds).")
    figure = drawing.figure
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels[:2] == ["oscillator\nat 2 Hz", "oscillator\nat 10 Hz"]
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.05
    one = prior_ratios(planted({}, seeds=1)[lambda errors: errors["env"] == ENV], ["10"])
    drawing = figures.draw_variations(one[one["factor"] == "noise"], rate="10")
    assert "overlap" not in drawing.caption and drawing.caption.endswith("(1 seed).")
    training = prior_ratios(planted({})[lambda errors: errors["data"] == "transitions"], ["10"])
    with pytest.raises(NothingToDrawError):
        figures.draw_variations(training, rate="10")
