"""Where the installed program `prosody` begins; see `copycat_jax.entry`."""

from copycat_jax.entry import begin


def prosody() -> int:
    """The program `prosody`; returns its exit code."""
    begin("prosody")
    from prosody_vae.cli import main

    return main()
