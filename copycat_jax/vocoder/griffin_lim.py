"""Waveforms from log-mels without learned weights: fast Griffin-Lim on device."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from copycat_jax.mel_spec import MelSpec, mel_filters
from copycat_jax.nn.spectrum import istft, stft
from copycat_jax.vocoder.registry import Vocoder

MOMENTUM = 0.99  # Perraudin, Balazs, Søndergaard 2013
_MAGNITUDE_STEPS = 30


@functools.lru_cache
def _inverse_filters(spec: MelSpec) -> Float[np.ndarray, "M F"]:
    """Spreads a mel bin over the frequencies of its filter: the transpose, scaled to give a flat spectrum back."""
    filters = mel_filters(spec, np.float32).astype(np.float64)
    gain = filters.sum(axis=1, keepdims=True)
    weights = filters / np.maximum(gain, 1e-12)
    return (weights / np.maximum(filters.sum(axis=0), 1e-12)[None, :]).T.astype(np.float32)


def mel_to_magnitude(mel: Float[Array, "B T M"], spec: MelSpec) -> Float[Array, "B T F"]:
    """Non-negative magnitudes that have the mel spectrum asked for (multiplicative updates, Lee and Seung 2001)."""
    filters = jnp.asarray(mel_filters(spec, np.float32))
    target = jnp.exp(mel.astype(jnp.float32))
    magnitude = target @ _inverse_filters(spec) + 1e-9
    wanted = target @ filters.T

    def update(_, guess):
        return guess * wanted / (guess @ filters @ filters.T + 1e-12)

    return jax.lax.fori_loop(0, _MAGNITUDE_STEPS, update, magnitude)


@functools.partial(jax.jit, static_argnames=("spec", "iterations"))
def griffin_lim(mel: Float[Array, "B T M"], spec: MelSpec, iterations: int = 64) -> Float[Array, "B N"]:
    """Finds a waveform whose log-mel is the given one; N = T * hop_samples.

    Magnitudes by non-negative least squares from the mel, phases by fast Griffin-Lim with momentum from an initial
    phase that is always the same. T must be at least pad_samples / hop_samples + 1.

    Args:
      mel: log-mels in the spec's convention, padding at the floor.
      spec: the mel convention.
      iterations: rounds of phase estimation.
    """
    magnitude = mel_to_magnitude(mel, spec).astype(jnp.complex64)
    phase = jax.random.uniform(jax.random.key(0), magnitude.shape[1:], maxval=2 * np.pi).astype(jnp.complex64)
    angles = jnp.exp(1j * phase)[None]

    def improve(_, state):
        angles, previous = state
        rebuilt = stft(istft(magnitude * angles, spec), spec)
        ahead = rebuilt + MOMENTUM * (rebuilt - previous)
        return ahead / jnp.maximum(jnp.abs(ahead), 1e-12).astype(jnp.complex64), rebuilt

    start = (jnp.broadcast_to(angles, magnitude.shape), jnp.zeros(magnitude.shape, jnp.complex64))
    angles, _ = jax.lax.fori_loop(0, iterations, improve, start)
    return istft(magnitude * angles, spec)


def open_griffin_lim(spec: MelSpec) -> Vocoder:
    """`griffin_lim` for mels of `spec`."""
    return Vocoder(lambda mel, f0_hz: griffin_lim(mel, spec))
