"""What the launch scripts share, and that every one of them says what was not run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"


def bash(text, cwd, **environment):
    command = ["bash", "-c", f'. "{LAUNCH}/logs.sh"\n{text}']
    return subprocess.run(
        command, env=dict(os.environ, **environment), cwd=cwd, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "code, restarts, again",
    [(0, 0, False), (1, 0, False), (2, 0, False), (75, 99, True), (70, 9, True), (70, 10, False), (137, 0, True)],
)
def test_what_is_started_again(tmp_path, code, restarts, again):
    assert (bash(f"again {code} {restarts}", tmp_path).returncode == 0) == again


@pytest.mark.parametrize("arguments", ["--run-dir 'a run'", "--set x=y '--run-dir=a run' --force"])
def test_logs_lie_in_the_run_folder(tmp_path, arguments):
    done = bash(f"logs_of slurm-1.0 train {arguments}", tmp_path)
    assert done.stdout == "a run/logs/slurm-1.0\n" and (tmp_path / "a run/logs/slurm-1.0").is_dir()


def test_without_a_run_folder_there_is_one_line(tmp_path):
    done = bash("logs_of slurm-1.0 train --synthetic", tmp_path)
    assert done.returncode == 2 and "--run-dir" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.sh")), ids=lambda p: p.name)
def test_every_script_is_one_that_bash_reads(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, timeout=60).stderr == b""


@pytest.mark.parametrize("name", ["slurm.sh", "tpu_vm.sh", "gke.yaml", "gke_slices.yaml"])
def test_the_first_line_says_what_was_not_run(name):
    first = next(line for line in (LAUNCH / name).read_text().splitlines() if not line.startswith("#!"))
    assert "NOT run" in first


# Prints what the processes of local.sh were told, and ends as the test says.
STUB = """import os, sys
names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID", "JAX_NUM_CPU_DEVICES")
print(f"{sys.argv[3:]} {[os.environ.get(n) for n in names]}\\n", end="", flush=True)  # one write: two write at once
sys.exit(int(os.environ.get("CODE_" + os.environ.get("JAX_PROCESS_ID", ""), "0")))
"""


@pytest.fixture
def local(tmp_path):
    (tmp_path / "stub.py").write_text(STUB)
    python = tmp_path / "python"
    run = f'exec "{sys.executable}"'
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && {run} "$@"\n{run} \'{tmp_path}/stub.py\' "$@"\n')
    python.chmod(0o755)
    return lambda *arguments, **environment: subprocess.run(
        ["bash", str(LAUNCH / "local.sh"), *arguments],
        env=dict(os.environ, PYTHON=str(python), **environment),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_local_processes_find_each_other(local):
    done = local("train", "--run-dir", "a run", PROCESSES="2", DEVICES="4")
    lines = sorted(done.stdout.splitlines())
    assert done.returncode == 0 and len(lines) == 2
    told = [eval(line.partition("] ")[2]) for line in lines]
    assert [t[1:] for t in told] == [["2", "0", "4"], ["2", "1", "4"]]
    assert told[0][0] == told[1][0] and told[0][0].startswith("127.0.0.1:")
    assert all(line.startswith("['train', '--run-dir', 'a run']") for line in lines)


def test_the_worst_code_of_local_processes_counts(local):
    assert local("train", PROCESSES="2", CODE_1="75").returncode == 75
    assert local("train", PROCESSES="2", CODE_0="70").returncode == 70
    assert local("train").returncode == 0
