"""Errors and correlations of F0 by every definition in print, so that a figure can be held against another's.

The same system appears with correlations of 0.50 to 0.93 in four papers: each correlates something else. Curves are on
one grid, in Hz, with anything below `audio.pitch.VOICED_HZ` unvoiced; p, v are the reference's F0 and voicing, p', v'
the result's. A figure is NaN where fewer than `objective.MIN_FRAMES` frames tell of it.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.pitch import semitones, voiced
from copycat_jax.evaluate.objective import MIN_FRAMES, correlation

Curve: TypeAlias = Float[np.ndarray, " _"]  # each its own length
GROSS_SHARE = 0.2  # of the reference's F0 (Nakatani et al. 2008)


class PitchErrors(NamedTuple):
    """One clip's figures.

    Attributes:
      gpe: gross pitch error, sum(|p' - p| > 0.2 p and v v') / sum(v v') (Nakatani et al. 2008; Skerry-Ryan et al. 2018,
        section 4.2).
      vde: voicing decision error, sum(v != v') / T (the same).
      ffe: F0 frame error, (gross frames + frames of other voicing) / T (Chu and Alwan 2009).
      rmse_all: root mean square of 12 log2(p' / p) over frames both call voiced, gross errors included.
      rmse_hz: the same of p' - p in Hz (Klimkov et al. 2019, section 4.2, there after DTW).
      correlation_voiced: Pearson's r of log F0 over frames both call voiced. It is the same for F0 standardised per
        speaker, which shifts and scales it.
      correlation_hz: the same of F0 in Hz.
      correlation_interpolated: r of log F0 over all frames, linear through what is unvoiced and constant beyond its
        ends: voicing errors and silences count.
      correlation_union: r of log F0 over frames that either calls voiced, both interpolated.
    """

    gpe: float
    vde: float
    ffe: float
    rmse_all: float
    rmse_hz: float
    correlation_voiced: float
    correlation_hz: float
    correlation_interpolated: float
    correlation_union: float


def pitch_errors(result_f0: Curve, reference_f0: Curve, reference_voicing: Curve | None = None) -> PitchErrors:
    """All of them; curves of different lengths are cut to the shorter.

    Args:
      result_f0: the result's curve [T] in Hz, from a tracker.
      reference_f0: the reference's curve [T] in Hz.
      reference_voicing: the curve [T] whose voicing counts, where the reference's is exact and runs through silence
        (`objective.transfer_scores`); the reference's own by default.
    """
    count = min(len(result_f0), len(reference_f0))
    p, q = np.asarray(reference_f0[:count], np.float64), np.asarray(result_f0[:count], np.float64)
    on_p, on_q = voiced(p), voiced(q)
    if reference_voicing is not None:
        on_p &= voiced(np.asarray(reference_voicing[:count], np.float64))
    both, either, nan = on_p & on_q, on_p | on_q, float("nan")
    if not count:
        return PitchErrors(*[nan] * len(PitchErrors._fields))
    far = both & (np.abs(q - p) > GROSS_SHARE * p)
    enough = both.sum() >= MIN_FRAMES
    log_p, log_q = (_through(x, on) for x, on in ((p, on_p), (q, on_q)))
    distance = semitones(q[both]) - semitones(p[both])
    return PitchErrors(
        gpe=float(far.sum() / both.sum()) if enough else nan,
        vde=float(np.mean(on_p != on_q)),
        ffe=float(np.mean(far | (on_p != on_q))),
        rmse_all=float(np.sqrt(np.mean(distance**2))) if enough else nan,
        rmse_hz=float(np.sqrt(np.mean((q[both] - p[both]) ** 2))) if enough else nan,
        correlation_voiced=correlation(semitones(q[both]), semitones(p[both])),
        correlation_hz=correlation(q[both], p[both]),
        correlation_interpolated=correlation(log_q, log_p) if enough else nan,
        correlation_union=correlation(log_q[either], log_p[either]) if enough else nan,
    )


def _through(f0_hz: np.ndarray, on: np.ndarray) -> np.ndarray:
    """Log F0 of every frame, linear through the unvoiced ones."""
    at = np.flatnonzero(on)
    return np.interp(np.arange(len(on)), at, np.log(f0_hz[at])) if len(at) else np.zeros(len(on))
