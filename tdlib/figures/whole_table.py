"""Tables of every arm below a figure that shows a few: nothing cut, so that a page's filter finds all rows."""

import html
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tdlib.figures.selection import ARM
from tdlib.figures.style import over_seeds, sort_rates

NOT_FINITE, NOT_MEASURED = "not finite", "–"


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
        with pd.option_context("display.max_colwidth", None):  # words too
            return f'{title}<div class="td-whole">{self.table.to_html(max_rows=None, max_cols=None)}</div>'


def table_of_arms(
    table: pd.DataFrame | None,
    value: str,
    columns: str | Sequence[str],
    *,
    title: str,
    where: Mapping[str, object] | None = None,
    at_last: str = "",
) -> WholeTable:
    """Mean over seeds of every arm, one column per value of `columns`.

    A cell without a finite value says so, one with some that are not says how many; what was not measured is a dash.

    Args:
        table: Rows of single seeds with the columns of arms; None where nothing was measured.
        value: What is averaged.
        columns: Column or columns that the table is spread over, such as test_frequency.
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
    spread = [columns] if isinstance(columns, str) else list(columns)
    summary = over_seeds(table, value, [*ARM, *spread])
    written = [_cell(mean, bad) for mean, bad in zip(summary["mean"], summary["bad"], strict=True)]
    summary = summary.assign(cell=written, column=summary[spread].astype(str).agg(" / ".join, axis=1))
    names = sort_rates(summary["column"]) if len(spread) == 1 else list(dict.fromkeys(summary["column"]))
    order = pd.MultiIndex.from_frame(summary[ARM].drop_duplicates())
    wide = summary.pivot(index=ARM, columns="column", values="cell").reindex(index=order, columns=names)
    seeds = f"mean over {int(summary['seeds'].max())} seeds, {len(wide)} arms"
    wide = wide.fillna(NOT_MEASURED).reset_index().rename_axis(columns=None)
    return WholeTable(wide, f"{title} ({seeds})")


def _cell(mean: float, bad: int) -> str:
    if not np.isfinite(mean):
        return NOT_FINITE
    return f"{mean:.3g}" + f" ({bad} not finite)" * bool(bad)
