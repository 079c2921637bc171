"""What a user's mistake gets from `copycat`."""

import os

from copycat_jax.cli import main


def refused(capsys, *arguments) -> str:
    """The one line that a user's mistake gets; asserts that exit code is 2 and that nothing is left behind."""
    before = sorted(os.listdir("."))
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("copycat: "), lines
    assert sorted(os.listdir(".")) == before
    return lines[0]
