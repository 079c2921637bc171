"""A job of two processes never hangs silently, whatever befalls one of them and wherever; both end, and say why."""

import importlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from toy_job import Job

from copycat_jax import signals
from copycat_jax.train.outcomes import FAILED, LOST, PREEMPTED, USER_ERROR
from copycat_jax.train.referee import SILENT_S, Verdicts
from copycat_jax.train.watchdog import COMPILING_S, LEAST_S, STARTING_S, TIMES_LONGEST, Watch, together, watched


def verdicts(processes=2):
    heard = Verdicts(processes)
    for process in range(processes):
        said = heard.joined(process, f"host{process}", processes)
    assert said == [{"complete": True}]
    return heard


def place(name, marks, age_s=0, stuck=False):
    return {"place": name, "marks": marks, "age_s": age_s, "stuck": stuck}


def test_a_signal_that_waits_for_an_import_is_one_signal(tmp_path, monkeypatch):
    """Until the import is over it is sent again and again; each time the watch hears of it."""
    (tmp_path / "slowly_imported.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(0.4)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(signals, "SAME_S", 0.1)
    left = []
    with pytest.raises(signals.Stopped), signals.heeding(), watched(Watch()) as watch:
        monkeypatch.setattr(watch, "fail", lambda *said: left.append(said))
        importlib.import_module("slowly_imported")
    assert left == [] and [number for number, _ in watch._signals] == [signal.SIGTERM]


def test_who_does_not_come_is_named():
    heard = Verdicts(4, join_s=5)
    assert heard.joined(0, "a", 4) == heard.joined(2, "c", 4) == []
    for _ in range(5):
        assert heard.tick() == [{}]
    (leave,) = heard.tick()
    assert leave["leave"] == "processes 1, 3 of 4 did not come in 5 s; came: 0 on a, 2 on c" and leave["code"] == LOST


@pytest.mark.parametrize(
    "process, processes, said",
    [
        (0, 3, "process 0 on b has the number of another one, on a"),
        (1, 2, "process 1 on b was told of 2 processes, process 0 of 3"),
        (7, 3, "process 7 on b is none of 0 to 2, or was here before"),
    ],
)
def test_who_does_not_belong_is_named(process, processes, said):
    heard = Verdicts(3)
    heard.joined(0, "a", 3)
    (leave,) = heard.joined(process, "b", processes)
    assert leave == {"leave": said, "code": USER_ERROR, "dump": False}


def test_who_is_behind_is_named():
    heard = verdicts(3)
    for process in (0, 2):
        assert heard.heard(process, place("step 7", 21, 300, stuck=True)) == [], "they wait for one that is at work"
    (leave,) = heard.heard(1, place("the batch of step 7", 20, 99, stuck=True))
    assert leave["code"] == LOST and leave["dump"]
    assert leave["leave"].startswith("nothing has ended for 99 s: process 1 in the batch of step 7; processes 0, 2 in")
    assert "behind: host1" in leave["leave"]
    assert heard.gone(1) == [], "it is said once"


def test_who_is_silent_is_named_and_who_speaks_is_not():
    heard = verdicts()
    for _ in range(SILENT_S):
        assert heard.tick() == [{}]
        heard.heard(0, place("step 3", 5))
    (leave,) = heard.tick()
    assert "process 1 on host1 (it was in start-up)" in leave["leave"] and "process 0" not in leave["leave"]


def test_who_ends_with_a_word_is_not_lost():
    heard = verdicts()
    heard.heard(0, {"bye": True})
    assert heard.gone(0) == []
    (leave,) = heard.heard(1, {"failed": "no data", "code": USER_ERROR})
    assert leave == {"leave": "process 1 on host1: no data", "code": USER_ERROR, "dump": False}


def test_a_job_stops_where_all_can():
    heard = verdicts(3)
    assert heard.heard(1, {"stop": signal.SIGTERM}) == [{"freeze": True}]
    assert heard.heard(2, {"stop": signal.SIGINT}) == [], "the first one counts"
    assert heard.heard(0, {"at": None}) == heard.heard(1, {"at": 4}) == []
    assert heard.heard(2, {"at": 6}) == [{"stop_at": 7, "signal": signal.SIGTERM}]


def test_a_job_without_a_step_leaves_at_once():
    heard = verdicts()
    heard.heard(1, {"stop": signal.SIGTERM})
    heard.heard(0, {"at": None})
    assert heard.heard(1, {"at": None})[0]["code"] == PREEMPTED


@pytest.fixture
def clock(monkeypatch):
    """Time that goes on when it is told to."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_limits_of_steps_follow_the_runs_own(clock):
    watch = Watch()
    assert watch.limit_s() == STARTING_S
    for kind, step, seconds in (("batch", 0, 1.0), ("step", 0, 2.0), ("metrics", 1, 100.0)):
        watch.reached(kind, step)
        assert watch.limit_s() == COMPILING_S, "nothing is measured yet"
        clock[0] += seconds
    watch.reached("batch", 1)
    assert watch.limit_s() == 100.0 * TIMES_LONGEST
    watch.stall_s = 7.0
    assert watch.limit_s() == 7.0
    quick = Watch()
    for kind in ("metrics", "step"):
        quick.reached(kind, 0)
    assert quick.limit_s() == LEAST_S


def test_limits_beside_the_steps_follow_their_own_kind(clock):
    watch = Watch()
    watch.save_s = 20.0
    for kind, seconds, limits in (
        ("evaluate", 60.0, (COMPILING_S, 60.0 * TIMES_LONGEST)),  # the first one compiles
        ("save", 1.0, (LEAST_S + 20.0, LEAST_S + 20.0)),
        ("save", 50.0, (LEAST_S + 20.0, 50.0 * TIMES_LONGEST)),
    ):
        for limit in limits:
            watch.reached(kind, 5)
            assert watch.limit_s() == limit
            clock[0] += seconds
            watch.reached("batch", 5)
    watch.reached("end")
    assert watch.limit_s() == 50.0 * TIMES_LONGEST, "the last save is waited for"
    watch.stall_s, watch.start_s = 8.0, 90.0
    assert watch.limit_s() == 8.0
    for kind in ("compile", "start-up", "agreement", "restore", "render"):
        watch.reached(kind)
        assert watch.limit_s() == 90.0, "it compiles, or reads what is large"


def test_where_there_is_one_process_an_exception_is_only_an_exception():
    with watched(Watch()), pytest.raises(ValueError), together():
        raise ValueError


def test_a_process_alone_that_hangs_is_ended_with_its_stacks():
    code = (
        "import threading\n"
        "from copycat_jax.train import watchdog\n"
        "with watchdog.watching():\n"
        "    watchdog.limit(stall_s=1.0)\n"
        "    watchdog.reached('step', 3)\n"
        "    threading.Event().wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == LOST
    assert re.search(r"threading.py.*wait", done.stderr)
    assert re.search(r"copycat: nothing has ended for \d s: it is in step 3\n$", done.stderr)


def test_a_process_whose_referee_is_gone_ends():
    """A connection that breaks is one whose other end does."""
    code = (
        "import socket, sys, threading\n"
        "from copycat_jax.train import watchdog\n"
        "connection = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
        "with watchdog.watched(watchdog.Watch()) as watch:\n"
        "    watch.join(connection, 1)\n"
        "    threading.Event().wait()\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        process = subprocess.Popen([sys.executable, "-c", code, port], stderr=subprocess.PIPE, text=True)
        server.accept()[0].close()
        assert "referee" in process.communicate(timeout=200)[1] and process.returncode == LOST


PLACES = ("start", "compile", "batch", "save")
# Process 1 everywhere; process 0, beside which the referee is, in start-up and in a step.
WHERE = [(1, place) for place in PLACES] + [(0, "start"), (0, "batch")]


@pytest.mark.slow
@pytest.mark.parametrize("which, place", WHERE)
def test_a_killed_process_takes_the_other_along(which, place, tmp_path):
    codes, errors = Job(tmp_path, {which: {"mishap": [place, "kill"]}}).end()
    assert codes[which] == -signal.SIGKILL and codes[1 - which] == LOST
    assert re.search(rf"copycat: process {which} on \S+ ended without a word \(it was in .+\)\n$", errors[1 - which])
    assert "most recent call first" in errors[1 - which], "the stacks"
    assert "Check failure stack trace" not in errors[1 - which], "of C++"


@pytest.mark.slow
@pytest.mark.parametrize("which, place", WHERE)
def test_a_stopped_process_is_noticed(which, place, tmp_path):
    silent_s = 8
    job = Job(tmp_path, {which: {"mishap": [place, "stop"]}}, silent_s=silent_s)
    error = job.processes[1 - which].communicate(timeout=600)[1]
    assert job.processes[1 - which].returncode == LOST
    assert re.search(rf"copycat: stopped or out of reach for {silent_s} s: process {which} on .*\n$", error)
    assert "most recent call first" in error
    job.processes[which].send_signal(signal.SIGCONT)  # and goes on: there is nobody left
    assert job.end()[0][which] == LOST


@pytest.mark.slow
@pytest.mark.parametrize("place, what", [*((place, "raise") for place in PLACES), ("batch", "mistake")])
def test_an_exception_in_one_process_ends_both_with_its_code(place, what, tmp_path):
    code = {"raise": FAILED, "mistake": USER_ERROR}[what]
    codes, errors = Job(tmp_path, {1: {"mishap": [place, what]}}).end()
    assert codes == [code, code]
    assert re.fullmatch(r"copycat: process 1 on \S+: .*a (fault|mistake).*\n", errors[0])
    assert ("Traceback" in errors[1]) == (what == "raise")


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_a_process_that_hangs_is_named(place, tmp_path):
    name = {"start": "start-up", "batch": "batch at step 5"}.get(place, place)
    codes, errors = Job(tmp_path, {1: {"mishap": [place, "hang"]}}, stall_s=8, start_s=8).end()
    assert codes == [LOST, LOST]
    for error in errors:
        named = "processes 0, 1 in save at step 4" if place == "save" else f"process 1 in {name}; process 0 in"
        assert re.search(rf"nothing has ended for \d+ s: {named}", error)
    assert "befall" in errors[1], "the stacks say where"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_one_process_saves_and_ends_both(number, tmp_path):
    from copycat_jax.train.checkpoint import Checkpoints

    job = Job(tmp_path, pause=0.3, save_every=0, steps=400)
    job.wait_for_steps(3)
    job.processes[1].send_signal(number)
    codes, errors = job.end()
    assert codes[0] == codes[1] != 1, errors
    with Checkpoints(tmp_path, {}) as checkpoints:
        assert 3 <= checkpoints.latest() < 400


@pytest.mark.slow
def test_a_process_that_does_not_come_is_named(tmp_path):
    """Both ways: the coordinator alone, and one whose coordinator does not come."""
    jobs = [Job(tmp_path / str(absent), count=2, absent=[absent], join_s=3) for absent in (1, 0)]
    said = (r"process 1 of 2 did not come in 3 s; came: 0 on", "process 0 does not answer")
    for job, words in zip(jobs, said, strict=True):
        (code,), (error,) = job.end()
        assert code == LOST and re.search(rf"copycat: {words} .*\n$", error)
        assert "most recent call first" in error and "Check failure stack trace" not in error


@pytest.mark.slow
def test_a_signal_is_heard_while_the_others_have_not_come(tmp_path):
    job = Job(tmp_path, count=2, absent=[0])
    job.wait_until((tmp_path / "joining").exists)
    time.sleep(1.0)
    began = time.monotonic()
    job.processes[0].send_signal(signal.SIGTERM)
    (code,), (error,) = job.end()
    assert code == 128 + signal.SIGTERM and time.monotonic() - began < 60, error


@pytest.mark.slow
def test_a_signal_in_start_up_ends_both(tmp_path):
    job = Job(tmp_path, {1: {"mishap": ["start", "hang"]}})
    job.wait_until((tmp_path / "befallen").exists)
    job.processes[1].send_signal(signal.SIGTERM)
    codes, _ = job.end()
    assert codes == [PREEMPTED, PREEMPTED]


@pytest.mark.slow
def test_a_second_signal_ends_at_once_even_where_the_main_thread_is_deaf(tmp_path):
    """Process 1 hangs, so process 0 waits inside a collective, where Python handles no signal."""
    job = Job(tmp_path, {1: {"mishap": ["batch", "hang"]}})
    job.wait_until((tmp_path / "befallen").exists)
    job.processes[0].send_signal(signal.SIGTERM)
    time.sleep(2.0)
    job.processes[0].send_signal(signal.SIGTERM)
    codes, errors = job.end()
    assert codes == [128 + signal.SIGTERM] * 2
    assert "a second SIGTERM" in errors[0] + errors[1]
