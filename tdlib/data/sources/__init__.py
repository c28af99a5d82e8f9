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
    """

    function: str
    gives: str
    needs: str

    @property
    def call(self) -> Callable:
        """The function itself; its arguments are its own."""
        module, name = self.function.split(":")
        return getattr(import_module(module), name)


SOURCES: dict[str, Source] = {
    "ppo": Source("tdlib.data.sources.ppo:collect_ppo", "file", "system"),
    "random": Source("tdlib.data.sources.random:write_random", "file", "system"),
    "sequences": Source("tdlib.data.sources.sequences:write_sequences", "file", "system"),
    "branched": Source("tdlib.data.sources.branched:write_branched", "files", "sets"),
    "mujoco": Source("tdlib.data.sources.mujoco:write_mujoco", "file", "simulator"),
    "csv": Source("tdlib.data.sources.csv:import_csv", "set", "log"),
    "minari": Source("tdlib.data.sources.minari:import_minari", "set", "log"),
}


def find_source(name: str) -> Source:
    """Look a source up by name.

    Raises:
        ValueError: If there is no such source; the message lists the names.
    """
    if name not in SOURCES:
        raise ValueError(f"source must be one of {list(SOURCES)}, got {name!r}")
    return SOURCES[name]
