"""Mel-spectrogram, phoneme encodings and speaker in, a posterior per frame out (CopyCat section 2.2.2)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.nn.conv import ConvStack
from copycat_jax.nn.initializers import batched_kernel_limit
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.recurrent import Recurrent
from copycat_jax.nn.regulate import over_time


class ReferenceEncoder(nn.Module):
    """q(Z | X, Y, E_s): three convolutions with instance norm, bidirectional GRU, mean and log-variance per direction.

    Y and E_s are concatenated *after* the last instance norm. A vector that is the same at every frame only adds a
    constant to each channel of a convolution, which an instance norm behind it subtracts exactly; there E_s would have
    no effect at all. Mean and log-variance are projected from each direction's states alone, because the temporal
    bottleneck reads the two halves of Z at different frames: a layer across both would mix the directions.

    Attributes:
      latent: H, channels of Z; H/2 belong to each direction, which is also the GRU's number of states.
      width: channels of the convolutions.
      kernel: of the convolutions, in frames.
      norm: "instance", or "none" for the ablation.
      dtype: compute type; the posterior is float32.
      recurrence: implementation of the recurrence.
    """

    latent: int
    width: int = 512
    kernel: int = 5
    norm: str = "instance"
    dtype: Any = jnp.float32
    recurrence: str = "auto"

    @nn.compact
    def __call__(
        self,
        mel: Float[Array, "B T M"],
        encodings: Float[Array, "B T D"],
        speaker: Float[Array, "B E"],
        mask: Bool[Array, "B T"],
    ) -> tuple[Float[Array, "B T Z"], Float[Array, "B T Z"]]:
        """Mean and log-variance of Z at every frame, forward half first; zeros on padding."""
        x = ConvStack(self.width, 3, self.kernel, self.norm, 0.0, self.dtype, name="convolutions")(mel, mask)
        x = jnp.concatenate([x, encodings.astype(x.dtype), over_time(speaker.astype(x.dtype), mask.shape[1])], -1)
        half = self.latent // 2
        states = Recurrent("gru", half, 2, self.dtype, self.recurrence, name="gru")(x, mask)
        states = states.astype(jnp.float32).reshape(*mask.shape, 2, half)
        mean = zero_padding(_PerDirection(name="mean")(states).reshape(*mask.shape, -1), mask)
        log_variance = zero_padding(_PerDirection(name="log_variance")(states).reshape(*mask.shape, -1), mask)
        return mean, log_variance


class _PerDirection(nn.Module):
    """A square dense layer for each direction of its own."""

    @nn.compact
    def __call__(self, x: Float[Array, "B T 2 Z"]) -> Float[Array, "B T 2 Z"]:
        width = x.shape[-1]
        kernel = self.param("kernel", batched_kernel_limit, (2, width, width))
        bias = self.param("bias", nn.initializers.zeros, (2, width))
        return jnp.einsum("btkh,khg->btkg", x, kernel) + bias[None, None]
