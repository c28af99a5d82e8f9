"""Which source a result was made by: the text of every module *as this process has it in memory*, and who uses whom.

`record_sources()` has the modules of this library read through a loader that remembers the text each was compiled from;
a file that is edited afterwards changes nothing in memory, and nothing here. Compiled files are matched by content,
never by time.

`source_hash("tdlib.models.families.newtonian", ...)` is the hash of these modules and of all they import. Registries
name every entry there is: their table of entries, and the imports that only serve it, count for nothing, so that an
entry more (its file, its line) changes no hash of the others.
"""

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

Edge = tuple[str, str | None]  # (module, name in it or None for the module itself)
PACKAGE = __name__.split(".")[0]
FOLDER = Path(__file__).resolve().parents[1]
REGISTRIES = {  # module -> its tables of entries
    "tdlib.systems": ("SYSTEMS",),
    "tdlib.models.build": ("DISCRETE", "FIELDS", "MODELS"),
    "tdlib.evaluation.measures": ("MEASURES",),
    "tdlib.study.chapters": ("CHAPTERS",),
}

_recorded: dict[str, bytes] = {}  # of this process: module -> the text it was compiled from
_seen: dict[str, tuple[ModuleSpec | None, bytes]] = {}  # the same for modules of others, read when first asked for


class _RecordingLoader(SourceFileLoader):
    """Loads a module and remembers its text; a compiled file is of this text if it holds the text's hash."""

    def path_stats(self, path: str) -> dict[str, int]:
        content = super().get_data(path)
        _recorded[self.name] = content
        # what Python writes into a compiled file and compares: a "time" and a size
        return {"mtime": int.from_bytes(hashlib.sha256(content).digest()[:4], "little"), "size": len(content)}

    def get_data(self, path: str) -> bytes:
        return _recorded[self.name] if path == self.path and self.name in _recorded else super().get_data(path)


class _RecordingFinder:
    """Finds modules of this library as Python does, and gives them the loader that remembers."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(f"{PACKAGE}."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _RecordingLoader(spec.loader.name, spec.loader.path)
        return spec


def record_sources() -> None:
    """Remember the text of every module of this library that is imported from now on."""
    if _RecordingFinder not in sys.meta_path:
        for name in (PACKAGE, f"{PACKAGE}.core", __name__):  # imported before
            _recorded[name] = source_of(name)
        sys.meta_path.insert(0, _RecordingFinder)


def source_of(name: str) -> bytes:
    """Return a module's source: as it is in memory, or as the file says if this process has not imported it.

    Raises:
        ValueError: If there is no such module, or it has no source file.
    """
    if name in _recorded:
        return _recorded[name]
    if name.split(".")[0] == PACKAGE:
        path = module_path(name)
        if path is None:
            raise ValueError(f"name must be a module of {PACKAGE}, got {name!r}")
        return path.read_bytes()
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if name not in _seen or _seen[name][0] is not spec:  # a module that is loaded again has another specification
        _seen[name] = (spec, _source_of_stranger(name, module))
    return _seen[name][1]


def has_source(name: str) -> bool:
    """Whether a module has a source file; what is written in a notebook has none."""
    try:
        source_of(name)
    except ValueError:
        return False
    return True


@functools.cache
def module_path(name: str) -> Path | None:
    """Return the file of a module of this library; None if there is none."""
    path = FOLDER.joinpath(*name.split(".")[1:])
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def source_modules(*roots: str, stop: Sequence[str] = ()) -> dict[str, bytes]:
    """Return the text that counts of the roots and of all modules of theirs and ours that they import, by name.

    Args:
        roots: Names of modules; `module:name` is one name in it, which of a package is what that gives alone.
        stop: Modules and packages that are not followed, though they may be roots.

    Raises:
        ValueError: If a root is no module with a source.
    """
    own = {PACKAGE, *(root.split(".")[0] for root in roots)}
    found: dict[str, bytes] = {}
    waiting = list(dict.fromkeys(_as_edge(root) for root in roots))
    edges: Iterable[Edge]
    done = set(waiting)
    while waiting:
        name, attribute = waiting.pop()
        module = _parsed(name, source_of(name))
        if attribute is None and (name in roots or not module.is_package):
            found[name] = module.text
            edges = module.used_imports
        elif attribute is None:  # a whole package: all that it gives
            edges = module.imports.values()
        elif attribute in module.imports:
            edges = [module.imports[attribute]]
        else:
            found[name] = module.text
            edges = module.used_imports
        for edge in edges:
            target = _resolve(*edge) if edge[0].split(".")[0] in own else None
            if target is not None and target not in done and not _within(target[0], stop):
                done.add(target)
                waiting.append(target)
    return dict(sorted(found.items()))


def source_hash(*roots: str, stop: Sequence[str] = ()) -> str:
    """Return the hash of `source_modules`."""
    digest = hashlib.sha256()
    for name, text in source_modules(*roots, stop=stop).items():
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Module:
    """What a module's text says about imports.

    Args:
        is_package: Whether it is the `__init__` of a package.
        text: The text that counts: all of it, or for packages and registries what is left without imports and tables.
        imports: Name in the module -> what is imported.
        used_imports: Those that the text that counts uses.
    """

    is_package: bool
    text: bytes
    imports: dict[str, Edge]
    used_imports: tuple[Edge, ...]


def _parsed(name: str, source: bytes) -> _Module:
    path = module_path(name) if name.split(".")[0] == PACKAGE else None
    if path is not None:
        return _parse(name, source, path.name == "__init__.py")
    module = sys.modules.get(name)
    return _parse(name, source, hasattr(module, "__path__"))


@functools.cache
def _parse(name: str, source: bytes, is_package: bool) -> _Module:
    tree = ast.parse(source)
    package = name if is_package else name.rpartition(".")[0]
    imports = dict(_imports(tree, package))
    if not is_package and name not in REGISTRIES:
        return _Module(False, source, imports, tuple(imports.values()))
    cut = [node for node in tree.body if _is_entry_or_import(node, (*REGISTRIES.get(name, ()), "__all__"))]
    used = {n.id for node in tree.body if node not in cut for n in ast.walk(node) if isinstance(n, ast.Name)}
    lines = source.splitlines(keepends=True)
    for node in cut:
        first, last = node.lineno - 1, node.end_lineno or node.lineno
        lines[first:last] = [b""] * (last - first)
    text = b"".join(line for line in lines if line.strip())
    return _Module(is_package, text, imports, tuple(edge for key, edge in imports.items() if key in used))


def _is_entry_or_import(node: ast.stmt, tables: Sequence[str]) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(target, ast.Name) and target.id in tables for target in targets)


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, Edge]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name, (alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package.rsplit(".", node.level - 1)[0]
                module = f"{base}.{module}" if module else base
            for alias in node.names:
                yield alias.asname or alias.name, (module, None if alias.name == "*" else alias.name)


def _resolve(module: str, name: str | None) -> Edge | None:
    """Turn an import into a node to visit: a module, or a name that a package or a registry gives."""
    if name is not None and _exists(f"{module}.{name}"):
        return f"{module}.{name}", None
    if not _exists(module):
        return None
    given_by_name = name is not None and (_parsed(module, source_of(module)).is_package or module in REGISTRIES)
    return module, name if given_by_name else None


def _as_edge(root: str) -> Edge:
    name, _, attribute = root.partition(":")
    return (_resolve(name, attribute) if attribute else None) or (name, None)


def _exists(name: str) -> bool:
    if name.split(".")[0] == PACKAGE:
        return module_path(name) is not None
    return getattr(sys.modules.get(name), "__file__", None) is not None


def _within(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _source_of_stranger(name: str, module: ModuleType | None) -> bytes:
    path = getattr(module, "__file__", None)
    if path is None and module is None and name != "__main__":
        spec = importlib.util.find_spec(name)
        path = spec.origin if spec is not None else None
    if path is None or not Path(path).is_file():
        raise ValueError(f"name must be a module with a source file, got {name!r}")
    return Path(path).read_bytes()
