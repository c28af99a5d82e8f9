"""CSV as people have it, read fast: what its separators, comments and header are, and what is wrong with which cell.

pandas parses the numbers; what it cannot say (which cell of which row) is looked for only when it fails.
"""

import csv
import io
import mmap
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tdlib.data.schema import DatasetError
from tdlib.data.sources.recording import Recording, shortened

SEPARATORS = (",", ";", "\t", "|")
SNIFFED = 1 << 20  # bytes that the header and the comments before it lie within
SURPLUS = "\0 surplus"  # a column behind the last, for cells that no name stands over
NOT_A_NUMBER = ["", "nan", "NaN", "NAN"]
OTHERS = "encoding='latin-1' reads the usual others"
LONGEST = 80  # characters of a cell that a message shows
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True)
class CsvStyle:
    """How a CSV file is written.

    Args:
        separator: Between cells; None takes the one of `SEPARATORS` that the header has most of, or blanks.
        decimal: Point or comma in numbers.
        encoding: Of the text; a byte order mark of UTF-8 or UTF-16 decides.
        comment: What a line begins with that is left out.

    Raises:
        ValueError: If a choice is not usable.
    """

    separator: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"
    comment: str = "#"

    def __post_init__(self):
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ',', got {self.decimal!r}")
        if self.separator is not None and len(self.separator) != 1:
            raise ValueError(f"separator must be one character, got {self.separator!r}")
        if len(self.comment) != 1:
            raise ValueError(f"comment must be one character, got {self.comment!r}")
        if self.separator == self.decimal:
            raise ValueError(f"separator must differ from decimal, got {self.separator!r} for both")


@dataclass(frozen=True)
class _Layout:
    names: list[str]
    first: int  # line after the header, counted from 0
    separator: str
    encoding: str


def read_csv_text(file: Path, style: CsvStyle) -> Recording:
    """Read a file's columns: numbers where every cell is one or empty, else text.

    Raises:
        DatasetError: Names the file, and the row (counted from 1 below the header), column and cell.
    """
    layout, notes = _layout(file, style)
    try:
        table = _parse(file, layout, style)
    except (ValueError, UnicodeError, pd.errors.ParserError) as error:
        raise DatasetError(f"{file.name}: {_failure(file, layout, style, error)}") from error
    surplus = table.pop(SURPLUS)
    if surplus.notna().any():
        row = int(np.argmax(surplus.notna().to_numpy())) + 1
        count = len(layout.names)
        raise DatasetError(f"{file.name}: row {row} must hold {count} cells, got {count + 1} or more")
    while layout.names and not layout.names[-1]:  # a separator behind the last name
        if table.iloc[:, -1].notna().any():
            raise DatasetError(f"{file.name}: column {len(layout.names)} must have a name, got ''")
        layout.names.pop()
        table = table.iloc[:, : len(layout.names)]
    table, cut = _without_half_line(file, table, layout, style)
    if len(table) < 2:
        raise DatasetError(f"{file.name}: file must have a header and at least two rows, got {len(table)} rows")
    columns = {name: table.iloc[:, i].to_numpy() for i, name in enumerate(layout.names)}
    if len(columns) < len(layout.names):
        repeated = sorted({name for name in layout.names if layout.names.count(name) > 1})
        raise DatasetError(f"{file.name}: columns must have names of their own, got {shortened(repeated)} repeated")
    return Recording(file.name, columns, (*notes, *cut))


def bad_cell(file: Path, column: str, style: CsvStyle) -> str:
    """Say which cell of a column is no finite number: for errors, from the text itself."""
    layout, _ = _layout(file, style)
    place = layout.names.index(column)
    for row, cells in enumerate(_rows(file, layout, style), 1):
        if len(cells) <= place:
            return f"row {row} must hold {len(layout.names)} cells, got {len(cells)}, none for {column}"
        cell = cells[place].strip()
        try:
            value = float(cell.replace(",", ".") if style.decimal == "," else cell)
        except ValueError:
            hint = "; decimal=',' reads decimal commas" if DECIMAL_COMMA.fullmatch(cell) else ""
            return f"{column} must be a number, got {cell[:LONGEST]!r} in row {row}{hint}"
        if not np.isfinite(value):
            return f"{column} must be finite, got {value} in row {row}"
    return f"{column} must hold finite numbers"


def _layout(file: Path, style: CsvStyle) -> tuple[_Layout, tuple[str, ...]]:
    with open(file, "rb") as stream:
        head = stream.read(SNIFFED)
    encoding = style.encoding
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif head[:3] == b"\xef\xbb\xbf":
        encoding = "utf-8-sig"
    try:
        text = head.decode(encoding, errors="strict" if len(head) < SNIFFED else "ignore")
    except (UnicodeError, LookupError) as error:
        raise DatasetError(f"{file.name}: text must be {encoding}, got other bytes ({error}); {OTHERS}") from error
    lines, said, before = text.splitlines(), "", None
    for number, line in enumerate(lines):
        if line.strip().startswith(style.comment):
            before = (number, line.strip().lstrip(style.comment).strip())
        elif line.strip():
            break
    else:
        raise DatasetError(f"{file.name}: file must have a header and at least two rows, got {len(lines)} lines")
    separator = style.separator or _most_frequent(line)
    names = _split(line, separator)
    first = number + 1
    if all(map(_is_number, names)):  # the header may stand behind the comment sign
        hidden = _split(before[1], separator) if before is not None else []
        if len(hidden) != len(names):
            raise DatasetError(f"{file.name}: the first line must name the columns, got numbers: {line[:LONGEST]!r}")
        names, first, said = hidden, number, "the names of the columns stand in a comment"
    if len(names) < 2:
        raise DatasetError(
            f"{file.name}: the header must hold several columns, got {line[:LONGEST]!r}; separator='…' parts them"
        )
    notes = [said] if said else []
    if style.separator is None and separator != ",":
        notes.append(f"cells are parted by {'blanks' if separator == ' ' else repr(separator)}")
    if encoding.startswith("utf-16"):
        notes.append("the text is UTF-16")
    return _Layout(names, first, separator, encoding), tuple(notes)


def _most_frequent(line: str) -> str:
    counts = {separator: line.count(separator) for separator in SEPARATORS}
    best = max(counts, key=lambda separator: counts[separator])
    return best if counts[best] else " "


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        cells = line.split()
    elif '"' in line:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    else:
        cells = line.split(separator)
    return [cell.strip().strip('"').strip() for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _parse(file: Path, layout: _Layout, style: CsvStyle) -> pd.DataFrame:
    blanks = layout.separator == " "
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # cells that would be dropped
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # a text column is told of by its type
        names = [f"{i}" for i in range(len(layout.names))]
        commented = _has_comments(file, style)  # whole lines; the sign inside a cell is text
        return pd.read_csv(
            _without_comments(file, layout, style) if commented else file,
            sep=r"\s+" if blanks else layout.separator,
            skiprows=0 if commented else layout.first,
            header=None,
            names=[*names, SURPLUS],
            index_col=False,
            decimal=style.decimal,
            keep_default_na=False,
            na_values=NOT_A_NUMBER,
            skipinitialspace=True,
            encoding=layout.encoding,
        )


def _has_comments(file: Path, style: CsvStyle) -> bool:
    if not file.stat().st_size:
        return False
    with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return re.search(rb"\n[ \t]*" + re.escape(style.comment.encode()), content) is not None


def _without_comments(file: Path, layout: _Layout, style: CsvStyle) -> io.StringIO:
    """The text below the header without lines that are comments."""
    with open(file, encoding=layout.encoding, newline="") as stream:
        lines = (line for number, line in enumerate(stream) if number >= layout.first)
        return io.StringIO("".join(line for line in lines if not line.lstrip().startswith(style.comment)), newline="")


def _rows(file: Path, layout: _Layout, style: CsvStyle) -> Iterator[list[str]]:
    """Cells of the lines that are neither blank nor comments, one by one."""
    with open(file, encoding=layout.encoding, errors="replace") as stream:
        for number, line in enumerate(stream):
            if number >= layout.first and line.strip() and not line.lstrip().startswith(style.comment):
                yield _split(line.rstrip("\r\n"), layout.separator)


def _failure(file: Path, layout: _Layout, style: CsvStyle, error: Exception) -> str:
    """Say in the file's terms why pandas could not parse it."""
    if isinstance(error, UnicodeError):
        return f"text must be {layout.encoding}, got other bytes ({error}); {OTHERS}"
    count = len(layout.names)
    for row, cells in enumerate(_rows(file, layout, style), 1):
        if len(cells) > count and any(cells[count:]):
            hint = "; decimal=',' with separator=';' reads decimal commas" if len(cells) >= 2 * count - 1 else ""
            return f"row {row} must hold {count} cells, got {len(cells)}{hint}"
    return f"rows must hold {count} cells of numbers or text, got: {error}"


def _without_half_line(
    file: Path, table: pd.DataFrame, layout: _Layout, style: CsvStyle
) -> tuple[pd.DataFrame, Sequence[str]]:
    """Leave out a last line that ends before its last cell, as when power was lost while it was written."""
    if not len(table) or pd.notna(table.iloc[-1, -1]):
        return table, ()
    with open(file, "rb") as stream:
        stream.seek(max(0, file.stat().st_size - SNIFFED))
        tail = stream.read().decode(layout.encoding, errors="ignore").rstrip().splitlines()
    last = next((x for x in reversed(tail) if x.strip() and not x.lstrip().startswith(style.comment)), "")
    count = len(_split(last, layout.separator))
    if count >= len(layout.names):
        return table, ()
    return table.iloc[:-1], (f"the last line is cut ({count} of {len(layout.names)} cells) and left out",)
