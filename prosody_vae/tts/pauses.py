"""The sentence without its silences: a pause becomes a number of frames that follows a token, zero allowed.

A corpus stores where the speaker paused as phonemes (SIL). Before it speaks, a sentence has none: whether a pause
follows a word, and how long, is prosody, to be predicted. Here a stored sequence becomes tokens with pauses, and tokens
with durations and pauses become frames. Static shapes; neither loop nor scatter.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from copycat_jax.nn.masks import length_mask, lengths_of
from copycat_jax.nn.regulate import phoneme_of_frame
from copycat_jax.text.phonemes import SIL_ID


class Tokens(NamedTuple):
    """A sentence for the model; zeros and False on padding, which lies at the end of a row."""

    phonemes: Int[Array, "B P"]  # no SIL but perhaps the first token
    durations: Int[Array, "B P"]  # frames
    pauses: Int[Array, "B P"]  # frames of silence that follow the token; mostly 0
    breaks: Int[Array, "B P"]  # 0 inside a word, 1..3 at its end: see `Batch.breaks`
    mask: Bool[Array, "B P"]


class Timeline(NamedTuple):
    """Which token each frame belongs to and where in it the frame lies; zeros and False beyond a row's last frame."""

    token: Int[Array, "B T"]
    paused: Bool[Array, "B T"]  # the frame lies in the pause after the token
    fraction: Float[Array, "B T"]  # of the token, or of its pause, that is over at the frame's centre: in (0, 1)
    length: Int[Array, "B T"]  # frames of the token, or of its pause
    mask: Bool[Array, "B T"]


def drop_pauses(
    phonemes: Int[Array, "B P"], durations: Int[Array, "B P"], breaks: Int[Array, "B P"], mask: Bool[Array, "B P"]
) -> Tokens:
    """Turns every SIL but a row's first token into the pause of the token before it.

    A token keeps its break whatever follows it: an aligner may put silence inside a word, and that is a pause too. So
    durations and pauses together always last as long as the row did.

    Args:
      phonemes: ids, SIL among them.
      durations: frames of each.
      breaks: what follows each phoneme in the text.
      mask: real phonemes, at the start of each row.
    """
    frames = jnp.where(mask, durations, 0)
    starts = jnp.cumsum(frames, axis=1) - frames
    first = jnp.arange(phonemes.shape[1])[None, :] == 0
    kept = mask & ((phonemes != SIL_ID) | first)
    order = jnp.argsort(~kept, axis=1, stable=True)
    real = length_mask(lengths_of(kept), phonemes.shape[1])

    def compact(values: Array) -> Array:
        return jnp.where(real, jnp.take_along_axis(values, order, axis=1), 0)

    own, start = compact(frames), compact(starts)
    end_of_row = frames.sum(1, keepdims=True)
    following = jnp.where(real[:, 1:], start[:, 1:], end_of_row)  # where the next token starts
    following = jnp.concatenate([following, end_of_row], 1)
    pauses = jnp.where(real, following - start - own, 0)
    return Tokens(compact(phonemes), own, pauses, compact(breaks), real)


def make_timeline(durations: Int[Array, "B P"], pauses: Int[Array, "B P"], frames: int) -> Timeline:
    """Lays tokens and their pauses out over `frames` frames (static), each pause behind its token."""
    rows, tokens = durations.shape
    lengths = jnp.stack([durations, pauses], -1).reshape(rows, 2 * tokens)
    index, mask = phoneme_of_frame(lengths, frames)
    starts = jnp.cumsum(lengths, axis=1) - lengths
    length = jnp.where(mask, jnp.take_along_axis(lengths, index, axis=1), 0)
    since = (jnp.arange(frames)[None, :] - jnp.take_along_axis(starts, index, axis=1)).astype(jnp.float32)
    fraction = jnp.where(mask, (since + 0.5) / jnp.maximum(length, 1).astype(jnp.float32), 0.0)
    return Timeline(jnp.where(mask, index // 2, 0), mask & (index % 2 == 1), fraction, length, mask)
