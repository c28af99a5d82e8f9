"""`python -m tdlib.pixels`: see `tdlib.pixels.command`."""

import sys

from tdlib.pixels.command import main

sys.exit(main())
