"""Sound files to samples, to their very end: the door of libsndfile, and that of ffmpeg for what it does not know."""

import contextlib
import io
import mmap
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.containers import begins_as_mpeg, links, mpeg_parts, sound_chunk, truncated
from copycat_jax.errors import UserError
from copycat_jax.files import refusal_in, refusals_of

READABLE = "wav, flac, ogg (Vorbis or Opus) or mp3"

_BLOCK = 1 << 16  # samples decoded at a time
_UNKNOWN = 1 << 62  # no length, as libsndfile says it
_MOST_PER_BYTE = 10_000  # samples; silence in flac has half of them
_MPEG_FRAME = 1152  # samples, by which an MP3's own count may be wrong


# As libsndfile names them: those of which it is known how long they are, or that say nothing of it. Others, of
# samplers or MATLAB's, say it in ways of their own and would be read as if whole where they are cut short.
_FORMATS = frozenset(
    (
        *("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"),
        *("NIST", "VOC", "SVX", "PVF", "PAF", "IRCAM", "HTK"),
    )
)


_File: TypeAlias = io.BufferedReader | io.BufferedRandom


class Sound(NamedTuple):
    """A recording, its channels averaged: its rate in Hz and its samples, float32 [n], as they are decoded."""

    rate: int
    blocks: Iterator[Float[np.ndarray, " n"]]


class Unequipped(UserError):
    """This machine lacks what decodes the file."""


class _Unknown(Exception):
    """The format is none that libsndfile opens; says why."""


def file_name(path: str | os.PathLike) -> Any:
    """The name of a file for soundfile, which cannot encode every one: not ö where the locale is C, nor stray bytes."""
    return os.fsencode(path)


def decode(path: Path | None, where: str) -> Iterator[Sound]:
    """Decodes a file, or standard input where `path` is None: the recordings it holds, one but for concatenated ones.

    Each is to be read before the next is asked for. What cannot be read twice, as a pipe, is copied into a temporary
    file first; memory holds no more than a block of samples, and of an MP3 what is in the file.

    Raises:
      UserError: it is empty, a device, damaged, cut short, or of an unknown format; the last of this may turn out only
        when the last block was read.
      OSError: it cannot be opened or read.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(0 if path is None else path, "rb", closefd=path is not None))
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise UserError("is a device or a terminal, not a recording", where, f"Give a {READABLE} file.")
        if path is None or not stat.S_ISREG(mode):
            file = stack.enter_context(_copied(file))
        if not file.read(1):
            raise UserError("the file is empty (0 bytes)", where, f"Give a {READABLE} file.")
        try:
            yield from _open(file, where)
        except _Unknown as error:
            yield from _through_ffmpeg(file, where, str(error))


@contextlib.contextmanager
def _copied(file: _File) -> Iterator[_File]:
    """A temporary file of a name and what comes out of `file`."""
    folder = tempfile.gettempdir()
    with contextlib.ExitStack() as stack:
        with refusals_of(folder):
            name = stack.enter_context(tempfile.NamedTemporaryFile(prefix="copycat-", dir=folder)).name
            copy = stack.enter_context(open(name, "r+b"))
        while block := file.read(_BLOCK):
            with refusals_of(folder):
                copy.write(block)
        with refusals_of(folder):
            copy.flush()
        copy.seek(0)
        yield copy


def _open(file: _File, where: str) -> Iterator[Sound]:
    """What libsndfile makes of a file, taken apart before where it would end too early; _Unknown if nothing."""
    file.seek(0)
    head = file.read(12)
    if head[:4] in (b"OggS", b"fLaC"):
        with _mapped(file) as content:
            recordings = links(content, where)
            for recording in recordings:
                yield _read(io.BytesIO(content[recording]) if len(recordings) > 1 else file, where)
        return
    if begins_as_mpeg(head):
        with _mapped(file) as content:
            parts = mpeg_parts(content, where)
        if parts:
            yield from _read_mpeg(parts, where)
            return
    chunk = sound_chunk(file, where)
    if chunk and chunk.mpeg:
        file.seek(chunk.start)
        yield from _read_mpeg(mpeg_parts(file.read(chunk.length), where), where)
    elif chunk and chunk.unsaid:  # libsndfile believes it
        file.seek(0)
        with _copied(file) as copy:
            form, place = chunk.unsaid
            os.pwrite(copy.fileno(), struct.pack(form, min(chunk.length, 256 ** struct.calcsize(form) - 1)), place)
            yield _read(copy, where)
    else:
        try:
            sound = _read(file, where)
        except _Unknown as error:
            with _mapped(file) as content:
                yield from _read_mpeg(mpeg_parts(content, where), where, str(error))
        else:
            yield sound


def _mapped(file: _File) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read(source: _File | io.BytesIO | int, where: str, slack: int = 0) -> Sound:
    """Decodes one stream to its end.

    Args:
      source: a file, one in memory, or the descriptor of a pipe.
      where: its name.
      slack: by how many samples less than promised it may have.

    Raises:
      _Unknown: libsndfile does not open it.
      UserError: it is damaged or cut short; of the latter the blocks tell.
    """
    import soundfile

    class Stream(soundfile.SoundFile):
        """Read from start to end. Not all codecs can seek, and soundfile seeks after each read if it may."""

        def seekable(self) -> bool:
            return False

    size = _UNKNOWN if isinstance(source, int) else source.seek(0, os.SEEK_END)
    named: Any = source.name if isinstance(source, _File) else source
    if isinstance(named, str | Path):
        named = file_name(named)
    try:
        if not isinstance(source, int):
            source.seek(0)
        stream = Stream(named, closefd=False)
    except soundfile.LibsndfileError as error:
        raise _Unknown(error.error_string.strip(". ")) from None
    with contextlib.ExitStack() as refused:
        refused.callback(stream.close)
        if stream.format not in _FORMATS or (stream.format == "MP3" and not isinstance(source, int)):
            raise _Unknown("no MP3 frames found" if stream.format == "MP3" else f"a file of format {stream.format}")
        if size * _MOST_PER_BYTE < stream.frames < _UNKNOWN:  # some decoders would give as many, all made up
            raise truncated(where, f"{stream.frames} samples promised, {size} bytes found")
        refused.pop_all()
    return Sound(int(stream.samplerate), _blocks(stream, slack, where))


def _blocks(stream: Any, slack: int, where: str) -> Iterator[Float[np.ndarray, " n"]]:
    """The samples of an open stream, which is closed then; UserError at its end where more are promised."""
    with stream:
        promised, found = stream.frames, 0
        while len(block := stream.read(_BLOCK, dtype="float32", always_2d=True)):
            found += len(block)
            yield block.mean(axis=1, dtype=np.float32)
    if found + slack < promised < _UNKNOWN:
        raise truncated(where, f"{promised} samples promised, {found} found")


def _read_mpeg(parts: list[bytes], where: str, reason: str = "no frames found") -> Iterator[Sound]:
    """Decodes MP3s, one after the other; _Unknown, for `reason`, where there is none.

    Through a pipe, since libsndfile trusts its estimate of the length of any MP3 that it could seek in.
    """
    if not parts:
        raise _Unknown(reason)
    for part in parts:
        with _piped(part) as descriptor:
            yield _read(descriptor, where, slack=2 * _MPEG_FRAME)


@contextlib.contextmanager
def _piped(content: bytes) -> Iterator[int]:
    """The descriptor of a pipe that `content` comes out of."""
    out, into = os.pipe()

    def feed() -> None:
        with contextlib.suppress(OSError), os.fdopen(into, "wb") as file:  # the reader may have had enough
            file.write(content)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield out
    finally:
        os.close(out)
        feeder.join()


def _through_ffmpeg(file: _File, where: str, reason: str) -> Iterator[Sound]:
    """Decodes what libsndfile does not know (for `reason`): m4a, aac, webm, wma and many more, where ffmpeg is."""
    if shutil.which("ffmpeg") is None:
        remedy = f"Give a {READABLE} file; others (m4a, aac, webm) need ffmpeg, which is not installed."
        raise Unequipped(f"not a readable recording ({reason})", where, remedy)
    source = f"file:{Path(os.fsdecode(file.name)).absolute()}"
    options = ["-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file", "-i", source]
    command = ["ffmpeg", *options, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
    with contextlib.ExitStack() as stack:
        with refusals_of(folder := tempfile.gettempdir()):
            name = stack.enter_context(tempfile.NamedTemporaryFile(prefix="copycat-", dir=folder)).name
            made = stack.enter_context(open(name, "r+b"))
        done = subprocess.run(command, stdout=made, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
        if done.returncode and (refusal := refusal_in(folder)):
            with refusals_of(folder):
                raise refusal
        # Each line begins with which part of ffmpeg says it; the first tells the cause.
        said = [line.split("] ")[-1] for line in done.stderr.decode(errors="replace").splitlines()]
        why = said[0] if said else reason
        if not os.fstat(made.fileno()).st_size:
            remedy = f"Give a {READABLE} file, or what ffmpeg reads."
            raise UserError(f"not a readable recording ({why})", where, remedy)
        if done.returncode or "prematurely" in why:
            raise UserError(f"the recording is damaged or cut short ({why})", where, "Copy or download the file again.")
        yield from _open(made, where)
