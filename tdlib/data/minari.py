"""Former place of `tdlib.data.sources.minari`."""

from tdlib.data.sources.minari import *  # noqa: F403
