"""Recordings written in the format that the ending of their name asks for, block by block."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int16

from copycat_jax.audio.decode import file_name
from copycat_jax.audio.signal import COMMENT, WavWriter, wav_kind, writing_wav
from copycat_jax.errors import UserError
from copycat_jax.files import check_file, refusals_of, replacing_file


class Encoding(NamedTuple):
    """How libsndfile names a format, and the only rate in Hz that it takes; None for any that speech has."""

    container: str
    codec: str
    rate: int | None = None


ENCODINGS = {
    ".wav": Encoding("WAV", "PCM_16"),
    ".flac": Encoding("FLAC", "PCM_16"),
    ".mp3": Encoding("MP3", "MPEG_LAYER_III"),
    ".opus": Encoding("OGG", "OPUS", 48000),
    ".ogg": Encoding("OGG", "VORBIS"),
}


def check_sound_file(path: str | os.PathLike, inputs: tuple[str | os.PathLike, ...] = ()) -> Path:
    """The path of a sound file that is to be written; leaves nothing behind.

    Args:
      path: where it shall be; its ending names the format.
      inputs: files that it must not replace.

    Raises:
      UserError: an ending of no format, a file there that is no synthetic speech, and whatever `check_file` refuses.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENCODINGS:
        known = f"{', '.join(list(ENCODINGS)[:-1])} or {list(ENCODINGS)[-1]}"
        remedy = f"Name it {path.stem.strip('.') or 'result'}.wav, for example."
        raise UserError(f"the name does not end in {known}", str(path), remedy)
    check_file(path, ending, tuple(map(str, inputs)))
    if path.exists() and path.stat().st_size and not is_synthetic(path):
        raise UserError("exists and was not written by this program", str(path), "Move it, or choose another name.")
    return path


def is_synthetic(path: str | os.PathLike) -> bool:
    """Whether a file is a recording that says of itself that it is synthetic speech."""
    import soundfile

    try:
        with soundfile.SoundFile(file_name(path)) as file:
            return COMMENT in file.comment
    except (OSError, soundfile.LibsndfileError):
        return False


@contextlib.contextmanager
def writing_sound(path: str | os.PathLike, rate: int, samples: int = 0) -> Iterator[WavWriter]:
    """A writer of a mono recording in the format of the path's ending, marked as synthetic.

    The file is whole under its name when the block ends well, and not there otherwise.

    Args:
      path: ends in one of `ENCODINGS`.
      rate: of what is written, in Hz; the file has the same unless its format does not allow it.
      samples: about how many there will be; a wav file beyond 4 GB becomes RF64.

    Raises:
      UserError: the path cannot be written.
    """
    import soundfile

    path = Path(path)
    encoding = ENCODINGS[path.suffix.lower()]
    if encoding.container == "WAV":
        with writing_wav(path, rate, wav_kind(samples)) as writer:
            yield writer
        return
    file_rate = encoding.rate or rate
    with contextlib.ExitStack() as stack:
        stack.enter_context(refusals_of(path, soundfile.LibsndfileError))
        temporary = stack.enter_context(replacing_file(path))
        options = {"samplerate": file_rate, "channels": 1, "subtype": encoding.codec, "format": encoding.container}
        file = stack.enter_context(soundfile.SoundFile(file_name(temporary), "w", **options))
        file.comment = COMMENT
        sink = file if file_rate == rate else stack.enter_context(_Resampled(file, rate, file_rate))
        yield WavWriter(sink, path, rate)


def write_sound(path: str | os.PathLike, samples: Float[np.ndarray, " N"], rate: int) -> None:
    """Writes a mono recording at once, as `writing_sound` does; samples beyond [-1, 1] are clipped."""
    with writing_sound(path, rate, len(samples)) as writer:
        writer.write(samples)


class _Resampled:
    """Passes 16-bit samples on at another rate."""

    def __init__(self, file, from_rate: int, to_rate: int):
        import soxr

        self._file = file
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16", quality="HQ")

    def __enter__(self) -> "_Resampled":
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:  # what the filter still holds
            self._file.write(self._stream.resample_chunk(np.zeros(0, np.int16), last=True))

    def write(self, samples: Int16[np.ndarray, " N"]) -> None:
        """Takes a block."""
        self._file.write(self._stream.resample_chunk(np.ascontiguousarray(samples)))
