"""What the baseline's features are standardised by: per speaker and phoneme of a corpus (Klimkov et al. 2019, 3.1).

The features are those of `modules.phone_prosody`; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from copycat_jax import console
from copycat_jax.corpus.corpus import Corpus
from copycat_jax.corpus.utterance import Utterance
from copycat_jax.data.inputs import Inputs, corpus_inputs
from copycat_jax.data.plan import Share
from copycat_jax.text.phonemes import INVENTORY, SIL_ID

PARTS = 3


def phone_means(curve: Float[np.ndarray, " T"], durations: np.ndarray) -> Float[np.ndarray, " P"]:
    """The mean over each phone of the means of its thirds; a third without a frame has the phone's mean."""
    means, start = np.zeros(len(durations)), 0
    for phone, length in enumerate(durations):
        part = PARTS * np.arange(length) // length
        own = curve[start : start + length]
        thirds = [own[part == third].mean() if (part == third).any() else own.mean() for third in range(PARTS)]
        means[phone], start = np.mean(thirds), start + length
    return means


def interpolated_log_f0(f0_hz: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
    """Natural log of F0, linear through what is unvoiced; zeros where nothing is voiced."""
    at = np.flatnonzero(f0_hz > 0)
    return np.interp(np.arange(len(f0_hz)), at, np.log(f0_hz[at])) if len(at) else np.zeros(len(f0_hz))


def speaker_statistics(corpus: Corpus) -> dict[str, tuple]:
    """`speaker_statistics` and `phoneme_durations` of `BaselineConfig`, for every speaker and phoneme of a corpus.

    Silences count for no speaker. A phoneme or speaker that is never heard has mean 0 and deviation 1.
    """
    counted = console.progress(range(len(corpus)), "statistics", unit="utterance")
    rows = [corpus.utterance(index) for index in counted]
    ids = np.concatenate([row.phonemes for row in rows])
    log_frames = np.log(np.concatenate([row.durations for row in rows]).astype(np.float64))
    usual = tuple(_mean_and_deviation(log_frames[ids == phoneme]) for phoneme in range(len(INVENTORY)))
    by_speaker: list[list[np.ndarray]] = [[] for _ in corpus.speakers]
    for row, speaker in zip(rows, corpus.speaker, strict=True):
        by_speaker[speaker].append(_spoken_features(row, np.asarray(usual)))
    each = (np.concatenate(found) if found else np.zeros((0, 3)) for found in by_speaker)
    statistics = tuple(tuple(x for column in found.T for x in _mean_and_deviation(column)) for found in each)
    return {"speaker_statistics": statistics, "phoneme_durations": usual}


def statistics_inputs(path: str | None, config: Mapping[str, Any], share: Share) -> Inputs:
    """`data.inputs.corpus_inputs` with the statistics of the corpus among its shapes; raises UserError as that does."""
    return corpus_inputs(path, config, share, speaker_statistics)


def _spoken_features(row: Utterance, usual: Float[np.ndarray, "K 2"]) -> Float[np.ndarray, "n 3"]:
    f0 = phone_means(interpolated_log_f0(row.f0_hz.astype(np.float64)), row.durations)
    energy = phone_means(row.energy.astype(np.float64), row.durations)
    mean, deviation = usual[row.phonemes].T
    duration = (np.log(row.durations) - mean) / np.maximum(deviation, 1e-3)
    return np.stack([f0, energy, duration], -1)[row.phonemes != SIL_ID]


def _mean_and_deviation(values: np.ndarray) -> tuple[float, float]:
    return (float(values.mean()), float(values.std())) if len(values) else (0.0, 1.0)
