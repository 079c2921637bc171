"""Blocks of the VAE text-to-speech model: prosody from text and embedding, and tokens laid out over frames."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.nn.conv import ConvStack
from copycat_jax.nn.initializers import embedding_limit, kernel_limit
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.recurrent import Recurrent
from copycat_jax.nn.regulate import over_time
from prosody_vae.tts.pauses import Timeline

# Natural log of a phoneme's frames: centre and scale of English at 86 frames a second. Only to bring numbers near 1.
LOG_FRAMES = (1.9, 0.6)


def scaled(values: Float[Array, "*S"], by: tuple[float, float]) -> Float[Array, "*S"]:
    """`values` less a centre, over a scale: near 1."""
    return (values - by[0]) / by[1]


def unscaled(values: Float[Array, "*S"], by: tuple[float, float]) -> Float[Array, "*S"]:
    """Inverts `scaled`."""
    return values * by[1] + by[0]


class ProsodyPredictor(nn.Module):
    """Text, embedding and speaker in; duration, whether a pause follows, its length, pitch and energy out, per token.

    One network for all five, so that they agree with one another: a slow sentence is one with long pauses too.

    Attributes:
      outputs: numbers per token.
      width: channels of the convolutions.
      states: GRU states of each direction.
      kernel: of the convolutions, in tokens.
      dropout: after each convolution, in training.
      dtype: compute type; the output is float32.
      recurrence: implementation of the recurrence.
    """

    outputs: int
    width: int
    states: int
    kernel: int = 3
    dropout: float = 0.0
    dtype: Any = jnp.float32
    recurrence: str = "auto"

    @nn.compact
    def __call__(
        self,
        encodings: Float[Array, "B P D"],
        z: Float[Array, "B Z"],
        speaker: Float[Array, "B E"],
        mask: Bool[Array, "B P"],
        deterministic: bool = True,
    ) -> Float[Array, "B P K"]:
        """The outputs, each in its own scale; zeros on padding."""
        same = jnp.concatenate([z, speaker], -1).astype(self.dtype)
        # Beside the convolutions and behind them: their layer norms would otherwise shrink what is said of everything.
        x = jnp.concatenate([encodings.astype(self.dtype), over_time(same, mask.shape[1])], -1)
        stack = ConvStack(self.width, 2, self.kernel, "layer", self.dropout, self.dtype, name="convolutions")
        x = jnp.concatenate([stack(x, mask, deterministic), over_time(same, mask.shape[1])], -1)
        x = Recurrent("gru", self.states, 2, self.dtype, self.recurrence, name="gru")(x, mask)
        out = nn.Dense(self.outputs, dtype=jnp.float32, kernel_init=kernel_limit, name="output")(x)
        return zero_padding(out, mask)


def membership(timeline: Timeline, tokens: int, dtype: Any = jnp.float32) -> Float[Array, "B T P"]:
    """1 where a frame belongs to a token or its pause, else 0.

    A product with it repeats vectors over frames. Its gradient is a product too, where that of a lookup would add up
    in an order that varies from run to run on an accelerator.
    """
    same = timeline.token[:, :, None] == jnp.arange(tokens)[None, None, :]
    return (same & timeline.mask[:, :, None]).astype(dtype)


def token_means(
    values: Float[Array, "B T"], counted: Bool[Array, "B T"], timeline: Timeline, tokens: int
) -> tuple[Float[Array, "B P"], Bool[Array, "B P"]]:
    """Means of `values` over the counted frames of each token, its pause left out, and whether it has any."""
    inside = zero_padding(membership(timeline, tokens), counted & ~timeline.paused)
    precise = jax.lax.Precision.HIGHEST  # the default of an accelerator would round to ten bits
    sums = jnp.einsum("btp,bt->bp", inside, jnp.where(counted, values, 0.0), precision=precise)
    count = inside.sum(1)
    return sums / jnp.maximum(count, 1.0), count > 0


class Layout(nn.Module):
    """Token vectors to frame vectors: repeated, marked where a pause is, with the frame's place in its token.

    A frame of a pause carries the vector of the token before it plus a learned one; behind it stand the fraction of the
    token that is over and the token's log length, so that the decoder hears how fast it has to be.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "B P D"], token_mask: Bool[Array, "B P"], timeline: Timeline
    ) -> Float[Array, "B T C"]:
        """Frame vectors, C = D + 3; zeros on padding."""
        width = tokens.shape[-1]
        silence = self.param("pause_embedding", embedding_limit, (1, width)).astype(self.dtype)
        spread = membership(timeline, token_mask.shape[1], self.dtype)
        frames = jnp.einsum("btp,bpd->btd", spread, zero_padding(tokens.astype(self.dtype), token_mask))
        frames = frames + jnp.where(timeline.paused[..., None], silence[None], jnp.zeros((), self.dtype))
        log_length = scaled(jnp.log(jnp.maximum(timeline.length, 1).astype(jnp.float32)), LOG_FRAMES)
        place = jnp.stack([timeline.fraction, log_length, timeline.paused.astype(jnp.float32)], -1)
        placed = nn.Dense(width, False, dtype=self.dtype, kernel_init=kernel_limit, name="place")
        return zero_padding(frames + placed(place.astype(self.dtype)), timeline.mask)
