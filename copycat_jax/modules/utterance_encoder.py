"""A stretch of mel-spectrogram in, one vector out (CopyCat section 2.1)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.nn.initializers import kernel_limit
from copycat_jax.nn.masks import last_real, masked_mean, zero_padding
from copycat_jax.nn.noise import dropout
from copycat_jax.nn.recurrent import Recurrent


class UtteranceEncoder(nn.Module):
    """2-D convolutions that shrink time and frequency, a GRU along time, its summary through a dense bottleneck.

    The paper takes the GRU's last state. `pooling="mean"` averages its states over the real frames instead: a vector
    of a long utterance then weighs all of it, although training hears short windows only.

    Each convolution is followed by layer normalisation over the (bin, channel) map of a frame, which cancels loudness
    and shares nothing between frames, so padding and length leave no trace.

    Attributes:
      channels: of the convolutions.
      strides: of each convolution, (time, bins).
      states: of the GRU.
      embedding: E, width of the bottleneck.
      pooling: "last" (paper) or "mean".
      dropout: before the bottleneck, in training; draws from the rng "dropout".
      dtype: compute type; the vector is float32.
      recurrence: implementation of the recurrence.
    """

    channels: tuple[int, ...]
    strides: tuple[tuple[int, int], ...]
    states: int
    embedding: int = 128
    pooling: str = "last"
    dropout: float = 0.0
    dtype: Any = jnp.float32
    recurrence: str = "auto"

    @nn.compact
    def __call__(
        self, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"], deterministic: bool = True
    ) -> Float[Array, "B E"]:
        """The bottleneck's output, before any normalisation; `mel` in the network's units."""
        x = mel.astype(self.dtype)[..., None]
        for layer, (channels, stride) in enumerate(zip(self.channels, self.strides, strict=True)):
            # Padding by hand: "SAME" would shift a strided convolution by the parity of the bucket's length.
            pads, start = ((1, 1), (1, 1)), kernel_limit
            conv = nn.Conv(channels, (3, 3), stride, pads, dtype=self.dtype, kernel_init=start, name=f"conv_{layer}")
            x = conv(zero_padding(x, mask))
            mask = mask[:, :: stride[0]]
            x = nn.LayerNorm(reduction_axes=(-2, -1), name=f"norm_{layer}")(x.astype(jnp.float32))
            x = nn.relu(x.astype(self.dtype))
        x = x.reshape(*x.shape[:2], -1)
        states = Recurrent("gru", self.states, 1, self.dtype, self.recurrence, name="gru")(x, mask)
        pooled = last_real(states, mask) if self.pooling == "last" else masked_mean(states, mask)
        pooled = pooled.astype(jnp.float32)
        if not deterministic and self.dropout > 0.0:
            pooled = dropout(self.make_rng("dropout"), pooled, self.dropout)
        return nn.Dense(self.embedding, kernel_init=kernel_limit, name="bottleneck")(pooled)
