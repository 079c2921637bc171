"""The voice of the prosody space for runtimes of others; see `copycat_jax.export`."""
