"""Inputs and measures that the tests of all exports share."""

import dataclasses
import json

import jax
import numpy as np

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.mel_spec import HIFIGAN

NATS, DECIBEL = 1e-4, 60.0  # what every runtime must reach


def random_params(init, seed: int = 0, spread: float = 0.3):
    """Parameters in the shapes that `init(key)` gives, none of them zero, rounded as a bundle rounds them."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(init, jax.random.key(0))
    return jax.tree.map(
        lambda leaf: (spread * rng.standard_normal(leaf.shape)).astype(np.float16).astype(np.float32), shapes
    )


def bundle_of(kind: str, params: dict, configs: dict, spec=HIFIGAN) -> Bundle:
    """A bundle in memory, without voices."""
    plain = {name: json.loads(json.dumps(dataclasses.asdict(config))) for name, config in configs.items()}
    return Bundle(kind, params, plain, spec, {}, "", "f" * 64)


def mixed_rows(frames=45, phonemes=9, lengths=(45, 29, 8), bins=80, vector=128) -> dict[str, np.ndarray]:
    """Inputs of a transfer whose rows are of mixed length; what stands on padding is noise like the rest."""
    rng, rows = np.random.default_rng(1), len(lengths)
    durations = np.zeros((rows, phonemes), np.int32)
    for row, length in enumerate(lengths):
        count = min(phonemes - row, length)
        durations[row, :count] = length // count
        durations[row, 0] += length % count
    return {
        "mel": (2 * rng.standard_normal((rows, frames, bins)) - 5).astype(np.float32),
        "ratio": np.geomspace(0.5, 2.2, rows).astype(np.float32),
        "phonemes": rng.integers(1, 72, (rows, phonemes)).astype(np.int32),
        "durations": durations,
        "mask": np.arange(frames)[None] < np.array(lengths)[:, None],
        "source": rng.standard_normal((rows, vector)).astype(np.float32),
        "target": rng.standard_normal((rows, vector)).astype(np.float32),
    }


def decibel(wanted: np.ndarray, got: np.ndarray) -> float:
    """Signal to error."""
    error = np.mean(np.square(np.asarray(wanted, np.float64) - got))
    return float(10 * np.log10(np.mean(np.square(np.asarray(wanted, np.float64))) / max(error, 1e-30)))
