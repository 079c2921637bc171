"""Faults, injected: each ends as it should within a stated time, with one line, and without a bit lost.

    python tests/faults/inject.py                      # all of them, a few rounds: minutes
    python tests/faults/inject.py kill --rounds 50     # kill -9 at random moments, in the middle of saves too
    python tests/faults/inject.py soak --minutes 60    # an hour of training; nothing grows
    python tests/faults/inject.py --list

What is trained is the toy task of tests/stand_ins, in processes of its own, which save at every step. A fault that
cannot be injected here (no name spaces for a full disk) says so and counts as passed.
"""

import argparse
import array
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "stand_ins")]
# The same small program is compiled over and over.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
RUNNER = ROOT / "tests" / "stand_ins" / "toy_run.py"
STEPS, ENDS_S = 40, 300  # so long may any one process take, on a machine however busy
SILENT_S = 8.0  # after which a stopped process is given up; 30 outside of tests

from toy_job import Job  # noqa: E402

from copycat_jax.train import outcomes  # noqa: E402
from copycat_jax.train.writer import read_metrics  # noqa: E402


def launch(run: Path, devices: int = 2, before: tuple[str, ...] = (), **options) -> subprocess.Popen:
    own = {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    options = {"adversary": True, "steps": STEPS, "save_every": 1, "pause": 0.02, **options}
    command = [*before, sys.executable, str(RUNNER), str(run), json.dumps(options)]
    return subprocess.Popen(
        command, env=dict(os.environ) | own, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def job(run: Path, count: int = 2, options: dict | None = None) -> Job:
    """Several processes with four devices between them, that save at every step."""
    settings = {"adversary": True, "steps": STEPS, "save_every": 1, "pause": 0.02, "silent_s": SILENT_S}
    return Job(run, count=count, devices=4, **settings, **(options or {}))


def finish(process: subprocess.Popen, code: int = outcomes.FINISHED) -> str:
    """What it said on standard error, after it ended with `code`."""
    _, error = process.communicate(timeout=ENDS_S)
    assert process.returncode == code, f"exit code {process.returncode}, not {code}:\n{error[-2000:]}"
    return error


def losses(run: Path) -> dict[int, float]:
    return {r["step"]: r["loss/model"] for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "train"}


def state_of(run: Path) -> bytes:
    """The parameters of the last checkpoint, to the bit."""
    import jax

    from copycat_jax.train.checkpoint import restore_params

    params, _, step = restore_params(run, ema=False)
    assert step == STEPS, f"the last checkpoint is of step {step}"
    return b"".join(leaf.tobytes() for leaf in jax.tree.leaves(params))


def same(run: Path, whole: Path) -> None:
    assert losses(run) == losses(whole) and len(losses(run)) == STEPS, "other losses than those of a run never stopped"
    assert state_of(run) == state_of(whole), "other parameters than those of a run never stopped"


def one_line(error: str, words: str) -> None:
    lines = [line for line in error.splitlines() if line.strip()]
    assert len(lines) == 1 and words in lines[0], f"not one line with {words!r}:\n{error[-2000:]}"


def kill(folder: Path, rounds: int, **_) -> str:
    """kill -9 at random moments of a run that saves all the time; it goes on from there, and another follows."""
    random.seed(0)
    whole, run, saving, at = folder / "whole", folder / "run", 0, []
    finish(launch(whole))
    while len(at) < rounds:
        process, seen = launch(run), len(losses(run))
        deadline = time.monotonic() + ENDS_S
        while len(losses(run)) <= seen and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.5))
        process.kill()
        process.communicate()
        if process.returncode == outcomes.FINISHED:
            same(run, whole)
            shutil.rmtree(run)
            continue
        assert process.returncode == -signal.SIGKILL, process.returncode
        saving += any((run / "checkpoints").glob("*.orbax-checkpoint-tmp*"))
        at.append(max(losses(run), default=0))
    finish(launch(run))
    same(run, whole)
    return f"killed at steps {at}, {saving} times in the middle of a save; resumed to the bit"


def stop(folder: Path, **_) -> str:
    """Each signal that asks a run to stop saves, and leaves with the code that says so."""
    whole = folder / "whole"
    finish(launch(whole))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        run = folder / number.name
        process = launch(run, save_every=0)
        deadline = time.monotonic() + ENDS_S
        while len(losses(run)) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        finish(process, outcomes.PREEMPTED)
        finish(launch(run, save_every=0))
        same(run, whole)
    return "SIGTERM, SIGINT, SIGHUP, SIGUSR1: saved, code 75, resumed to the bit"


def damage(folder: Path, **_) -> str:
    """The newest checkpoint torn, missing or with one bit flipped: the one before is taken, and it is said."""
    whole, base = folder / "whole", folder / "base"
    finish(launch(whole))
    finish(launch(base, max_steps=STEPS // 2))
    for how in ("torn", "missing", "flipped"):
        run = shutil.copytree(base, folder / how)
        file = max((run / "checkpoints" / str(STEPS // 2) / "state" / "d").iterdir(), key=lambda p: p.stat().st_size)
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        if how == "missing":
            shutil.rmtree(file.parents[1])
        else:
            file.write_bytes(data[: len(data) // 2] if how == "torn" else data)
        one_line(finish(launch(run)), f"checkpoint {STEPS // 2} is damaged")
        same(run, whole)
    return "torn, missing, flipped: said in one line, resumed to the bit from the one before"


def disk(folder: Path, **_) -> str:
    """A disk that is full in the middle of a run, and one that is read-only from the start."""
    enter = ("unshare", "--mount", "--map-root-user")
    if subprocess.run([*enter, "true"], capture_output=True).returncode:
        return "not tried: no name spaces here"
    place = folder / "disk"
    place.mkdir()
    for options, words in (("size=250k", "No space left"), ("ro", "Read-only file system")):
        mounted = f'mount -t tmpfs -o {options} tmpfs {place} && exec "$@"'
        process = launch(place / "run", before=(*enter, "sh", "-c", mounted, "sh"))
        one_line(finish(process, outcomes.USER_ERROR), words)
    return "full, read-only: one line, code 2"


def devices(folder: Path, **_) -> str:
    """A run of eight devices goes on with one, two, four, and from data to parameters split."""
    whole, base = folder / "whole", folder / "base"
    finish(launch(whole, 8))
    finish(launch(base, 8, max_steps=STEPS // 2))
    worst = 0.0
    for count, options in ((1, {}), (2, {}), (4, {}), (8, {"fsdp": 4, "rules": True})):
        run = shutil.copytree(base, folder / f"{count}{len(options)}")
        finish(launch(run, count, **options))
        wanted, found = losses(whole), losses(run)
        worst = max(worst, *(abs(found[s] - wanted[s]) / abs(wanted[s]) for s in wanted))
        assert len(found) == STEPS and worst < 1e-4, f"{count} devices {options}: losses differ by {worst:.2g}"
    return f"8 -> 1, 2, 4 and data -> fsdp: losses within {worst:.1g}"


def processes(folder: Path, **_) -> str:
    """A run of one process goes on in two, and then in four."""
    whole, run = folder / "whole", folder / "run"
    finish(launch(whole, 4))
    finish(launch(run, 4, max_steps=STEPS // 4))
    for count, options in ((2, {"max_steps": STEPS // 2}), (4, {})):
        job(run, count, options).ended([outcomes.FINISHED] * count)
    wanted, found = losses(whole), losses(run)
    worst = max(abs(found[s] - wanted[s]) / abs(wanted[s]) for s in wanted)
    assert len(found) == STEPS and worst < 1e-4, f"losses differ by {worst:.2g}"
    return f"1 -> 2 -> 4 processes: losses within {worst:.1g}"


def peer(folder: Path, **_) -> str:
    """One of two processes is killed, then stopped: the other says so and leaves, and both go on where they were."""
    whole, run = folder / "whole", folder / "run"
    job(whole).ended([outcomes.FINISHED] * 2)
    took = []
    for number, words in (
        (signal.SIGKILL, "ended without a word"),
        (signal.SIGSTOP, f"out of reach for {SILENT_S:g} s"),
    ):
        two = job(run)
        two.wait_for_steps(len(losses(run)) + 3)
        two.processes[1].send_signal(number)
        began = time.monotonic()
        error = finish(two.processes[0], outcomes.LOST)
        took.append(time.monotonic() - began)
        two.processes[1].kill()
        two.processes[1].communicate()
        assert words in error.splitlines()[-1] and took[-1] < SILENT_S + 60, (took, error[-2000:])
    job(run).ended([outcomes.FINISHED] * 2)
    same(run, whole)
    return f"killed: the other left after {took[0]:.0f} s; stopped: after {took[1]:.0f} s; resumed to the bit"


def slow(folder: Path, **_) -> str:
    """A disk on which every checkpoint takes a second: the steps do not wait for it, and nothing is lost."""
    whole, run = folder / "whole", folder / "run"
    finish(launch(whole, save_every=10))
    finish(launch(run, save_every=10, mishap=["write", "slow"]))
    same(run, whole)
    error = finish(launch(folder / "stuck", save_every=10, stall_s=5, mishap=["write", "hang"]), outcomes.LOST)
    assert "it is in save at step" in error.splitlines()[-1] and "befall" in error, error[-2000:]
    return "slow: the same run; one that never ends: given up at the next save, with all stacks, code 70"


def data(folder: Path, **_) -> str:
    """A stored mel that holds NaN: its steps are passed over and it is named; more than allowed end the run."""
    error = finish(launch(folder / "few", poison=[5]))
    one_line(error, "step 5: loss or gradient not finite, the update is discarded; not finite in the data: row 0")
    error = finish(launch(folder / "many", poison=[5, 7, 9, 11]), outcomes.USER_ERROR)
    assert error.strip().splitlines()[-1].count("steps 5, 7, 9, 11, more than train.skip_bad = 3"), error
    return "NaN in a mel: named and passed over; the fourth ends the run"


def soak(folder: Path, minutes: float, **_) -> str:
    """Training for long: memory, Python's objects, threads and open files stay where they were after the first fifth.

    A save in progress holds files, objects and threads of its own (five), so the least of many readings is compared.
    """
    from toy_task import toy_batch, toy_config, toy_task

    from copycat_jax.train.loop import fit

    began, seen = time.monotonic(), array.array("q")  # holds no objects, which are counted

    def batches(step: int):
        if step % 20 == 0:
            pid = Path("/proc/self")
            kib = int(next(s for s in (pid / "status").read_text().splitlines() if s.startswith("VmRSS")).split()[1])
            opened = (len(list((pid / name).iterdir())) for name in ("task", "fd"))
            seen.extend((kib, sys.getallocatedblocks(), *opened))
        if time.monotonic() - began > 60 * minutes:
            os.kill(os.getpid(), signal.SIGTERM)
        return toy_batch(step % 50)

    config = toy_config(steps=10**9, save_every=50, log_every=10, eval_every=50)
    held_out = [lambda: toy_batch(100), lambda: toy_batch(101)]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # a line for every ten steps
        state = fit(toy_task(True), config, batches, run_dir=folder / "run", held_out=held_out, tensorboard=False)
    readings = [tuple(seen[i : i + 4]) for i in range(0, len(seen), 4)]
    fifth = len(readings) // 5
    early, late = (
        tuple(map(min, zip(*part, strict=True))) for part in (readings[fifth : 2 * fifth], readings[-fifth:])
    )
    kib, blocks, threads, files = zip(early, late, strict=True)
    steady = kib[1] < 1.1 * kib[0] and blocks[1] < 1.01 * blocks[0]
    assert steady and threads[1] <= threads[0] + 2 and files[1] <= files[0] + 2, (early, late)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        f"{int(state.step)} steps in {minutes:g} min: KiB, objects, threads, files {early} -> {late}, peak {peak} KiB"
    )


FAULTS: dict[str, Callable[..., str]] = {
    f.__name__: f for f in (kill, stop, damage, disk, slow, devices, processes, peer, data, soak)
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT", help="; ".join(f"{n}: {f.__doc__}" for n, f in FAULTS.items())
    )
    parser.add_argument("--rounds", type=int, default=3, help="of kill")
    parser.add_argument("--minutes", type=float, default=0.5, help="of soak")
    parser.add_argument("--list", action="store_true", help="print the faults and stop")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{name:10} {(fault.__doc__ or '').partition(chr(10))[0]}" for name, fault in FAULTS.items()))
        return 0
    with tempfile.TemporaryDirectory() as compiled:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", compiled)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        return inject(arguments)


def inject(arguments: argparse.Namespace) -> int:
    failed = 0
    for name in arguments.faults or FAULTS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                word, told = "passed", FAULTS[name](Path(folder), rounds=arguments.rounds, minutes=arguments.minutes)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                word, told, failed = "FAILED", str(error), failed + 1
        print(f"{name}: {word} in {time.monotonic() - began:.0f} s: {told}", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
