"""Mel-cepstral distortion, by its published definitions, none of which is another's.

Cepstra are of the log-mel of `MelSpec` (natural log, 80 bins), c_0, which is loudness, left out.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.mel import extract_mel
from copycat_jax.audio.signal import Audio, resample
from copycat_jax.mel_spec import HIFIGAN, MelSpec

COEFFICIENTS = 13
DECIBELS = 10.0 * np.sqrt(2.0) / np.log(10.0)
WARP_PENALTY = 1.0  # of a step that repeats a frame (Battenberg et al. 2020, appendix)


class Distortion(NamedTuple):
    """Distances of two recordings' cepstra; lower is closer, 0 is the same.

    Attributes:
      mcd: mean over frames of sqrt(sum over k = 1..13 of (c_k - c'_k)^2), frame by frame, the shorter one padded with
        silence; no factor (Skerry-Ryan et al. 2018, section 4.2: MCD_13).
      mcd_db: 10 sqrt(2) / ln 10 times the same over the frames that both have (the usual factor, as in Kubichek 1993).
      mcd_dtw: mean of the same distance along the path of least cost, a warp costing `WARP_PENALTY` (Battenberg et al.
        2020); no factor.
    """

    mcd: float
    mcd_db: float
    mcd_dtw: float


def cepstra(audio: Audio, spec: MelSpec = HIFIGAN) -> Float[np.ndarray, "T K"]:
    """c_1 to c_13 of every frame: the orthonormal DCT-II of its log-mel."""
    mel = extract_mel(resample(audio.samples, audio.sample_rate, spec.sample_rate), spec).astype(np.float64)
    return mel @ dct_basis(mel.shape[1])[:, 1 : COEFFICIENTS + 1]


def dct_basis(bins: int) -> Float[np.ndarray, "M M"]:
    """Columns of the orthonormal DCT-II."""
    place, order = np.arange(bins)[:, None], np.arange(bins)[None]
    basis = np.cos(np.pi * (place + 0.5) * order / bins) * np.sqrt(2.0 / bins)
    basis[:, 0] /= np.sqrt(2.0)
    return basis


def distortion(result: Audio, reference: Audio, offset_s: float = 0.0, spec: MelSpec = HIFIGAN) -> Distortion:
    """Distances of a result, which starts `offset_s` after the reference, from it."""
    start = round(offset_s * reference.sample_rate)
    made = cepstra(result, spec)
    other = cepstra(Audio(reference.samples[start:], reference.sample_rate), spec)
    return Distortion(*distances(made, other))


def distances(made: Float[np.ndarray, "T K"], other: Float[np.ndarray, "S K"]) -> tuple[float, float, float]:
    """`Distortion` of two sequences of cepstra; silence, in padding, is a frame of equal bins: zeros."""
    shared, longest = min(len(made), len(other)), max(len(made), len(other))
    padded = [np.pad(x, ((0, longest - len(x)), (0, 0))) for x in (made, other)]
    frame_by_frame = np.linalg.norm(padded[0] - padded[1], axis=1)
    return float(frame_by_frame.mean()), float(DECIBELS * frame_by_frame[:shared].mean()), _warped(made, other)


def _warped(made: np.ndarray, other: np.ndarray) -> float:
    from librosa.sequence import dtw

    cost = np.linalg.norm(made[:, None] - other[None], axis=-1)
    weights = {"weights_add": np.array([0.0, WARP_PENALTY, WARP_PENALTY]), "weights_mul": np.ones(3)}
    _, path = dtw(C=cost, step_sizes_sigma=np.array([[1, 1], [0, 1], [1, 0]]), **weights)
    return float(cost[path[:, 0], path[:, 1]].mean())
