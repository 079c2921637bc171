"""A sentence in the voice of the prosody space, with NumPy and onnxruntime alone.

    python example.py NUMBER STYLE out.wav [rate]

NUMBER is the place of a sentence in sentences.json, which holds phonemes and what follows them (`breaks`); STYLE is a
name of styles.json, which holds embeddings.
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
    """The outputs of a graph of this folder, from those of the inputs that it has."""
    session = onnxruntime.InferenceSession(str(HERE / f"{model}.onnx"), providers=["CPUExecutionProvider"])
    known = {item.name for item in session.get_inputs()}
    return session.run(None, {name: value for name, value in inputs.items() if name in known})


def speak(pieces: list, style: list, speaker: list, rate: float = 1.0) -> np.ndarray:
    """Samples of a text in pieces, each with phonemes and breaks; as the model predicts them, nothing given."""
    unknown, sounds = np.full((1, 1), np.nan, np.float32), []
    for number, piece in enumerate(pieces, 1):
        mel = run(
            "voice",
            phonemes=np.array([piece["phonemes"]], np.int32),
            breaks=np.array([piece["breaks"]], np.int32),
            mask=np.ones((1, len(piece["phonemes"])), bool),
            z=np.array([style], np.float32),
            speaker=np.array([speaker], np.float32),
            rate=np.array([rate], np.float32),
            last=np.array([number == len(pieces)]),
            durations=np.zeros((1, 1), np.int32),
            pauses=np.full((1, 1), -1, np.int32),
            log_f0=unknown,
            energy=unknown,
        )[0]
        sounds.append(run("vocoder", mel=mel, f0_hz=run("pitch", mel=mel)[0])[0][0])
    return np.concatenate(sounds)


if __name__ == "__main__":
    number, style, out, *rate = sys.argv[1:]
    read = {name: json.loads((HERE / f"{name}.json").read_text()) for name in ("sentences", "styles", "voices", "mel")}
    voice = next(iter(read["voices"].values()))
    pieces = read["sentences"][int(number)]["pieces"]
    samples = speak(pieces, read["styles"][style], voice["centroid"], *map(float, rate))
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, read["mel"]["sample_rate"], 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
