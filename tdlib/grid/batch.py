"""Execute one notebook of the grid: papermill with what its command line lacks.

Unknown parameters are an error (papermill only warns and runs the defaults), the result appears whole or not at all,
and what a failed notebook had done is kept beside its log.

    python -m tdlib.grid.batch notebooks/04_control.ipynb out.ipynb -y "{preset: smoke, env: Pendulum-v1}"
"""

import argparse
import json
import os
import sys
from pathlib import Path

import papermill

from tdlib.core.files import parse_yaml
from tdlib.grid.kernel import ForkedKernel, SocketKernelManager, manager_class
from tdlib.grid.preload import FORKED
from tdlib.grid.report import PARTS, parts_of_cells
from tdlib.grid.stamps import read_cells

KERNEL = "python3"


def execute(
    notebook: Path, output: Path, parameters: dict[str, object], cwd: Path, kernel: ForkedKernel | None = None
) -> None:
    """Run a notebook with parameters and write the executed copy.

    Args:
        notebook: Source notebook.
        output: The executed copy.
        parameters: Values of the notebook's parameters.
        cwd: Working folder of the kernel.
        kernel: Process that is to be the kernel; None to start one.

    Raises:
        ValueError: If the notebook does not know a parameter.
        papermill.PapermillExecutionError: If a cell fails.
    """
    known = papermill.inspect_notebook(str(notebook))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ValueError(f"parameters of {notebook.name} must be among {sorted(known)}, got {unknown}")
    output.parent.mkdir(parents=True, exist_ok=True)
    os.environ[PARTS] = json.dumps(parts_of_cells(read_cells(notebook)))  # for the kernel
    temporary = output.with_name(f".{output.stem}.{os.getpid()}.ipynb")
    try:
        papermill.execute_notebook(
            str(notebook), str(temporary), parameters, kernel_name=KERNEL, cwd=str(cwd), log_output=True,
            progress_bar=False, start_timeout=120, store_widget_state=False, request_save_on_cell_execute=False,
            extra_arguments=["--IPKernelApp.extra_extensions=tdlib.grid.report"] if "TDLIB_JOB" in os.environ else [],
            kernel_manager_class=SocketKernelManager if kernel is None else manager_class(kernel),
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
    parser = argparse.ArgumentParser(prog="python -m tdlib.grid.batch", description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("-y", "--parameters", default="{}", help="parameters as YAML")
    parser.add_argument("--cwd", type=Path, default=Path.cwd(), help="working folder of the kernel")
    options = parser.parse_args(arguments)
    # before papermill starts a thread: a fork copies only the thread that forks
    kernel = ForkedKernel() if os.environ.pop(FORKED, "") else None
    try:
        execute(options.notebook, options.output, parse_yaml(options.parameters), options.cwd, kernel)
    except (ValueError, papermill.PapermillExecutionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if kernel is not None:
            kernel.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
