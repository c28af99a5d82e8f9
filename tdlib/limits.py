"""Former place of `tdlib.study.limits`."""

from tdlib.study.limits import *  # noqa: F403
