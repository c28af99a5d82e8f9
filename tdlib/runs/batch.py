"""Execute one notebook of the grid: papermill with what its command line lacks.

Unknown parameters are an error (papermill only warns and runs the defaults), the result appears whole or not at all,
and what a failed notebook had done is kept beside its log.

    python -m tdlib.runs.batch notebooks/04_control.ipynb out.ipynb -y "{preset: smoke, env: Pendulum-v1}"
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

import yaml

# an optional checker of URLs that takes two thirds of papermill's import time; nothing here checks URLs
sys.modules.setdefault("rfc3987_syntax", None)

import papermill  # noqa: E402

from tdlib.files import write_text  # noqa: E402


def execute(notebook: Path, output: Path, parameters: dict[str, object], cwd: Path) -> None:
    """Run a notebook with parameters and write the executed copy.

    Raises:
        ValueError: If the notebook does not know a parameter.
        papermill.PapermillExecutionError: If a cell fails.
    """
    known = papermill.inspect_notebook(str(notebook))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"parameters of {notebook.name} must be among {sorted(known)}, got {unknown}")
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.stem}.{os.getpid()}.ipynb")
    try:
        papermill.execute_notebook(
            str(notebook), str(temporary), parameters, kernel_name="python3", cwd=str(cwd), log_output=True,
            progress_bar=False, start_timeout=120, store_widget_state=False, request_save_on_cell_execute=False,
        )  # fmt: skip
        os.replace(temporary, output)
    except papermill.PapermillExecutionError:
        failed = Path(os.environ.get("TDLIB_LOGS", output.parent)) / f"{output.stem}-failed.ipynb"
        os.replace(temporary, failed)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tdlib.runs.batch", description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("-y", "--parameters", default="{}", help="parameters as YAML")
    parser.add_argument("--cwd", type=Path, default=Path.cwd(), help="working folder of the kernel")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        execute(options.notebook, options.output, yaml.safe_load(options.parameters), options.cwd)
    except (ValueError, papermill.PapermillExecutionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if "TDLIB_JOB" in os.environ:
        path = Path(os.environ["TDLIB_LOGS"]) / f"{os.environ['TDLIB_JOB']}.times.json"
        write_text(path, json.dumps(_cost(time.perf_counter() - started)))
    return 0


def _cost(wall_seconds: float) -> dict[str, float]:
    """Wall and CPU seconds and peak memory [MB] of this process and its kernel, by the system's own accounting."""
    own, kernel = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in (own, kernel))
    peak = max(own.ru_maxrss, kernel.ru_maxrss) / 1024  # of the larger process; Linux counts in kB
    return {"wall_seconds": round(wall_seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mb": round(peak)}


if __name__ == "__main__":
    sys.exit(main())
