"""A long recording made of parts: what is finished survives a killed run, and memory holds one block of it.

Beside the recording stands a folder OUT.parts while the work lasts. A part is named by its key, a hash of all that it
sounds by; it is a wav file, and a JSON file, written last, that says how long it is and what its maker noted. So a part
is either whole or not there, wherever in the text it has moved. When all parts are done they are copied into one
recording under a temporary name, which is then renamed.

The folder carries a mark, which is locked while a run is at work: a second one of the same OUT is refused. A folder
without it is somebody else's and is refused; of a marked one, nothing is ever taken away but the mark and what has the
name of a part.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from copycat_jax.audio.encoding import writing_sound
from copycat_jax.audio.signal import WavWriter, writing_wav
from copycat_jax.errors import UserError
from copycat_jax.files import locked_file, refusals_of, replacing_folder, write_json

BLOCK_SAMPLES = 1 << 16  # copied at a time
MARK = "unfinished-reading"
_NOTE = "Parts of a recording that is being made; they go when it is finished.\n"
_OWN = re.compile(r"\.?[0-9a-f]{32}\.(?:wav|json)(?:\..*\.tmp)?")


class Part(NamedTuple):
    """A finished part: its wav, its length in samples, and what was noted of it when it was written."""

    path: Path
    samples: int
    about: dict[str, Any]


class Parts:
    """The parts of the recording `out`; `rate` in Hz.

    Raises:
      UserError: where their folder would be stands something that is not ours.
    """

    def __init__(self, out: str | Path, rate: int):
        self.out, self.rate = Path(out), rate
        self.folder = self.out.with_suffix(".parts")
        if os.path.lexists(self.folder) and not self._is_marked():
            remedy = "Move it, or choose another name for the recording."
            raise UserError("is needed for the parts of the recording, and is not ours", str(self.folder), remedy)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While it lasts no other process makes this recording; leaves no folder without a finished part.

        Raises:
          UserError: another one is at it, or nothing can be written there.
        """
        with contextlib.ExitStack() as stack:
            with refusals_of(self.folder):
                self._make_folder()
                try:
                    stack.enter_context(locked_file(self.folder / MARK, wait=False))
                except BlockingIOError:
                    remedy = "Wait until it is finished, or choose another name for the recording."
                    raise UserError("is being made by another run", str(self.out), remedy) from None
            try:
                yield
            finally:
                self.remove_empty()

    def finished(self, key: str) -> Part | None:
        """The part of this key (32 hexadecimal digits), if it was finished and its sound is whole."""
        import soundfile

        wav, about = self._paths(key)
        try:
            fields = json.loads(about.read_text(encoding="utf-8"))
            with soundfile.SoundFile(wav) as file:
                whole = file.frames == fields["samples"] and file.samplerate == self.rate
            return Part(wav, fields["samples"], fields["about"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError, soundfile.LibsndfileError):
            return None

    @contextlib.contextmanager
    def writing(self, key: str, about: dict[str, Any]) -> Iterator[WavWriter]:
        """A writer of one part, finished when the block ends without an exception; `about` may grow until then."""
        wav, note = self._paths(key)
        with refusals_of(self.folder):
            self._make_folder()
            note.unlink(missing_ok=True)
        with writing_wav(wav, self.rate) as writer:
            yield writer
        write_json(note, {"samples": writer.samples, "about": about})

    def part(self, key: str, samples: int, about: dict[str, Any]) -> Part:
        """The part that was just written."""
        return Part(self._paths(key)[0], samples, about)

    def join(self, parts: list[Part]) -> None:
        """Copies the parts into `out`, one after the other, block by block."""
        import soundfile

        with writing_sound(self.out, self.rate, sum(part.samples for part in parts)) as writer:
            for part in parts:
                with refusals_of(part.path, soundfile.LibsndfileError), soundfile.SoundFile(part.path) as file:
                    for block in file.blocks(BLOCK_SAMPLES, dtype="int16"):
                        writer.write_whole(block)

    def remove(self) -> None:
        """Takes the parts away, and their folder unless something else was put into it."""
        with contextlib.suppress(OSError):
            for path in list(self.folder.iterdir()) if self._is_marked() else ():
                if _OWN.fullmatch(path.name):
                    path.unlink()
            self.remove_empty()

    def remove_empty(self) -> None:
        """Takes the folder away if no part was finished."""
        with contextlib.suppress(OSError):
            if self._is_marked() and [path.name for path in self.folder.iterdir()] == [MARK]:
                (self.folder / MARK).unlink()
                self.folder.rmdir()

    def _make_folder(self) -> None:
        if not self._is_marked():
            with replacing_folder(self.folder) as folder:
                (folder / MARK).write_text(_NOTE, encoding="utf-8")

    def _is_marked(self) -> bool:
        try:
            return (self.folder / MARK).read_text(encoding="utf-8") == _NOTE
        except (OSError, ValueError):
            return False

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.folder / f"{key}.wav", self.folder / f"{key}.json"
