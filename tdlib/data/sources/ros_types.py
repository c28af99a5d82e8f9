"""Messages of ROS 2 decoded by their definitions, without ROS: the optional package `rosbags` knows the common ones."""

from collections.abc import Callable
from typing import Any

from tdlib.core.imports import optional_module

Decode = Callable[[str, bytes], Any]  # (type, serialized) -> message


class RosTypes:
    """Definitions of message types, those of ROS 2 and those that a file brings.

    Raises:
        ImportError: If `rosbags` is missing.
    """

    def __init__(self):
        self._typesys = optional_module("rosbags.typesys", "logs")
        self._store = self._typesys.get_typestore(self._typesys.Stores.LATEST)
        self._known: set[str] = set()

    def learn(self, kind: str, definition: str) -> None:
        """Take the definition of a type from a file; those of ROS 2 itself stay."""
        if kind not in self._known and kind not in self._store.fielddefs:
            types = self._typesys.get_types_from_msg(definition, kind)
            self._store.register({name: value for name, value in types.items() if name not in self._store.fielddefs})
        self._known.add(kind)

    def decode(self, kind: str, data: bytes) -> Any:
        """Decode one message.

        Raises:
            ValueError: If its type is not known, or the bytes are not of it.
        """
        if kind not in self._store.fielddefs:
            raise ValueError(f"its type {kind} has no definition here")
        try:
            return self._store.deserialize_cdr(data, kind)
        except Exception as error:  # the package's own kinds, and whatever wrong lengths lead to
            raise ValueError(f"its bytes are no {kind}: {type(error).__name__}") from error
