"""Recorded messages turned into columns: numbers by their path, joints by their names, stamps by the header's clock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

import numpy as np

from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.align import align
from tdlib.data.sources.logs import make_set
from tdlib.data.sources.recording import TIMESTAMP, Reading, Recording

OWN_STAMP = "message.timestamp"  # what a field is called whose name is that of the clock
WIDEST = 64  # numbers in one array; longer ones are images and clouds
Clock = Literal["header", "log"]


@dataclass
class Topic:
    """Messages of one topic, in the order of the file.

    Args:
        kind: Name of the message type.
        log_times: When each was recorded [ns].
        messages: Decoded messages: mappings, or objects with fields.
        problem: Why they could not be decoded; empty if they were.
    """

    kind: str
    log_times: list[int] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    problem: str = ""


def topics_set(
    topics: Mapping[str, Topic],
    reading: Reading,
    *,
    source: str,
    kind: str,
    chosen: Sequence[str] | None = None,
    on: str | None = None,
    clock: Clock = "header",
) -> TransitionDataset:
    """Make a set of the messages of one or several topics.

    Args:
        topics: All that a file holds, by name.
        reading: What the columns are; with several topics a column is `topic/path`. A field whose name is `timestamp`
            is called `message.timestamp`; a `timestamp` declared to be a field has the unit of its name or declared.
        source: File, for messages.
        kind: Of the file.
        chosen: Topics to take; None takes all with numbers.
        on: Topic whose stamps are the rows; may be left out where one is taken.
        clock: `header` takes the stamps in the messages where they have any, `log` when they were recorded.

    Raises:
        DatasetError: If a topic is missing or has no numbers, or which clock counts is not said.
    """
    if clock not in ("header", "log"):
        raise DatasetError(f"clock must be 'header' or 'log', got {clock!r}")
    for name in [*(chosen or ()), *([on] if on else ())]:
        if name not in topics:
            raise DatasetError(f"{source}: topics must be among {_described(topics)}, got {name!r}")
    notes: list[str] = []
    found = {}
    for name, topic in topics.items():
        if chosen is not None and name not in chosen:
            notes.append(f"topic {name} ({topic.kind}) was not chosen and is left out")
            continue
        columns, said = _columns(topic, name)
        notes += said
        if columns and len(topic.messages) != len(topic.log_times):
            got = f"{len(topic.messages)} messages with {len(topic.log_times)} times"
            raise DatasetError(f"{source}: topic {name} must have a time for every message, got {got}")
        if columns:
            found[name] = (_stamps(topic, name, clock, notes), columns)
        elif chosen is not None:
            raise DatasetError(f"{source}: topic {name} must hold numbers, got {topic.kind} {topic.problem}".rstrip())
    if not found:
        raise DatasetError(f"{source}: there must be a topic with numbers, got {_described(topics)}")
    if len(found) > 1 and on is None:
        told = {name: f"{len(topics[name].messages)} messages" for name in found}
        raise DatasetError(f"{source}: on must say which topic's clock the rows have, one of {told}, got None")
    on = on or next(iter(found))
    if len(found) > 1:
        found = {name: (stamps, {f"{name}/{k}": x for k, x in own.items()}) for name, (stamps, own) in found.items()}
    stamps, columns, said = align(on, found)
    if TIMESTAMP in columns:  # the name is that of the clock
        columns = {OWN_STAMP if name == TIMESTAMP else name: values for name, values in columns.items()}
        said = [*said, f"the field {TIMESTAMP!r} of the messages is called {OWN_STAMP!r}"]
    declared = (reading.columns or {}).get(TIMESTAMP, TIMESTAMP)
    if declared != TIMESTAMP:  # a field of the messages is the clock, in its own unit
        said = [*said, f"stamps are those of the field {declared!r}"]
    elif reading.time_unit not in (None, "ns"):
        raise DatasetError(f"{source}: time_unit must be 'ns' for the clock of messages, got {reading.time_unit!r}")
    else:
        columns = {TIMESTAMP: stamps, **columns}
        reading = replace(reading, time_unit="ns")
    return make_set([Recording(source, columns, (*notes, *said))], reading, kind)


def _described(topics: Mapping[str, Topic]) -> str:
    told = [f"{name} ({topic.kind}, {len(topic.log_times)} messages)" for name, topic in topics.items()]
    return ", ".join(told) or "none"


def _stamps(topic: Topic, name: str, clock: Clock, notes: list[str]) -> np.ndarray:
    """Stamps (N,) [ns], whole numbers."""
    logged = np.array(topic.log_times, dtype=np.int64)
    own = [_header_stamp(message) for message in topic.messages]
    if clock == "log" or any(stamp is None for stamp in own) or not any(own):
        if clock == "header":
            notes.append(f"{name}: messages have no stamps of their own, when they were recorded counts")
        return logged
    stamps = np.array(own, dtype=np.int64)
    late = np.median(logged - stamps) * 1e-6
    notes.append(f"{name}: stamps of the headers count; messages were recorded {late:.3g} ms later in the middle")
    return stamps


def _header_stamp(message: Any) -> int | None:
    header = _get(message, "header")
    stamp = None if header is None else _get(header, "stamp")
    if stamp is None:
        return None
    seconds = _get(stamp, "sec") if _get(stamp, "sec") is not None else _get(stamp, "secs")
    nanos = next((_get(stamp, key) for key in ("nanosec", "nsec", "nsecs") if _get(stamp, key) is not None), 0)
    return None if seconds is None else int(seconds) * 1_000_000_000 + int(nanos)


def _columns(topic: Topic, name: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Numbers of all messages by their path, (N,) each with nan where a message has none, and what is left out."""
    if topic.problem:
        return {}, [f"topic {name} ({topic.kind}) is left out: {topic.problem}"]
    rows = []
    left: dict[str, str] = {}
    for message in topic.messages:
        rows.append(dict(_numbers(message, "", left)))
    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {key: np.array([row.get(key, np.nan) for row in rows], dtype=np.float64) for key in names}
    notes = [f"{name}: {path} holds {what} and is left out" for path, what in left.items()]
    return columns, notes


def _numbers(thing: Any, path: str, left: dict[str, str]) -> Iterator[tuple[str, float]]:
    """Numbers inside a message with their paths; the header's are its clock and not repeated."""
    members = _members(thing)
    if members is not None:
        labels: Any = members.get("name")  # as in messages of joints, whose entries have names
        for key, value in members.items():
            if key == "header" and not path:
                continue
            below = f"{path}.{key}" if path else key
            if key == "name" and _is_sequence(value) and all(isinstance(x, str) for x in value):
                continue
            if _is_sequence(value) and _is_sequence(labels) and len(value) == len(labels) and len(value):
                yield from ((f"{below}.{label}", float(x)) for label, x in zip(labels, value, strict=True))
            else:
                yield from _numbers(value, below, left)
    elif isinstance(thing, bool | int | float | np.number | np.bool_):
        yield path, float(thing)
    elif _is_sequence(thing):
        if len(thing) > WIDEST:
            left[path] = f"arrays of {len(thing)}"
            return
        for i, value in enumerate(thing):
            yield from _numbers(value, f"{path}_{i}" if _members(value) is None else f"{path}.{i}", left)
    elif thing is not None:
        left[path or "the message"] = "text" if isinstance(thing, str) else type(thing).__name__


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


def _members(thing: Any) -> Mapping[str, Any] | None:
    if isinstance(thing, Mapping):
        return thing
    if is_dataclass(thing) and not isinstance(thing, type):
        own = [f.name for f in fields(thing) if "ClassVar" not in str(f.type)]  # constants are no values
        return {name: getattr(thing, name) for name in own}
    return None


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
