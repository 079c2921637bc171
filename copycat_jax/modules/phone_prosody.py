"""Prosody by hand: F0 and energy in three parts of each phone, and its duration (Klimkov et al. 2019, section 3.1).

Pure functions of curves and an alignment. Features come in the order F0 x 3, energy x 3, duration; F0 is natural log of
Hz, energy log-RMS, duration the natural log of frames, less the mean and over the deviation of its phoneme's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from copycat_jax.batch import AlignedPhonemes
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.regulate import membership, phoneme_of_frame

PARTS = 3
FEATURES = 2 * PARTS + 1
LARGEST = 5.0  # deviations: beyond it a tracker erred
_LEAST = 1e-3  # deviation; a curve that is flat has none


class Statistics(NamedTuple):
    """What features are standardised by: mean and deviation of log F0, of energy and of duration, per row."""

    mean: Float[Array, "B 3"]
    deviation: Float[Array, "B 3"]

    @classmethod
    def of_rows(cls, speakers: Sequence[Sequence[float]], speaker: Int[Array, "B"]) -> "Statistics":
        """Those of the rows' speakers; `speakers`: (mean, deviation) of F0, energy, duration of each, six numbers."""
        chosen = jax.nn.one_hot(speaker, len(speakers))
        table = jnp.asarray(np.asarray(speakers, np.float32).reshape(len(speakers), 6))
        rows = jnp.matmul(chosen, table, precision=jax.lax.Precision.HIGHEST)
        return cls(rows[:, 0::2], rows[:, 1::2])


def interpolated_log_f0(f0_hz: Float[Array, "B T"], mask: Bool[Array, "B T"]) -> Float[Array, "B T"]:
    """Natural log of F0, linear in time through unvoiced frames, constant beyond the first and last voiced one.

    Zeros in a row without a voiced frame, and on padding.
    """
    frames = f0_hz.shape[1]
    voiced, time = mask & (f0_hz > 0), jnp.arange(frames)[None]
    log_f0 = jnp.log(jnp.where(voiced, f0_hz, 1.0))
    before = jax.lax.cummax(jnp.where(voiced, time, -1), axis=1)
    after = jax.lax.cummin(jnp.where(voiced, time, frames), axis=1, reverse=True)
    left, right = jnp.where(before < 0, after, before), jnp.where(after >= frames, before, after)
    at = jnp.clip(jnp.stack([left, right]), 0, frames - 1)
    first, last = (jnp.take_along_axis(log_f0, place, axis=1) for place in at)
    weight = (time - at[0]) / jnp.maximum(at[1] - at[0], 1)
    return jnp.where(mask & voiced.any(1, keepdims=True), first + weight * (last - first), 0.0)


def phone_features(
    f0_hz: Float[Array, "B T"],
    energy: Float[Array, "B T"],
    aligned: AlignedPhonemes,
    phoneme_durations: Sequence[Sequence[float]] = (),
) -> Float[Array, "B P F"]:
    """The features of every phone, not yet standardised by speaker; zeros on padding.

    A phone is cut into thirds of its frames; a third that has none (a phone of one or two frames) has the phone's mean.

    Args:
      f0_hz: 0 = unvoiced.
      energy: log-RMS of the frames.
      aligned: the phones on these frames.
      phoneme_durations: (mean, deviation) of the log duration of every phoneme id; none = (0, 1) of each.
    """
    durations, mask = aligned.durations, aligned.mask
    frames = mask.shape[1]
    owner, _ = phoneme_of_frame(durations, frames)
    spread = zero_padding(membership(durations, frames), mask)
    starts = jnp.cumsum(durations, 1) - durations
    place = jnp.arange(frames)[None] - jnp.take_along_axis(starts, owner, axis=1)
    length = jnp.maximum(jnp.take_along_axis(durations, owner, axis=1), 1)
    part = jax.nn.one_hot(jnp.clip(PARTS * place // length, 0, PARTS - 1), PARTS)
    curves = zero_padding(jnp.stack([interpolated_log_f0(f0_hz, mask), energy], -1), mask)
    precise = jax.lax.Precision.HIGHEST  # the default of an accelerator would round to ten bits
    sums = jnp.einsum("btp,bts,btc->bpcs", spread, part, curves, precision=precise)
    counts = jnp.einsum("btp,bts->bps", spread, part, precision=precise)[:, :, None, :]
    whole = sums.sum(-1, keepdims=True) / jnp.maximum(counts.sum(-1, keepdims=True), 1.0)
    means = jnp.where(counts > 0, sums / jnp.maximum(counts, 1.0), whole)
    log_frames = jnp.log(jnp.maximum(durations, 1).astype(jnp.float32))
    if len(phoneme_durations):
        chosen = jax.nn.one_hot(aligned.phonemes, len(phoneme_durations))
        table = jnp.asarray(np.asarray(phoneme_durations, np.float32))
        usual = jnp.matmul(chosen, table, precision=precise)
        log_frames = (log_frames - usual[..., 0]) / jnp.maximum(usual[..., 1], _LEAST)
    features = jnp.concatenate([means.reshape(*durations.shape, 2 * PARTS), log_frames[..., None]], -1)
    return zero_padding(features, durations > 0)


def statistics_of(features: Float[Array, "B P F"], aligned: AlignedPhonemes, silence_id: int) -> Statistics:
    """Of each row by itself, over the phones that are spoken: those that are not `silence_id`."""
    spoken = (aligned.durations > 0) & (aligned.phonemes != silence_id)
    count = jnp.maximum(spoken.sum(1).astype(jnp.float32), 1.0)[:, None, None]
    f0, energy = features[..., :PARTS].mean(-1), features[..., PARTS : 2 * PARTS].mean(-1)
    by_kind = jnp.stack([f0, energy, features[..., -1]], -1)
    mean = zero_padding(by_kind, spoken).sum(1, keepdims=True) / count
    variance = zero_padding(jnp.square(by_kind - mean), spoken).sum(1, keepdims=True) / count
    return Statistics(mean[:, 0], jnp.sqrt(variance)[:, 0])


def standardised(
    features: Float[Array, "B P F"], aligned: AlignedPhonemes, statistics: Statistics
) -> Float[Array, "B P F"]:
    """Features less the mean and over the deviation of their speaker (or of the row itself); zeros on padding."""
    repeats = np.array([PARTS, PARTS, 1])
    mean, deviation = (jnp.repeat(x, repeats, axis=1, total_repeat_length=FEATURES)[:, None] for x in statistics)
    scaled = (features - mean) / jnp.maximum(deviation, _LEAST)
    return zero_padding(jnp.clip(scaled, -LARGEST, LARGEST), aligned.durations > 0)
