"""Contract 1: what flows from the data pipeline to the models.

A `Batch` is a NamedTuple of arrays, hence a pytree to JAX although JAX is not imported here; the pipeline makes it of
NumPy arrays, the training step sees it as sharded JAX arrays. Shapes are static within a length bucket. Letters: B
batch, P phonemes, T mel frames, M mel bins, E width of the speaker vector.
"""

from typing import Any, NamedTuple

Array = Any


class Batch(NamedTuple):
    """One batch of utterances, padded at the end along P and T.

    Padding: mel is 0 (not log-silence), phonemes 0 (`PAD`), durations, breaks, f0 and energy 0, masks False. The
    durations of a row sum to its number of real frames. Speaker vectors are zeros where the corpus has none yet.
    """

    index: Array  # int32 [B], position of the utterance in the corpus
    mel: Array  # float32 [B, T, M], natural log-mel
    mask: Array  # bool [B, T], True = real frame
    phonemes: Array  # int32 [B, P], ids of text.phonemes
    phoneme_mask: Array  # bool [B, P], True = real phoneme
    durations: Array  # int32 [B, P], frames
    breaks: Array  # int32 [B, P], what follows a phoneme: values of text.phrasing, 0 = inside a word
    f0_hz: Array  # float32 [B, T], 0 = unvoiced (or not tracked)
    energy: Array  # float32 [B, T], log-RMS of the frame
    speaker: Array  # int32 [B]
    speaker_vector: Array  # float32 [B, E], the utterance's own embedding
    other_vector: Array  # float32 [B, E], embedding of another utterance of the same speaker
    centroid: Array  # float32 [B, E], mean embedding of the speaker
