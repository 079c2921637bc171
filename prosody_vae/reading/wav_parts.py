"""A long recording written part by part: what is finished survives a killed run, and memory holds one block of it.

Beside OUT.wav stands OUT.parts/ while the work lasts. A part is a wav file and a JSON file; the JSON is written last
and holds the part's key (a hash of all that went into it), so that a part is either whole or not there. When all parts
are done they are copied into one wav under a temporary name, which is then renamed.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int16

from copycat_jax.audio.signal import COMMENT
from copycat_jax.errors import UserError
from copycat_jax.files import replacing_file

_BLOCK = 1 << 18  # samples copied at a time
_RIFF_BYTES = 4_000_000_000  # beyond it a plain wav file cannot say how long it is
_REMEDY = "Choose a folder that exists, is writable and has room."


class Part(NamedTuple):
    """A finished part: its wav, its length in samples, and what was said about it when it was written."""

    path: Path
    samples: int
    about: dict[str, Any]


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
        whole = np.clip(np.rint(np.asarray(samples, np.float64) * 32768.0), -32768, 32767)
        self.write_whole(whole.astype(np.int16))

    def write_whole(self, samples: Int16[np.ndarray, " N"]) -> None:
        """Appends samples as they stand in the file."""
        with _disk(self._path):
            self._file.write(samples)
        self.samples += len(samples)

    def silence(self, seconds: float) -> None:
        """Appends silence."""
        self.write(np.zeros(max(0, round(seconds * self.rate)), np.float32))


class Parts:
    """The parts of the recording `out`; `rate` in Hz."""

    def __init__(self, out: str | Path, rate: int):
        self.out, self.rate = Path(out), rate
        self.folder = self.out.with_suffix(".parts")

    def finished(self, number: int, key: str) -> Part | None:
        """The part, if it was finished with this very key and its sound is whole."""
        import soundfile

        wav, about = self._paths(number)
        try:
            fields = json.loads(about.read_text(encoding="utf-8"))
            with soundfile.SoundFile(wav) as file:
                whole = file.frames == fields["samples"] and file.samplerate == self.rate
            return Part(wav, fields["samples"], fields["about"]) if whole and fields["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError, soundfile.LibsndfileError):
            return None

    @contextlib.contextmanager
    def writing(self, number: int, key: str, about: dict[str, Any]) -> Iterator[WavWriter]:
        """A writer of one part, finished when the block ends without an exception; `about` may grow until then."""
        wav, note = self._paths(number)
        with _disk(self.folder):
            self.folder.mkdir(exist_ok=True)
            note.unlink(missing_ok=True)
        with _wav(wav, self.rate) as writer:
            yield writer
        write_json(note, {"key": key, "samples": writer.samples, "about": about})

    def part(self, number: int, samples: int, about: dict[str, Any]) -> Part:
        """The part that was just written."""
        return Part(self._paths(number)[0], samples, about)

    def join(self, parts: list[Part]) -> None:
        """Copies the parts into `out`, one after the other, block by block."""
        import soundfile

        long = 2 * sum(part.samples for part in parts) > _RIFF_BYTES
        with _wav(self.out, self.rate, "RF64" if long else "WAV") as writer:
            for part in parts:
                with _disk(part.path), soundfile.SoundFile(part.path) as file:
                    for block in file.blocks(_BLOCK, dtype="int16"):
                        writer.write_whole(block)

    def remove(self) -> None:
        """Takes the folder of parts away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_empty(self) -> None:
        """Takes the folder of parts away if no part was finished."""
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _paths(self, number: int) -> tuple[Path, Path]:
        name = self.folder / f"{number + 1:04d}"
        return name.with_suffix(".wav"), name.with_suffix(".json")


def check_wav(path: str | Path) -> Path:
    """The path of a wav file that is to be written; raises UserError for another ending, a folder, or no parent."""
    path = Path(path)
    if path.suffix.lower() != ".wav":
        better = path.with_suffix(".wav").name if path.name else "book.wav"  # "." and ".." have no name
        raise UserError("the name does not end in .wav", str(path), f"Name it {better}.")
    if path.is_dir():
        raise UserError("is a folder", str(path), "Give a file in it.")
    if not path.absolute().parent.is_dir():
        raise UserError("there is no such folder", str(path.absolute().parent), "Make it first.")
    return path


def write_json(path: str | Path, value: object) -> None:
    """Writes JSON as `write_text` writes a text; what JSON has no word for, NaN, raises ValueError."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Writes a text under a temporary name, then renames it; raises UserError where it cannot be written."""
    path = Path(path)
    with _disk(path), replacing_file(path) as temporary:
        temporary.write_text(text, "utf-8")


@contextlib.contextmanager
def _wav(path: Path, rate: int, kind: str = "WAV") -> Iterator[WavWriter]:
    """A writer of a 16-bit mono wav that says it is synthetic speech; whole under its name, or not there."""
    import soundfile

    with replacing_file(path) as temporary:
        with _disk(path):
            file = soundfile.SoundFile(temporary, "w", rate, 1, "PCM_16", format=kind)
        with file:
            file.comment = COMMENT  # before the samples, so that it stands before them in the file
            yield WavWriter(file, path, rate)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turns what the file system refuses into a UserError."""
    import soundfile

    try:
        yield
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot be written ({reason})", str(path), _REMEDY) from error
