"""Spectra on device: log-mel as `audio.mel` makes it, STFT and its inverse, mels stretched along frequency."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from copycat_jax.mel_spec import MelSpec, mel_edges_hz, mel_filters, window
from copycat_jax.nn import fourier


def stft(samples: Float[Array, "B N"], spec: MelSpec) -> Complex[Array, "B T F"]:
    """Short-time Fourier transform in the spec's framing: reflect-padded, T = N // hop_samples.

    N must exceed the padding (`spec.pad_samples`).
    """
    pad = spec.pad_samples
    padded = jnp.pad(samples, ((0, 0), (pad, pad)), mode="reflect")
    frames = fourier.frames(padded, spec.fft_samples, spec.hop_samples, spec.frames(samples.shape[1]))
    return jnp.fft.rfft(frames * window(spec, np.float32)[None, None, :], axis=-1)


@functools.lru_cache
def _window_power(spec: MelSpec, count: int) -> np.ndarray:
    """Sum of squared windows over `count` frames, clipped away from zero, [n] (the overlap-add's normaliser)."""
    hop, squared = spec.hop_samples, window(spec, np.float32).astype(np.float64) ** 2
    per_frame = -(-spec.fft_samples // hop)
    total = np.zeros((count + per_frame - 1) * hop)
    for t in range(count):
        total[t * hop : t * hop + spec.fft_samples] += squared
    return np.maximum(total, 1e-2 * total.max()).astype(np.float32)


def istft(spectrum: Complex[Array, "B T F"], spec: MelSpec) -> Float[Array, "B N"]:
    """Least-squares inverse of `stft`: N = T * hop_samples samples (Griffin and Lim 1984, equation 6)."""
    count = spectrum.shape[1]
    frames = jnp.fft.irfft(spectrum, n=spec.fft_samples, axis=-1) * window(spec, np.float32)[None, None, :]
    signal = fourier.overlap_add(frames, spec.hop_samples) / _window_power(spec, count)[None, :]
    return signal[:, spec.pad_samples : spec.pad_samples + count * spec.hop_samples]


def log_mel(samples: Float[Array, "B N"], spec: MelSpec) -> Float[Array, "B T M"]:
    """Log-mel spectrogram, float32; agrees with `audio.mel.extract_mel` but for rounding beside the floor."""
    magnitude = jnp.abs(stft(samples.astype(jnp.float32), spec))
    mel = jnp.einsum("btf,fm->btm", magnitude, mel_filters(spec, np.float32), precision="highest")
    return jnp.log(jnp.maximum(mel, spec.floor))


def stretch_mel(
    mel: Float[Array, "B T M"], ratio: Float[Array, " B"], spec: MelSpec, axis: str = "hertz"
) -> Float[Array, "B T M"]:
    """Multiplies the frequency axis of log-mels by a ratio: new(f) = old(f / ratio), linearly interpolated.

    This is what moves the register of a reference encoder's input (see `models.copycat`): a harmonic at f
    comes to lie at f * ratio. Beyond the ends the last bin is held. Differentiable in both arguments.

    Args:
      mel: log-mels.
      ratio: target register / source register, one per row.
      spec: the mel convention, for the bins' centre frequencies.
      axis: "hertz" stretches the frequency in Hz; "bins" stretches the bin index, new[k] = old[k / ratio], which
        above 1 kHz, where mel bins are logarithmic, is a much smaller move of the spectrum.
    """
    if axis == "bins":
        places = jnp.arange(spec.mel_bins, dtype=jnp.float32)[None, :] / ratio[:, None]
    elif axis == "hertz":
        centres = jnp.asarray(mel_edges_hz(spec)[1:-1], jnp.float32)
        places = jnp.interp(centres[None, :] / ratio[:, None], centres, jnp.arange(spec.mel_bins, dtype=jnp.float32))
    else:
        raise ValueError(f"axis must be 'hertz' or 'bins', not '{axis}'")
    # Hat functions around every place: a matrix product per row instead of a gather.
    bins = jnp.arange(spec.mel_bins, dtype=jnp.float32)[None, :, None]
    places = jnp.clip(places, 0, spec.mel_bins - 1)[:, None, :]
    weights = jnp.maximum(0.0, 1.0 - jnp.abs(bins - places))
    return jnp.einsum("btk,bkm->btm", mel, weights.astype(mel.dtype), precision="highest")
