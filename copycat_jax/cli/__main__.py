"""`python -m copycat_jax.cli` = `copycat`."""

import sys

from copycat_jax.cli import main

sys.exit(main())
