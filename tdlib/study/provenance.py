"""Fingerprint what a result was made from, so that it is made again only when that changes."""

import functools
import hashlib
import json
from pathlib import Path

import yaml

from tdlib.core.files import parse_yaml, write_text, yaml_text
from tdlib.study.layout import ROOT


@functools.cache
def source_hash(*packages: str) -> str:
    """Return a fingerprint of the source of `tdlib`'s base layer and the named subpackages.

    A result is reused only while the code that made it is the same, so each phase hashes the layers it runs on.
    """
    folder = ROOT / "tdlib"
    files = sorted(folder.glob("*.py"))
    for package in packages:
        files += sorted((folder / package).rglob("*.py"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def fingerprint(**settings: object) -> str:
    """Return a short hash of JSON-like settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Stamp:
    """A YAML file beside a result that says which settings made it; unchanged settings mean nothing to do.

    Args:
        path: File of the stamp.
        settings: What the result depends on.
    """

    def __init__(self, path: Path, **settings: object):
        self.path = path
        self.value = fingerprint(**settings)

    def is_current(self) -> bool:
        """Whether the result was made with these settings."""
        try:
            return parse_yaml(self.path.read_text(encoding="utf-8")).get("fingerprint") == self.value
        except (OSError, AttributeError, yaml.YAMLError):
            return False

    def write(self) -> None:
        """Record that the result now stands."""
        write_text(self.path, yaml_text({"fingerprint": self.value}))
