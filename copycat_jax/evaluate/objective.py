"""How well a melody was transferred: F0 curves of a result and of the truth (or of the source), compared.

Every function takes curves on one grid, in Hz, where anything below `audio.pitch.VOICED_HZ` means unvoiced. `on_grid`
puts a tracker's output there. All distances are in semitones, d = 12 log2(result / truth), on frames both call voiced.

Errors beyond `GROSS_SEMITONES` (a factor of 1.2, the 20 % of Nakatani et al. 2008) are counted
apart as gross, and left out of correlation and RMSE: one octave error would otherwise decide them. A correlation
therefore means nothing without the gross errors beside it; a table shows both.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.pitch import semitones, voiced

GROSS_SEMITONES = 3.16
GRID_S = 0.0125
MIN_FRAMES = 8  # fewer common voiced frames (0.1 s) say nothing about a clip

F0Curve: TypeAlias = Float[np.ndarray, "T"]


class TransferScores(NamedTuple):
    """One clip's figures; NaN where they cannot be computed (fewer than `MIN_FRAMES` frames to compute them on).

    Attributes:
      correlation: Pearson correlation of the log-F0 curves on frames without a gross error; NaN if either is constant.
      gross: share of the frames both call voiced at which |d| > 3.16 semitones.
      rmse: root mean square of d in semitones, gross errors left out.
      register: |difference of the medians| of the two curves in semitones, on frames both call voiced.
      spread: standard deviation of the result over that of the truth, both in semitones, on the same frames.
      voicing_error: share of all frames whose voicing differs.
      frames: number of frames both call voiced.
    """

    correlation: float
    gross: float
    rmse: float
    register: float
    spread: float
    voicing_error: float
    frames: int


def on_grid(times_s: F0Curve, f0_hz: F0Curve, frames: int, offset_s: float = 0.0, grid_s: float = GRID_S) -> np.ndarray:
    """Samples a tracker's curve at i * `grid_s`, i = 0 .. `frames` - 1, of another recording's clock.

    Between two voiced estimates log-F0 is interpolated linearly; elsewhere the nearest estimate decides, so that no
    value appears between a voiced and an unvoiced one. Outside the tracked time the curve is unvoiced.

    Args:
      times_s: ascending times of the estimates in seconds, on the tracked recording's own clock.
      f0_hz: the estimates, 0 where unvoiced.
      frames: how many samples to take.
      offset_s: when the tracked recording starts on the other clock (what a transfer trimmed off its source).
      grid_s: distance of the samples in seconds.

    Returns:
      float64 [frames] in Hz, 0 where unvoiced.
    """
    times_s, f0_hz = np.asarray(times_s, np.float64), np.asarray(f0_hz, np.float64)
    out = np.zeros(frames)
    if len(times_s) == 0 or not voiced(f0_hz).any():
        return out
    at = np.arange(frames) * grid_s - offset_s
    right = np.clip(np.searchsorted(times_s, at), 1, max(len(times_s) - 1, 1))
    left, right = right - 1, np.minimum(right, len(times_s) - 1)
    weight = np.clip((at - times_s[left]) / np.maximum(times_s[right] - times_s[left], 1e-9), 0.0, 1.0)
    is_voiced = voiced(f0_hz)
    log_f0 = np.log(np.where(is_voiced, f0_hz, 1.0))
    nearest = np.where(weight > 0.5, right, left)
    both = is_voiced[left] & is_voiced[right]
    log_value = np.where(both, (1 - weight) * log_f0[left] + weight * log_f0[right], log_f0[nearest])
    step = np.median(np.diff(times_s)) if len(times_s) > 1 else grid_s
    inside = (at >= times_s[0] - step / 2) & (at <= times_s[-1] + step / 2)
    keep = inside & (both | is_voiced[nearest])
    out[keep] = np.exp(log_value[keep])
    return out


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r; NaN below `MIN_FRAMES` values, or where either is constant."""
    if len(a) < MIN_FRAMES or np.std(a) < 1e-6 or np.std(b) < 1e-6:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def transfer_scores(result_f0: F0Curve, truth_f0: F0Curve, truth_voicing: F0Curve | None = None) -> TransferScores:
    """Compares a result's F0 curve with the truth's, frame by frame (no warping: a transfer keeps its source's time).

    Args:
      result_f0: the result's curve [T] in Hz, from a tracker.
      truth_f0: the truth's curve [T] in Hz; an exact curve where there is one.
      truth_voicing: the curve [T] that the *same tracker* found in the truth's recording. Only its voicing is used. An
        exact curve of a renderer also runs through frames without energy, so that it cannot judge voicing; without this
        argument `truth_f0` does.

    Returns:
      The clip's `TransferScores`. Curves of different lengths are cut to the shorter.
    """
    count = min(len(result_f0), len(truth_f0))
    result, truth = np.asarray(result_f0[:count], np.float64), np.asarray(truth_f0[:count], np.float64)
    result_on = voiced(result)
    other_on = voiced(truth if truth_voicing is None else truth_voicing)[:count]
    voicing_error = float(np.mean(result_on[: len(other_on)] != other_on)) if len(other_on) else float("nan")
    both = result_on & voiced(truth)
    frames, nan = int(both.sum()), float("nan")
    if frames < MIN_FRAMES:
        return TransferScores(nan, nan, nan, nan, nan, voicing_error, frames)
    a, b = semitones(result[both]), semitones(truth[both])
    d = a - b
    kept = np.abs(d) <= GROSS_SEMITONES
    enough = kept.sum() >= MIN_FRAMES
    return TransferScores(
        correlation=correlation(a[kept], b[kept]) if enough else nan,
        gross=float(np.mean(~kept)),
        rmse=float(np.sqrt(np.mean(d[kept] ** 2))) if enough else nan,
        register=float(abs(np.median(a) - np.median(b))),
        spread=float(np.std(a) / np.std(b)) if np.std(b) > 1e-6 else nan,
        voicing_error=voicing_error,
        frames=frames,
    )


def log_f0_correlation(a_hz: F0Curve, b_hz: F0Curve) -> float:
    """Pearson correlation of two log-F0 curves on all frames both call voiced (gross errors included).

    The figure for a transfer whose truth is unknown: the source stands in, its register does not matter.
    NaN below `MIN_FRAMES` common frames, or where a curve is constant.
    """
    count = min(len(a_hz), len(b_hz))
    a, b = np.asarray(a_hz[:count], np.float64), np.asarray(b_hz[:count], np.float64)
    both = voiced(a) & voiced(b)
    return correlation(semitones(a[both]), semitones(b[both])) if both.any() else float("nan")


def energy_correlation(result: Float[np.ndarray, "N"], reference: Float[np.ndarray, "K"], rate: int) -> float:
    """Pearson correlation of two recordings' loudness: RMS in dB per 12.5 ms, floored 50 dB below the loudest frame.

    The recordings share a rate (Hz) and a time zero; the longer one is cut. NaN below `MIN_FRAMES` frames.
    """
    hop = round(rate * GRID_S)
    count = min(len(result), len(reference)) // hop
    if count < MIN_FRAMES:
        return float("nan")
    levels = []
    for samples in (result, reference):
        rows = np.asarray(samples[: count * hop], np.float64).reshape(count, hop)
        level = 10 * np.log10(np.mean(rows**2, axis=1) + 1e-12)
        levels.append(np.maximum(level, level.max() - 50.0))
    return correlation(*levels)


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """The least number of substituted, inserted and deleted words that turns `reference` into `hypothesis`."""
    row = np.arange(len(hypothesis) + 1)
    for i, word in enumerate(reference, 1):
        previous, row = row, np.empty_like(row)
        row[0] = i
        for j, other in enumerate(hypothesis, 1):
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (word != other))
    return int(row[-1])
