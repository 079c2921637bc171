"""The short form of `inject.py`; its own options make it long."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("inject.py")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "stop", "damage", "disk", "devices", "data", "soak"])
def test_a_fault_costs_nothing(fault):
    done = subprocess.run([sys.executable, str(SCRIPT), fault], capture_output=True, text=True)
    assert done.returncode == 0 and f"{fault}: passed" in done.stdout, done.stdout + done.stderr


def test_the_faults_are_listed():
    done = subprocess.run([sys.executable, str(SCRIPT), "--list"], capture_output=True, text=True, check=True)
    assert "kill" in done.stdout and "soak" in done.stdout
