"""Former place of `tdlib.grid.command`."""

import sys

from tdlib.grid.command import main

if __name__ == "__main__":
    sys.exit(main())
