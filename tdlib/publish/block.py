"""What surely stays of a block of seeds of a long study: its rows, compressed, and what they were made with.

    make block PRESET=full SEEDS="2 3"        runs the cells of these seeds, then
    python -m tdlib.publish.block full 2 3    writes book/blocks/full/seeds2-3

Committed, they stand for these seeds in every later run of a preset that takes them (`taken: [2, 3]`): another machine
would collect other data, and models are too large to keep.
"""

import argparse
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from tdlib.core.files import write_bytes, write_text, yaml_text
from tdlib.evaluation.tables import order_columns
from tdlib.grid.checks import check_tables
from tdlib.grid.jobs import cells_of_seeds
from tdlib.grid.stamps import job_result
from tdlib.grid.times import gather_times
from tdlib.publish.edition import ALONG_ROLLOUTS, EVERY, OF_STUDY, at_few_times, compressed
from tdlib.study.blocks import MADE_WITH, TIMES, block_folder
from tdlib.study.measurements import IMAGINED_TIMES, ROLLOUT_TIMES
from tdlib.study.phases.collect import data_hashes
from tdlib.study.phases.data_check import check_data
from tdlib.study.presets import PresetError
from tdlib.study.provenance import commit_of_memory, versions
from tdlib.study.run import Run, open_run
from tdlib.study.statistics import own_rows, table_names

MAX_BYTES = 2_000_000  # the history of a repository keeps every block
SUFFIX = ".xz"  # three quarters of what gzip needs


def write_block(run: Run, seeds: Sequence[int]) -> Path:
    """Write the rows of some seeds of a run into `book/blocks`; return the folder.

    Raises:
        ValueError: If the cells of the seeds have not all run, a row or the commit of some is missing, or they would
            take too much room.
    """
    preset = run.preset
    missing = [
        cell.name
        for cell in cells_of_seeds(preset, seeds)
        if not (run.layout.notebooks / f"{cell.name}.ipynb").is_file()
    ]
    if missing:
        raise ValueError(f"seeds must have run, from collection to tables, missing are {missing}")
    tables = {name: _few(rows[rows["seed"].isin(seeds)]) for name, rows in _tables(run, seeds).items()}
    if problems := check_tables(run, tables, seeds):
        raise ValueError("rows of the seeds must be complete: " + "; ".join(problems))
    if "" in (commits := _commits_of(tables)) and len(commits) > 1:
        raise ValueError(f"rows of the seeds must name the commit that made them, some do not beside {commits[1:]}")
    packed = {f"{name}.csv{SUFFIX}": _packed(table) for name, table in tables.items() if len(table)}
    packed |= {f"{name}.csv{SUFFIX}": _text_of(table) for name, table in _times(run, seeds).items()}
    if (size := sum(map(len, packed.values()))) > MAX_BYTES:
        raise ValueError(f"rows of seeds {list(seeds)} must take at most {MAX_BYTES} bytes, got {size}")
    folder = block_folder(preset.name, seeds)
    staged = folder.with_name(f".{folder.name}")
    shutil.rmtree(staged, ignore_errors=True)
    for name, content in packed.items():
        write_bytes(staged / name, content)
    write_text(staged / MADE_WITH, yaml_text(_made_with(run, seeds, tables)))
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)
    return folder


def check_current(run: Run, seeds: Sequence[int]) -> None:
    """Check that what the cells of some seeds left still stands.

    Raises:
        ValueError: If one is to run, or to run again.
    """
    for cell in cells_of_seeds(run.preset, seeds):
        if reasons := job_result(run.preset, cell.name).reasons():
            raise ValueError(f"cells of the seeds must stand, {cell.name} does not: {'; '.join(reasons)}")


def _tables(run: Run, seeds: Sequence[int]) -> dict[str, pd.DataFrame]:
    """Every table of the run, and the checks of the seeds' data, which a run writes for all of its seeds only."""
    found = {name: rows for name in table_names() if (rows := own_rows(run, name)) is not None}
    checks = pd.concat([check_data(run, env, seeds) for env in run.preset.environments], ignore_index=True)
    found["data_checks"] = checks.assign(git_commit=commit_of_memory())
    return found


def _few(table: pd.DataFrame) -> pd.DataFrame:
    """Keep of rows along rollouts few times, those that statistics speak of among them, and the mean over dimensions.

    They are half of all rows, and nothing of a run asks for a single dimension of another run's rollouts.
    """
    if not ALONG_ROLLOUTS <= set(table):
        return table
    if "dimension" in table and (table["dimension"] == EVERY).any():
        table = table[table["dimension"] == EVERY]
    return at_few_times(table, OF_STUDY.times, (*ROLLOUT_TIMES, *IMAGINED_TIMES))


def _packed(table: pd.DataFrame) -> bytes:
    return _text_of(order_columns(table))


def _text_of(table: pd.DataFrame) -> bytes:
    return compressed(table.to_csv(index=False, float_format=OF_STUDY.digits).encode(), SUFFIX)


def _times(run: Run, seeds: Sequence[int]) -> dict[str, pd.DataFrame]:
    """What the cells of the seeds cost, by job and by part of a job."""
    cells = {cell.name for cell in cells_of_seeds(run.preset, seeds)}
    tables = zip(TIMES, gather_times(run.layout.logs), strict=True)
    return {name: table[table["job"].isin(cells)] for name, table in tables}


def _commits_of(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the commits that rows name, in order; an empty one first where some name none."""
    columns = [table["git_commit"].fillna("").unique() for table in tables.values() if "git_commit" in table]
    return sorted({str(commit) for column in columns for commit in column})


def _made_with(run: Run, seeds: Sequence[int], tables: Mapping[str, pd.DataFrame]) -> dict[str, object]:
    return {
        "seeds": list(seeds),
        "command": f'make block PRESET={run.preset.name} SEEDS="{" ".join(map(str, seeds))}"',
        "commits": [commit for commit in _commits_of(tables) if commit],
        "python": platform.python_version(),
        "versions": versions(),
        "test_data": {env: data_hashes(run, env, seeds, "test") for env in run.preset.environments},
        "preset": run.preset.model_dump(mode="json"),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.publish.block", description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("seeds", type=int, nargs="+")
    options = parser.parse_args(arguments)
    try:
        run = open_run(options.preset)
        check_current(run, options.seeds)
        folder = write_block(run, options.seeds)
    except (PresetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"rows of seeds {' '.join(map(str, options.seeds))}: {folder}, {size / 1e6:.2f} MB; commit them, and add the")
    print("seeds to `taken` of the preset where a later run is to show them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
