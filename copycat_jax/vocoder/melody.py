"""What a vocoder is excited at where a mel and the melody it should have do not quite agree."""

import numpy as np
from jaxtyping import Float32

MISREAD_OCTAVES = 0.25  # between two readings of one melody


def blend_melodies(
    own_hz: Float32[np.ndarray, "V T"], wanted_hz: Float32[np.ndarray, "V T"]
) -> Float32[np.ndarray, "V T"]:
    """F0 [V, T] halfway between what a mel says of itself and the melody it should have, voiced where that is.

    The melody is first moved by the median of its distance from the mel's own, so that both lie at one level. Where
    they are three semitones apart or more, the mel was misread.
    """
    blended = wanted_hz.copy()
    for row, own, wanted in zip(blended, own_hz, wanted_hz, strict=True):
        both = (own > 0) & (wanted > 0)
        octaves = np.zeros(len(row), np.float32)
        octaves[both] = np.log2(own[both] / wanted[both])
        level = float(np.median(octaves[both])) if both.any() else 0.0
        level = level if abs(level) <= MISREAD_OCTAVES else 0.0
        near = both & (np.abs(octaves - level) <= MISREAD_OCTAVES)
        row *= np.exp2(np.where(near, 0.5 * (octaves + level), level), dtype=np.float32)
    return blended
