"""A prepared recording in another voice, with NumPy and JAX alone.

    python example.py source.npz VOICE out.wav

`source.npz` holds a recording ready for transfer (`copycat export source` makes one of any): its log-mel, its phonemes
with their durations in frames, and its speaker's register. `voices.json` holds the voices.
"""

import json
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

HERE = Path(__file__).parent
WEIGHTS = {"transfer": "copycat", "speaker": "speaker", "pitch": "vocoder", "vocoder": "vocoder"}


def open_program(folder: Path, name: str) -> Callable[..., np.ndarray]:
    """A program of a folder as a function of arrays, compiled for each of their shapes."""
    exported = export.deserialize(bytearray((folder / f"{name}.stablehlo").read_bytes()))
    apart, run = folder / f"{WEIGHTS[name]}.safetensors", jax.jit(exported.call)
    first = [weights(apart)] if apart.exists() else []
    return lambda *inputs: np.asarray(run(*first, *inputs))


def weights(path: Path) -> dict[str, Any]:
    """A group of weights that lies apart, as a nested dictionary."""
    from safetensors.numpy import load_file

    tree: dict[str, Any] = {}
    for name, value in load_file(path).items():
        *folders, leaf = name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    return tree


def in_steps(folder: Path, mel: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mel and its mask with padding, so that their frames are a multiple of what the speaker's program asks for."""
    more = -mel.shape[1] % json.loads((folder / "steps.json").read_text())["speaker"]
    return np.pad(mel, ((0, 0), (0, more), (0, 0))), np.pad(mask, ((0, 0), (0, more)))


def transfer(source: dict, voice: dict) -> np.ndarray:
    """Samples of the recording in a voice of voices.json."""
    run = {name: open_program(HERE, name) for name in WEIGHTS}
    mel = source["mel"][None]
    mask = np.ones(mel.shape[:2], bool)
    wanted = voice["register_hz"] / source["register_hz"] if source["register_hz"] > 0 else 1.0
    ratio, target = np.array([np.clip(wanted, 0.35, 3.0)], np.float32), np.array([voice["centroid"]], np.float32)
    heard, text = run["speaker"](*in_steps(HERE, mel, mask)), (source["phonemes"][None], source["durations"][None])
    made = run["transfer"](mel, ratio, *text, mask, heard, target)
    return run["vocoder"](made, run["pitch"](mel) * ratio[:, None])[0]


if __name__ == "__main__":
    source, name, out = sys.argv[1:]
    samples = transfer(dict(np.load(source)), json.loads((HERE / "voices.json").read_text())[name])
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, json.loads((HERE / "mel.json").read_text())["sample_rate"], 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
