"""Nothing hangs silently: a thread in every training process that knows where the process is, and when to give up.

The training loop says where it is (`reached`). The thread ends the process, with all stacks on standard error, one line
that says why, and an exit code of `outcomes`:

* when nothing was reached for too long;
* when the referee of the job (`referee`) says so, because another process was lost, is stopped, failed or is behind;
* when the referee itself is silent;
* at a second signal, or at the first one in start-up if the main thread does not hear it. Python handles signals in the
  main thread alone, which hears nothing inside a collective or a compilation; this thread is woken by every signal.

A process that is stopped and goes on (Ctrl-Z, a suspended laptop) is not late: seconds are the thread's own ticks.
"""

import contextlib
import faulthandler
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

import jax

from copycat_jax import console, signals
from copycat_jax.signals import Stopped
from copycat_jax.train.outcomes import LOST, code_of
from copycat_jax.train.referee import SILENT_S, TICK_S, lines_of, send

# What steps consist of. Until the metrics were waited for once it is not known how long a device takes for them.
STEPPING = ("batch", "step", "metrics")
STARTING = ("start-up", "agreement", "restore")
STARTING_S, COMPILING_S = 900, 1800  # for a part of start-up; for what compiles, or may compile the first time
LEAST_S, TIMES_LONGEST = 300, 10  # for the rest, once it is known how long it takes
GRACE_S = 3.0  # for the main thread to heed a signal; for the referee to say why a collective broke
REFEREE_SILENT_S = SILENT_S + 10


class Watch:
    """The thread, of a process that trains alone until it joins a job.

    Attributes:
      connection: to the referee of its job, or None.
      process: the number of this process.
      complete: set when all processes of the job have come.
    """

    def __init__(self):
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self.connection: socket.socket | None = None
        self.process, self.complete = 0, threading.Event()
        self.stall_s = self.start_s = self.save_s = 0.0
        self.starting = True  # there is nothing to save yet: a signal ends the process
        self._kind = self._place = "start-up"
        self._marks, self._since, self._age_s = 0, time.monotonic(), 0
        self._longest_s, self._looked = dict[str, float](), False  # by kind; STEPPING is one
        self._answers, self._step, self._frozen, self._agreed = threading.Condition(), None, False, (-1, 0)
        self._signals: list[tuple[int, float]] = []
        self._ended, self._silent_s = threading.Event(), 0
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self._previous = -1

    def begin(self) -> None:
        """Starts watching; signals too, where this is the main thread."""
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._thread.start()

    def join(self, connection: socket.socket, process: int) -> None:
        """From now on this is process `process` of a job, whose referee is at the other end of `connection`."""
        self.process, self.connection = process, connection
        self._wake.send(b"\0")

    def end(self) -> None:
        """Stops watching; of a job, that this process has done its part."""
        self._ended.set()
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._previous)
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")
        self._thread.join()
        if self.connection:
            send(self.connection, {"bye": True})
            self.connection.close()
        self._wake.close()
        self._woken.close()

    def reached(self, kind: str, step: int | None = None) -> None:
        """The main thread begins some work: a kind of STEPPING or another one, of `step` where it belongs to one."""
        now, group = time.monotonic(), self._group()
        self._longest_s[group] = max(self._longest_s.get(group, 0.0), now - self._since)
        self._looked |= self._kind == "metrics"
        self._kind, self._since, self._age_s, self._marks = kind, now, 0, self._marks + 1
        self._place = kind if step is None else f"step {step}" if kind == "step" else f"{kind} at step {step}"

    def limit_s(self) -> float:
        """How long the present work may last: what was asked for, or what the run itself has shown."""
        group, least = self._group(), self.stall_s or LEAST_S
        if group in STARTING:
            return self.start_s or STARTING_S
        if group == "save":
            least = self.stall_s or LEAST_S + self.save_s
        elif group == "compile" or (group not in self._longest_s and group != "step"):
            return max(least, self.start_s or COMPILING_S)
        elif group == "step" and not self._looked:
            return self.stall_s or self.start_s or COMPILING_S
        return self.stall_s or max(least, TIMES_LONGEST * self._longest_s.get(group, 0.0))

    def _group(self) -> str:
        """The kinds that are timed together: the parts of a step; a save, and what waits for the last one."""
        return "step" if self._kind in STEPPING else "save" if self._kind == "end" else self._kind

    def stop_at(self, step: int) -> int:
        """The signal at which the whole job stops before `step`, or 0; called at every step by the main thread."""
        with self._answers:
            self._answers.wait_for(lambda: not self._frozen)
            if self._agreed[0] == step:
                return self._agreed[1]
            self._step = step
            return 0

    def _run(self) -> None:
        ready, rest, ticked = selectors.DefaultSelector(), bytearray(), time.monotonic()
        ready.register(self._woken, selectors.EVENT_READ)
        joined = False
        while not self._ended.is_set():
            if self.connection and not joined:
                joined, self._silent_s = True, 0
                ready.register(self.connection, selectors.EVENT_READ)
            for key, _ in ready.select(TICK_S):
                if key.fileobj is self._woken:
                    for number in self._woken.recv(64):
                        self._signalled(number)
                elif self.connection:
                    messages = lines_of(self.connection, rest)
                    if messages is None and not self._ended.is_set():
                        self.lost("the referee of the job, beside process 0, is gone")
                    for message in messages or ():
                        self._told(message)
            if time.monotonic() - ticked >= TICK_S:
                ticked = time.monotonic()
                self._tick()

    def _tick(self) -> None:
        self._age_s += 1
        self._silent_s += 1
        stuck = self._age_s > self.limit_s()
        if self.connection:
            place = {"place": self._place, "marks": self._marks, "age_s": self._age_s, "stuck": stuck}
            send(self.connection, place)
            if self._silent_s > REFEREE_SILENT_S:
                self.lost(f"the referee of the job, beside process 0, is silent for {self._silent_s} s")
        elif stuck:
            self.lost(f"nothing has ended for {self._age_s} s: it is in {self._place}")
        if self._signals and self.starting and time.monotonic() - self._signals[0][1] > GRACE_S:
            number = self._signals[0][0]
            self.fail(f"stopped by {signal.Signals(number).name} in {self._place}", code_of(number))

    def _signalled(self, number: int) -> None:
        if number not in signals.STOPPING or signals.comes_again(number):
            return
        now = time.monotonic()
        if self._signals and now - self._signals[-1][1] < signals.SAME_S:
            return
        self._signals.append((number, now))
        if len(self._signals) > 1:
            self.fail(f"left without saving at a second {signal.Signals(number).name}", 128 + number)
        elif self.connection and not self.starting:
            send(self.connection, {"stop": number})

    def _told(self, message: dict[str, Any]) -> None:
        self._silent_s = 0
        if "leave" in message:
            self._leave(message["leave"], message["code"], message["dump"])
        elif "complete" in message:
            self.complete.set()
        elif "freeze" in message and self.connection:
            with self._answers:
                self._frozen = True
                send(self.connection, {"at": self._step})
        elif "stop_at" in message:
            with self._answers:
                self._frozen, self._agreed = False, (message["stop_at"], message["signal"])
                self._answers.notify_all()

    def fail(self, why: str, code: int, told: bool = False) -> None:
        """Ends this process now, and the others of the job with it; `told` if standard error has it already."""
        self._ended.set()  # the referee hangs up on who has failed
        if self.connection:
            send(self.connection, {"failed": why, "code": code})
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_WR)
        self._leave("" if told else why, code, False)

    def lost(self, why: str) -> NoReturn:
        """Ends this process now, with all its stacks."""
        self._leave(why, LOST, True)

    def _leave(self, why: str, code: int, dump: bool) -> NoReturn:
        if dump:
            faulthandler.dump_traceback(all_threads=True)
        if why:
            line = f"copycat: {why}"
            os.write(2, f"{line}\n".encode(errors="backslashreplace"))
            logging = threading.Thread(target=console.noted, args=(line,), daemon=True)
            logging.start()
            logging.join(TICK_S)  # the disk may be what hangs
        os._exit(code)  # the main thread may hold the locks that flushing takes


_watches: list[Watch] = []  # of this process; at most one


def current() -> Watch | None:
    """The watch of this process, if it has one."""
    return _watches[0] if _watches else None


def reached(kind: str, step: int | None = None) -> None:
    """Tells the watch of this process, if it has one, what the main thread begins; see `Watch.reached`."""
    for watch in _watches:
        watch.reached(kind, step)


@contextlib.contextmanager
def watched(watch: Watch) -> Iterator[Watch]:
    """While it lasts `watch` is the one of this process."""
    watch.begin()
    _watches.append(watch)
    try:
        yield watch
    finally:
        _watches.remove(watch)
        watch.end()


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """While it lasts this process is watched, by the watch of its job if there is one."""
    with contextlib.nullcontext() if current() else watched(Watch()):
        yield


def limit(stall_s: float = 0.0, start_s: float = 0.0, save_s: float = 0.0) -> None:
    """Tells the watch of this process, if it has one, how long things may last.

    Args:
      stall_s: a step, a batch of the evaluation, a save; 0: measured, ten times the longest so far and at least five
        minutes.
      start_s: a part of start-up, a compilation; 0: 15 and 30 minutes.
      save_s: a save beyond those five minutes, because so much is written.
    """
    for watch in _watches:
        watch.stall_s, watch.start_s, watch.save_s = stall_s, start_s, save_s


@contextlib.contextmanager
def together() -> Iterator[None]:
    """What goes wrong in the block ends all processes of the job at once; nothing where there is one process.

    Nothing that lies between waits for the others: they may be waiting for this process.
    """
    try:
        yield
    except BaseException as error:
        watch = current()
        if watch is None or watch.connection is None or (isinstance(error, SystemExit) and not error.code):
            raise
        if isinstance(error, jax.errors.JaxRuntimeError):
            time.sleep(GRACE_S)  # if it comes of another process, the referee says so, and this one leaves meanwhile
        code = console.explain(f"copycat: process {watch.process}", error)
        if isinstance(error, Stopped):
            code = error.code if error.second else code_of(error.number)
        console.noted(f"error: {error!r}")
        why = f"stopped by {signal.Signals(error.number).name}" if isinstance(error, Stopped) else str(error).strip()
        why = why.partition("\n")[0] or type(error).__name__
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        watch.fail(why, code, told=True)
