"""What a checkpoint says about its model, read only."""

from collections.abc import Iterator, Mapping


class Record(Mapping):
    """Values by name that nobody can change; groups of values are records, lists are tuples.

    Args:
        values: Plain values: numbers, texts, lists, mappings.
    """

    def __init__(self, values: Mapping[str, object] | None = None):
        self._values = {str(name): _frozen(value) for name, value in (values or {}).items()}

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Record({self._values!r})"

    def __deepcopy__(self, memory: dict) -> "Record":
        return self  # nothing in it can change

    def plain(self) -> dict:
        """Return the values as ordinary dictionaries and lists, for a file."""
        return {name: _plain(value) for name, value in self._values.items()}


def _frozen(value: object) -> object:
    if isinstance(value, Mapping):
        return Record(value)
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return value.plain()
    return list(map(_plain, value)) if isinstance(value, tuple) else value
