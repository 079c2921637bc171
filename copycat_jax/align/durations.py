"""Intervals in seconds to frame durations whose sum is the number of frames, always.

Boundaries are rounded to frames, not durations, so that errors never accumulate and the sum holds by construction. A
silence that rounds to nothing is dropped and neighbouring silences are one; any other
phone that rounds to nothing takes one frame from the longer of its two neighbours, or, where neither has one to
spare, from the nearest phone that has (those between move over by a frame).
"""

import math
from collections.abc import Sequence

import numpy as np

from copycat_jax.errors import UserError
from copycat_jax.text.phonemes import SIL
from copycat_jax.types import Interval


def frame_durations(phones: Sequence[Interval], frames: int, hop_s: float) -> tuple[list[str], np.ndarray]:
    """Rounds contiguous `phones` to frames of `hop_s` seconds.

    Args:
      phones: contiguous intervals from 0 to the end of the recording.
      frames: number of mel frames T of the recording.
      hop_s: seconds per frame.

    Returns:
      Symbols of the phones kept (P of them) and their durations in frames, int32 [P], each at least 1, summing to
      `frames`.

    Raises:
      UserError: no phones, or more phones than frames.
    """
    merged = merge_silences(phones)
    if not merged:
        raise UserError("an alignment without phones has no durations")
    edges = [min(max(math.floor(phone.start_s / hop_s + 0.5), 0), frames) for phone in merged]
    edges[0] = 0
    durations = np.diff(np.array([*edges, frames], dtype=np.int64))
    if np.any(durations < 0):
        raise UserError("phones are not in order of time", remedy="Align the recording again.")
    symbols = [phone.label for phone in merged]
    kept = [i for i, symbol in enumerate(symbols) if durations[i] > 0 or symbol != SIL]
    symbols, durations = [symbols[i] for i in kept], durations[kept]
    if len(symbols) > frames:
        raise UserError(f"{len(symbols)} phones do not fit into {frames} frames", remedy="Is the text too long for it?")
    while not durations.all():
        taker = int(np.argmin(durations))
        durations[_giver(durations, taker)] -= 1
        durations[taker] += 1
    return symbols, durations.astype(np.int32)


def _giver(durations: np.ndarray, taker: int) -> int:
    """Index of the phone that gives a frame to `taker`: nearest with two or more, the longer of two as near."""
    spare = np.flatnonzero(durations > 1)
    distance = np.abs(spare - taker)
    nearest = spare[distance == distance.min()]
    return int(nearest[np.argmax(durations[nearest])])


def merge_silences(phones: Sequence[Interval]) -> list[Interval]:
    """`phones` with each run of silences made one interval."""
    merged: list[Interval] = []
    for phone in phones:
        if merged and phone.label == SIL and merged[-1].label == SIL:
            merged[-1] = merged[-1]._replace(end_s=phone.end_s)
        else:
            merged.append(phone)
    return merged


def phone_breaks(phones: Sequence[Interval], words: Sequence[Interval], kinds: Sequence[int]) -> list[int]:
    """What follows each phone: the kind of its word's break where it ends one, else 0 (inside a word; silences too).

    Args:
      phones: intervals of an alignment.
      words: its spoken words, on the same clock.
      kinds: the break behind each word, values of `text.phrasing`.
    """
    ends = {round(word.end_s * 1000): kind for word, kind in zip(words, kinds, strict=True)}
    return [0 if phone.label == SIL else ends.get(round(phone.end_s * 1000), 0) for phone in phones]


def crop(phones: Sequence[Interval], start_s: float, stop_s: float) -> list[Interval]:
    """The part of `phones` within [start_s, stop_s), its times counted from `start_s`; phones outside are left out."""
    kept = []
    for phone in phones:
        start, stop = max(phone.start_s, start_s), min(phone.end_s, stop_s)
        if stop > start:
            kept.append(Interval(start - start_s, stop - start_s, phone.label))
    return kept
