"""Former place of `tdlib.data.sources.csv`."""

from tdlib.data.sources.csv import *  # noqa: F403
