"""Say what is wrong between a model and a log: `python -m tdlib.doctor MODEL LOG`.

MODEL is a checkpoint's folder, an .onnx file, a TorchScript archive (.pt), or the import path `module:name` of a
callable (state, action, delta_t) -> next state over torch tensors, (N, D), (N, A), (N,) -> (N, D); modules in the
present folder are found. LOG is a file or folder of any kind that `tdlib.data.sources.SOURCES` lists; rows whose stamps
repeat are left out, and gaps begin an episode. The exit code is 0 if the model is right at the log's rate, 1 if
something is wrong or cannot be told, 2 if there is nothing to answer.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tdlib.core.files import write_text
from tdlib.core.imports import import_object, importable, is_import_path
from tdlib.core.specs import EnvironmentSpec
from tdlib.data.sources.door import import_log
from tdlib.data.sources.recording import GROUPS, TIMESTAMP, Reading
from tdlib.data.sources.stamps import SECONDS
from tdlib.doctor.onnx_model import load_onnx
from tdlib.doctor.onnx_wrapper import write_wrapper
from tdlib.doctor.report import Examination, examine
from tdlib.doctor.torchscript_model import DEPRECATED, ScriptedModel
from tdlib.training import load_checkpoint

ONNX, SCRIPT = ".onnx", ".pt"
OPTIONS = ("topics", "on", "clock")  # of logs with several topics


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        model = load_model(options.model)
        log = import_log(
            options.log,
            _reading(options, getattr(model, "spec", None)),
            kind=options.kind,
            **{name: value for name in OPTIONS if (value := getattr(options, name)) is not None},
        )
        found = examine(model, log, train_delta_t=options.train_delta_t, label=options.label)
    except (ValueError, TypeError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if Path(options.model).suffix == SCRIPT:
        print(f"note: {DEPRECATED}", file=sys.stderr)
    print(found)
    try:
        _write(found, options)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if found.verdict.rule.healthy else 1


def load_model(name: str) -> Callable:
    """Return the model that a word of the command line names.

    Raises:
        ValueError: If it is none of a checkpoint's folder, an ONNX file, a TorchScript archive whose program only
            computes, and the import path of something callable.
        ImportError: If onnxruntime is missing for the second.
    """
    if Path(name).suffix == ONNX:
        return load_onnx(name)
    if Path(name).suffix == SCRIPT:
        return ScriptedModel(name)
    if Path(name).exists():
        return load_checkpoint(name)
    if not is_import_path(name):
        known = "a checkpoint's folder, an .onnx file, a TorchScript .pt, or an import path 'module:name'"
        raise ValueError(f"MODEL must be {known}, got {name!r}")
    with importable(Path.cwd()):
        found = import_object(name)
    if not callable(found):
        raise ValueError(f"MODEL {name!r} must be callable, got {type(found).__name__}")
    return found


def _write(found: Examination, options: argparse.Namespace) -> None:
    """Write what was asked for beside the text."""
    if options.out is not None:
        from tdlib.doctor.page import write_page  # draws: not for those who want the text alone

        print(f"\nPage: {write_page(found, options.out, model=options.model, log=options.log)}")
        if found.wrapper and Path(options.model).suffix == ONNX:
            print(_write_wrapper(found, options.model, options.out))
    if options.json is not None:
        write_text(options.json, json.dumps(found.as_dict(), indent=1, allow_nan=False) + "\n")


def _write_wrapper(found: Examination, model: str, folder: Path) -> str:
    """Write the repair around the model's own graph, and say where, or what is missing for it."""
    try:
        return f"Wrapper: {write_wrapper(found.repair, found.h, model, folder / 'repaired.onnx', found.angles)}"
    except (ImportError, ValueError) as error:
        return f"No wrapper as ONNX: {error}"


def _reading(options: argparse.Namespace, spec: EnvironmentSpec | None) -> Reading:
    columns: dict[str, str | list[str]] = {}
    for entry in options.columns:
        group, _, names = entry.partition("=")
        if group not in (TIMESTAMP, *GROUPS):
            raise ValueError(f"--columns must be GROUP=NAME,NAME of a group in {[TIMESTAMP, *GROUPS]}, got {entry!r}")
        columns[group] = names if group == TIMESTAMP else [name for name in names.split(",") if name]
    units = dict(entry.partition("=")[::2] for entry in options.units)
    angles = tuple(options.angles)
    if spec is not None and (angles or units):
        raise ValueError("--angles and --units are for models that do not say what their states are, this one does")
    return Reading(
        spec=spec,
        name=Path(options.log).stem or "log",
        columns=columns or None,
        angles=angles,
        units=units,
        time_unit=options.time_unit,
        stamps="repair",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tdlib.doctor", description=__doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("log", metavar="LOG")
    parser.add_argument(
        "--columns", nargs="+", default=[], metavar="GROUP=NAMES",
        help="which columns are what: timestamp=time_s qpos=q1,q2 qvel=dq1,dq2 ctrl=tau1,tau2",
    )  # fmt: skip
    parser.add_argument("--angles", nargs="+", default=[], metavar="NAME", help="columns that are angles")
    parser.add_argument("--units", nargs="+", default=[], metavar="NAME=UNIT", help="such as elbow=deg")
    parser.add_argument("--time-unit", choices=list(SECONDS), help="of the stamps")
    parser.add_argument("--train-delta-t", type=float, help="step that the model was trained at [s]")
    parser.add_argument("--label", type=float, help="rate that the log is said to have [Hz]")
    parser.add_argument("--kind", help="of the log, where its name does not say")
    parser.add_argument("--topics", nargs="+", help="of a log with several")
    parser.add_argument("--on", help="topic whose stamps are the rows")
    parser.add_argument("--clock", choices=["header", "log"], help="whose stamps count in a log with topics")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also write the answer there as doctor.html")
    parser.add_argument("--json", type=Path, help="also write the answer there")
    return parser
