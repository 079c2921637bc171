"""The short form of `inject.py`; its own options make it long."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("inject.py")
FAULTS = ["kill", "stop", "damage", "disk", "slow", "devices", "processes", "peer", "data", "soak"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_nothing(fault):
    done = subprocess.run([sys.executable, str(SCRIPT), fault], capture_output=True, text=True)
    assert done.returncode == 0 and f"{fault}: passed" in done.stdout, done.stdout + done.stderr


def test_the_faults_are_listed():
    done = subprocess.run([sys.executable, str(SCRIPT), "--list"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in done.stdout.splitlines()] == FAULTS
