"""The edition in git: small, exact, and free of times and machines.

Pictures shown by notebooks are stored once, in `results/figures`, and put back when the book is staged; large tables
are compressed, with five digits, and of tables along rollouts with eight times. `pack` and `unpack` are inverse to each
other for everything a page shows.
"""

import base64
import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

from tdlib.core.files import write_text
from tdlib.evaluation.tables import read_table
from tdlib.study.layout import ROOT

PUBLISHED = ROOT / "book" / "published"  # the edition
KEPT_METADATA = ("kernelspec", "language_info")
KEPT_TAGS = ("tags", "mystnb")
MEDIA_FOLDERS = ("figures", "videos")
SHIPPED_RESULTS = ("metrics", *MEDIA_FOLDERS)
READ_AS_THEY_ARE = ("statistics.csv", "predictions.csv")  # tests and page extensions read them in the edition itself
# of statistics.csv, a third of a chapter's rows that no page looks up: its table and figure of intervals have them
NOT_LOOKED_UP = ("calibration.coverage_50", "calibration.coverage_80", "calibration.spread")
COMPRESSED_ABOVE = 20_000  # [bytes]; smaller tables stay readable in git
ALONG_ROLLOUTS = {"env", "test_frequency", "time"}  # columns of tables with a row for each of some hundred times
TIMES, DIGITS = 8, "%.5g"
MEDIA = {".png": "data:image/png;base64,", ".mp4": "data:video/mp4;base64,"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PLACEHOLDER = "tdlib-result:"  # stands for the data of a file below results/


def write_stripped_notebook(source: Path, target: Path, replacements: dict[str, str] | None = None) -> None:
    """Copy an executed notebook without times, durations and machine paths, so that a rerun changes only results.

    A page of one environment gets its name into the title.

    Args:
        source: Executed notebook.
        target: Where to write it.
        replacements: Texts to exchange in HTML outputs.
    """
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata = {key: notebook.metadata[key] for key in KEPT_METADATA if key in notebook.metadata}
    env = source.stem.partition("-")[2]
    if env and notebook.cells and notebook.cells[0].cell_type == "markdown":
        title, newline, rest = notebook.cells[0].source.partition("\n")
        title = title.removesuffix(f" ({env})") + f" ({env})"
        notebook.cells[0].source = title + newline + rest
    for i, cell in enumerate(notebook.cells):
        cell.metadata = {key: cell.metadata[key] for key in KEPT_TAGS if key in cell.metadata}
        cell["id"] = f"cell-{i}"
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            cell.execution_count = None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = None
                output.get("data", {}).pop(WIDGET_VIEW, None)  # a page has no kernel behind its widgets
                if "text/html" in output.get("data", {}):
                    output.data.pop("text/plain", None)  # says the same in words that name a folder of this machine
                    html = output.data["text/html"]
                    for old, new in (replacements or {}).items():
                        html = html.replace(old, new)
                    output.data["text/html"] = html
    write_text(target, nbformat.writes(notebook) + "\n")


def pack(notebooks: Path, results: Path, target: Path) -> None:
    """Write notebooks and results as the edition keeps them."""
    placeholders = {data: name for name, data in _media(results).items()}
    for path in sorted(notebooks.glob("[!.]*.ipynb")):
        write_stripped_notebook(path, target / "notebooks" / path.name, placeholders)
    copy_results(results, target / "results")
    for path in (target / "results").rglob("statistics.csv"):
        write_text(path, _looked_up(path))
    for path in sorted((target / "results").rglob("*.csv")):
        if path.name not in READ_AS_THEY_ARE and path.stat().st_size > COMPRESSED_ABOVE:
            # no name and no time inside, so equal tables give equal files
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(_short_text(path).encode(), mtime=0))
            path.unlink()


def _looked_up(path: Path) -> str:
    """The text of a table of statistics without the rows that no page looks up."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    kept = table if "metric" not in table else table[~table["metric"].isin(NOT_LOOKED_UP)]
    return kept.to_csv(index=False)


def _short_text(path: Path) -> str:
    """A table's text with few digits and times; one that is of no system, as it is."""
    text = path.read_text(encoding="utf-8")
    columns = set(text.partition("\n")[0].split(","))
    if "env" not in columns:
        return text
    table = read_table(path)
    return (at_few_times(table) if columns >= ALONG_ROLLOUTS else table).to_csv(index=False, float_format=DIGITS)


def at_few_times(table: pd.DataFrame, also: Sequence[float] = ()) -> pd.DataFrame:
    """Keep eight of the times of every system and rate, spread evenly, the last among them.

    Args:
        table: Rows along rollouts.
        also: Further times [s] of which the nearest is kept.
    """
    kept = []
    for _, rows in table.groupby(["env", "test_frequency"], sort=False):
        times = np.sort(rows["time"].unique())
        places = np.linspace(0, len(times) - 1, TIMES).round().astype(int).tolist()
        places += [int(np.abs(times - time).argmin()) for time in also]
        chosen = times[np.unique(places)]
        kept.append(rows[rows["time"].isin(chosen)])
    return pd.concat(kept).sort_index() if kept else table


def unpack(edition: Path, target: Path) -> None:
    """Write an edition's notebooks and results as a run has them, into `target/notebooks` and `target/results`."""
    copy_results(edition / "results", target / "results")
    for path in sorted((target / "results").rglob("*.csv.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    media = _media(target / "results")
    for path in sorted((edition / "notebooks").glob("[!.]*.ipynb")):
        write_stripped_notebook(path, target / "notebooks" / path.name, media)


def copy_results(source: Path, target: Path, kinds: Sequence[str] = SHIPPED_RESULTS) -> None:
    """Copy what the book shows of a run's results, into what is there of the same kind."""
    for name in kinds:
        if (source / name).is_dir():
            ignored = shutil.ignore_patterns("parts", ".*")
            shutil.copytree(source / name, target / name, ignore=ignored, dirs_exist_ok=True)


def _media(results: Path) -> dict[str, str]:
    """Placeholder and data address of every picture and video."""
    found = {}
    for folder in MEDIA_FOLDERS:
        for path in sorted((results / folder).rglob("*")):
            if path.suffix in MEDIA:
                name = path.relative_to(results).as_posix()
                # the closing mark keeps one name from being the beginning of another
                found[f"{PLACEHOLDER}{name};"] = MEDIA[path.suffix] + base64.b64encode(path.read_bytes()).decode()
    return found
