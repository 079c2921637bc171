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

from copycat_jax.audio.signal import WavWriter, wav_kind, writing_wav
from copycat_jax.files import refusals_of, write_json

BLOCK_SAMPLES = 1 << 18  # copied at a time


class Part(NamedTuple):
    """A finished part: its wav, its length in samples, and what was said about it when it was written."""

    path: Path
    samples: int
    about: dict[str, Any]


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
        with refusals_of(self.folder):
            self.folder.mkdir(exist_ok=True)
            note.unlink(missing_ok=True)
        with writing_wav(wav, self.rate) as writer:
            yield writer
        write_json(note, {"key": key, "samples": writer.samples, "about": about})

    def part(self, number: int, samples: int, about: dict[str, Any]) -> Part:
        """The part that was just written."""
        return Part(self._paths(number)[0], samples, about)

    def join(self, parts: list[Part]) -> None:
        """Copies the parts into `out`, one after the other, block by block."""
        import soundfile

        kind = wav_kind(sum(part.samples for part in parts))
        with writing_wav(self.out, self.rate, kind) as writer:
            for part in parts:
                with refusals_of(part.path, soundfile.LibsndfileError), soundfile.SoundFile(part.path) as file:
                    for block in file.blocks(BLOCK_SAMPLES, dtype="int16"):
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
