"""A job that worker processes can import: it answers, dies, refuses or is interrupted."""

import os
import signal

from copycat_jax.errors import UserError


def one(job):
    if job == "die":
        os._exit(3)
    if job == "refuse":
        raise UserError("cannot be written")
    if job == "interrupt":
        signal.raise_signal(signal.SIGINT)
    return job, os.getpid()
