"""`python -m tdlib.doctor`: see `tdlib.doctor.command`."""

import sys

from tdlib.doctor.command import main

sys.exit(main())
