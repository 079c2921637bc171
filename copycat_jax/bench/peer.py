"""Another implementation's benchmark, run beside ours."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from copycat_jax.errors import UserError


def run_peer(script: str | Path, batch: Sequence[int], frames: int, steps: int) -> list[dict[str, Any]]:
    """Runs a peer's benchmark in a process of its own and returns its JSON lines.

    Args:
      script: called with -B and the batch sizes, -T and the frames, -n and the timed steps.
      batch, frames, steps: what it is to measure.

    Raises:
      UserError: no such script, or it fails.
    """
    if not Path(script).is_file():
        raise UserError("no such script", str(script), "Give the path of a benchmark, or --peer no.")
    sizes = ["-B", *map(str, batch), "-T", str(frames), "-n", str(steps)]
    done = subprocess.run([sys.executable, str(script), *sizes], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"failed ({done.stderr.strip().splitlines()[-1:]})", str(script), "Is PyTorch installed?")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
