import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.audio.loudness import KNEE, Meter, gain_to, limit, loudness_lufs

RATES = (8000, 16000, 22050, 24000, 44100, 48000)


def tone(rate, seconds, level_db, hertz=997.0):
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def babble(seed, seconds=3.0, rate=16000):
    """Noise in bursts with pauses: crests like those of speech."""
    rng = np.random.default_rng(seed)
    bursts = np.repeat(rng.uniform(size=round(seconds * 5)) > 0.3, rate // 5)
    return (0.05 * rng.laplace(size=len(bursts)) * bursts).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_the_standards_own_tones(rate):
    # BS.1770: a 997 Hz sine of 0 dBFS in one channel is -3.01 LUFS; EBU Tech 3341, cases 1 and 2, for one channel.
    for level_db in (0.0, -20.0, -40.0):
        assert loudness_lufs(tone(rate, 5, level_db), rate) == pytest.approx(level_db - 3.01, abs=0.1)


@pytest.mark.parametrize("rate", (22050, 48000))
def test_what_is_quiet_is_gated_away(rate):
    # EBU Tech 3341, case 3: quieter stretches do not count.
    quiet, loud = tone(rate, 10, -36 + 3.01), tone(rate, 30, -23 + 3.01)
    sound = np.concatenate([quiet, loud, quiet])
    assert loudness_lufs(sound, rate) == pytest.approx(-23.0, abs=0.1)
    silence = np.zeros(20 * rate)
    assert loudness_lufs(np.concatenate([silence, sound, silence]), rate) == pytest.approx(-23.0, abs=0.1)


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=12), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_blocks_of_any_length_are_the_whole(sizes, seed):
    sound, meter, start = babble(seed), Meter(16000), 0
    for size in sizes:
        meter.add(sound[start : start + size])
        start += size
    meter.add(sound[start:])
    assert meter.lufs() == pytest.approx(loudness_lufs(sound, 16000), abs=1e-9)


@pytest.mark.parametrize("samples", [[], np.zeros(10), np.zeros(48000), 1e-6 * np.ones(48000)])
def test_silence_has_no_loudness_and_is_left_alone(samples):
    samples = np.asarray(samples, np.float64)
    assert loudness_lufs(samples, 48000) == -math.inf
    assert gain_to(-20.0, samples, 48000) == 1.0
    assert gain_to(-math.inf, tone(48000, 1, -20), 48000) == 1.0


def test_a_word_shorter_than_a_block_has_a_loudness():
    assert loudness_lufs(tone(48000, 0.25, -20), 48000) == pytest.approx(-23.0, abs=0.5)


@given(st.integers(0, 50), st.floats(-45, -14), st.floats(-30, 30))
@settings(max_examples=25, deadline=None)
def test_a_sound_follows_any_loudness_of_speech_without_clipping(seed, lufs, level_db):
    sound = (10 ** (level_db / 20) * babble(seed)).astype(np.float32)
    led = limit(gain_to(lufs, sound, 16000) * sound)
    assert loudness_lufs(led, 16000) == pytest.approx(lufs, abs=0.5)
    assert np.abs(led).max() <= 1.0


@given(st.lists(st.floats(-4.0, 4.0, width=32), min_size=2, max_size=50))
@settings(deadline=None, max_examples=100)
def test_the_limiter_keeps_order_and_leaves_what_is_not_loud(values):
    samples = np.sort(np.array(values, np.float32))
    limited = limit(samples)
    assert np.abs(limited).max() <= 1.0 and (np.diff(limited) >= 0).all()
    quiet = np.abs(samples) <= KNEE
    assert (limited[quiet] == samples[quiet]).all()
