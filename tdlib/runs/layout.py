"""Former place of `tdlib.study.layout`."""

from tdlib.study.layout import *  # noqa: F403
