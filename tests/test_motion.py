"""Stored sequences followed finely: through the stored states, with the energy of their power, every set read once."""

import numpy as np
import pytest
import yaml

from tdlib.data import load_dataset, split_path
from tdlib.study.phases import motion
from tdlib.study.phases.collect import ensure_collected, main_dataset_path
from tdlib.study.presets import PRESET_FOLDER
from tdlib.study.run import open_run

RATES = (5, 10)
ENVS = ("oscillator", "spaceship")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    content = yaml.safe_load((PRESET_FOLDER / "physics_smoke.yaml").read_text(encoding="utf-8"))
    sizes = {"num_transitions": 400, "num_random_transitions": 400, "sequence_length": 10}
    content |= {"name": "tiny", "environments": list(ENVS), "train_frequencies": list(RATES), "collection": sizes}
    (root / "tiny.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDLIB_RUNS", str(root))
        run = open_run(root / "tiny.yaml")
        for env in ENVS:
            ensure_collected(run, env)
        yield run


def test_a_motion_passes_through_the_stored_states_and_its_power_accounts_for_its_energy(run):
    found = motion.stored_motion(run, "oscillator", 10, 0, idx=1)
    dataset = load_dataset(split_path(main_dataset_path(run, "oscillator", 10, 0), "test"), 10)
    begin, end = dataset.episode_offsets[1:3]
    assert len(found) == (end - begin) * (motion.FINE + 1) and (found["sequence"] == 1).all()
    starts = found.iloc[:: motion.FINE + 1]
    assert np.allclose(starts[list(dataset.spec.state_names)], dataset.state[begin:end])
    scale = found["energy"].abs().max()
    assert np.allclose(found["energy"], found["energy_by_power"], atol=1e-3 * scale)
    assert np.ptp(found["energy"]) > 0.01 * scale  # it is driven
    with pytest.raises(ValueError, match=r"idx must be from 0 to 3, got 4"):
        motion.stored_motion(run, "oscillator", 10, 0, idx=4)


def test_first_coordinates_are_those_of_the_motions_and_every_set_is_read_once(run, monkeypatch):
    read = []
    monkeypatch.setattr(motion, "load_dataset", lambda *args: read.append(args) or load_dataset(*args))
    found = motion.first_coordinates(run, 0)
    assert len(read) == len(set(read)) == len(ENVS) * len(RATES)
    for (env, rate, idx), rows in found.groupby(["env", "rate", "sequence"]):
        own = motion.stored_motion(run, env, float(rate), 0, idx=idx)
        first = load_dataset(split_path(main_dataset_path(run, env, float(rate), 0), "test")).spec.state_names[0]
        assert np.array_equal(rows["value"], own[first]) and np.array_equal(rows["time"], own["time"])
        assert np.array_equal(rows["energy"], own["energy"])
    assert found.groupby(["env", "rate"])["sequence"].nunique().eq(motion.FEW).all()
