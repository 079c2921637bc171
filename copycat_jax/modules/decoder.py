"""Phoneme encodings, latents and speaker in, mel-spectrogram out, all frames at once (CopyCat section 2.2.3)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.nn.conv import ConvStack
from copycat_jax.nn.initializers import kernel_limit
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.recurrent import Recurrent
from copycat_jax.nn.regulate import over_time


class Decoder(nn.Module):
    """p(X | Y, Z, E): three convolutions, bidirectional GRU, one projection to mel bins; no attention, no recursion.

    The paper does not name the convolutions' normalisation. Behind an instance norm the speaker would have no effect
    (see `ReferenceEncoder`), so with norm="instance" the speaker enters a second time, before the GRU; with "layer",
    the default, once, at the input, where all three convolutions can use it.

    Attributes:
      mel_bins: M.
      width: channels of the convolutions.
      states: GRU states of each direction.
      kernel: of the convolutions, in frames.
      norm: "layer", "instance" or "none".
      dtype: compute type; the output is float32.
      recurrence: implementation of the recurrence.
    """

    mel_bins: int
    width: int = 512
    states: int = 256
    kernel: int = 5
    norm: str = "layer"
    dtype: Any = jnp.float32
    recurrence: str = "auto"

    @nn.compact
    def __call__(
        self,
        encodings: Float[Array, "B T D"],
        latents: Float[Array, "B T Z"],
        speaker: Float[Array, "B E"],
        mask: Bool[Array, "B T"],
    ) -> Float[Array, "B T M"]:
        """The mel-spectrogram in the network's units; zeros on padding."""
        voice = over_time(speaker.astype(self.dtype), mask.shape[1])
        x = jnp.concatenate([encodings.astype(self.dtype), latents.astype(self.dtype), voice], -1)
        x = ConvStack(self.width, 3, self.kernel, self.norm, 0.0, self.dtype, name="convolutions")(x, mask)
        if self.norm == "instance":
            x = jnp.concatenate([x, voice], -1)
        x = Recurrent("gru", self.states, 2, self.dtype, self.recurrence, name="gru")(x, mask)
        mel = nn.Dense(self.mel_bins, dtype=jnp.float32, kernel_init=kernel_limit, name="output")(x)
        return zero_padding(mel, mask)
