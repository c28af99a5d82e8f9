"""Writing files so that a reader sees the whole old file or the whole new one, never a part; YAML, safely."""

import contextlib
import gzip
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# the same safe subset of YAML read and written in C: a run opens thousands of small descriptions
_SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SAFE_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it over `path` when the block ends well, remove it when it fails.

    The suffix is kept, because some writers choose their format by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_text(path: Path | str, text: str) -> Path:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


class _EachKeyOnce(_SAFE_LOADER):
    """The safe loader, without its habit of keeping the last of two values of one key."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: dict[Any, yaml.Node] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float) and key in seen:
                first, again = seen[key].start_mark.line + 1, key_node.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} must be given once, got it in lines {first} and {again}"
                )
            seen[key if isinstance(key, str | int | float) else id(key_node)] = key_node
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """Read a YAML text; only plain values can come out of it.

    Raises:
        yaml.YAMLError: If it is no YAML, gives a key twice, or asks for anything but plain values.
    """
    return yaml.load(text, Loader=_EachKeyOnce)


def yaml_text(content: object) -> str:
    """Write plain values as YAML, dicts in their order.

    Raises:
        yaml.YAMLError: If there is anything but plain values.
    """
    return yaml.dump(content, Dumper=_SAFE_DUMPER, sort_keys=False, allow_unicode=True)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable where the system allows opening a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


PACKERS = {".gz": gzip, ".xz": lzma}  # by suffix of a compressed file; lzma needs a quarter less room and is slower


def stored(path: Path) -> Path:
    """Return where a file lies: its own place, or that of its compressed form if only that is there."""
    places = [path, *(path.with_name(f"{path.name}{suffix}") for suffix in PACKERS)]
    return next(filter(Path.is_file, places), path)


def stored_bytes(path: Path) -> bytes:
    """Read a file as it was before it was compressed, if its name says that it is."""
    packer = PACKERS.get(path.suffix)
    return path.read_bytes() if packer is None else packer.decompress(path.read_bytes())
