"""Former place of `tdlib.study.presets`."""

from tdlib.study.presets import *  # noqa: F403
