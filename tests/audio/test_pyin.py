"""pYIN equals its slow and obvious reading, and librosa's to the value."""

import numpy as np
import pytest
from reference import import_librosa

from copycat_jax.audio import pyin
from copycat_jax.audio.signal import read_audio, resample

RATE, HOP, SIZE = 16000.0, 186, 1024


def frames_of(samples: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(samples, SIZE)[::HOP]


def test_troughs_are_weighed_as_the_definition_says():
    heights = np.abs(np.random.default_rng(0).normal(0.5, 0.4, (12, 5))).astype(np.float32)
    heights[3, 2:], heights[5] = np.inf, heights[5] + 1  # fewer troughs; none below any threshold
    edges = np.linspace(0, 1, 101)
    weights = np.diff(1 - (1 - edges) ** 12 * (1 + 12 * edges))
    assert weights.sum() == pytest.approx(1.0)
    expected = np.zeros(heights.shape)
    for row, values in zip(expected, heights, strict=True):
        for edge, weight in zip(edges[1:], weights, strict=True):
            below = np.flatnonzero(values < edge)
            prior = np.exp(-2.0 * np.arange(len(below)))
            row[below] += weight * prior / prior.sum() if len(below) else 0.0
            if not len(below):
                row[np.argmin(values)] += 0.01 * weight
    np.testing.assert_allclose(pyin._trough_chances(heights), expected, atol=1e-12)


@pytest.mark.parametrize("width", [5, 6])
@pytest.mark.parametrize("bins", [12, 13])
def test_no_path_through_all_pairs_of_states_is_likelier(bins, width):
    rng = np.random.default_rng(bins)
    chances = rng.random((40, bins)) ** 6
    chances *= rng.random((40, 1)) / chances.sum(axis=1, keepdims=True)
    chances[10:20] = 0.0  # a jump that must be made unvoiced
    chances[25], chances[26] = np.eye(bins)[0], np.eye(bins)[-1]  # and one that no step reaches
    lead, steps = pyin._local_steps(bins, width)
    local = np.zeros((bins, bins))
    for k in range(width):
        for to in range(bins):
            if 0 <= to + lead + k < bins:
                local[to + lead + k, to] = np.exp(steps[k, to])
    np.testing.assert_allclose(local.sum(axis=1), 1.0)
    tiny = np.finfo(np.float64).tiny
    moves = np.log(np.kron([[0.99, 0.01], [0.01, 0.99]], local) + tiny)
    unvoiced = (1 - np.clip(chances.sum(axis=1, keepdims=True), 0, 1)) / bins
    seen = np.log(np.hstack([chances, np.repeat(unvoiced, bins, axis=1)]) + tiny)
    value = seen[0] - np.log(2 * bins)
    for row in seen[1:]:
        value = np.max(value[:, None] + moves, axis=0) + row
    path = pyin._likeliest_path(chances, width)
    found = seen[np.arange(40), path].sum() + moves[path[:-1], path[1:]].sum() - np.log(2 * bins)
    assert found == pytest.approx(value.max(), abs=1e-6)


def test_digital_silence_and_what_is_cut_into_chunks(monkeypatch):
    assert not pyin.track(np.zeros((5, SIZE), np.float32), RATE, HOP, 55.0, 600.0).any()
    tone = np.sin(2 * np.pi * 150 * np.arange(16000) / RATE).astype(np.float32)
    whole = pyin.track(frames_of(tone), RATE, HOP, 55.0, 600.0)
    assert np.all(np.abs(12 * np.log2(whole / 150)) <= 0.1)
    monkeypatch.setattr(pyin, "_CHUNK", 7)
    np.testing.assert_array_equal(pyin.track(frames_of(tone), RATE, HOP, 55.0, 600.0), whole)


@pytest.mark.slow  # numba compiles for half a minute in a fresh environment
def test_equals_librosa(corpora):
    noise = 0.1 * np.random.default_rng(0).normal(size=16000).astype(np.float32)
    clips = [noise, np.concatenate([np.zeros(8000, np.float32), noise])]
    for path in sorted((corpora / "kokoro" / "gold_dev").glob("*.opus"))[:4]:
        audio = read_audio(path)
        clips.append(resample(audio.samples, audio.sample_rate, RATE))
    for samples in clips:
        f0_hz, voiced, _ = import_librosa().pyin(
            samples,
            fmin=55.0,
            fmax=600.0,
            sr=RATE,
            frame_length=SIZE,
            hop_length=HOP,
            resolution=0.2,
            beta_parameters=(2, 12),
            center=False,
            fill_na=None,
        )
        theirs, ours = np.where(voiced, f0_hz, 0.0), pyin.track(frames_of(samples), RATE, HOP, 55.0, 600.0)
        assert np.mean(np.abs(ours - theirs) < 1e-6) > 0.999
