"""Tables of every arm below a figure that shows a few: nothing cut, so that a page's filter finds all rows."""

import html
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tdlib.figures.selection import ARM
from tdlib.figures.style import over_seeds, sort_rates, span_text

NOT_FINITE, NOT_MEASURED = "not finite", "–"
WORDS = re.compile(r"<td>([^<]{40,})</td>")  # a cell that is long
UNTRAINED = "none"  # in columns of arms without a training
OFTEN_ALIKE = ("size", "data")  # columns of an arm that are named above the table where all arms share their value


class WholeTable:
    """A table that notebooks show with all of its rows, where pandas would cut it after sixty.

    Args:
        table: What is shown.
        title: One line above it.
    """

    def __init__(self, table: pd.DataFrame, title: str = "") -> None:
        self.table = table
        self.title = title

    def __repr__(self) -> str:
        return f"{self.title}\n{self.table.to_string()}".strip()

    def _repr_html_(self) -> str:
        title = f"<p>{html.escape(self.title)}</p>" if self.title else ""
        named = not isinstance(self.table.index, pd.RangeIndex)  # numbers of rows say nothing
        with pd.option_context("display.max_colwidth", None):  # words too
            shown = self.table.to_html(max_rows=None, max_cols=None, index=named)
        shown = WORDS.sub(r'<td class="td-words">\1</td>', shown)  # pages give them room, and break them
        return f'{title}<div class="td-whole">{shown}</div>'


def table_of_arms(
    table: pd.DataFrame | None,
    value: str,
    columns: str | Sequence[str],
    *,
    title: str,
    where: Mapping[str, object] | None = None,
    at_last: str = "",
) -> WholeTable:
    """Mean over seeds of every arm, one column per value of `columns`; of several the last is spread.

    The others get a row for each of their values: side by side they would be wider than a page.

    A cell without a finite value says so, one with some that are not says how many; what was not measured is a dash.

    Args:
        table: Rows of single seeds with the columns of arms; None where nothing was measured.
        value: What is averaged.
        columns: Column that the table is spread over, such as test_frequency, behind those that stand in rows.
        title: One line above the table.
        where: Value of columns whose other rows are left out.
        at_last: Column of which only the largest value is kept, such as time.
    """
    table = pd.DataFrame(columns=ARM) if table is None else table
    for name, wanted in (where or {}).items():
        table = table[table[name] == wanted] if len(table) else table
    if table.empty:
        return WholeTable(table, f"{title}: not measured in this run")
    if at_last:
        table = table[table[at_last] == table[at_last].max()]
    *in_rows, spread = [columns] if isinstance(columns, str) else list(columns)
    summary = over_seeds(table, value, [*ARM, *in_rows, spread])
    written = [_cell(mean, bad) for mean, bad in zip(summary["mean"], summary["bad"], strict=True)]
    summary = summary.assign(cell=written, column=summary[spread].astype(str))
    alike = _alike(summary)
    rows = [name for name in (*ARM, *in_rows) if name not in alike]
    order = summary[rows].drop_duplicates()
    wide = summary.pivot(index=rows, columns="column", values="cell")
    wide = wide.reindex(index=pd.MultiIndex.from_frame(order), columns=sort_rates(summary["column"]))
    wide = wide.fillna(NOT_MEASURED).reset_index().rename_axis(columns=None)
    said = [
        f"mean over {span_text(summary['seeds'] + summary['bad'])} seeds",
        f"{len(summary[ARM].drop_duplicates())} arms",
    ]
    said += [f"{name} {shared}" for name, shared in alike.items()]
    return WholeTable(wide, f"{title} ({', '.join(said)})")


def _alike(summary: pd.DataFrame) -> dict[str, str]:
    """Value of the columns in which all arms that were trained are alike."""
    found = {name: summary.loc[summary[name] != UNTRAINED, name].unique() for name in OFTEN_ALIKE}
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _cell(mean: float, bad: int) -> str:
    if not np.isfinite(mean):
        return NOT_FINITE
    return f"{mean:.3g}" + f" ({bad} not finite)" * bool(bad)
