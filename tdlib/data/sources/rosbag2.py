"""rosbag2: a folder with `metadata.yaml` and its files, or one file of it alone, SQLite (.db3) or MCAP."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from tdlib.core.files import parse_yaml
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.files import in_numeric_order
from tdlib.data.sources.mcap import read_mcap
from tdlib.data.sources.messages import Clock, Topic, topics_set
from tdlib.data.sources.recording import AS_FOUND, Reading
from tdlib.data.sources.ros_types import RosTypes

METADATA = "metadata.yaml"
ENDINGS = (".db3", ".mcap")


def import_rosbag2(
    path: Path | str,
    reading: Reading = AS_FOUND,
    *,
    topics: Sequence[str] | None = None,
    on: str | None = None,
    clock: Clock = "header",
) -> TransitionDataset:
    """Read a log from a bag of ROS 2.

    Args:
        path: Folder of the bag, or one of its files.
        reading: What the columns are: `position.elbow` of one topic, `/joint_states/position.elbow` of several.
        topics: Those to take; None takes all with numbers.
        on: Topic whose stamps are the rows; the others are held.
        clock: Stamps of the messages' headers, or of the recorder.

    Raises:
        DatasetError: If files are missing, compressed or damaged, a topic is missing, or whose clock counts is unsaid.
        ImportError: If `rosbags` is missing, or `mcap` for bags in that format.
    """
    path = Path(path)
    found: dict[str, Topic] = {}
    for file in bag_files(path):
        for name, topic in (read_mcap if file.suffix == ".mcap" else _read_sqlite)(file).items():
            before = found.setdefault(name, Topic(topic.kind, problem=topic.problem))
            before.problem = before.problem or topic.problem
            before.log_times += topic.log_times
            before.messages += topic.messages
    return topics_set(found, reading, source=path.name, kind="rosbag2", chosen=topics, on=on, clock=clock)


def bag_files(path: Path) -> list[Path]:
    """Return the files of a bag in the order in which they were written.

    Raises:
        DatasetError: If there is none, one is missing, or they are compressed.
    """
    if path.is_file():
        return [path]
    description: Any = None
    if (path / METADATA).is_file():
        try:
            description = parse_yaml((path / METADATA).read_text(encoding="utf-8"))
            described = description["rosbag2_bagfile_information"]["relative_file_paths"]
        except (yaml.YAMLError, KeyError, TypeError, UnicodeError) as error:
            raise DatasetError(f"{path / METADATA} must name relative_file_paths, got {error!r}") from error
        files = [path / str(name) for name in described]
    else:
        files = sorted((f for f in path.glob("*") if f.suffix in ENDINGS), key=lambda f: in_numeric_order(f.name))
    for file in files:
        if file.suffix not in ENDINGS or not file.is_file() or file.resolve().parent != path.resolve():
            raise DatasetError(f"path must hold uncompressed files {ENDINGS} of the bag, got {str(file)!r}")
    if not files:
        raise DatasetError(f"path must be a bag: a folder with {METADATA} or files {ENDINGS}, got {str(path)!r}")
    return files


def _read_sqlite(path: Path) -> dict[str, Topic]:
    types = RosTypes()
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            named = {row[0]: row[1:] for row in base.execute("SELECT id, name, type, serialization_format FROM topics")}
            for kind, definition in _definitions(base):
                types.learn(kind, definition)
            found = {name: Topic(kind) for name, kind, _ in named.values()}
            for number, time, data in base.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY timestamp"):
                name, kind, encoding = named[number]
                topic = found[name]
                topic.log_times.append(int(time))
                if not topic.problem:
                    try:
                        topic.messages.append(types.decode(kind, data))
                    except ValueError as error:
                        topic.problem = str(error) if encoding == "cdr" else f"messages in {encoding!r} are not read"
    except (sqlite3.Error, KeyError, TypeError) as error:
        raise DatasetError(f"path must be a whole file of rosbag2, got {str(path)!r}: {error!r}") from error
    return {name: topic for name, topic in found.items() if topic.log_times}


def _definitions(base: sqlite3.Connection) -> list[tuple[str, str]]:
    """Types and definitions that newer bags bring along."""
    tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "message_definitions" not in tables:
        return []
    rows = base.execute("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
    return [(kind, text) for kind, encoding, text in rows if encoding == "ros2msg"]
