"""Recordings in and out: read, check, resample, trim, split, write; the one place that opens sound files."""

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int16

from copycat_jax.audio.spool import BLOCK_SAMPLES
from copycat_jax.errors import UserError
from copycat_jax.files import refusals_of, replacing_file

READABLE = "wav, flac, ogg (Vorbis or Opus) or mp3"
COMMENT = "synthetic speech"

# The energy rule of `trim_bounds`. Speech stands within 40 dB of the clip's loud part, or, in a noisy room, 6 dB above
# the quietest moments between words (but what is within 26 dB is always speech), for at least 40 ms (a click is
# shorter); below -60 dBFS nothing counts as loud.
WINDOW_S = 0.025
RANGE_DB = 40.0
NOISY_RANGE_DB = 26.0
ABOVE_NOISE_DB = 6.0
SHORTEST_SPEECH_S = 0.04
SILENCE_DBFS = -60.0
_FULL_SCALE = 32768.0
_RIFF_BYTES = 4_000_000_000  # beyond it a plain wav file cannot say how long it is


class Audio(NamedTuple):
    """A mono recording: `samples` float32 [N], nominally within [-1, 1], at `sample_rate` Hz."""

    samples: Float[np.ndarray, " N"]
    sample_rate: int


def read_audio(path: str | os.PathLike) -> Audio:
    """Reads a wav, flac, ogg (Vorbis, Opus) or mp3 file of any rate; several channels are averaged.

    Raises:
      UserError: the file is missing, is not audio, is cut short, or holds no samples, NaN or infinities.
    """
    with reading_audio(path) as (rate, blocks):
        mono = np.concatenate([np.zeros(0, np.float32), *blocks])
    check_samples(mono, str(path))
    return Audio(mono, rate)


@contextlib.contextmanager
def reading_audio(path: str | os.PathLike) -> Iterator[tuple[int, Iterator[Float[np.ndarray, " n"]]]]:
    """The rate of a file and its samples, block by block, channels averaged; raises as `read_audio` for bad files."""
    import soundfile

    path = Path(path)
    if not os.path.exists(path):  # unlike Path.exists, minds no text longer than a file name
        raise UserError("no such file", str(path), "Give the path of a recording.")
    if path.is_dir():
        raise UserError("is a folder, not a recording", str(path), f"Give a {READABLE} file.")
    try:
        if path.stat().st_size == 0:
            raise UserError("the file is empty (0 bytes)", str(path), f"Give a {READABLE} file.")
        _refuse_cut(path)
        with soundfile.SoundFile(path) as file:
            yield int(file.samplerate), _mono_blocks(file, path)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror or error})", str(path), "Check its permissions.") from error
    except soundfile.LibsndfileError as error:
        what = f"not a readable recording ({error.error_string})"
        raise UserError(what, str(path), f"Give a {READABLE} file.") from error


def _mono_blocks(file, path: Path) -> Iterator[Float[np.ndarray, " n"]]:
    promised, found = file.frames, 0
    while len(samples := file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)):
        found += len(samples)
        yield np.ascontiguousarray(samples.mean(axis=1, dtype=np.float32))
    if found < promised:
        raise _truncated(path, f"{promised} samples promised, {found} found")


def check_samples(samples: np.ndarray, where: str) -> None:
    """Raises UserError unless `samples` is a non-empty one-dimensional array of finite numbers."""
    if samples.ndim != 1:
        raise UserError(f"samples have shape {samples.shape}", where, "Give one channel: a one-dimensional array.")
    if len(samples) == 0:
        raise UserError("the recording holds no samples", where, "Give a recording of at least a word.")
    if not np.isfinite(samples).all():
        bad = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise UserError(f"sample {bad} is {samples[bad]}", where, "Give finite samples; re-export the recording.")


def _truncated(path: Path, found: str) -> UserError:
    return UserError(f"the recording is cut short ({found})", str(path), "Copy or download the file again.")


def _refuse_cut(path: Path) -> None:
    """Raises UserError where a container says that it is incomplete; libsndfile itself plays what is left of it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
            byte_order = "<" if head[:4] == b"RIFF" else ">"
            while len(header := file.read(8)) == 8:
                name, length = struct.unpack(f"{byte_order}4sI", header)
                left = size - file.tell()
                # Writers to a pipe cannot know the length and leave zero or nearly 2^32.
                if name == b"data" and left < length < 0xFFFFFFFF - 4096:
                    raise _truncated(path, f"{length} bytes of sound promised, {left} found")
                file.seek(length + length % 2, os.SEEK_CUR)
        elif head[:4] == b"OggS":
            file.seek(max(0, size - (1 << 17)))  # a page is at most 65 307 bytes
            tail = file.read()
            last = tail.rfind(b"OggS")
            page = tail[last:]
            complete = len(page) >= 27 and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])
            if last < 0 or not complete or not page[5] & 4:
                raise _truncated(path, "its last page is missing")


def resample(samples: Float[np.ndarray, " N"], from_rate: float, to_rate: float) -> Float[np.ndarray, " n"]:
    """Resamples a float32 signal (soxr, high quality); the identity where the rates are equal."""
    import soxr

    samples = np.asarray(samples, np.float32)
    if from_rate == to_rate:
        return samples
    return soxr.resample(samples, from_rate, to_rate, quality="HQ").astype(np.float32, copy=False)


def _loudness_db(samples: Float[np.ndarray, " N"], rate: int) -> Float[np.ndarray, " N"]:
    """Mean power in dBFS of the window centred on each sample; beyond the ends lies silence.

    Integer arithmetic: the values around a word are bitwise the same whatever silence is put before it.
    """
    half = max(1, round(WINDOW_S * rate / 2))
    whole = np.rint(np.clip(samples, -4.0, 4.0).astype(np.float64) * _FULL_SCALE).astype(np.int64)
    total = np.zeros(len(samples) + 2 * half + 1, np.int64)
    total[half + 1 : half + 1 + len(whole)] = np.cumsum(whole * whole)
    total[half + 1 + len(whole) :] = total[half + len(whole)]
    power = total[2 * half :][: len(whole)] - total[: len(whole)]
    return 10.0 * np.log10(np.maximum(power / (2 * half), 1e-3) / _FULL_SCALE**2)


def _loud_db(loudness: Float[np.ndarray, " N"]) -> float:
    """The level that half of the clip's energy lies above: added silence, having no energy, does not move it."""
    step = np.floor(loudness * 4).astype(np.int64)  # quarters of a decibel
    lowest = int(step.min())
    energy = np.bincount(step - lowest, weights=np.where(loudness > -120.0, 10.0 ** (loudness / 10.0), 0.0))
    above = np.cumsum(energy[::-1])
    return (lowest + len(energy) - 1 - int(np.searchsorted(above, above[-1] / 2))) / 4


def _runs(mask: np.ndarray, shortest: float) -> Int[np.ndarray, "R 2"]:
    """[start, stop) of every run of at least `shortest` true values."""
    runs = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))).reshape(-1, 2)
    return runs[runs[:, 1] - runs[:, 0] >= shortest]


def _speech_runs(samples: Float[np.ndarray, " N"], rate: int) -> Int[np.ndarray, "R 2"]:
    """[start, stop) of every stretch of speech by the energy rule; UserError if there is none."""
    check_samples(samples, "samples")
    loudness = _loudness_db(samples, rate)
    loud = _loud_db(loudness)
    shortest = SHORTEST_SPEECH_S * rate
    if loud >= SILENCE_DBFS and len(runs := _runs(loudness > loud - RANGE_DB, shortest)):
        # The room's noise is looked for within the speech, so that silence added outside has no say.
        quiet = np.quantile(loudness[runs[0, 0] : runs[-1, 1]], 0.05) + ABOVE_NOISE_DB
        if loud - RANGE_DB < quiet:
            runs = _runs(loudness > min(quiet, loud - NOISY_RANGE_DB), shortest)
        if len(runs):
            # A window hears speech half its width away: without this, more silence than asked for would be left.
            half = round(WINDOW_S * rate / 2)
            return runs + np.array([half, -half])
    raise UserError("the recording holds nothing but silence", remedy="Give a recording of speech.")


def trim_bounds(samples: Float[np.ndarray, " N"], rate: int, edge_s: float = 0.1) -> tuple[int, int]:
    """Finds the part of a recording that holds speech, with at most `edge_s` of silence at either edge.

    Speech is what lies within 40 dB of the clip's loud part, and above the noise between its words, for at least
    40 ms. Where a clip has `edge_s` of silence around it, any silence added outside moves the bounds by exactly its
    length and by nothing else.

    Args:
      samples: the recording, float32 [N].
      rate: its sample rate in Hz.
      edge_s: the silence to leave at either edge, in seconds.

    Returns:
      (start, stop): sample indices; the trimmed clip is samples[start:stop].

    Raises:
      UserError: the recording holds nothing but silence.
    """
    runs = _speech_runs(samples, rate)
    edge = round(edge_s * rate)
    return max(0, int(runs[0, 0]) - edge), min(len(samples), int(runs[-1, 1]) + edge)


def surround(samples: Float[np.ndarray, " N"], start: int, length: int, fade: int) -> Float[np.ndarray, " L"]:
    """Lays sound on a time axis of its own recording: `length` samples, silent but for `samples` from `start` on.

    Where the sound meets silence that was added it fades over `fade` samples (a half cosine), so that nothing clicks
    even if it does not end at zero; what would lie beyond `length` is cut off.
    """
    laid = np.zeros(length, np.float32)
    sound = laid[start : start + len(samples)]
    sound[:] = samples[: len(sound)]
    fade = min(fade, len(sound) // 2)
    rise = (0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)).astype(np.float32)
    if start > 0:
        sound[:fade] *= rise
    if fade and start + len(sound) < length:
        sound[-fade:] *= rise[::-1]
    return laid


class WavWriter:
    """Takes samples as they come and puts them into an open 16-bit wav file."""

    def __init__(self, file, path: Path, rate: int):
        self._file, self._path, self.rate, self.samples = file, path, rate, 0

    @property
    def seconds(self) -> float:
        """How much was written."""
        return self.samples / self.rate

    def write(self, samples: Float[np.ndarray, " N"]) -> None:
        """Appends samples; those beyond [-1, 1] are clipped."""
        whole = np.clip(np.rint(np.asarray(samples, np.float64) * _FULL_SCALE), -32768, 32767)
        self.write_whole(whole.astype(np.int16))

    def write_whole(self, samples: Int16[np.ndarray, " N"]) -> None:
        """Appends samples as they stand in the file."""
        import soundfile

        with refusals_of(self._path, soundfile.LibsndfileError):
            self._file.write(samples)
        self.samples += len(samples)

    def silence(self, seconds: float) -> None:
        """Appends silence."""
        self.write(np.zeros(max(0, round(seconds * self.rate)), np.float32))


def wav_kind(samples: int) -> str:
    """The `kind` of wav file that can hold so many samples."""
    return "RF64" if 2 * samples > _RIFF_BYTES else "WAV"


@contextlib.contextmanager
def writing_wav(path: str | os.PathLike, rate: int, kind: str = "WAV", comment: str = COMMENT) -> Iterator[WavWriter]:
    """A writer of a 16-bit mono wav (`kind` "WAV", or "RF64" beyond 4 GB) with a comment (RIFF INFO, ICMT).

    The file is whole under its name when the block ends well, and not there otherwise.

    Raises:
      UserError: the path cannot be written.
    """
    import soundfile

    path = Path(path)
    with replacing_file(path) as temporary:
        with refusals_of(path, soundfile.LibsndfileError):
            # As bytes: soundfile cannot encode every name, such as ö where the locale is C.
            name: Any = os.fsencode(temporary)
            file = soundfile.SoundFile(name, "w", rate, 1, "PCM_16", format=kind)
        with file:
            if comment:
                file.comment = comment  # before the samples, so that it stands before them in the file
            yield WavWriter(file, path, rate)


def flac_bytes(audio: Audio) -> bytes:
    """A sound as a 16-bit FLAC file in memory; samples beyond [-1, 1] are clipped."""
    import soundfile

    content = io.BytesIO()
    soundfile.write(content, audio.samples, audio.sample_rate, subtype="PCM_16", format="FLAC")
    return content.getvalue()


def write_wav(path: str | os.PathLike, samples: Float[np.ndarray, " N"], rate: int, comment: str = COMMENT) -> None:
    """Writes a 16-bit mono wav file with a comment; whole or not at all.

    Samples beyond [-1, 1] are clipped.

    Raises:
      UserError: the samples are not finite, or the path cannot be written.
    """
    samples = np.asarray(samples)
    check_samples(samples, str(path))
    with writing_wav(path, rate, comment=comment) as writer:
        writer.write(samples)
