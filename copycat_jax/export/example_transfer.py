"""A prepared recording in another voice, with NumPy and onnxruntime alone.

    python example.py source.npz VOICE out.wav [semitones]

`source.npz` holds a recording ready for transfer (`copycat export source` makes one of any): its log-mel, its phonemes
with their durations in frames, and its speaker's register. `voices.json` holds the voices.
"""

import json
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

HERE = Path(__file__).parent


def run(model: str, **inputs: np.ndarray) -> Any:
    """The output of a graph of this folder."""
    session = onnxruntime.InferenceSession(str(HERE / f"{model}.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def transfer(source: dict, voice: dict, semitones: float = 0.0) -> np.ndarray:
    """Samples of the recording in a voice of voices.json."""
    mel = source["mel"][None]
    mask = np.ones(mel.shape[:2], bool)
    # The target's register over the source's; beyond these bounds an estimate is wrong, not a voice strange.
    wanted = voice["register_hz"] / source["register_hz"] if source["register_hz"] > 0 else 1.0
    ratio = np.array([np.clip(wanted * 2 ** (semitones / 12), 0.35, 3.0)], np.float32)
    inputs = {
        "mel": mel,
        "ratio": ratio,
        "phonemes": source["phonemes"][None],
        "durations": source["durations"][None],
        "mask": mask,
        "source": run("speaker", mel=mel, mask=mask),
        "target": np.array([voice["centroid"]], np.float32),
    }
    # Spoken with the melody that is heard in the source, moved to the target's register.
    f0_hz = run("pitch", mel=mel) * ratio[:, None]
    return run("vocoder", mel=run("transfer", **inputs), f0_hz=f0_hz)[0]


if __name__ == "__main__":
    source, name, out, *shift = sys.argv[1:]
    voice = json.loads((HERE / "voices.json").read_text())[name]
    samples = transfer(dict(np.load(source)), voice, *map(float, shift))
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, json.loads((HERE / "mel.json").read_text())["sample_rate"], 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
