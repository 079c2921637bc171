"""Recordings in and out: read, check, resample, trim, split, write."""

import contextlib
import errno
import io
import itertools
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, Int16

from copycat_jax.audio.decode import READABLE, decode, file_name
from copycat_jax.errors import UserError
from copycat_jax.files import refusals_of, replacing_file

_T = TypeVar("_T")
COMMENT = "synthetic speech"
STANDARD_INPUT = "-"  # as a path
RATES_HZ = (2000, 1_000_000)  # below lies no speech, and beyond no converter

# The energy rule of `trim_bounds`. Speech stands within 40 dB of the clip's loud part, or, in a noisy room, 6 dB above
# the quietest moments between words (but what is within 26 dB is always speech), for at least 40 ms (a click is
# shorter); below -60 dBFS nothing counts as loud.
WINDOW_S = 0.025
RANGE_DB = 40.0
NOISY_RANGE_DB = 26.0
ABOVE_NOISE_DB = 6.0
SHORTEST_SPEECH_S = 0.04
SILENCE_DBFS = -60.0
# What is taken away below the voice where it is heard in the pauses: half the filter is shorter than the edge that
# trimming leaves, so that silence added outside is not heard by it.
VOICE_HZ = 70.0
HUMMING_S = 1.5  # clean speech has something below VOICE_HZ for 1.2 s at most [72 clips]
_FILTER_S = 0.18
_FILTER_BETA = 4.55  # of a Kaiser window: 50 dB down at 62 Hz, whole from 78 Hz on
_CONTINUED_S = 0.1  # whole periods of 50 and of 60 Hz: hum goes on where the recording ends
_EMPTY_DBFS = -110.0
_FULL_SCALE = 32768.0
_RIFF_BYTES = 4_000_000_000  # beyond it a plain wav file cannot say how long it is


class Audio(NamedTuple):
    """A mono recording: `samples` float32 [N], nominally within [-1, 1], at `sample_rate` Hz."""

    samples: Float[np.ndarray, " N"]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate


def read_audio(path: str | os.PathLike) -> Audio:
    """Reads a wav, flac, ogg (Vorbis, Opus) or mp3 file of any rate, and what ffmpeg knows where it is installed.

    Several channels are averaged, and recordings that follow each other in one file are joined. "-" is standard input;
    pipes are read to their end.

    Raises:
      UserError: the file is missing, is not audio, is damaged or cut short, or holds no samples, NaN or infinities.
    """
    with reading_audio(path) as (rate, blocks):
        samples = np.concatenate([np.zeros(0, np.float32), *blocks])
    check_samples(samples, "standard input" if os.fspath(path) == STANDARD_INPUT else str(path))
    return Audio(samples, rate)


@contextlib.contextmanager
def reading_audio(path: str | os.PathLike) -> Iterator[tuple[int, Iterator[Float[np.ndarray, " n"]]]]:
    """The rate of a file and its samples, block by block, channels averaged; raises as `read_audio` for bad files.

    Whether it is whole is known only when the last block was read.
    """
    name = os.fspath(path)
    where = "standard input" if name == STANDARD_INPUT else str(path)
    if name != STANDARD_INPUT:
        check_reachable(name)
    if os.path.isdir(name):
        raise UserError("is a folder, not a recording", where, f"Give a {READABLE} file.")
    with contextlib.closing(_refusing(decode(None if name == STANDARD_INPUT else Path(name), where), where)) as sounds:
        first = next(sounds)
        if not RATES_HZ[0] <= first.rate <= RATES_HZ[1]:
            raise UserError(f"a sample rate of {first.rate} Hz", where, "Give a recording of 8000 Hz or more.")
        others = (resampled_blocks(other.blocks, other.rate, first.rate) for other in sounds)
        yield first.rate, _refusing(itertools.chain(first.blocks, itertools.chain.from_iterable(others)), where)


def check_reachable(path: str) -> None:
    """Raises UserError where there is no such file, or the way to it is barred."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        what = f"cannot be reached ({os.strerror(number)})" if number in (errno.EACCES, errno.ELOOP) else "no such file"
        raise UserError(what, path, "Give the path of a recording.") from error


def _refusing(decoded: Iterator[_T], where: str) -> Generator[_T, None, None]:
    """What is decoded; whatever goes wrong in it is a UserError."""
    try:
        yield from decoded
    except UserError:
        raise
    except OSError as error:
        remedy = "Check its permissions." if isinstance(error, PermissionError) else ""
        raise UserError(f"cannot be read ({error.strerror or error})", where, remedy) from error
    except Exception as error:  # whatever a decoder makes of a damaged file
        what = f"the recording is damaged ({getattr(error, 'error_string', None) or error or type(error).__name__})"
        raise UserError(what, where, f"Copy or download the file again, or give a {READABLE} file.") from error


def check_samples(samples: np.ndarray, where: str) -> None:
    """Raises UserError unless `samples` is a non-empty one-dimensional array of finite numbers."""
    if samples.ndim != 1:
        raise UserError(f"samples have shape {samples.shape}", where, "Give one channel: a one-dimensional array.")
    if len(samples) == 0:
        raise UserError("the recording holds no samples", where, "Give a recording of at least a word.")
    if not np.isfinite(samples).all():
        bad = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise UserError(f"sample {bad} is {samples[bad]}", where, "Give finite samples; re-export the recording.")


def resample(samples: Float[np.ndarray, " N"], from_rate: float, to_rate: float) -> Float[np.ndarray, " n"]:
    """Resamples a float32 signal (soxr, high quality); the identity where the rates are equal."""
    import soxr

    samples = np.asarray(samples, np.float32)
    if from_rate == to_rate:
        return samples
    return soxr.resample(samples, from_rate, to_rate, quality="HQ").astype(np.float32, copy=False)


def resampled_blocks(
    blocks: Iterable[Float[np.ndarray, " n"]], from_rate: int, to_rate: int
) -> Iterator[Float[np.ndarray, " m"]]:
    """`resample` of a signal that comes, and goes, block by block."""
    import soxr

    if from_rate == to_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


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


def _high_pass(samples: Float[np.ndarray, " N"], rate: int) -> Float[np.ndarray, " N"]:
    """A recording without what is below `VOICE_HZ`, float64; nothing is delayed."""
    half = round(_FILTER_S / 2 * rate)
    low = np.sinc(2 * VOICE_HZ / rate * np.arange(-half, half + 1)) * np.kaiser(2 * half + 1, _FILTER_BETA)
    taps = -low / low.sum()
    taps[half] += 1.0
    padded = _continued(np.asarray(samples, np.float64), half, round(_CONTINUED_S * rate))
    # Of a block: bounds the memory that an hour of speech takes.
    size = 1 << min(max(18, (8 * half).bit_length()), (len(padded) - 1).bit_length())
    response, step, filtered = np.fft.rfft(taps, size), size - 2 * half, np.empty(len(samples))
    for start in range(0, len(samples), step):
        block = np.fft.irfft(np.fft.rfft(padded[start : start + size], size) * response, size)[2 * half :]
        filtered[start : start + step] = block[: len(filtered) - start]
    return filtered


def _continued(samples: Float[np.ndarray, " N"], by: int, lag: int) -> Float[np.ndarray, " n"]:
    """A signal and `by` more samples at either end, as `lag` samples away but without a step; short ones mirrored."""
    if len(samples) <= lag:
        return np.pad(samples, by, mode="reflect")
    before = samples[lag - by : lag] + (samples[0] - samples[lag])
    after = samples[len(samples) - lag :][:by] + (samples[-1] - samples[-1 - lag])
    return np.concatenate([before, samples, after])


def voice_band(samples: Float[np.ndarray, " N"], rate: int) -> Float[np.ndarray, " N"]:
    """A recording as it is to be measured: without hum, rumble and offset, float32; itself where it has none.

    It has some where what is below `VOICE_HZ` stays within 40 dB of the clip's loud part in its quietest moments too,
    as no voice does, or does so for HUMMING_S on end; then that stretch alone is filtered. A clean recording is left
    alone: a filter colours the faint noise of its pauses, in which trackers then hear a pitch. For measuring only; the
    sound itself stays as it is.
    """
    filtered = _high_pass(samples, rate)
    there = _loudness_db(samples, rate) > _EMPTY_DBFS  # silence that was added says nothing
    if not there.any():
        return samples
    below, limit = _loudness_db(samples - filtered, rate), _loud_db(_loudness_db(filtered, rate)) - RANGE_DB
    if np.quantile(below[there], 0.05) > limit:
        return filtered.astype(np.float32)
    humming = _runs(below > limit, HUMMING_S * rate)
    if not len(humming):
        return samples
    ramp = round(WINDOW_S * rate)  # no step where it begins and ends
    places = np.concatenate([[start - ramp, start, stop, stop + ramp] for start, stop in humming])
    share = np.interp(np.arange(len(samples)), places, np.tile([0.0, 1.0, 1.0, 0.0], len(humming)))
    return (samples + share * (filtered - samples)).astype(np.float32)


def _runs(mask: np.ndarray, shortest: float) -> Int[np.ndarray, "R 2"]:
    """[start, stop) of every run of at least `shortest` true values."""
    runs = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))).reshape(-1, 2)
    return runs[runs[:, 1] - runs[:, 0] >= shortest]


def _speech_runs(samples: Float[np.ndarray, " N"], rate: int) -> Int[np.ndarray, "R 2"]:
    """[start, stop) of every stretch of speech by the energy rule; UserError if there is none."""
    check_samples(samples, "samples")
    loudness = _loudness_db(voice_band(samples, rate), rate)
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


def speech_mask(samples: Float[np.ndarray, " N"], rate: int) -> Bool[np.ndarray, " N"]:
    """True where a recording holds speech by the same rule as `trim_bounds`."""
    mask = np.zeros(len(samples), bool)
    with contextlib.suppress(UserError):  # nothing but silence
        for start, stop in _speech_runs(samples, rate):
            mask[start:stop] = True
    return mask


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
            file = soundfile.SoundFile(file_name(temporary), "w", rate, 1, "PCM_16", format=kind)
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
