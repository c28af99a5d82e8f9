"""TorchScript archives, opened only after their program was read: a stranger's file may compute, and nothing else.

`torch.jit.load` executes no Python and no pickle of Python's: it reads tensors and compiles the archive's program for
torch's own interpreter. That program may still call operators that write or read files, and its `__setstate__` runs
while it is loaded; such archives are refused before they are opened. Torch calls the format deprecated (in favor of
`torch.export`) and reads it still.
"""

import ast
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

MARK = "constants.pkl"  # in an archive of a script, and in none of a state or of a pickled module
REFUSED = {  # whatever carries the name: operators that touch files or other processes, and what runs while loading
    "save", "from_file", "load_tensor", "rpc_async", "rpc_sync", "rpc_remote", "__setstate__", "__getstate__",
}  # fmt: skip
NAMESPACES = ("aten", "prim")  # of operators; others come from libraries of their own


def load_scripted(path: Path | str) -> nn.Module:
    """Return the module of a TorchScript archive, on the CPU and in evaluation mode.

    Raises:
        ValueError: If the file is no such archive, or its program may do more than compute.
    """
    found = _what_it_does(path)
    if found:
        raise ValueError(f"path must be an archive whose program only computes, got {str(path)!r} with {found}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # said in the docstring, and by the caller
            return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise ValueError(f"path must be a TorchScript archive, got {str(path)!r}: {error}") from error


def _what_it_does(path: Path | str) -> list[str]:
    """Names of what a program uses beyond computing; its text is read, nothing is run."""
    try:
        archive = torch._C.PyTorchFileReader(str(path))  # what loads it reads it here: two readers may see two texts
        names = archive.get_all_records()
        if len({name.casefold() for name in names}) < len(names):
            raise ValueError(f"path must be an archive whose entries have names of their own, got {sorted(names)}")
        programs = {name: archive.get_record(name).decode() for name in names if name.casefold().endswith(".py")}
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise ValueError(f"path must be a TorchScript archive, got {str(path)!r}: {error}") from error
    if MARK not in names:
        raise ValueError(
            f"path must be an archive of torch.jit.save, got {str(path)!r}, which holds weights or a pickled module: "
            "name a checkpoint's folder or the import path of what builds it"
        )
    found: set[str] = set()
    for name, text in programs.items():
        try:
            nodes = list(ast.walk(ast.parse(text)))
        except SyntaxError as error:
            raise ValueError(f"path must hold programs that can be read, got {name}: {error}") from error
        found |= {word for node in nodes for word in _words(node) if word in REFUSED}
        found |= {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute) and _is_foreign(node)}
    return sorted(found)


def _words(node: ast.AST) -> Sequence[str]:
    """What a node of a program names: attributes, plain names, functions, and names given as text."""
    if isinstance(node, ast.Attribute):
        return (node.attr,)
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.FunctionDef):
        return (node.name,)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        return [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
    return ()


def _is_foreign(node: ast.Attribute) -> bool:
    """Whether `ops.x` names operators of another library than torch's own."""
    base = node.value
    return (getattr(base, "attr", "") or getattr(base, "id", "")) == "ops" and node.attr not in NAMESPACES
