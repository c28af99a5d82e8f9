"""`python -m tdlib.grid quick book` runs a preset through the grid."""

import sys

from tdlib.grid.command import main

sys.exit(main())
