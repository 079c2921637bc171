"""Spectra by matrix products are those of an FFT, and their inverse gives the signal back."""

import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.mel_spec import hann
from copycat_jax.nn import fourier


@pytest.mark.parametrize("size,hop", [(32, 8), (256, 64), (1024, 256)])
def test_a_spectrum_is_the_windowed_fft(size, hop):
    samples = np.random.default_rng(0).standard_normal((2, 4 * size)).astype(np.float32)
    real, imaginary = fourier.spectrum(jnp.asarray(samples), size, hop, size // 2)
    padded = np.pad(samples, ((0, 0), (size // 2, size // 2)), mode="reflect").astype(np.float64)
    starts = range(0, padded.shape[1] - size + 1, hop)
    wanted = np.stack([np.fft.rfft(padded[:, at : at + size] * hann(size)) for at in starts], 1)
    np.testing.assert_allclose(real, wanted.real, atol=2e-4)
    np.testing.assert_allclose(imaginary, wanted.imag, atol=2e-4)


def test_the_waveform_of_a_spectrum_is_the_signal():
    size, hop = 256, 64
    samples = np.random.default_rng(1).standard_normal((1, 40 * hop)).astype(np.float32)
    parts = fourier.spectrum(jnp.asarray(samples), size, hop, (size - hop) // 2)
    assert parts[0].shape == (1, 40, size // 2 + 1)
    again = np.asarray(fourier.waveform(*parts, size, hop))
    inside = slice(size, -size)  # beyond either end is silence, so the ends are fainter
    np.testing.assert_allclose(again[:, inside], samples[:, inside], atol=1e-4)


def test_what_follows_does_not_change_the_waveform():
    rng = np.random.default_rng(2)
    real, imaginary = jnp.asarray(rng.standard_normal((2, 1, 12, 129)), jnp.float32)
    longer = [jnp.pad(part, ((0, 0), (0, 7), (0, 0))) for part in (real, imaginary)]
    short, long = fourier.waveform(real, imaginary, 256, 64), fourier.waveform(*longer, 256, 64)
    np.testing.assert_allclose(long[:, : short.shape[1]], short, atol=1e-6)
