"""How the return rose while data were collected: one row per environment, rate and fifth of the collection.

By hand:

    python -m tdlib.data.sources.learning OUT.csv DATASET.h5 [DATASET.h5 ...]
"""

import argparse
import csv
import io
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tdlib.core.files import write_text
from tdlib.data.storage import load_dataset
from tdlib.data.verify import returns_over_time

COLUMNS = (
    "env",
    "control_frequency",
    "seed",
    "part",
    "mean_return",
    "ci_low",
    "ci_high",
    "n_episodes",
    "transitions",
    "transitions_per_wall_second",
    "transitions_per_cpu_second",
    "settings",
)


def learning_table(paths: Sequence[Path | str]) -> list[dict[str, str | int | float]]:
    """Return the rows of the table; `part` is the fraction of the collection at the end of the row's fifth."""
    table = []
    for path in paths:
        dataset = load_dataset(path)
        origin = dataset.attributes
        for row in returns_over_time(dataset):
            values = (
                dataset.spec.name,
                f"{dataset.control_frequency:g}",
                origin["seed"],
                row["part"],
                round(row["mean"], 2),
                round(row["ci_low"], 2),
                round(row["ci_high"], 2),
                row["n"],
                len(dataset),
                round(len(dataset) / float(origin["wall_seconds"])),
                round(len(dataset) / float(origin["cpu_seconds"])),
                origin["ppo_settings"],
            )
            table.append(dict(zip(COLUMNS, values, strict=True)))
    return table


def write_learning_table(path: Path | str, datasets: Sequence[Path | str]) -> Path:
    """Write the table as CSV, and beside it a JSON file with versions, content hashes and the commands."""
    path, text = Path(path), io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(learning_table(datasets))
    sets = [load_dataset(dataset) for dataset in datasets]
    commands = [
        f"python -m tdlib.data.sources.ppo --env {shlex.quote(d.spec.name)} --rate {d.control_frequency:g} "
        f"--seed {d.attributes['seed']} --transitions {len(d)} --out FOLDER"
        for d in sets
    ]
    origin = {
        "what": "mean return of the complete episodes that end in each fifth of a collection, 95 % bootstrap interval",
        "commands": [*commands, f"python -m tdlib.data.sources.learning {path.name} FINAL_DATASETS"],
        "versions": json.loads(str(sets[0].attributes["versions"])),
        "content_hashes": [str(d.attributes["content_hash"]) for d in sets],
    }
    write_text(path.with_suffix(".json"), json.dumps(origin, indent=1) + "\n")
    return write_text(path, text.getvalue())


def main(arguments: list[str] | None = None) -> int:
    """Write the table from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="CSV file to write")
    parser.add_argument("datasets", nargs="+", type=Path, help="sets that a collection wrote")
    options = parser.parse_args(arguments)
    try:
        write_learning_table(options.out, options.datasets)
    except ValueError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
