"""Griffin-Lim gives back a waveform of the asked length whose log-mel is the one it was given."""

import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.audio.mel import extract_mel
from copycat_jax.mel_spec import MEL_SPECS, mel_filters
from copycat_jax.vocoder.griffin_lim import griffin_lim, mel_to_magnitude

SPECS = pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)


def gliding_voice(frames: int, spec) -> np.ndarray:
    t = np.arange(frames * spec.hop_samples) / spec.sample_rate
    phase = 2 * np.pi * np.cumsum(120 * 2 ** (0.5 * np.sin(6 * t))) / spec.sample_rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 30))
    return 0.1 * buzz + 0.002 * np.random.default_rng(0).normal(size=len(t))


@SPECS
def test_copy_synthesis(spec):
    samples = gliding_voice(40, spec)
    mel = extract_mel(samples, spec)
    made = np.asarray(griffin_lim(jnp.asarray(mel, jnp.float32)[None], spec, iterations=32))
    assert made.shape == (1, 40 * spec.hop_samples) and np.isfinite(made).all()
    assert np.abs(extract_mel(made[0], spec) - mel).mean() < 0.2
    assert 0.8 < made.std() / samples.std() < 1.25


@SPECS
def test_magnitudes_are_not_negative_and_have_the_mel_asked_for(spec):
    mel = jnp.asarray(extract_mel(gliding_voice(20, spec), spec), jnp.float32)[None]
    magnitude = np.asarray(mel_to_magnitude(mel, spec))
    assert (magnitude >= 0).all()
    got = np.log(np.maximum(magnitude @ mel_filters(spec, np.float32), spec.floor))
    assert np.abs(got - np.asarray(mel)).mean() < 0.02


def test_the_same_mel_gives_the_same_waveform_alone_or_in_a_batch():
    spec = MEL_SPECS["hifigan"]
    mel = jnp.asarray(extract_mel(gliding_voice(12, spec), spec), jnp.float32)[None]
    once, again = griffin_lim(mel, spec, iterations=4), griffin_lim(mel, spec, iterations=4)
    np.testing.assert_array_equal(once, again)
    pair = griffin_lim(jnp.concatenate([mel - 1, mel]), spec, iterations=4)
    np.testing.assert_allclose(pair[1], once[0], atol=1e-4)


def test_silence_stays_silent():
    spec = MEL_SPECS["hifigan"]
    made = griffin_lim(jnp.full((1, 10, spec.mel_bins), np.log(spec.floor), jnp.float32), spec, iterations=4)
    assert np.isfinite(made).all() and np.abs(made).max() < 1e-3
