"""A sentence in the voice of the prosody space, with NumPy and JAX alone.

    python example.py NUMBER STYLE out.wav [rate]

NUMBER is the place of a sentence in sentences.json, which holds phonemes and what follows them (`breaks`); STYLE is a
name of styles.json, which holds embeddings.
"""

import json
import math
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax import export

HERE = Path(__file__).parent
EDGE_S, CUT_S = 0.1, 0.12  # the most silence at either end of a text; the least between its pieces


def open_program(folder: Path, name: str) -> Callable[..., np.ndarray]:
    """A program of a folder as a function of arrays, compiled for each of their shapes."""
    run = jax.jit(export.deserialize(bytearray((folder / f"{name}.stablehlo").read_bytes())).call)
    return lambda *inputs: np.asarray(run(*inputs))


def plan(predicted: np.ndarray, breaks: np.ndarray, rate: float, frame_rate_hz: float, last: bool) -> tuple:
    """Durations and pauses in whole frames [P] of what `prosody` predicts [5, P]; sums are rounded: nothing drifts."""
    expected, probability, pause = predicted[:3]
    edge, expected = max(1.0, EDGE_S * frame_rate_hz), np.maximum(expected, 1.0) / rate
    expected[0] = min(expected[0], edge)
    ends = np.floor(np.cumsum(np.maximum(expected.astype(np.float64), 1.0)) + 0.5)
    silent = np.maximum(np.floor(pause / rate + 0.5), 1.0)
    pauses = np.where((probability > 0.5) & (breaks > 0), silent, 0.0)
    pauses[-1] = math.floor(edge) if last else max(pauses[-1], math.ceil(CUT_S * frame_rate_hz))
    return np.diff(ends, prepend=0.0).astype(np.int32), pauses.astype(np.int32)


def speak(folder: Path, pieces: list, style: list, speaker: list, frame_rate_hz: float, rate: float = 1.0) -> list:
    """What was made of each piece of a text: its durations and pauses [P], log-mel [T, M], F0 [T] and samples."""
    run = {name: open_program(folder, name) for name in ("prosody", "voice", "pitch", "vocoder")}
    who, made = (np.array([style], np.float32), np.array([speaker], np.float32)), []
    for number, piece in enumerate(pieces, 1):
        phonemes, breaks = (np.array([piece[name]], np.int32) for name in ("phonemes", "breaks"))
        predicted = run["prosody"](phonemes, breaks, np.ones(phonemes.shape, bool), *who)
        lengths = plan(predicted[:, 0], breaks[0], rate, frame_rate_hz, number == len(pieces))
        time, melody = np.arange(sum(map(np.sum, lengths)), dtype=np.int32), (predicted[3], predicted[4])
        mel = run["voice"](phonemes, breaks, *(x[None] for x in lengths), *melody, *who, time)
        f0_hz = run["pitch"](mel)
        made.append((*lengths, mel[0], f0_hz[0], run["vocoder"](mel, f0_hz)[0]))
    return made


if __name__ == "__main__":
    number, style, out, *rate = sys.argv[1:]
    read = {name: json.loads((HERE / f"{name}.json").read_text()) for name in ("sentences", "styles", "voices", "mel")}
    spec, voice = read["mel"], next(iter(read["voices"].values()))
    pieces = read["sentences"][int(number)]["pieces"]
    speed = spec["sample_rate"] / spec["hop_samples"]
    made = speak(HERE, pieces, read["styles"][style], voice["centroid"], speed, *map(float, rate))
    samples = np.concatenate([piece[-1] for piece in made])
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, spec["sample_rate"], 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
