"""The referee of a job of several processes: it hears from all of them, and says when the job is over and why.

It is a process of its own, started by process 0, and runs JAX's coordination service too. Were the service inside
process 0, JAX would abort all others with C++ stack traces the moment that one dies; so nobody's end keeps the others
from leaving in order. Every process tells it each second where it is (`watchdog.Watch`); one JSON object is one line:

    from a process   {"process", "host", "token"}, first        to all   {} each second
                     {"place", "marks", "age_s", "stuck"}                {"freeze": true}: say at which step you are
                     {"stop": signal}                                    {"stop_at": step, "signal"}
                     {"at": step or null}                                {"leave": why, "code", "dump"}
                     {"failed": why, "code"}
                     {"bye": true}

Seconds are its own ticks: if the whole job is stopped and goes on, nothing has passed.
"""

import contextlib
import dataclasses
import json
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

from copycat_jax.train.outcomes import LOST, PREEMPTED

SILENT_S = 30  # a process that says nothing for so long is stopped, or its host is gone
LINGER_S = 60  # how long the service outlives process 0 for the sake of the others
TICK_S = 1.0


@dataclasses.dataclass
class _Member:
    host: str
    place: str = "start-up"
    marks: int = 0
    stuck: bool = False
    silent_s: int = 0
    at: int | None = None
    answered: bool = False


class Verdicts:
    """What the referee knows, and what follows from it; every method returns the messages that go to all.

    Args:
      processes: how many the job has.
    """

    def __init__(self, processes: int):
        self.processes, self.members, self.over = processes, dict[int, _Member](), False
        self.signal = 0  # that asks the job to stop, while it is being agreed where

    def joined(self, process: int, host: str) -> None:
        """A process is there."""
        self.members[process] = _Member(host)

    def heard(self, process: int, message: dict[str, Any]) -> list[dict[str, Any]]:
        """A process said something."""
        member = self.members[process]
        member.silent_s = 0
        if "bye" in message:
            del self.members[process]
        elif "failed" in message:
            del self.members[process]
            return self._leave(f"process {process} on {member.host}: {message['failed']}", message["code"], False)
        elif "stop" in message and not self.signal:
            self.signal = message["stop"]
            return [{"freeze": True}]
        elif "at" in message:
            member.at, member.answered = message["at"], True
            return self._stop_where_all_can()
        elif "place" in message:
            member.place, member.marks, member.stuck = message["place"], message["marks"], message["stuck"]
            if all(m.stuck for m in self.members.values()):  # one that has good reason excuses those that wait for it
                return self._leave(f"nothing has ended for {message['age_s']} s: {self._places()}", LOST, True)
        return []

    def gone(self, process: int) -> list[dict[str, Any]]:
        """The connection to a process broke."""
        if process not in self.members:
            return []
        member = self.members.pop(process)
        why = f"process {process} on {member.host} ended without a word (it was in {member.place})"
        return self._leave(why, LOST, True)

    def tick(self) -> list[dict[str, Any]]:
        """A second has passed."""
        for member in self.members.values():
            member.silent_s += 1
        silent = {i: m for i, m in self.members.items() if m.silent_s > SILENT_S}
        if silent:
            who = ", ".join(f"process {i} on {m.host} (it was in {m.place})" for i, m in sorted(silent.items()))
            return self._leave(f"stopped or out of reach for {SILENT_S} s: {who}", LOST, True)
        return [{}]

    def _leave(self, why: str, code: int, dump: bool) -> list[dict[str, Any]]:
        if self.over:
            return []
        self.over = True
        return [{"leave": why, "code": code, "dump": dump}]

    def _places(self) -> str:
        """Who is behind, and where the others wait."""
        least = min(member.marks for member in self.members.values())
        places: dict[str, list[int]] = {}
        for process, member in sorted(self.members.items(), key=lambda pair: (pair[1].marks, pair[0])):
            places.setdefault(member.place, []).append(process)
        hosts = {m.host for m in self.members.values() if m.marks == least}
        behind = f" (behind: {', '.join(sorted(hosts))})" if len(places) > 1 else ""
        return "; ".join(f"{numbered(who)} in {place}" for place, who in places.items()) + behind

    def _stop_where_all_can(self) -> list[dict[str, Any]]:
        if not all(member.answered for member in self.members.values()):
            return []
        steps = [member.at for member in self.members.values() if member.at is not None]
        if not steps:
            return self._leave(f"stopped by {signal.Signals(self.signal).name} before the first step", PREEMPTED, False)
        return [{"stop_at": max(steps) + 1, "signal": self.signal}]


def numbered(processes: Iterable[int]) -> str:
    """ "process 3", "processes 0, 1"; not more than eight."""
    names = [str(process) for process in processes]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"process{'es' * (len(names) > 1)} {', '.join(names[:8])}{more}"


class Referee:
    """The referee as process 0 holds it, in the place of JAX's service.

    Args:
      address: where the coordination service listens.
      processes: of the job.
      token: what processes of the job show.
      options: of JAX's service.
    """

    def __init__(self, address: str, processes: int, token: str, **options: Any):
        self.token = token
        self._process = subprocess.Popen(
            [sys.executable, "-m", "copycat_jax.train.referee"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # of the service, which says to everybody what concerns them
            start_new_session=True,
            text=True,
        )
        assert self._process.stdin and self._process.stdout
        settings = {"address": address, "processes": processes, "token": token, "options": options}
        self._process.stdin.write(json.dumps(settings) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the coordination service cannot listen on {address}")
        self.port = int(answer)

    def shutdown(self) -> None:
        """Ends it; called by JAX when all processes have left."""
        assert self._process.stdin
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LINGER_S)


def lines_of(connection: socket.socket, rest: bytearray) -> list[dict[str, Any]] | None:
    """The whole messages that have come, `rest` keeping the begun one; None where the connection has ended."""
    try:
        data = connection.recv(1 << 16)
    except BlockingIOError:
        return []
    except OSError:
        data = b""
    if not data:
        return None
    rest += data
    *whole, begun = bytes(rest).split(b"\n")
    rest[:] = begun
    return [json.loads(line) for line in whole]


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Sends a message; one that cannot be sent is lost, as its receiver is."""
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def serve(settings: dict[str, Any], parent: int) -> None:
    """Runs until process 0, to which the file number `parent` leads, is gone and nobody else needs it."""
    from jaxlib import _jax  # pyright: ignore[reportAttributeAccessIssue]

    service = _jax.get_distributed_runtime_service(settings["address"], settings["processes"], **settings["options"])
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    listener = socket.create_server(("", 0), family=family, dualstack_ipv6=dual, backlog=1024)
    print(listener.getsockname()[1], flush=True)
    verdicts, connections = Verdicts(settings["processes"]), dict[socket.socket, tuple[int | None, bytearray]]()
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    ready.register(parent, selectors.EVENT_READ)
    orphaned_s, ticked = -1, time.monotonic()
    while orphaned_s < 0 or (connections and orphaned_s < LINGER_S):
        said: list[dict[str, Any]] = []
        for key, _ in ready.select(TICK_S):
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.settimeout(TICK_S)
                connections[connection] = (None, bytearray())
                ready.register(connection, selectors.EVENT_READ)
            elif key.fileobj == parent:
                ready.unregister(parent)
                orphaned_s = 0
            elif isinstance(key.fileobj, socket.socket):
                said += _listen(key.fileobj, connections, ready, verdicts, settings["token"])
        if time.monotonic() - ticked >= TICK_S:
            ticked, orphaned_s = time.monotonic(), orphaned_s + (orphaned_s >= 0)
            said += verdicts.tick()
        for message in said:
            for connection, (process, _) in connections.items():
                if process in verdicts.members:
                    send(connection, message)
    service.shutdown()


def _listen(
    connection: socket.socket,
    connections: dict[socket.socket, tuple[int | None, bytearray]],
    ready: selectors.BaseSelector,
    verdicts: Verdicts,
    token: str,
) -> list[dict[str, Any]]:
    process, rest = connections[connection]
    said: list[dict[str, Any]] = []
    try:
        messages = lines_of(connection, rest)
        for message in messages or ():
            if process is not None:
                said += verdicts.heard(process, message) if process in verdicts.members else []
            elif message["token"] == token:
                process = message["process"]
                connections[connection] = (process, rest)
                verdicts.joined(process, message["host"])
            else:
                messages = None
    except (ValueError, KeyError, TypeError):  # somebody else
        messages = None
    if messages is None:
        ready.unregister(connection)
        del connections[connection]
        connection.close()
        said += [] if process is None else verdicts.gone(process)
    return said


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # what stops the job is not for it
    serve(json.loads(sys.stdin.readline()), sys.stdin.fileno())
