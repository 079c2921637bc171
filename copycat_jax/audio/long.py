"""Recordings of any length: kept, trimmed and resampled by way of temporary files."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.decode import file_name
from copycat_jax.audio.signal import Audio, check_samples, reading_audio, resampled_blocks, surround, trim_bounds
from copycat_jax.audio.spool import Samples, Spool, blocks_of
from copycat_jax.errors import UserError

STRETCH_S = 60.0  # of which `trim_long` looks at one at a time


class LongAudio(NamedTuple):
    """A mono recording of any length, in memory or in a temporary file; else as `audio.signal.Audio`."""

    samples: Samples
    sample_rate: int


def read_long_audio(path: str | os.PathLike, whole_s: float) -> Audio | LongAudio:
    """Reads a recording as `read_audio` does: into memory, or, beyond `whole_s` seconds, into a temporary file.

    Raises:
      UserError: as in `read_audio`, or there is no room for temporary files.
    """
    with reading_audio(path) as (rate, blocks):
        head, count = [np.zeros(0, np.float32)], 0
        for block in blocks:
            check_samples(block, str(path))
            head.append(block)
            count += len(block)
            if count > whole_s * rate:
                break
        if count <= whole_s * rate:
            samples = np.concatenate(head)
            check_samples(samples, str(path))
            return Audio(samples, rate)
        spool = Spool()
        for block in head:
            spool.append(block)
        for block in blocks:
            check_samples(block, str(path))
            spool.append(block)
    return LongAudio(spool, rate)


def recording_seconds(path: str | os.PathLike) -> float:
    """How long a recording is, by what its file says; 0 where it says nothing."""
    import soundfile

    try:
        return soundfile.info(file_name(path)).duration
    except (OSError, soundfile.LibsndfileError):
        return 0.0


def resample_long(samples: Samples, start: int, stop: int, from_rate: int, to_rate: int) -> Spool:
    """`resample` of samples[start:stop], any number of them, into a temporary file."""
    out = Spool()
    for block in resampled_blocks(blocks_of(samples, start, stop), from_rate, to_rate):
        out.append(block)
    return out


def trim_long(samples: Samples, rate: int) -> tuple[int, int]:
    """`trim_bounds` of a recording of any length: each bound by the first stretch from its end that holds speech.

    Raises:
      UserError: the recording holds nothing but silence.
    """
    size, bounds = round(STRETCH_S * rate), []
    starts = range(0, len(samples), size)
    for side, order in enumerate((starts, reversed(starts))):
        for at in order:
            with contextlib.suppress(UserError):
                bounds.append(at + trim_bounds(samples[at : at + size], rate)[side])
                break
        else:
            raise UserError("the recording holds nothing but silence", remedy="Give a recording of speech.")
    return bounds[0], bounds[1]


def surrounded_blocks(samples: Samples, start: int, length: int, fade: int) -> Iterator[Float[np.ndarray, " n"]]:
    """`surround` of samples of any length, at least four fades, block by block."""
    stop, edge = min(len(samples), length - start), 2 * fade
    if start:
        yield surround(samples[:edge], start, start + edge, fade)
    yield from blocks_of(samples, edge if start else 0, stop - edge)
    yield surround(samples[stop - edge : stop], 0, length - start - stop + edge, fade)
