"""Work spread over worker processes: the one place that starts and ends them.

They are spawned, not forked: a fork would inherit whatever threads the calling process runs. Where the machine lends
no semaphores (no /dev/shm, or one that cannot be written) the work is done without them.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

from copycat_jax import console, signals
from copycat_jax.errors import UserError

J = TypeVar("J")
R = TypeVar("R")


def spread(function: Callable[[J], R], jobs: Sequence[J], workers: int) -> Generator[R, None, None]:
    """Yields `function` of every job, in their order, from `workers` processes (0 or 1: from this one).

    What raises ends the whole; jobs that run already are finished first, so that none is left halfway.

    Raises:
      UserError: a worker died (out of memory, a crash in a decoder).
    """
    pool = _open_pool(min(workers, len(jobs)))
    if pool is None:
        yield from map(function, jobs)
        return
    from concurrent.futures.process import BrokenProcessPool

    try:
        with _one_thread_each(), signals.withheld():
            futures = [pool.submit(function, job) for job in jobs]
        for future in futures:
            yield future.result()
    except BrokenProcessPool as error:
        remedy = "Run it again with fewer --workers: it goes on where it stopped. With --workers 1 the culprit is seen."
        raise UserError("a worker process died", remedy=remedy) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_pool(workers: int):
    if workers <= 1:
        return None
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    try:
        return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or error
        console.warn(f"no worker processes on this machine ({reason}); working in this one")
        return None


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """While it lasts, processes start with one numerical thread each: their number is what uses the cores."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    """Ends this worker when the process that started it is gone, however it went (a killed one says no goodbye)."""
    import multiprocessing

    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    if parent is not None:
        threading.Thread(target=watch, daemon=True).start()
