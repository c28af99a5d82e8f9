"""Refreshes what README.md takes from elsewhere: `python book/_ext/readme_block.py [--check]`.

Every number between the markers of the findings comes from the tables in book/published/results/metrics, the BibTeX
entry from CITATION.cff.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import yaml
from td_tables import PUBLISHED, QueryError, find, open_source, parse_query

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- {}: begin (made by book/_ext/readme_block.py, do not edit) -->", "<!-- {}: end -->"
FIGURES = PUBLISHED / "results/figures/limits"
SYSTEMS = (
    ("Pendulum", "Pendulum-v1"),
    ("CartPole", "CartPole-v1"),
    ("CartPole, continuous force", "CartPoleContinuous-v1"),
)
FIELD = "model=newtonian, method=ode, form=rk4"
FACTOR = "model=jump, method=multi_resolution, form=scaled_concat, train_frequency=mixed"
# one-step error at 50 Hz, one row each: label and arm
ROWS: list[tuple[str, str]] = [
    ("20 Hz map, as it is", "model=jump, method=baseline, train_frequency=20"),
    ("its increment rescaled, no training", "model=jump, method=rescaled, train_frequency=20"),
    ("Δt as one more input, 20 Hz", "model=jump, method=dt_conditioned, form=concat, train_frequency=20"),
    ("Δt as a factor, 20 Hz", "model=jump, method=dt_conditioned, form=scaled_concat, train_frequency=20"),
    ("Δt as a factor, 10, 20 and 50 Hz", FACTOR),
    ("Newtonian field through RK4, 20 Hz", "model=newtonian, method=ode, form=rk4, train_frequency=20"),
    ("Newtonian field through RK4, 10, 20 and 50 Hz", "model=newtonian, method=ode, form=rk4, train_frequency=mixed"),
]
ONE_STEP = "metric=one_step.relative_error, test_frequency={rate}, env={env}, "
BASELINE = "model=jump, method=baseline, train_frequency=20"


def _both(template: str) -> list[str]:
    """Ask a query of Pendulum and of CartPole."""
    return [template.replace("{env}", env) for _, env in SYSTEMS[:2]]


# one line each: text with a {} per query; a line whose rows the edition lacks is left out
LINES: list[tuple[str, list[str]]] = [
    (
        "The 20 Hz map at its own rate: {} on Pendulum, {} on CartPole. At 50 Hz its exact version errs by "
        "|1 − h/Δ| = 1.5 to first order.",
        _both(ONE_STEP.replace("{rate}", "20") + BASELINE),
    ),
    (
        "In one step from 20 to 50 Hz the systems are nearly alike. After half a second of rollout the 20 Hz map asked "
        "at 50 Hz errs by {} on Pendulum and by {} on CartPole with continuous force.",
        [
            f"metric=rollout.relative_error, detail=0.5, test_frequency=50, env={env}, {BASELINE}"
            for env in ("Pendulum-v1", "CartPoleContinuous-v1")
        ],
    ),
    (
        "Outside its three rates, the form with the factor: {} on Pendulum and {} on CartPole at 100 Hz,",
        _both(ONE_STEP.replace("{rate}", "100") + FACTOR),
    ),
    ("and {} and {} at 5 Hz.", _both(ONE_STEP.replace("{rate}", "5") + FACTOR)),
    (
        "One step of 10 Hz against five of 50 Hz, relative to the true change: {} on Pendulum and {} on CartPole for "
        "the 20 Hz map, {} and {} for the field of 20 Hz.",
        _both("metric=consistency.defect, env={env}, detail=50->10, " + BASELINE)
        + _both("metric=consistency.defect, env={env}, detail=50->10, train_frequency=20, " + FIELD),
    ),
    (
        "The spread of an ensemble trained at 20 Hz tells steps of 50 Hz from its own with AUROC {} on Pendulum and {} "
        "on CartPole (0.5 is no alarm, 1 a perfect one).",
        _both(
            "metric=ensemble.auroc, test_frequency=50, env={env}, model=ensemble, method=dt_conditioned, "
            "train_frequency=20"
        ),
    ),
]
FEW_SEEDS = 5  # below, no verdict is more than *consistent*
NOT_YET = "The first edition is not made yet, so there are no findings to report. `make edition PRESET=quick` makes it."


def findings(root: Path) -> str:
    """Return the text between the markers for what is published below `root`."""
    source = open_source(root / PUBLISHED, "published edition")
    if source is None:
        return NOT_YET
    rows = table_rows(source.rows)
    lines = []
    for text, queries in LINES:
        values = [number(source.rows, query) for query in queries]
        if all(values):
            lines.append(text.format(*values))
    if not rows and not lines:
        return NOT_YET
    count = find_seeds(source.rows)
    seeds = f"{count} seed" + ("s" if count != 1 else "")
    few = " So few seeds settle nothing: they show the size of an effect." if count < FEW_SEEDS else ""
    head = f"From the {source.label} ({seeds}), mean [{source.interval.rstrip(',')}].{few}"
    head += " Relative one-step error at 50 Hz; 1 is predicting no change:"
    table = ["| |" + "".join(f" {name} |" for name, _ in SYSTEMS), "|---|" + "---|" * len(SYSTEMS), *rows]
    alt = "Relative one-step error of several arms against the test rate, with the errors of exact models"
    picture = "".join(
        f"\n\n{name}:\n\n![{name}. {alt}]({(FIGURES / f'{env}.png').as_posix()})"
        for name, env in SYSTEMS[:2]
        if (root / FIGURES / f"{env}.png").exists()
    )
    return f"{head}\n\n" + "\n".join(table) + "\n\n" + "\n".join(bullets(lines)) + picture


def number(rows: list[dict[str, str]], query: str) -> str:
    """Write the number that answers a query; empty if the edition has none."""
    try:
        value = find(rows, parse_query(query))
    except QueryError:
        return ""
    return value.text(brief=True)


def table_rows(rows: list[dict[str, str]]) -> list[str]:
    """Write one line of Markdown per arm that the edition has, one column per system."""
    lines = []
    for label, arm in ROWS:
        cells = [number(rows, ONE_STEP.format(rate=50, env=env) + arm) for _, env in SYSTEMS]
        if any(cells):
            lines.append(f"| {label} |" + "".join(f" {cell or '–'} |" for cell in cells))
    return lines


def bullets(lines: list[str]) -> list[str]:
    """Make a list of the lines; one that begins in lower case goes on with the line before it."""
    made: list[str] = []
    for line in lines:
        if made and line[0].islower():
            made[-1] += " " + line
        else:
            made.append("* " + line)
    return made


def find_seeds(rows: list[dict[str, str]]) -> int:
    """Count the seeds that stand behind the one-step errors."""
    counts = {int(float(row["n_seeds"])) for row in rows if row["metric"] == "one_step.relative_error"}
    return max(counts, default=0)


def citation(root: Path) -> str:
    """Return CITATION.cff as a BibTeX entry, fenced."""
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    fields = {
        "title": f"{{{cited['title']}}}",
        "author": " and ".join(f"{{{author['name']}}}" for author in cited["authors"]),
        "version": cited["version"],
        "license": cited["license"],
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items()]
    return "```bibtex\n@software{tdlib,\n" + ",\n".join(lines) + "\n}\n```"


BLOCKS = {"findings": findings, "citation": citation}  # name of the markers -> what stands between them


def refreshed(readme: str, root: Path) -> str:
    """Return README.md with every block made anew."""
    for name, block in BLOCKS.items():
        readme = replaced(readme, name, block(root))
    return readme


def replaced(readme: str, name: str, block: str) -> str:
    """Put a new text between the markers of a name.

    Raises:
        ValueError: If the markers are not there once each, in order.
    """
    begin, end = BEGIN.format(name), END.format(name)
    if readme.count(begin) != 1 or readme.count(end) != 1 or readme.index(begin) > readme.index(end):
        raise ValueError(f"README.md must hold the two markers of its {name} once each, in order")
    before, rest = readme.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def main() -> int:
    """Write the blocks, or with --check only compare; the exit code says whether they were up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = refreshed(old, ROOT)
    if options.check:
        return int(old != new)
    if old != new:
        temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
        temporary.write_text(new, encoding="utf-8")
        os.replace(temporary, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
