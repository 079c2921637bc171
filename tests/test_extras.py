"""Every extra can be had together with all others: what is promised to be installable is."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_all_extras_resolve_on_a_fresh_machine():
    setup = ast.parse((ROOT / "setup.py").read_text())
    (extras,) = (
        [key.value for key in node.value.keys]
        for node in setup.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXTRAS"
    )
    assert {"onnx", "sherpa", "parity", "eval"} <= set(extras)
    wanted = f"{ROOT}[{','.join([*extras, 'dev'])}]"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stderr[-2000:]
