"""What a long run was predicted to cost before it began: a table in git, which the chapter on speed sets beside it.

    python -m tdlib.study.predicted_cost full full_literal

writes `book/_data/predicted_cost.csv`: CPU hours of each kind of work of these presets, all of their seeds, by the unit
costs that `make bench` measured here, or else by those of the edition in git.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tdlib.core.files import write_text
from tdlib.study.cost import load_units, predict
from tdlib.study.layout import ROOT
from tdlib.study.presets import Preset, PresetError, load_preset

TABLE = ROOT / "book" / "_data" / "predicted_cost.csv"
OF_EDITION = ROOT / "book" / "published" / "results" / "metrics" / "scaling.json"
COLUMNS = ("preset", "kind", "cpu_hours")


def units_known() -> dict[str, pd.DataFrame]:
    """Load unit costs by device: those measured on this machine, or else those of the edition in git."""
    return load_units() or load_units(OF_EDITION)


def cpu_hours(preset: Preset, units: pd.DataFrame) -> dict[str, float]:
    """Predict the CPU hours of every kind of work of a preset; NaN where a unit cost is missing.

    Args:
        preset: What is asked for; of its seeds, those that its run makes itself.
        units: Columns kind, what, seconds, of one device.
    """
    rows = predict(preset, units)
    return dict(rows.groupby("kind", sort=False)["cpu_seconds"].apply(lambda each: each.sum(skipna=False)) / 3600)


def of_all_seeds(preset: Preset) -> Preset:
    """Return a preset as if it took no seed from earlier runs."""
    return preset.model_copy(update={"taken": ()})


def predicted_before(name: str, path: Path = TABLE) -> dict[str, float]:
    """Read what was predicted of a preset, CPU hours by kind of work; empty if nothing was.

    Args:
        name: Name of the preset.
        path: The table.
    """
    if not path.is_file():
        return {}
    table = pd.read_csv(path)
    rows = table[table["preset"] == name]
    return dict(zip(rows["kind"], rows["cpu_hours"], strict=True))


def write_predictions(presets: Sequence[Preset], units: pd.DataFrame, path: Path = TABLE) -> pd.DataFrame:
    """Write the predictions of some presets in place of what the table says of them; return the whole table."""
    names = [preset.name for preset in presets]
    rows = [
        {"preset": preset.name, "kind": kind, "cpu_hours": round(hours, 3)}
        for preset in presets
        for kind, hours in cpu_hours(of_all_seeds(preset), units).items()
        if not math.isnan(hours)
    ]
    before = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=list(COLUMNS))
    kept = before[~before["preset"].isin(names)]
    table = pd.concat([part for part in (kept, pd.DataFrame(rows, columns=list(COLUMNS))) if len(part)])
    write_text(path, table.to_csv(index=False))
    return table


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.study.predicted_cost", description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="+")
    try:
        presets = [load_preset(name) for name in parser.parse_args(arguments).presets]
    except PresetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    known = units_known()
    if "cpu" not in known:
        print("error: unit costs must have been measured: make bench", file=sys.stderr)
        return 2
    table = write_predictions(presets, known["cpu"])
    print(table.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
