from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.align.durations import crop, frame_durations, phone_breaks
from copycat_jax.errors import UserError
from copycat_jax.types import Interval

HOP_S = 256 / 22050


def tiled(lengths, labels=None):
    edges = np.concatenate([[0.0], np.cumsum(lengths)])
    labels = labels or [f"AA{i % 3}" for i in range(len(lengths))]
    return [Interval(float(a), float(b), label) for (a, b), label in zip(pairwise(edges), labels, strict=True)]


@given(
    st.lists(st.tuples(st.floats(0.0, 0.2), st.sampled_from(["SIL", "AA1", "T", "S"])), min_size=1, max_size=40),
    st.integers(-2, 2),
)
@settings(deadline=None)
def test_durations_sum_to_the_frames_and_none_is_zero(phones, extra):
    intervals = tiled([length for length, _ in phones], [label for _, label in phones])
    frames = max(int(intervals[-1].end_s / HOP_S) + extra, 0)
    spoken = [label for _, label in phones if label != "SIL"]
    if frames < len(phones):
        return
    symbols, durations = frame_durations(intervals, frames, HOP_S)
    assert durations.dtype == np.int32 and len(symbols) == len(durations)
    assert durations.sum() == frames and (durations > 0).all()
    assert [symbol for symbol in symbols if symbol != "SIL"] == spoken
    assert ("SIL", "SIL") not in list(pairwise(symbols))


def test_breaks_stand_at_the_last_phone_of_each_word():
    phones = tiled([0.1, 0.2, 0.1, 0.05, 0.3], ["SIL", "HH", "AY1", "SIL", "OW1"])
    words = [Interval(phones[1].start_s, phones[2].end_s, "hi"), Interval(phones[4].start_s, phones[4].end_s, "oh")]
    assert phone_breaks(phones, words, [2, 3]) == [0, 0, 2, 0, 3]
    inside = [crop(tier, 0.04, 0.7) for tier in (phones, words)]  # on another clock, and the last word cut short
    assert phone_breaks(*inside, [2, 3]) == [0, 0, 2, 0, 3]


def test_boundaries_are_rounded_not_durations():
    intervals = tiled([0.014] * 100)
    _, durations = frame_durations(intervals, 140, 0.01)
    assert np.abs(np.cumsum(durations) - 1.4 * np.arange(1, 101)).max() <= 0.5 + 1e-9


def test_a_phone_of_no_frames_takes_one_from_its_longer_neighbour():
    symbols, durations = frame_durations(tiled([0.05, 0.001, 0.08]), 13, 0.01)
    assert symbols == ["AA0", "AA1", "AA2"] and durations.tolist() == [5, 1, 7]
    _, durations = frame_durations(tiled([0.01, 0.001, 0.01, 0.08]), 10, 0.01)
    assert durations.tolist() == [1, 1, 1, 7]


def test_a_silence_of_no_frames_is_dropped_and_silences_are_merged():
    phones = tiled([0.05, 0.001, 0.05, 0.05, 0.05], ["AA1", "SIL", "T", "SIL", "SIL"])
    symbols, durations = frame_durations(phones, 20, 0.01)
    assert symbols == ["AA1", "T", "SIL"] and durations.tolist() == [5, 5, 10]


def test_more_phones_than_frames_is_refused():
    with pytest.raises(UserError, match="fit"):
        frame_durations(tiled([0.01] * 10), 5, 0.01)
    with pytest.raises(UserError):
        frame_durations([], 5, 0.01)


def test_crop_keeps_what_is_inside():
    cropped = crop(tiled([0.1, 0.1, 0.1, 0.1]), 0.15, 0.3)
    assert [(round(p.start_s, 6), round(p.end_s, 6), p.label) for p in cropped] == [
        (0.0, 0.05, "AA1"),
        (0.05, 0.15, "AA2"),
    ]
