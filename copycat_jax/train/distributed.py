"""Start-up of one or many processes, and what they say to each other beside the devices."""

import contextlib
import importlib.metadata
import itertools
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src.clusters import ClusterEnv
from jax._src.distributed import global_state
from jax._src.lib import _jax

from copycat_jax.errors import UserError
from copycat_jax.train import watchdog
from copycat_jax.train.referee import JOIN_S, SILENT_S, Referee, call

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
_WAIT_S = 6 * 3600  # longer than the watch lets anybody wait
_exchanges = itertools.count()


def cluster(environment: Mapping[str, str]) -> str:
    """What kind of job the environment describes: "single", "explicit", "slurm", "kubernetes" or "tpu"."""
    if environment.get(ADDRESS) and environment.get(COUNT):
        return "explicit"
    if (
        int(environment.get("SLURM_NTASKS") or environment.get("SLURM_NPROCS") or 1) > 1
        and "SLURM_PROCID" in environment
    ):
        return "slurm"
    if "," in environment.get("TPU_WORKER_HOSTNAMES", "") or environment.get("MEGASCALE_NUM_SLICES"):
        return "tpu"
    if environment.get("KUBERNETES_SERVICE_HOST") and environment.get("JOB_COMPLETION_INDEX"):
        return "kubernetes"
    return "single"


def place(environment: Mapping[str, str], kind: str) -> tuple[str, int, int, Sequence[int] | None]:
    """(Address of the coordinator, processes of the job, number of this one, local devices or None for all).

    JAX itself knows how to find the others under SLURM, on Kubernetes (an indexed job) and on TPU; anywhere else set
    JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID (`launch/local.sh` does).

    Raises:
      UserError: half of the variables are set, or what they say cannot be.
    """
    try:
        if kind == "explicit":
            # All devices of the machine: JAX, left to look around, gives a process under SLURM one GPU.
            found = environment[ADDRESS], int(environment[COUNT]), int(environment[INDEX]), None
        else:
            gpus = gpus_of_task(environment) if kind == "slurm" else None
            found = ClusterEnv.auto_detect_unset_distributed_params(None, None, None, gpus, None, JOIN_S)
        address, processes, process, devices = found
        if address is None or processes is None or process is None:
            raise ValueError("JAX does not know this kind of cluster")
        if not address.rpartition(":")[2].isdigit() or not 0 <= process < processes:
            raise ValueError(f"process {process} of {processes} at {address}")
    except KeyError as error:
        raise UserError(
            f"{error.args[0]} is not set", "environment", f"Set {ADDRESS}, {COUNT} and {INDEX} together."
        ) from error
    except (ValueError, RuntimeError) as error:
        raise _cannot_join(error, kind) from error
    return address, processes, process, devices


def _cannot_join(error: Exception, kind: str) -> UserError:
    line = str(error).partition("\n")[0][:200]
    return UserError(f"cannot join the job ({line})", kind, "See launch/README.md.")


def gpus_of_task(environment: Mapping[str, str]) -> list[int] | None:
    """The GPUs of a SLURM task that has its node to itself: all; None: JAX's rule, that of its number on the node."""
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE", environment.get("SLURM_TASKS_PER_NODE", ""))
    gpus = environment.get("SLURM_GPUS_ON_NODE", "")
    return list(range(int(gpus))) if tasks.partition("(")[0] == "1" and gpus.isdigit() else None


@contextlib.contextmanager
def joined(environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The job's other processes are joined, if there are any; call it before anything touches a device.

    While it lasts all of them are watched, and end together. Gives what `cluster` found.

    Raises:
      UserError: see `place`; the coordinator cannot listen, or does not answer.
    """
    environment = os.environ if environment is None else environment
    kind = cluster(environment)
    if watchdog.current():
        yield kind
        return
    with watchdog.watched(watchdog.Watch()) as watch, watchdog.together():
        if kind != "single":
            address, processes, process, devices = place(environment, kind)
            jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM, and a second one too
            with _refereed(address, processes, process):
                watch.join(_called(address, processes, process, watch), process)
                watch.complete.wait()
                jax.distributed.initialize(address, processes, process, devices, "deactivate")
            barrier("everyone is watched")
        yield kind


@contextlib.contextmanager
def _refereed(address: str, processes: int, process: int) -> Iterator[None]:
    """Process 0 starts the referee; while it lasts JAX takes that for its service."""
    if process:
        yield
        return
    try:
        referee = Referee(address, processes, JOIN_S, SILENT_S)
    except RuntimeError as error:
        raise _cannot_join(error, "process 0") from error
    real, _jax.get_distributed_runtime_service = _jax.get_distributed_runtime_service, referee.serve
    try:
        yield
    finally:
        _jax.get_distributed_runtime_service = real


def _called(address: str, processes: int, process: int, watch: watchdog.Watch) -> socket.socket:
    """A connection to the referee, which knows who this is."""
    hello = {"process": process, "processes": processes, "host": socket.gethostname()}
    try:
        connection = call(address, hello, JOIN_S)
    except TimeoutError as error:
        watch.lost(f"process 0 does not answer at {address} in {JOIN_S:g} s ({error})")
    connection.settimeout(watchdog.GRACE_S)
    return connection


def source_commit() -> str:
    """The git commit of this code, "+dirty" appended where files differ from it; the version where there is no git."""
    root = Path(__file__).resolve().parents[2]
    try:
        version = importlib.metadata.version("copycat-jax")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root:
            return version
        dirty = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+dirty" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return version


def exchanged(value: Any) -> list[Any]:
    """The values of all processes, JSON-ready, in their order; through the referee, no device takes part."""
    if jax.process_count() == 1:
        return [value]
    key, client = f"copycat/exchange{next(_exchanges)}", global_state.client
    client.key_value_set(f"{key}/{jax.process_index():06}", json.dumps(value))
    client.wait_at_barrier(key, _WAIT_S * 1000)
    return [json.loads(text) for _, text in sorted(client.key_value_dir_get(key))]


def of_first(number: int) -> int:
    """The `number` of process 0, on every process."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def barrier(name: str) -> None:
    """Waits until every process has come to the place called `name`; no device takes part."""
    if jax.process_count() > 1:
        global_state.client.wait_at_barrier(f"copycat/{name} {next(_exchanges)}", _WAIT_S * 1000)
