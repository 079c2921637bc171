"""`python -m prosody_vae.cli`, the same as `prosody`."""

import sys

from prosody_vae.cli import main

sys.exit(main())
