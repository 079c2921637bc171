"""launch/slurm.sh under a real SLURM: a controller and a node on the loopback interface, made for the test."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from copycat_jax.train.goodput import read_attempts
from copycat_jax.train.writer import read_metrics

ROOT = Path(__file__).parents[2]
NEEDED = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol")
missing = [program for program in NEEDED if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)}: apt-get install slurmctld slurmd slurm-client"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="slurmd starts jobs of users as root only"),
]

# Two partitions of the one node: what is queued in "high" ends what runs in "low", and gives it two minutes for that.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 GraceTime=120 State=UP
PartitionName=high Nodes={host} PriorityTier=10 State=UP
"""

# The smallest size of the classifier, fed so slowly that there is time to preempt it.
PAGE = """
import dataclasses, time
from pathlib import Path
from copycat_jax.data.inputs import corpus_inputs

def slow_inputs(*arguments):
    inputs = corpus_inputs(*arguments)
    return inputs._replace(batches=lambda step: (time.sleep(0.4), inputs.batches(step))[1])

def get_config():
    space = {{}}
    exec(Path({page!r}).read_text(), space)
    return dataclasses.replace(space["get_config"]("tiny"), inputs="slow_page:slow_inputs")
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def slurm(tmp_path):
    """A function that runs a command of SLURM's and returns what it printed."""
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().partition(".")[0]
    conf = folder / "slurm.conf"
    conf.write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)))
    environment = dict(
        os.environ,
        SLURM_CONF=str(conf),
        PATH=os.environ["PATH"] + ":/usr/sbin",
        PYTHON=sys.executable,
        PYTHONPATH=f"{ROOT}:{tmp_path}",
        JAX_PLATFORMS="cpu",
        JAX_NUM_CPU_DEVICES="1",
    )

    def run(*command):
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    run("slurmctld")
    run("slurmd")
    yield run
    run("scancel", "--user=root")
    until(lambda: not run("squeue", "--noheader"), lambda: run("squeue"), seconds=60)
    for name in ("slurmd", "slurmctld"):
        os.kill(int((folder / f"{name}.pid").read_text()), signal.SIGTERM)


def until(condition, what, seconds=900):
    deadline = time.time() + seconds
    while not (found := condition()):
        assert time.time() < deadline, f"never: {what()}"
        time.sleep(0.5)
    return found


def test_two_tasks_are_preempted_saved_queued_again_and_finish(slurm, tmp_path):
    run, steps = tmp_path / "run", 60
    (tmp_path / "slow_page.py").write_text(PAGE.format(page=f"{ROOT}/configs/speaker.py"))
    arguments = ["train", "--config", f"{tmp_path}/slow_page.py", "--synthetic", "--run-dir", str(run)]
    # Only the signal and the end save.
    fields = {"train.steps": steps, "train.save_every": 0, "train.eval_every": 0, "train.log_every": 1}
    settings = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
    size = ["--partition=low", "--nodes=1", "--ntasks-per-node=2", f"--output={tmp_path}/batch.out"]
    job = re.search(r"\d+", slurm("sbatch", *size, f"{ROOT}/launch/slurm.sh", *arguments, *settings)).group()

    def said():
        texts = [p.read_text() for p in (tmp_path / "batch.out", *sorted(run.glob("logs/slurm-*/*")))]
        return "\n".join(texts)

    def trained():
        return max((r["step"] for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "train"), default=0)

    until(lambda: trained() >= 2, said)
    slurm("sbatch", "--partition=high", "--ntasks=2", f"--output={tmp_path}/other.out", "--wrap=true")
    shown = until(lambda: "JobState=COMPLETED" in (text := slurm("scontrol", "show", "job", job)) and text, said)
    assert "Restarts=1" in shown and "ExitCode=0:0" in shown

    attempts = read_attempts(run)
    assert [(a.number, a.facts["process"], a.facts["processes"]) for a in attempts] == [
        (1, 0, 2),
        (1, 1, 2),
        (2, 0, 2),
        (2, 1, 2),
    ]
    stopped = attempts[0].marks[-1].step
    assert 2 <= stopped < steps
    assert [a.marks[0].step for a in attempts] == [0, 0, stopped, stopped]  # nothing was lost
    assert trained() == steps == attempts[2].marks[-1].step
    assert sorted(p.relative_to(run / "logs").as_posix() for p in run.glob("logs/slurm-*/*")) == [
        f"slurm-{job}.{restart}/task_{task}.log" for restart in (0, 1) for task in (0, 1)
    ]
    assert "ended with code 75" in (tmp_path / "batch.out").read_text()
