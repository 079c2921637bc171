"""Training's mels are bent as told and no more, and what it measures is zero for equals and grows with difference."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.audio.mel import extract_mel
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.models import vocoder_training as training

FLOOR = math.log(HIFIGAN.floor)
FRAMES = 40


def harmonic_mel(f0_hz):
    """Log-mel [1, T, M] of a tone with all harmonics of equal strength."""
    seconds = np.arange(FRAMES * 256) / 22050
    harmonics = np.arange(1, int(10000 / f0_hz))[:, None]
    tone = 0.02 * np.cos(2 * np.pi * f0_hz * harmonics * seconds + harmonics**2).sum(0)
    return jnp.asarray(extract_mel(tone.astype(np.float32), HIFIGAN), jnp.float32)[None]


@pytest.fixture(scope="module")
def mels():
    """Log-mels [2, T, M] of noises."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, FRAMES * 256))
    return jnp.stack([jnp.asarray(extract_mel(x.astype(np.float32), HIFIGAN), jnp.float32) for x in noise])


@pytest.fixture(scope="module")
def sound():
    return jnp.asarray(0.1 * np.random.default_rng(1).standard_normal((2, FRAMES * 256)), jnp.float32)


def test_equal_sounds_have_no_distance_and_others_do(sound):
    distance = jax.jit(lambda a, b: training.spectral_distance(a, b, 22050))
    assert not distance(sound, sound).any()
    near, far = distance(sound * 0.9, sound), distance(sound * 0.3, sound)
    assert near.shape == (2,) and bool(jnp.all((near > 0) & (near < far)))


def test_a_band_that_a_recording_cannot_hold_is_not_judged():
    rng = np.random.default_rng(0)
    wide = np.round(2000 * rng.standard_normal((1, 20480)))
    spectrum = np.fft.rfft(wide)
    spectrum[:, int(len(spectrum[0]) * 8000 / 11025) :] = 0
    narrow = np.round(np.fft.irfft(spectrum, 20480))
    for samples, last in ((wide, 512), (narrow, round(8000 / 22050 * 1024))):
        band = np.asarray(training.held_band(jnp.asarray(samples / 32768, jnp.float32), 1024))[0]
        assert abs(int(band.sum()) - 1 - last) <= 8 and (np.diff(band) <= 0).all()


def test_louder_moves_sound_and_leaves_silence(mels):
    mel = mels.at[:, :5].set(FLOOR)
    moved = np.asarray(training.louder(mel, jnp.array([[0.5], [-0.5]]), HIFIGAN))
    np.testing.assert_array_equal(moved[:, :5], mel[:, :5])
    np.testing.assert_allclose(moved[0, 5:], mel[0, 5:] + 0.5, atol=1e-5)
    assert moved.min() >= np.float32(FLOOR)


def test_soften_leaves_the_share_and_smooths_the_rest(mels):
    mel = jnp.repeat(mels, 32, axis=0)
    soft = np.asarray(training.soften(jax.random.key(0), mel, 0.5))
    same = (soft == np.asarray(mel)).all((1, 2))
    assert 16 < same.sum() < 48
    assert np.abs(np.diff(soft[~same], axis=2)).mean() < np.abs(np.diff(mel[~same], axis=2)).mean() + 0.1


@pytest.mark.parametrize("f0_hz", [110.0, 200.0, 330.0])
def test_ripple_is_what_harmonics_add(f0_hz):
    mel = harmonic_mel(f0_hz)[:, 8:-8]
    ripple = training.harmonic_ripple(mel, jnp.full(mel.shape[:2], f0_hz), HIFIGAN)
    resolved = slice(0, 24)  # below 1 kHz
    assert float(jnp.std(ripple[..., resolved])) > 3 * float(jnp.abs(jnp.mean(ripple[..., resolved])))
    # Without it the mel of a tone is that of any other tone: what is left tells no F0.
    rest = (mel - ripple)[..., resolved]
    assert float(jnp.std(jnp.diff(rest))) < 0.35 * float(jnp.std(jnp.diff(mel[..., resolved])))
    unvoiced = training.harmonic_ripple(mel, jnp.zeros(mel.shape[:2]), HIFIGAN)
    np.testing.assert_array_equal(unvoiced, 0)


def test_led_astray_is_the_share_and_its_harmonics_move():
    mel = jnp.repeat(harmonic_mel(200.0), 64, axis=0)
    mel = mel.at[:, :4].set(FLOOR)
    f0_hz = jnp.full(mel.shape[:2], 200.0)
    astray, rows = training.lead_astray(jax.random.key(0), mel, f0_hz, 0.5, HIFIGAN)
    assert rows.shape == (64, 1) and 16 < int(rows.sum()) < 48
    same = (np.asarray(astray) == np.asarray(mel)).all((1, 2))
    np.testing.assert_array_equal(same, ~np.asarray(rows)[:, 0])
    np.testing.assert_array_equal(astray[:, :4], mel[:, :4])  # silence stays
    highest = np.argmax(np.asarray(astray)[~same, 20:, 3:10].mean(1), axis=1) + 3  # where the first harmonic lies
    assert len(set(highest)) > 2 and np.ptp(np.asarray(astray)[:, 4:].mean((1, 2))) < 0.5
    none, rows = training.lead_astray(jax.random.key(0), mel, f0_hz, 0.0, HIFIGAN)
    np.testing.assert_array_equal(none, mel)
    assert not rows.any()
