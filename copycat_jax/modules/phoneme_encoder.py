"""Phonemes in, one encoding per frame out (CopyCat section 2.2.1)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from copycat_jax.nn.conv import ConvStack
from copycat_jax.nn.initializers import embedding_limit
from copycat_jax.nn.placement import rows_apart
from copycat_jax.nn.recurrent import Recurrent
from copycat_jax.nn.regulate import over_time, upsample


class PhonemeEncoder(nn.Module):
    """Upsample first, encode afterwards: ids repeated by their durations, embedded, three convolutions, biLSTM.

    The architecture is the character encoder of Tacotron 2, whose batch normalisation is replaced by layer
    normalisation: running statistics would make the step impure and the result depend on how a batch is spread over
    hosts, and batch or instance statistics would let a silence at one end of an utterance change the other. Per frame,
    nothing is shared.

    Attributes:
      phonemes: size of the inventory.
      width: channels of embedding and convolutions.
      states: LSTM states of each direction; the encoding has twice as many channels.
      kernel: of the convolutions, in frames.
      dropout: after each convolution, in training.
      dtype: compute type.
      recurrence: implementation of the recurrence, see `nn.recurrent.recur`.
      marks: size of a second inventory, of what stands beside each phoneme (a word's end, say); 0 = there is none.
    """

    phonemes: int
    width: int = 512
    states: int = 256
    kernel: int = 5
    dropout: float = 0.5
    dtype: Any = jnp.float32
    recurrence: str = "auto"
    marks: int = 0

    @nn.compact
    def __call__(
        self,
        phonemes: Int[Array, "B P"],
        durations: Int[Array, "B P"],
        mask: Bool[Array, "B T"],
        speaker: Float[Array, "B E"] | None = None,
        deterministic: bool = True,
        marks: Int[Array, "B P"] | None = None,
    ) -> Float[Array, "B T D"]:
        """Encodings Y; `speaker`, where given, joins them before the LSTM (Huybrechts et al. 2021, section 2.1).

        `marks`, ids of the second inventory, are embedded and added to the phonemes.
        """
        frames = mask.shape[1]
        x = self._rows_of("embedding", self.phonemes, upsample(phonemes, durations, frames))
        if marks is not None:
            x = x + self._rows_of("mark_embedding", self.marks, upsample(marks, durations, frames))
        convolutions = ConvStack(self.width, 3, self.kernel, "layer", self.dropout, self.dtype, name="convolutions")
        x = convolutions(x, mask, deterministic)
        if speaker is not None:
            x = jnp.concatenate([x, over_time(speaker.astype(self.dtype), frames)], -1)
        return Recurrent("lstm", self.states, 2, self.dtype, self.recurrence, name="lstm")(x, mask)

    def _rows_of(self, name: str, count: int, ids: Int[Array, "B T"]) -> Float[Array, "B T D"]:
        table = nn.Embed(count, self.width, self.dtype, embedding_init=embedding_limit, name=name)
        return rows_of(table.embedding.astype(self.dtype), ids)


def rows_of(table: Float[Array, "K D"], ids: Int[Array, "B T"]) -> Float[Array, "B T D"]:
    """The rows of a table, by a product: exact, since all but one of the summands are 0.

    The gradient of looking thousands of frames up in a few rows is slow on a GPU, and adds them in any order.
    """
    chosen = jax.nn.one_hot(ids, len(table), dtype=table.dtype)
    return rows_apart(jnp.matmul(chosen, table, precision=jax.lax.Precision.HIGHEST), 0)
