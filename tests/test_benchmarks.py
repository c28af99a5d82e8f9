"""The benchmarks' own arithmetic: units, ratios and the fraction of the peak. Their speed is measured, not tested."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tdlib.study.cost import family, preset_work, training_unit
from tdlib.study.presets import load_preset

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import harness


def sleeper(seconds):  # long enough that a busy machine's delays are a small part
    return lambda: time.sleep(seconds)


def test_ratio_says_how_many_times_as_fast_ours_is():
    row = harness.compare("sleep", sleeper(0.1), sleeper(0.3), unit="ms", repeats=3, peer_name="sleep", goal=2)
    assert row.ours == pytest.approx(100, rel=0.3) and row.peer == pytest.approx(300, rel=0.3)
    assert row.ratio == pytest.approx(row.peer / row.ours)
    assert row.ratio_low <= row.ratio <= row.ratio_high
    assert row.threads == torch.get_num_threads() and row.device == "cpu"


def test_rates_grow_with_speed_and_counts_are_per_side():
    row = harness.compare("sleep", sleeper(0.1), sleeper(0.1), count=4, peer_count=1, unit="steps / s", repeats=3)
    assert row.ours == pytest.approx(40, rel=0.3) and row.peer == pytest.approx(10, rel=0.3)
    assert row.ratio == pytest.approx(4, rel=0.4)


def test_the_sides_take_turns():
    order = []
    harness.compare("turns", lambda: order.append("ours"), lambda: order.append("peer"), repeats=2)
    assert order == ["ours", "peer"] * 3  # a warm-up and two runs


def test_fraction_of_peak_of_the_product_itself_is_near_one():
    a = torch.randn(harness.PEAK_SIZE, harness.PEAK_SIZE)
    out = torch.empty_like(a)
    row = harness.compare("product", lambda: torch.mm(a, a, out=out), flops=2 * harness.PEAK_SIZE**3, repeats=5)
    assert 0.3 < row.fraction_of_peak < 1.5  # the best of many runs against the median of a few, on a busy machine


def test_a_row_without_a_peer_prints_and_saves():
    row = harness.compare("alone", sleeper(0.001), repeats=2)
    assert row.peer is None and row.ratio is None and "x" not in row.line().replace("alone", "")
    assert row.as_dict()["unit"] == "ms"


def test_the_truth_of_systems_is_timed_by_transitions(monkeypatch):
    import bench_truth

    monkeypatch.setattr(bench_truth, "SIDE_BY_SIDE", 64)
    found = bench_truth.rows(quick=True)
    assert [row.name.split(",")[0] for row in found] == ["truth of oscillator", "truth of three_body"]
    assert all(row.ours > 0 and row.unit == "transitions / s" and row.repeats == 3 for row in found)
    assert found[0].ours > found[1].ours  # a formula against eighty evaluations of the forces


NAMES = [
    "training", "planning", "mpc", "truth", "collection", "evaluation", "scaling", "mts3", "live", "browser", "logs",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_finds_what_it_imports(name):
    """The library's names move; peers may be missing, they are asked for when a row is measured."""
    result = subprocess.run(
        [sys.executable, "-c", f"import bench_{name}"],
        cwd=Path(__file__).parent / "benchmarks", capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]


def test_units_are_measured_of_all_that_the_chapter_on_two_time_scales_trains_and_evaluates():
    import bench_scaling

    work = preset_work(load_preset("mts3"))
    trained, evaluated = (set(work["what"][work["kind"] == kind]) for kind in ("training", "evaluation"))
    assert trained <= {training_unit(arm) for arm, _, _ in bench_scaling.TRAINED}
    families = {family(arm) for arm, _, _ in bench_scaling.TRAINED}
    assert evaluated <= families | {f"{name}, per model" for name in families}


def test_models_of_pictures_have_a_unit_for_each_thing_that_a_preset_asks_of_them(monkeypatch):
    import picture_units

    for name, small in (("TRANSITIONS", 300), ("STARTS", (1, 2)), ("STEPS", (1, 2))):
        monkeypatch.setattr(picture_units, name, small)
    preset = load_preset("visual_smoke")
    found = {(kind, what) for kind, what, _ in picture_units.picture_unit_costs([preset.name], once, "cpu")}
    work = preset_work(preset.model_copy(update={"environments": preset.environments[:1]}))
    asked = set(zip(work["kind"], work["what"], strict=True))
    elsewhere = {("collection", "sequence transitions"), ("training", "jump hidden64"), ("training", "newtonian rk4")}
    assert found == asked - elsewhere


def once(program):
    started = time.process_time()
    program()
    return time.process_time() - started


def test_frames_are_timed_against_a_loop_that_paints_the_same(monkeypatch):
    import bench_pixels

    monkeypatch.setattr(bench_pixels, "FRAMES", 256)
    monkeypatch.setattr(bench_pixels, "LOOPED", 4)
    found = bench_pixels.rows(quick=True)
    assert len(found) == len(bench_pixels.SUBJECTS) and all(row.unit == "frames / s" for row in found)
    assert all(row.ratio > 3 for row in found)  # measured: some twenty and more
