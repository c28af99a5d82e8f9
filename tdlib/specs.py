"""Former place of `tdlib.core.specs`."""

from tdlib.core.specs import *  # noqa: F403
