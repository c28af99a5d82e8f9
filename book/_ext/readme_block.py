"""Refreshes the findings in README.md from the published edition: `python book/_ext/readme_block.py [--check]`.

Every number between the two markers comes from book/published/results/metrics/statistics.csv.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from td_tables import PUBLISHED, QueryError, find, open_source, parse_query

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- findings: begin (made by book/_ext/readme_block.py, do not edit) -->", "<!-- findings: end -->"
FIGURE = PUBLISHED / "results/figures/limits/Pendulum-v1.png"
ERROR = "metric=one_step.relative_error, env=Pendulum-v1, "
JUMP20 = ERROR + "model=jump, method=baseline, train_frequency=20, "
# one line each: text with a {} per query; a line whose rows the edition lacks is left out
LINES: list[tuple[str, list[str]]] = [
    (
        "A 20 Hz map has relative one-step error {} at 20 Hz and {} at 50 Hz on Pendulum; 1 is predicting no change, "
        "and |1 − h/Δ| = 1.5.",
        [JUMP20 + "test_frequency=20", JUMP20 + "test_frequency=50"],
    ),
    (
        "On CartPole the same model has {} at 50 Hz: the mismatch names no system.",
        [JUMP20.replace("Pendulum-v1", "CartPole-v1") + "test_frequency=50"],
    ),
    (
        "Rescaling its increment, without training, gives {} at 50 Hz and {} at 10 Hz.",
        [ERROR + f"model=jump, method=rescaled, train_frequency=20, test_frequency={rate}" for rate in (50, 10)],
    ),
    (
        "Δt as one more input, trained at one rate, gives {} at 50 Hz; as a factor before the network it gives {}.",
        [
            ERROR + f"model=jump, method=dt_conditioned, form={form}, train_frequency=20, test_frequency=50"
            for form in ("concat", "scaled_concat")
        ],
    ),
    (
        "Trained on 10, 20 and 50 Hz with that factor: {} at 25 Hz, inside; {} at 100 Hz and {} at 5 Hz, outside.",
        [
            ERROR + "model=jump, method=multi_resolution, form=scaled_concat, train_frequency=mixed, "
            f"test_frequency={rate}"
            for rate in (25, 100, 5)
        ],
    ),
    (
        "A Newtonian field through RK4, trained at 20 Hz only: {} at 20 Hz and {} at 50 Hz.",
        [
            ERROR + f"model=newtonian, method=ode, form=rk4, train_frequency=20, test_frequency={rate}"
            for rate in (20, 50)
        ],
    ),
    (
        "One step of 10 Hz against five of 50 Hz, relative to the true change: {} for the 20 Hz map, {} for the field.",
        [
            "metric=consistency.defect, env=Pendulum-v1, detail=50->10, train_frequency=20, " + arm
            for arm in ("model=jump, method=baseline", "model=newtonian, method=ode, form=rk4")
        ],
    ),
]
NOT_YET = "The first edition is not made yet, so there are no findings to report. `make edition PRESET=quick` makes it."


def findings(root: Path) -> str:
    """Return the text between the markers for what is published below `root`."""
    source = open_source(root / PUBLISHED, "published edition")
    if source is None:
        return NOT_YET
    lines = []
    for text, queries in LINES:
        try:
            values = [find(source.rows, parse_query(query)).text(".2f", brief=True) for query in queries]
        except QueryError:
            continue
        lines.append("* " + text.format(*values))
    if not lines:
        return NOT_YET
    seeds = find_seeds(source.rows)
    head = f"From the {source.label} ({seeds}), mean [95 % interval]:"
    alt = "Relative one-step error of models trained at 20 Hz against the test rate, with analytic limits"
    picture = f"\n\n![{alt}]({FIGURE.as_posix()})" if (root / FIGURE).exists() else ""
    return f"{head}\n\n" + "\n".join(lines) + picture


def find_seeds(rows: list[dict[str, str]]) -> str:
    """Say how many seeds stand behind the one-step errors."""
    counts = {int(float(row["n_seeds"])) for row in rows if row["metric"] == "one_step.relative_error"}
    count = max(counts, default=0)
    return f"{count} seed" + ("s" if count != 1 else "")


def replaced(readme: str, block: str) -> str:
    """Put a new text between the markers.

    Raises:
        ValueError: If the markers are not there once each, in order.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError("README.md must hold the two markers of the findings once each, in order")
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{block}\n{END}{rest.split(END)[1]}"


def main() -> int:
    """Write the block, or with --check only compare; the exit code says whether it was up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = replaced(old, findings(ROOT))
    if options.check:
        return int(old != new)
    if old != new:
        temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
        temporary.write_text(new, encoding="utf-8")
        os.replace(temporary, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
