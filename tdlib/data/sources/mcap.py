"""MCAP files: topics of JSON or ROS 2 messages, by the optional packages `mcap` and `rosbags`."""

import json
from collections.abc import Sequence
from pathlib import Path

from tdlib.core.imports import optional_module
from tdlib.data.schema import DatasetError, TransitionDataset
from tdlib.data.sources.messages import Clock, Topic, topics_set
from tdlib.data.sources.recording import AS_FOUND, Reading
from tdlib.data.sources.ros_types import RosTypes


def import_mcap(
    path: Path | str,
    reading: Reading = AS_FOUND,
    *,
    topics: Sequence[str] | None = None,
    on: str | None = None,
    clock: Clock = "header",
) -> TransitionDataset:
    """Read a log from an MCAP file.

    Args:
        path: The file.
        reading: What the columns are: `position.elbow` of one topic, `/joint_states/position.elbow` of several.
        topics: Those to take; None takes all with numbers.
        on: Topic whose stamps are the rows; the others are held.
        clock: Stamps of the messages' headers, or of the recorder.

    Raises:
        DatasetError: If the file is cut off or damaged, a topic is missing, or which clock counts is not said.
        ImportError: If `mcap` is missing, or `rosbags` for messages of ROS 2.
    """
    path = Path(path)
    return topics_set(
        read_mcap(path), reading, source=path.name, kind="MCAP", chosen=topics, on=on, clock=clock
    )  # fmt: skip


def read_mcap(path: Path) -> dict[str, Topic]:
    """Read all messages of a file by topic; those that cannot be decoded have a `problem`."""
    reader = optional_module("mcap.reader", "logs")
    if not path.is_file():
        raise DatasetError(f"path must be an existing MCAP file, got {str(path)!r}")
    found: dict[str, Topic] = {}
    types: RosTypes | None = None
    try:
        with open(path, "rb") as stream:
            for schema, channel, message in reader.make_reader(stream).iter_messages():
                kind = "no schema" if schema is None else schema.name
                topic = found.setdefault(channel.topic, Topic(kind))
                topic.log_times.append(message.log_time)
                if topic.problem:
                    continue
                try:
                    if channel.message_encoding == "json":
                        topic.messages.append(json.loads(message.data))
                    elif channel.message_encoding == "cdr" and schema is not None and schema.encoding == "ros2msg":
                        types = types or RosTypes()
                        types.learn(schema.name, schema.data.decode())
                        topic.messages.append(types.decode(schema.name, message.data))
                    else:
                        topic.problem = f"messages in {channel.message_encoding!r} are not read, json and cdr are"
                except ValueError as error:
                    topic.problem = str(error)
    except (ImportError, DatasetError):
        raise
    except Exception as error:  # the package's kinds, struct.error, zlib's and zstandard's: a file that is not whole
        raise DatasetError(f"path must be a whole MCAP file, got {str(path)!r}: {error!r}") from error
    return found
