"""How a training process can end: exit codes that tell a scheduler whether to start it again.

The same command with the same run folder goes on from the last whole checkpoint after PREEMPTED and LOST; after
USER_ERROR and FAILED somebody has to look first. A second signal, or Ctrl-C before there is anything to save, leaves at
once with the codes that shells expect (`signals.exit_code`).
"""

import signal

from copycat_jax.console import EXIT_FAILED, EXIT_USER_ERROR

FINISHED = 0  # the last step was made, and is saved
FAILED = EXIT_FAILED  # a fault of the program, or of the machine, told by a traceback
USER_ERROR = EXIT_USER_ERROR  # told by one line, before or while training
LOST = 70  # no step ended for too long, or another process of the job was lost: stacks are on standard error
PREEMPTED = 75  # asked to stop, and saved if there was anything to save; sysexits' EX_TEMPFAIL: try again


def code_of(number: int) -> int:
    """The exit code of a process that a signal stopped while there was nothing to save."""
    return 128 + number if number == signal.SIGINT else PREEMPTED
