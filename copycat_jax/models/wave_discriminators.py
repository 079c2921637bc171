"""What judges a vocoder's samples: by periods (HiFi-GAN, section 2.3) and by spectra (UnivNet: Jang et al. 2021)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from copycat_jax.mel_spec import hann
from copycat_jax.nn import fourier
from copycat_jax.nn.initializers import kernel_limit

PERIODS = (2, 3, 5, 7, 11)
PERIOD_CHANNELS = (32, 64, 256, 512, 512)
WINDOWS = (2048, 1024, 512)
SPECTRUM_CHANNELS = 32
COMPRESSION = 0.3  # exponent of magnitudes
Verdict = tuple[list[Array], list[Array]]  # scores, features


class PeriodDiscriminator(nn.Module):
    """Every `period`th sample as a row of its own, through strided convolutions that all rows share.

    A convolution of width 5 and stride 3 is two matrix products of blocks of three: no frame is copied.
    """

    period: int
    dtype: Any

    @nn.compact
    def __call__(self, samples: Float[Array, "B N"]) -> Verdict:  # noqa: D102
        batch, count = samples.shape
        length = -(-count // self.period)
        padded = jnp.pad(samples, ((0, 0), (0, length * self.period - count)), mode="reflect")
        x = padded.reshape(batch, length, self.period).transpose(0, 2, 1).reshape(batch * self.period, length, 1)
        x, features = x.astype(self.dtype), []
        for layer, channels in enumerate(PERIOD_CHANNELS):
            x = nn.leaky_relu(self._layer(x, f"conv_{layer}", 5, channels, 3 if layer < 4 else 1), 0.1)
            features.append(x)
        return [self._layer(x, "score", 3, 1, 1).astype(jnp.float32)], features

    def _layer(self, x: Array, name: str, width: int, channels: int, stride: int) -> Array:
        inputs, reach = x.shape[-1], width // 2
        kernel = self.param(f"{name}_kernel", kernel_limit, (width, inputs, channels)).astype(self.dtype)
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (channels,)).astype(self.dtype)
        if stride == 1:
            y = jax.lax.conv_general_dilated(x, kernel, (1,), [(reach, reach)], dimension_numbers=("NWC", "WIO", "NWC"))
            return y + bias[None, None, :]
        count = (x.shape[1] + 2 * reach - width) // stride + 1
        right = (count + 1) * stride - reach - x.shape[1]
        padded = jnp.pad(x, ((0, 0), (reach, max(right, 0)), (0, 0)))[:, : (count + 1) * stride]
        blocks = padded.reshape(len(x), count + 1, stride * inputs)
        first = kernel[:stride].reshape(stride * inputs, channels)
        rest = kernel[stride:].reshape((width - stride) * inputs, channels)
        return blocks[:, :-1] @ first + blocks[:, 1:, : rest.shape[0]] @ rest + bias[None, None, :]


class SpectrumDiscriminator(nn.Module):
    """Convolutions over a complex spectrogram whose magnitudes are compressed, so that quiet bins are seen too."""

    window: int
    dtype: Any

    @nn.compact
    def __call__(self, samples: Float[Array, "B N"]) -> Verdict:  # noqa: D102
        parts = fourier.spectrum(samples, self.window, self.window // 4, self.window // 2, precision="default")
        real, imaginary = (part / np.sqrt(np.square(hann(self.window)).sum(), dtype=np.float32) for part in parts)
        gain = jnp.power(jnp.square(real) + jnp.square(imaginary) + 1e-8, -0.5 * (1.0 - COMPRESSION))
        x, features = jnp.stack([real * gain, imaginary * gain], -1).astype(self.dtype), []
        for layer in range(5):
            kernel, stride = (3, 9) if layer < 4 else (3, 3), 2 if 0 < layer < 4 else 1
            x = nn.leaky_relu(self._layer(x, f"conv_{layer}", kernel, SPECTRUM_CHANNELS, stride), 0.1)
            features.append(x)
        return [self._layer(x, "score", (3, 3), 1, 1).astype(jnp.float32)], features

    def _layer(self, x: Array, name: str, size: tuple[int, int], channels: int, stride: int) -> Array:
        kernel = self.param(f"{name}_kernel", kernel_limit, (*size, x.shape[-1], channels)).astype(self.dtype)
        bias = self.param(f"{name}_bias", nn.initializers.zeros, (channels,)).astype(self.dtype)
        pads = [(n // 2, n // 2) for n in size]
        y = jax.lax.conv_general_dilated(x, kernel, (1, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + bias[None, None, None, :]


class WaveDiscriminators(nn.Module):
    """All of them: a map of scores each, high for recorded sound, and the features of all their layers."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, samples: Float[Array, "B N"]) -> Verdict:  # noqa: D102
        scores, features = [], []
        judges = [PeriodDiscriminator(period, self.dtype, name=f"period_{period}") for period in PERIODS]
        for judge in (*judges, *(SpectrumDiscriminator(size, self.dtype, name=f"window_{size}") for size in WINDOWS)):
            score, seen = judge(samples)
            scores += score
            features += seen
        return scores, features
