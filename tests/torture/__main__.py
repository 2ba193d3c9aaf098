"""`python -m tests.torture`: see `run`."""

import sys

from tests.torture.run import main

sys.exit(main())
