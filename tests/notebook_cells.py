"""The cells of a notebook, run in this process with parameters, as papermill runs them in a kernel."""

import ast
import warnings
from collections.abc import Iterator

from tdlib.grid.stamps import read_cells
from tdlib.study.layout import ROOT


def run_cells(name: str, variables: dict, **parameters: object) -> Iterator[object]:
    """Run one code cell after another and yield what it shows, None for nothing.

    Args:
        name: Of a notebook, without ending.
        variables: Its names; it fills them.
        parameters: Values in place of its own.
    """
    cells = [cell for cell in read_cells(ROOT / "notebooks" / f"{name}.ipynb") if cell["cell_type"] == "code"]
    for cell in cells:
        tree = ast.parse(cell["source"])
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            exec(compile(tree, name, "exec"), variables)
            shown = eval(compile(ast.Expression(last.value), name, "eval"), variables) if last is not None else None
        if "parameters" in cell["tags"]:
            assert set(parameters) <= set(variables)
            variables |= {key: str(value) if key == "preset" else value for key, value in parameters.items()}
        yield shown
