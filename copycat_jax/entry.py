"""Where the installed programs begin: Ctrl-C is handled before anything else is imported.

Until a verb runs under `signals.heeding`, an interrupt ends the process at once, with its exit code and one line; there
is nothing yet that had to be cleaned up. What is imported here is what the interpreter itself has imported.
"""

import os
import signal


def begin(program: str) -> None:
    """Has Ctrl-C end this process with 130 and a line of `program`; one that is ignored stays ignored."""

    def leave(number: int, frame: object) -> None:
        os.write(2, f"{program}: interrupted\n".encode())
        os._exit(128 + number)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)


def copycat() -> int:
    """The program `copycat`; returns its exit code."""
    begin("copycat")
    from copycat_jax.cli import main

    return main()
