"""Contract 1: what flows from the data pipeline to the models.

A `Batch` is a NamedTuple of arrays, hence a pytree to JAX although JAX is not imported here; the pipeline makes it of
NumPy arrays, the training step sees it as sharded JAX arrays. Shapes are static within a length bucket. Letters: B
batch, P phonemes, T mel frames, M mel bins, E width of the speaker vector. What reads a field's type and axes takes
them from its annotation (see `records`); a field that `corpus.utterance.Utterance` names too is padded into it.
"""

from typing import Any, NamedTuple

from jaxtyping import Bool, Float32, Int32

Array = Any


class AlignedPhonemes(NamedTuple):
    """What is said and when: the phonemes of a row, how long each lasts, and the frames that they fill together."""

    phonemes: Int32[Array, "B P"]  # ids of text.phonemes
    durations: Int32[Array, "B P"]  # frames; 0 on padding
    mask: Bool[Array, "B T"]  # True = real frame


class Batch(NamedTuple):
    """One batch of utterances, padded at the end along P and T.

    Padding: mel is 0 (not log-silence), phonemes 0 (`PAD`), durations, breaks, f0 and energy 0, masks False. The
    durations of a row sum to its number of real frames. Speaker vectors are zeros where the corpus has none yet.
    """

    index: Int32[Array, "B"]  # position of the utterance in the corpus
    mel: Float32[Array, "B T M"]  # natural log-mel
    mask: Bool[Array, "B T"]  # True = real frame
    phonemes: Int32[Array, "B P"]  # ids of text.phonemes
    phoneme_mask: Bool[Array, "B P"]  # True = real phoneme
    durations: Int32[Array, "B P"]  # frames
    breaks: Int32[Array, "B P"]  # what follows a phoneme: values of text.phrasing, 0 = inside a word
    f0_hz: Float32[Array, "B T"]  # 0 = unvoiced (or not tracked)
    energy: Float32[Array, "B T"]  # log-RMS of the frame
    speaker: Int32[Array, "B"]
    speaker_vector: Float32[Array, "B E"]  # the utterance's own embedding
    other_vector: Float32[Array, "B E"]  # embedding of another utterance of the same speaker
    centroid: Float32[Array, "B E"]  # mean embedding of the speaker

    @property
    def aligned(self) -> AlignedPhonemes:
        """The phonemes on their frames."""
        return AlignedPhonemes(self.phonemes, self.durations, self.mask)
