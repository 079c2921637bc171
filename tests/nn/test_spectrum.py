"""The device's spectra agree with the host's; the STFT inverts; stretching moves what it should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.audio.mel import extract_mel
from copycat_jax.mel_spec import HIFIGAN, MEL_SPECS, mel_edges_hz
from copycat_jax.nn.spectrum import istft, log_mel, stft, stretch_mel

SPECS = pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)


def voice(f0_hz: float, count: int, rate: int) -> np.ndarray:
    t = np.arange(count) / rate
    noise = 1e-3 * np.random.default_rng(9).normal(size=count)
    return (0.1 * sum(np.sin(2 * np.pi * f0_hz * k * t) for k in range(1, 15)) + noise).astype(np.float32)


@SPECS
def test_log_mel_agrees_with_the_host(spec):
    rng = np.random.default_rng(0)
    count = 40 * spec.hop_samples + 50
    loud = rng.normal(size=count) * np.geomspace(1e-4, 0.3, count)
    batch = np.stack([loud, voice(140, count, spec.sample_rate)]).astype(np.float32)
    device = np.asarray(log_mel(jnp.asarray(batch), spec))
    host = np.stack([extract_mel(row, spec) for row in batch])
    assert device.shape == host.shape and device.dtype == np.float32
    assert np.quantile(np.abs(device - host), 0.995) <= 1e-4
    assert np.abs(device - host).max() <= 1e-2


@pytest.mark.slow
@SPECS
def test_log_mel_agrees_with_the_host_on_speech(corpora, spec):
    from copycat_jax.audio.signal import read_audio, resample

    for path in sorted((corpora / "kokoro" / "gold_dev").glob("*.opus"))[::20]:
        audio = read_audio(path)
        samples = resample(audio.samples, audio.sample_rate, spec.sample_rate)[: 2 * spec.sample_rate]
        device = np.asarray(log_mel(jnp.asarray(samples)[None], spec))[0]
        difference = np.abs(device - extract_mel(samples, spec))
        assert np.quantile(difference, 0.995) <= 1e-4 and difference.max() <= 1e-2


@SPECS
def test_istft_inverts_stft(spec):
    samples = np.random.default_rng(1).normal(size=(2, 12 * spec.hop_samples)).astype(np.float32)
    back = np.asarray(istft(stft(jnp.asarray(samples), spec), spec))
    assert back.shape == samples.shape
    np.testing.assert_allclose(back, samples, atol=1e-4)


@pytest.mark.parametrize("axis", ["hertz", "bins"])
def test_a_ratio_of_one_changes_nothing_and_the_ends_are_held(axis):
    mel = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4, 80)), jnp.float32)
    np.testing.assert_allclose(stretch_mel(mel, jnp.ones(3), HIFIGAN, axis), mel, atol=1e-4)
    down = stretch_mel(mel, jnp.array([0.5, 0.7, 0.9]), HIFIGAN, axis)
    np.testing.assert_allclose(down[0, :, -1], mel[0, :, -1], atol=1e-5)


@pytest.mark.parametrize("axis", ["hertz", "bins"])
@pytest.mark.parametrize("ratio", [0.6, 1.7])
def test_stretching_is_interpolation_between_bins(axis, ratio):
    mel = np.random.default_rng(3).normal(size=(1, 5, 80)).astype(np.float32)
    axis_values = mel_edges_hz(HIFIGAN)[1:-1] if axis == "hertz" else np.arange(80)
    at = np.interp(axis_values / ratio, axis_values, np.arange(80))
    expected = np.stack([np.interp(at, np.arange(80), row) for row in mel[0]])
    got = stretch_mel(jnp.asarray(mel), jnp.array([ratio]), HIFIGAN, axis)
    np.testing.assert_allclose(np.asarray(got)[0], expected, atol=1e-3)


def test_stretching_moves_harmonics_to_another_register():
    count = 20 * HIFIGAN.hop_samples
    low, high = (extract_mel(voice(f, count, HIFIGAN.sample_rate), HIFIGAN).mean(axis=0) for f in (200.0, 300.0))
    moved = np.asarray(stretch_mel(jnp.asarray(low, jnp.float32)[None, None], jnp.array([1.5]), HIFIGAN))[0, 0]
    harmonics = slice(3, 25)
    assert np.corrcoef(moved[harmonics], high[harmonics])[0, 1] > 0.9
    assert np.corrcoef(low[harmonics], high[harmonics])[0, 1] < 0.5


def test_stretching_is_jittable_and_differentiable():
    mel = jnp.asarray(np.random.default_rng(4).normal(size=(2, 3, 80)), jnp.float32)
    ratio = jnp.array([0.83, 1.21])
    stretched = jax.jit(stretch_mel, static_argnums=2)(mel, ratio, HIFIGAN)
    np.testing.assert_allclose(stretched, stretch_mel(mel, ratio, HIFIGAN), atol=1e-4)
    gradient = jax.grad(lambda r: (stretch_mel(mel, r, HIFIGAN) ** 2).sum())(ratio)
    assert np.isfinite(gradient).all() and (np.abs(gradient) > 0).all()
    with pytest.raises(ValueError, match="axis"):
        stretch_mel(mel, ratio, HIFIGAN, "octaves")
