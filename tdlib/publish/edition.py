"""The edition in git: small, exact, and free of times and machines.

Pictures shown by notebooks are stored once, in `results/figures`, and put back when the book is staged; large tables
are compressed, with few digits, and of tables along rollouts with few times. A chapter has less room than the study:
see `OF_STUDY` and `OF_CHAPTER`. `pack` and `unpack` are inverse to each other for everything a page shows.
"""

import base64
import gzip
import io
import lzma
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

from tdlib.core.files import PACKERS, stored_bytes, write_text
from tdlib.evaluation.tables import MEMBER_COLUMNS, frequency_value, read_table, write_table
from tdlib.study.blocks import taken_rows
from tdlib.study.layout import ROOT
from tdlib.study.presets import Preset

PUBLISHED = ROOT / "book" / "published"  # the edition
KEPT_METADATA = ("kernelspec", "language_info")
KEPT_TAGS = ("tags", "mystnb")
MEDIA_FOLDERS = ("figures", "videos")
SHIPPED_RESULTS = ("metrics", *MEDIA_FOLDERS)
READ_AS_THEY_ARE = ("predictions.csv",)  # of the study: tests and extensions read its edition itself
ALONG_ROLLOUTS = {"env", "test_frequency", "time"}  # columns of tables with a row for each of some hundred times
IN_BLOCKS = ("one_step_errors", "rollout_errors")  # large tables, whose rows of taken seeds lie in book/blocks alone
WHOLE_BELOW = 1e15  # beyond it a float is whole by its size
EVERY = "all"  # dimension of rows that are a mean over the state's dimensions
MEDIA = {".png": "data:image/png;base64,", ".gif": "data:image/gif;base64,", ".mp4": "data:video/mp4;base64,"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PLACEHOLDER = "tdlib-result:"  # stands for the data of a file below results/


@dataclass(frozen=True)
class Room:
    """How much of a run an edition keeps.

    Args:
        times: How many times of rows along rollouts, the last among them.
        digits: Format of numbers in compressed tables.
        dimensions: Whether rows of single dimensions of a state are kept beside their mean.
        drawn: Format of the numbers beside a figure, of which large tables are compressed; empty if they stay exact.
        as_they_are: Names of tables that stay readable and exact, however large.
        above: Size [bytes] beyond which a table is compressed; smaller ones stay readable in git.
        notebooks_above: The same for executed notebooks.
        suffix: One of PACKERS.
    """

    times: int
    digits: str
    dimensions: bool
    drawn: str
    as_they_are: tuple[str, ...]
    above: int
    notebooks_above: int
    suffix: str


OF_STUDY = Room(8, "%.5g", True, "", READ_AS_THEY_ARE, 20_000, 200_000, ".xz")
OF_CHAPTER = Room(1, "%.3g", False, "%.3g", (), 5_000, 5_000, ".xz")


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


def pack(notebooks: Path, results: Path, target: Path, room: Room = OF_STUDY, taken: Collection[int] = ()) -> None:
    """Write notebooks and results as the edition keeps them.

    Args:
        notebooks: Folder of executed notebooks.
        results: Folder of a run's results.
        target: Folder of the edition.
        room: How much of them is kept.
        taken: Seeds whose rows of the large tables are left out, as they lie in blocks; `add_taken` puts them back.
    """
    placeholders = {data: name for name, data in _media(results).items()}
    for path in sorted(notebooks.glob("[!.]*.ipynb")):
        packed = target / "notebooks" / path.name
        write_stripped_notebook(path, packed, placeholders)
        if packed.stat().st_size > room.notebooks_above:
            _compress(packed, packed.read_bytes(), room)
    copy_results(results, target / "results")
    for path in sorted((target / "results").rglob("*.csv")):
        if path.name not in room.as_they_are and path.stat().st_size > room.above:
            _compress(path, _short_text(path, room, taken).encode(), room)
    for path in sorted((target / "results").rglob("*.svg")):  # a tenth of it is left; a PDF is compressed inside
        if path.stat().st_size > room.above:
            _compress(path, path.read_bytes(), room)


def _compress(path: Path, content: bytes, room: Room) -> None:
    """Put a compressed file in the place of one."""
    path.with_name(f"{path.name}{room.suffix}").write_bytes(compressed(content, room.suffix))
    path.unlink()


def compressed(content: bytes, suffix: str = ".gz") -> bytes:
    """Compress by one of PACKERS; no name and no time inside, so that equal contents give equal files."""
    return gzip.compress(content, mtime=0) if suffix == ".gz" else lzma.compress(content)


def _short_text(path: Path, room: Room, taken: Collection[int] = ()) -> str:
    """A table's text with few digits, times and dimensions; one that is of no system is data of a figure."""
    text = path.read_text(encoding="utf-8")
    columns = set(text.partition("\n")[0].split(","))
    if "env" not in columns:
        return _with_digits(text, room.drawn) if room.drawn else text
    table = read_table(path)
    if path.stem in IN_BLOCKS and taken:
        table = table[~table["seed"].isin(taken)]
    if "dimension" in columns and not room.dimensions:
        table = table[table["dimension"] == EVERY]
    return _written(at_few_times(table, room.times) if columns >= ALONG_ROLLOUTS else table, room.digits)


def _with_digits(text: str, digits: str) -> str:
    """The same table with few digits; a column with anything but numbers in it stays as it is."""
    columns = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    for name in columns:
        numbers = pd.to_numeric(columns[name], errors="coerce")
        if numbers.notna().all() and numbers.dtype.kind == "f":
            columns[name] = numbers
    return _written(columns, digits)


def _written(table: pd.DataFrame, digits: str) -> str:
    """A table as text with few digits; whole numbers, as counts are, keep all of theirs."""
    whole = [
        name
        for name in table.select_dtypes("float")
        if not (table[name] % 1).any() and table[name].abs().max() < WHOLE_BELOW
    ]
    return table.astype(dict.fromkeys(whole, "Int64")).to_csv(index=False, float_format=digits)


def at_few_times(table: pd.DataFrame, count: int, also: Sequence[float] = ()) -> pd.DataFrame:
    """Keep a few of the times of every system and rate, spread evenly, the last among them.

    A rate that is no number has times of each member's own, which are means over its starts.

    Args:
        table: Rows along rollouts.
        count: How many.
        also: Further times [s] of which the nearest is kept.
    """
    kept, shared = [], ["env", "test_frequency"]
    rates = table["test_frequency"].unique()
    irregular = table["test_frequency"].isin([rate for rate in rates if np.isnan(frequency_value(rate))])
    own = [*shared, *(name for name in MEMBER_COLUMNS if name in table)]
    groups = (*table[~irregular].groupby(shared, sort=False), *table[irregular].groupby(own, sort=False, dropna=False))
    for _, rows in groups:
        times = np.sort(rows["time"].unique())
        places = np.linspace(len(times) - 1, 0, count).round().astype(int).tolist()
        places += [int(np.abs(times - time).argmin()) for time in also]
        chosen = times[np.unique(places)]
        kept.append(rows[rows["time"].isin(chosen)])
    return pd.concat(kept).sort_index() if kept else table


def unpack(edition: Path, target: Path) -> None:
    """Write an edition's notebooks and results as a run has them, into `target/notebooks` and `target/results`."""
    copy_results(edition / "results", target / "results")
    if (edition / "notebooks").is_dir():
        shutil.copytree(edition / "notebooks", target / "notebooks", dirs_exist_ok=True)
    for suffix in PACKERS:
        for path in sorted(target.rglob(f"*{suffix}")):
            path.with_suffix("").write_bytes(stored_bytes(path))
            path.unlink()
    media = _media(target / "results")
    for path in sorted((target / "notebooks").glob("[!.]*.ipynb")):
        write_stripped_notebook(path, path, media)


def add_taken(results: Path, preset: Preset) -> None:
    """Put the rows of seeds that a preset takes from blocks into tables that an edition has without them.

    Args:
        results: Folder of unpacked results.
        preset: The edition's.
    """
    for name in IN_BLOCKS if preset.taken else ():
        path = results / "metrics" / f"{name}.csv"
        rows = taken_rows(preset.name, preset.taken, name)
        if path.is_file() and len(rows):
            write_table(path, pd.concat([read_table(path), rows], ignore_index=True))


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
