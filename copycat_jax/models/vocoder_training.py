"""How a vocoder's training bends its mels, and what it measures: pure functions of batches of windows."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from copycat_jax import losses
from copycat_jax.mel_spec import MelSpec, hann, mel_edges_hz, mel_filters
from copycat_jax.nn import fourier
from copycat_jax.nn.noise import normal, uniform
from copycat_jax.nn.spectrum import stretch_mel
from copycat_jax.task import Term, Terms

MIDDLE_HZ = 160.0  # F0 is learnt in octaves from here
# (mel bins, samples of the window) of the spectra compared; a hop is a quarter of a window.
RESOLUTIONS = ((5, 32), (10, 64), (20, 128), (40, 256), (80, 512), (160, 1024), (320, 2048))
_SPACINGS_HZ = 60.0 * 2.0 ** (np.arange(13) / 4)  # of harmonics that are told apart
_FARTHEST = 3.0  # semitones by which harmonics are moved


def sounding(mel: Float[Array, "B T M"], spec: MelSpec) -> Bool[Array, "B T"]:
    """Frames that are not digital silence; padding is. What is silent in the mel is silent in the sound."""
    return jnp.any(mel > math.log(spec.floor) + 0.02, axis=-1)


def soften(key: Array, mel: Float[Array, "B T M"], share: float) -> Float[Array, "B T M"]:
    """Blurs a share of the rows over bins and frames and adds some noise, each by an amount of its own.

    A network trained on L1 draws mels so; a vocoder that only heard true ones makes them rough.
    """
    bins_key, frames_key, noise_key, row_key = jax.random.split(key, 4)
    rows = (len(mel), 1, 1)
    amounts = uniform(row_key, (len(mel), 2, 1))
    soft = mel
    for axis, axis_key, most in ((2, bins_key, 0.6), (1, frames_key, 0.35)):
        weight = most * uniform(axis_key, rows)
        edges = jnp.pad(soft, [(0, 0)] + [(int(axis == a),) * 2 for a in (1, 2)], mode="edge")
        count = soft.shape[axis]
        low, high = (jax.lax.slice_in_dim(edges, at, at + count, axis=axis) for at in (0, 2))
        soft = (1 - weight) * soft + weight * 0.5 * (low + high)
    soft = soft + 0.1 * amounts[:, :1] * normal(noise_key, mel.shape)
    return jnp.where(amounts[:, 1:] < share, soft, mel)


@functools.lru_cache
def _smoothings(spec: MelSpec) -> np.ndarray:
    """Averages [S, M, M] of a log-mel over every spacing of harmonics, which vanish in them."""
    edges = mel_edges_hz(spec)
    centres, widths = edges[1:-1], (edges[2:] - edges[:-2]) / 2
    distance = np.abs(centres[:, None] - centres[None, :])
    weights = np.maximum(0.0, 1.0 - distance / _SPACINGS_HZ[:, None, None]) * widths[:, None]
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def harmonic_ripple(mel: Float[Array, "B T M"], f0_hz: Float[Array, "B T"], spec: MelSpec) -> Float[Array, "B T M"]:
    """What harmonics at `f0_hz` add to a log-mel over its mean across one of their spacings; 0 where unvoiced."""
    octaves = jnp.log2(jnp.maximum(f0_hz, 1.0) / float(_SPACINGS_HZ[0]))
    nearest = jnp.clip(jnp.round(4 * octaves), 0, len(_SPACINGS_HZ) - 1)
    chosen = jax.nn.one_hot(nearest, len(_SPACINGS_HZ))
    means = jnp.einsum("btm,smk,bts->btk", mel, _smoothings(spec), chosen)
    return jnp.where(f0_hz[..., None] > 0, mel - means, 0.0)


def lead_astray(
    key: Array, mel: Float[Array, "B T M"], f0_hz: Float[Array, "B T"], share: float, spec: MelSpec
) -> tuple[Float[Array, "B T M"], Bool[Array, "B 1"]]:
    """Mels whose harmonics, in a share of the rows, are not where F0 says, or not there at all; and which rows.

    In a third of those rows they are taken away, in the others moved by up to three semitones. So the vocoder learns to
    follow the F0 that it is given: the mel of a transfer and the melody it should have never agree entirely.
    """
    row_key, far_key, away_key = jax.random.split(key, 3)
    rows = (len(mel), 1)
    chosen = uniform(row_key, rows) < share
    ratio = jnp.exp2(_FARTHEST / 12.0 * (2.0 * uniform(far_key, rows[:1]) - 1.0))
    kept = (uniform(away_key, rows) > 1 / 3)[..., None]
    ripple = harmonic_ripple(mel, f0_hz, spec)
    floor = math.log(spec.floor)
    moved = jnp.where(kept, stretch_mel(ripple, ratio, spec), 0.0)
    astray = jnp.maximum(mel - ripple + moved, floor)
    heard = chosen[..., None] & sounding(mel, spec)[..., None]
    return jnp.where(heard, astray, mel), chosen


def louder(mel: Float[Array, "B T M"], nats: Float[Array, "B 1"], spec: MelSpec) -> Float[Array, "B T M"]:
    """The mel of sound that is louder by so many nats; digital silence stays."""
    floor = math.log(spec.floor)
    moved = jnp.maximum(mel + nats[..., None], floor)
    return jnp.where(sounding(mel, spec)[..., None], moved, mel)


def held_band(samples: Float[Array, "B N"], size: int) -> Float[Array, "B F"]:
    """1 for the bins up to the highest one that holds more than the rounding of 16 bits, 0 above.

    A recording that was made at a lower rate has nothing there; what it cannot hold is not to be learnt from it.
    """
    real, imaginary = fourier.spectrum(samples, size, size // 2, 0)
    power = (jnp.square(real) + jnp.square(imaginary)).mean(1)
    rounding = jnp.float32(np.square(hann(size)).sum() / 12.0 / 32768.0**2)
    above = jnp.cumsum((power > 16.0 * rounding)[:, ::-1].astype(jnp.float32), axis=1)[:, ::-1]
    return (above > 0).astype(jnp.float32)


def spectral_distance(made: Float[Array, "B N"], real: Float[Array, "B N"], rate: int) -> Float[Array, "B"]:
    """Of each row, the sum over the resolutions of the mean difference of log10 mel spectra."""
    total = jnp.zeros(len(made), jnp.float32)
    for bins, size in RESOLUTIONS:
        spec = MelSpec("", rate, size, size, size // 4, bins, 0.0, rate / 2)
        logs = []
        for samples in (made, real):
            parts = fourier.spectrum(samples, size, size // 4, size // 2)
            magnitude = jnp.sqrt(jnp.square(parts[0]) + jnp.square(parts[1]) + 1e-14)
            mel = jnp.matmul(magnitude, mel_filters(spec, np.float32), precision=fourier.EXACT)
            logs.append(jnp.log10(jnp.maximum(mel, spec.floor)))
        total += jnp.abs(logs[0] - logs[1]).mean((1, 2))
    return total


def f0_terms(logit: Array, octaves: Array, f0_hz: Float[Array, "B T"], mask: Bool[Array, "B T"]) -> Terms:
    """Cross-entropy of voicing over real frames; absolute error in octaves over voiced ones."""
    voiced = mask & (f0_hz > 0)
    error = jnp.abs(octaves - jnp.log2(jnp.maximum(f0_hz, 1.0) / MIDDLE_HZ))
    surprise = jax.nn.softplus(jnp.where(voiced, -logit, logit))
    return {
        "voicing": Term(*losses.over(surprise, mask), 1.0),
        "f0_octaves": Term(*losses.over(error, voiced), 3.0),
        "voicing_error": Term(*losses.over((logit > 0) != voiced, mask)),
    }
