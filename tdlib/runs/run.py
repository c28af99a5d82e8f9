"""Former place of `tdlib.study.run`."""

from tdlib.study.run import *  # noqa: F403
