"""Toy runs in several processes that find each other as hosts of a cluster would."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import copycat_jax
from copycat_jax.train.writer import read_metrics

RUNNER = Path(__file__).parent / "toy_run.py"
_TIMEOUT_S = 900


class Job:
    """Two processes, or `count`, that train in the folder `run`.

    Args:
      run: the run folder.
      own: {process: options of toy_run.py that only this one gets}.
      absent: of the processes, those that never come.
      devices: of all of them together.
      options: what all get.
    """

    def __init__(self, run, own=None, count=2, absent=(), devices=8, **options):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        shared = dict(
            os.environ,
            JAX_PLATFORMS="cpu",
            JAX_NUM_CPU_DEVICES=str(devices // count),
            PYTHONPATH=str(Path(copycat_jax.__file__).parents[1]),
            JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{port}",
            JAX_NUM_PROCESSES=str(count),
        )
        self.run = Path(run)
        self.processes = []
        for i in sorted(set(range(count)) - set(absent)):
            fields = {**options, **(own or {}).get(i, {})}
            command = [sys.executable, str(RUNNER), str(fields.pop("run", run)), json.dumps(fields)]
            environment = shared | {"JAX_PROCESS_ID": str(i)}
            self.processes.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            )

    def end(self):
        """(exit codes, what each wrote to standard error), once all have ended."""
        errors = [p.communicate(timeout=_TIMEOUT_S)[1] for p in self.processes]
        return [p.returncode for p in self.processes], errors

    def ended(self, codes):
        """What each wrote to standard error, once all have ended with these exit codes."""
        found, errors = self.end()
        assert found == codes, f"exit codes {found}, not {codes}: {errors}"
        return errors

    def wait_until(self, condition):
        """Returns as soon as `condition` holds, or all have ended."""
        deadline = time.monotonic() + _TIMEOUT_S
        while not condition() and time.monotonic() < deadline and any(p.poll() is None for p in self.processes):
            time.sleep(0.05)

    def wait_for_steps(self, count):
        """Returns as soon as the run has written the metrics of so many steps."""
        self.wait_until(
            lambda: len([r for r in read_metrics(self.run / "metrics.jsonl") if r["kind"] == "train"]) >= count
        )
