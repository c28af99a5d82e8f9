"""Former place of `tdlib.study.statistics`."""

from tdlib.study.statistics import *  # noqa: F403
