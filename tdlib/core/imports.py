"""Objects by import path, "package.module:Name": how a preset names what its user has written."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def is_import_path(name: str) -> bool:
    """Whether a name is the import path of an object, not an entry of a registry."""
    return ":" in name


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let the block import modules that lie in a folder, as a script there could."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def optional_module(name: str, extra: str) -> Any:
    """Import a module of a package that only some need.

    Args:
        name: For example "mcap.reader".
        extra: The name in `optional-dependencies` that brings it.

    Raises:
        ImportError: If it is missing; the message says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{name} is needed for this and missing: pip install 'tdlib[{extra}]'") from error


def import_object(path: str) -> object:
    """Import a module and return what it calls by a name.

    This runs the module's code: the path must be the user's own words, never a stranger's file.

    Args:
        path: For example "my_package.my_module:MyModel".

    Raises:
        ValueError: If the path has another form, or there is no such module or name.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"path must be 'package.module:Name', got {path!r}")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"path {path!r} must name something that can be imported: {error}") from error
