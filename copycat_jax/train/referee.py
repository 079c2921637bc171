"""The referee of a job of several processes: it hears from all of them, and says when the job is over and why.

It is a process of its own, started by process 0, and runs JAX's coordination service too. Were the service inside
process 0, JAX would abort all others with C++ stack traces the moment that one dies; so nobody's end keeps the others
from leaving in order. Nor would JAX say who has not come: until all have, the address of the service is the referee's
door, where whoever calls hears {"port", "token"}, under which the referee itself is reached.

Every process tells it each second where it is (`watchdog.Watch`); one JSON object is one line:

    from a process   {"process", "processes", "host", "token"}  to all   {} each second
                     {"place", "marks", "age_s", "stuck"}                {"complete": true}: all have come
                     {"stop": signal}                                    {"freeze": true}: say at which step you are
                     {"at": step or null}                                {"stop_at": step, "signal"}
                     {"failed": why, "code"}                             {"leave": why, "code", "dump"}
                     {"bye": true}

Seconds are its own ticks: if the whole job is stopped and goes on, nothing has passed.
"""

import contextlib
import dataclasses
import json
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import IO, Any

from copycat_jax.train.outcomes import LOST, PREEMPTED, USER_ERROR

JOIN_S = 300  # how long who has come waits for the others
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
      join_s: how long they may take to come.
      silent_s: how long one may say nothing.
    """

    def __init__(self, processes: int, join_s: float = JOIN_S, silent_s: float = SILENT_S):
        self.processes, self.members, self.over = processes, dict[int, _Member](), False
        self.missing, self.join_s, self.waited_s = set(range(processes)), join_s, 0
        self.silent_s = silent_s
        self.signal = 0  # that asks the job to stop, while it is being agreed where

    def joined(self, process: int, host: str, processes: int) -> list[dict[str, Any]]:
        """A process is there, which believes that the job has so many."""
        who = f"process {process} on {host}"
        if processes != self.processes:
            wrong = f"was told of {processes} processes, process 0 of {self.processes}"
        elif process in self.members:
            wrong = f"has the number of another one, on {self.members[process].host}"
        elif process not in self.missing:
            wrong = f"is none of 0 to {self.processes - 1}, or was here before"
        else:
            self.members[process] = _Member(host)
            self.missing.remove(process)
            return [] if self.missing else [{"complete": True}]
        self.members.setdefault(process, _Member(host))  # it hears of it too
        return self._leave(f"{who} {wrong}", USER_ERROR, False)

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
        self.waited_s += bool(self.missing)
        if self.waited_s > self.join_s:
            came = ", ".join(f"{i} on {m.host}" for i, m in sorted(self.members.items()))
            why = (
                f"{numbered(sorted(self.missing))} of {self.processes} did not come in {self.join_s:g} s; came: {came}"
            )
            return self._leave(why, LOST, True)
        for member in self.members.values():
            member.silent_s += 1
        silent = {i: m for i, m in self.members.items() if m.silent_s > self.silent_s}
        if silent:
            who = ", ".join(f"process {i} on {m.host} (it was in {m.place})" for i, m in sorted(silent.items()))
            return self._leave(f"stopped or out of reach for {self.silent_s:g} s: {who}", LOST, True)
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
      address: where the coordination service will listen; the door until then.
      processes: of the job.
      join_s, silent_s: of `Verdicts`.
    """

    def __init__(self, address: str, processes: int, join_s: float, silent_s: float):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "copycat_jax.train.referee"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # of the service, which says to everybody what concerns them
            start_new_session=True,
            text=True,
        )
        self._tell({"address": address, "processes": processes, "join_s": join_s, "silent_s": silent_s})

    def serve(self, address: str, processes: int, **options: Any) -> "Referee":
        """Starts the service, with the arguments of JAX's function for it."""
        self._tell({"address": address, "processes": processes, "options": options})
        return self

    def _tell(self, settings: dict[str, Any]) -> None:
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(settings) + "\n")
            self._process.stdin.flush()
        if not self._process.stdout.readline():
            raise RuntimeError(f"the coordination service cannot listen on {settings['address']}")

    def shutdown(self) -> None:
        """Ends it; called by JAX when all processes have left."""
        assert self._process.stdin
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LINGER_S)


def call(address: str, hello: dict[str, Any], wait_s: float) -> socket.socket:
    """A connection to the referee, which knows who this is, by way of its door at `address`.

    Raises:
      TimeoutError: nobody answered.
    """
    deadline, door = time.monotonic() + wait_s, _parts(address)
    while True:
        try:
            with socket.create_connection(door, timeout=10 * TICK_S) as asked, asked.makefile() as answer:
                place = json.loads(answer.readline())
            connection = socket.create_connection((door[0], place["port"]), timeout=10 * TICK_S)
            send(connection, {**hello, "token": place["token"]})
            return connection
        except (OSError, ValueError, KeyError, TypeError) as error:  # not there yet; its name is not known yet
            if time.monotonic() > deadline:
                raise TimeoutError(str(error)) from error
            time.sleep(TICK_S / 4)


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _listen(port: int) -> socket.socket:
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    return socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=1024)


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


def serve(settings: dict[str, Any], parent: IO[str]) -> None:
    """Runs until process 0, which holds the other end of `parent`, is gone and nobody else needs it."""
    token, listener, door = secrets.token_hex(16), _listen(0), _listen(_parts(settings["address"])[1])
    verdicts = Verdicts(settings["processes"], settings["join_s"], settings["silent_s"])
    connections, service = dict[socket.socket, tuple[int | None, bytearray]](), None
    print("listening", flush=True)
    ready = selectors.DefaultSelector()
    for source in (listener, door, parent):
        ready.register(source, selectors.EVENT_READ)
    orphaned_s, ticked = -1, time.monotonic()
    while orphaned_s < 0 or (connections and orphaned_s < LINGER_S):
        said: list[dict[str, Any]] = []
        for key, _ in ready.select(TICK_S):
            if key.fileobj is door:
                with door.accept()[0] as caller:
                    send(caller, {"port": listener.getsockname()[1], "token": token})
            elif key.fileobj is listener:
                connection, _ = listener.accept()
                connection.settimeout(TICK_S)
                connections[connection] = (None, bytearray())
                ready.register(connection, selectors.EVENT_READ)
            elif key.fileobj is not parent:
                assert isinstance(key.fileobj, socket.socket)
                said += _hear(key.fileobj, connections, ready, verdicts, token)
            elif line := parent.readline():
                service = _started(json.loads(line))
                print("serving", flush=True)
            else:
                ready.unregister(parent)
                orphaned_s = 0
        if not verdicts.missing and door.fileno() >= 0:  # the service needs the place
            ready.unregister(door)
            door.close()
        if time.monotonic() - ticked >= TICK_S:
            ticked, orphaned_s = time.monotonic(), orphaned_s + (orphaned_s >= 0)
            said += verdicts.tick()
        for message in said:
            for connection, (process, _) in connections.items():
                if process in verdicts.members:
                    send(connection, message)
    if service:
        service.shutdown()


def _started(settings: dict[str, Any]) -> Any:
    """JAX's coordination service."""
    from jaxlib import _jax  # pyright: ignore[reportAttributeAccessIssue]

    return _jax.get_distributed_runtime_service(settings["address"], settings["processes"], **settings["options"])


def _hear(
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
                said += verdicts.joined(process, message["host"], message["processes"])
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
    serve(json.loads(sys.stdin.readline()), sys.stdin)
