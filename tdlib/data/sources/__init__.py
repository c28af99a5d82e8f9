"""Where sets come from: one line per source. A source is imported when it is called, since some need heavy packages."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Source:
    """One way to get transitions.

    Args:
        function: "package.module:function".
        gives: What it gives: "set" returns a `TransitionDataset`, "file" writes one with its splits, "files" several.
        needs: What it starts from: "system" (an equation to simulate), "simulator" (of an optional package), "sets"
            (others to branch), or "log" (files).
        signs: Of a log, how a path shows that it is of this kind: endings of files, or files inside a folder.
        reader: Of a log, "package.module:function" called as (path, reading, **options) by `door.import_log`.
        options: What only this kind takes.
    """

    function: str
    gives: str
    needs: str
    signs: tuple[str, ...] = ()
    reader: str | None = None
    options: tuple[str, ...] = ()

    @property
    def call(self) -> Callable:
        """The function itself; its arguments are its own."""
        return _found(self.function)

    @property
    def read(self) -> Callable:
        """The function that reads a log, (path, reading, **options) -> set."""
        return _found(self.reader or self.function)


def _found(path: str) -> Callable:
    module, name = path.split(":")
    return getattr(import_module(module), name)


def _log(function: str, *signs: str, reader: str | None = None, options: tuple[str, ...] = ()) -> Source:
    here = "tdlib.data.sources."
    return Source(here + function, "set", "log", signs, here + (reader or function), options)


SOURCES: dict[str, Source] = {
    "ppo": Source("tdlib.data.sources.ppo:collect_ppo", "file", "system"),
    "random": Source("tdlib.data.sources.random:write_random", "file", "system"),
    "sequences": Source("tdlib.data.sources.sequences:write_sequences", "file", "system"),
    "branched": Source("tdlib.data.sources.branched:write_branched", "files", "sets"),
    "mujoco": Source("tdlib.data.sources.mujoco:write_mujoco", "file", "simulator"),
    "partly_seen": Source("tdlib.data.sources.partly_seen:write_partly_seen", "file", "system"),
    # signs are looked at in this order: a bag of MCAP files is a bag
    "lerobot": _log("lerobot:import_lerobot", "meta/info.json"),
    "minari": _log("minari:import_minari", "data/metadata.json", reader="minari:read_minari_log"),
    "rosbag2": _log("rosbag2:import_rosbag2", "metadata.yaml", ".db3", options=("topics", "on", "clock")),
    "mcap": _log("mcap:import_mcap", ".mcap", options=("topics", "on", "clock")),
    "hdf5": _log("hdf5:import_hdf5", ".h5", ".hdf5", ".hdf"),
    "csv": _log("csv:import_csv", ".csv", ".txt", ".tsv", reader="csv:read_csv_log", options=("style",)),
}


def find_source(name: str) -> Source:
    """Look a source up by name.

    Raises:
        ValueError: If there is no such source; the message lists the names.
    """
    if name not in SOURCES:
        raise ValueError(f"source must be one of {list(SOURCES)}, got {name!r}")
    return SOURCES[name]
