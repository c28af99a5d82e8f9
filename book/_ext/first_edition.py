"""Keeps the first edition's numbers that `book/changed.md` asks for: `python book/_ext/first_edition.py [--check]`.

They are read from git, from the tables of the commit that published them, and written to `book/first_edition.csv`; the
titles and statements of its predictions go to `book/first_predictions.yaml`. No number is typed. An archive without
history keeps both files as they are.
"""

import argparse
import csv
import gzip
import io
import statistics
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from td_tables import ALARM, KEYS, STATISTICS, QueryError, Rows, alarm_values, find_row, parse_query

from tdlib.core.files import write_text, yaml_text

ROOT = Path(__file__).resolve().parents[2]
COMMIT, DATE = "4975a3d", "2026-11-21"  # what was audited and read as the first edition
EDITION = "book/published"
PAGE, TABLE, STATED = (ROOT / "book" / name for name in ("changed.md", "first_edition.csv", "first_predictions.yaml"))
COLUMNS = (*KEYS, "mean", "ci_low", "ci_high", "n_seeds", "n")
BETWEEN = "||"  # in a row of the page: the first edition's query || the query of today
NONE = "-"  # no number on this side


def rows_of_page(text: str) -> list[tuple[str, str | None, str | None]]:
    """List the label, the first edition's query and today's of every row of a page's `then-and-now` tables."""
    rows = []
    for block in text.split("```{then-and-now}")[1:]:
        head, *lines = block.split("\n```")[0].splitlines()
        rows += [parse_row(head, line) for line in lines if line.strip() and not line.startswith(":")]
    return rows


def parse_row(head: str, line: str) -> tuple[str, str | None, str | None]:
    """Split `label: query`, or `label: old query || new query`; `-` is no query. The head belongs to both."""
    label, _, queries = line.partition(": ")
    old, sign, new = (part.strip() for part in queries.partition(BETWEEN))
    both = [None if part == NONE else f"{head.strip()}, {part}" for part in (old, new if sign else old)]
    return label.strip(), both[0], both[1]


def from_git(path: str, commit: str = COMMIT) -> bytes:
    """Read a file as it was; an error if git or the commit is not there."""
    return subprocess.run(
        ["git", "-C", str(ROOT), "show", f"{commit}:{path}"], check=True, capture_output=True, timeout=60
    ).stdout


def first_rows() -> Rows:
    """Read the rows of the first edition; of the alarm's two seeds the brackets are the range, as its own were."""
    rows = list(csv.DictReader(io.StringIO(from_git(f"{EDITION}/{STATISTICS.as_posix()}").decode())))
    text = gzip.decompress(from_git(f"{EDITION}/{ALARM.as_posix()}.gz")).decode()
    for row, values in alarm_values(text):
        numbers = {"mean": statistics.fmean(values), "ci_low": min(values), "ci_high": max(values)}
        rows.append(row | {key: f"{value:.5g}" for key, value in numbers.items()} | {"n_seeds": str(len(values))})
    return Rows(rows)


def kept_table() -> str:
    """Write the rows that the page asks for as CSV."""
    rows, kept = first_rows(), {}
    for label, query, _ in rows_of_page(PAGE.read_text(encoding="utf-8")):
        if query is not None:
            try:
                row = find_row(rows, parse_query(query))
            except QueryError as error:
                raise QueryError(f"{PAGE.name}, row {label!r}: {error}") from error
            kept[tuple(row[key] for key in KEYS)] = {name: row[name] for name in COLUMNS}
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept[key] for key in sorted(kept))
    return file.getvalue()


def stated() -> str:
    """Write title and statement of the first edition's predictions as YAML."""
    items = yaml.safe_load(from_git("book/predictions.yaml").decode())
    return yaml_text({item["name"]: {key: item[key] for key in ("title", "statement")} for item in items})


def main() -> int:
    """Write both files, or with --check only compare; the exit code says whether they were up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    new = {TABLE: kept_table(), STATED: stated()}
    changed = [path for path, text in new.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if options.check:
        return int(bool(changed))
    for path in changed:
        write_text(path, new[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
