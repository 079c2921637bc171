"""Start-up of one or many processes, and what they say to each other beside the devices."""

import contextlib
import importlib.metadata
import itertools
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src.distributed import global_state
from jax._src.lib import _jax

from copycat_jax.errors import UserError
from copycat_jax.train import watchdog
from copycat_jax.train.referee import Referee, send

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
_REFEREE, _START_S = "copycat/referee", 60
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


def start(environment: Mapping[str, str] | None = None) -> str:
    """Joins the job's other processes, if there are any; call it before anything touches a device.

    JAX itself knows how to find the others under SLURM, on Kubernetes (an indexed job) and on TPU; anywhere else set
    JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID (`launch/local.sh` does).

    Returns:
      What `cluster` found.

    Raises:
      UserError: half of the variables are set, or the processes do not find each other.
    """
    environment = os.environ if environment is None else environment
    kind = cluster(environment)
    if kind == "single" or jax.distributed.is_initialized():
        return kind
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM for itself, and a second one too
    try:
        with _refereed():
            if kind == "explicit":
                # All devices of the machine: JAX, left to look around, gives a process under SLURM one GPU.
                found = environment[ADDRESS], int(environment[COUNT]), int(environment[INDEX])
                jax.distributed.initialize(*found, cluster_detection_method="deactivate")
            else:
                jax.distributed.initialize(local_device_ids=gpus_of_task(environment) if kind == "slurm" else None)
    except KeyError as error:
        raise UserError(
            f"{error.args[0]} is not set", "environment", f"Set {ADDRESS}, {COUNT} and {INDEX} together."
        ) from error
    except (ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0][:200]
        raise UserError(f"cannot join the job ({line})", kind, "See launch/README.md.") from error
    return kind


def gpus_of_task(environment: Mapping[str, str]) -> list[int] | None:
    """The GPUs of a SLURM task that has its node to itself: all; None: JAX's rule, that of its number on the node."""
    tasks = environment.get("SLURM_STEP_TASKS_PER_NODE", environment.get("SLURM_TASKS_PER_NODE", ""))
    gpus = environment.get("SLURM_GPUS_ON_NODE", "")
    return list(range(int(gpus))) if tasks.partition("(")[0] == "1" and gpus.isdigit() else None


@contextlib.contextmanager
def joined(environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """The job's other processes are joined, see `start`, and while it lasts all of them are watched, and end together.

    Gives what `cluster` found.
    """
    kind = start(environment)
    if kind == "single" or watchdog.current():
        yield kind
        return
    with watchdog.watched(watchdog.Watch(_connect(), jax.process_index())), watchdog.together():
        barrier("everyone is watched")
        yield kind


@contextlib.contextmanager
def _refereed() -> Iterator[None]:
    """While it lasts, process 0 starts the referee where JAX would start its service, and tells where it is."""
    real = _jax.get_distributed_runtime_service
    started: list[Referee] = []

    def start_referee(address: str, processes: int, **options: Any) -> Referee:
        started.append(Referee(address, processes, secrets.token_hex(16), **options))
        return started[0]

    _jax.get_distributed_runtime_service = start_referee
    try:
        yield
    finally:
        _jax.get_distributed_runtime_service = real
    for referee in started:
        global_state.client.key_value_set(_REFEREE, f"{referee.port} {referee.token}")


def _connect() -> socket.socket:
    """A connection to the referee, which knows who this is."""
    try:
        port, token = global_state.client.blocking_key_value_get(_REFEREE, _START_S * 1000).split()
        host = str(global_state.coordinator_address).rpartition(":")[0].strip("[]")
        connection = socket.create_connection((host, int(port)), timeout=_START_S)
    except (OSError, RuntimeError) as error:
        line = str(error).splitlines()[0][:200]
        raise UserError(
            f"cannot reach the referee of the job ({line})", "process 0", "See launch/README.md."
        ) from error
    connection.settimeout(watchdog.GRACE_S)
    send(connection, {"process": jax.process_index(), "host": socket.gethostname(), "token": token})
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
    client.wait_at_barrier(key, watchdog.WORK_S * 1000)
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
        global_state.client.wait_at_barrier(f"copycat/{name} {next(_exchanges)}", watchdog.WORK_S * 1000)
