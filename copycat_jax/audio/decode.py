"""Sound files to samples, to their very end: the door of libsndfile, and that of ffmpeg for what it does not know."""

import contextlib
import io
import os
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.containers import mpeg_parts, ogg_links, sound_chunk, truncated, with_length
from copycat_jax.errors import UserError

READABLE = "wav, flac, ogg (Vorbis or Opus) or mp3"

_BLOCK = 1 << 16  # samples decoded at a time
_UNKNOWN = 1 << 62  # no length, as libsndfile says it
_MOST_PER_BYTE = 10_000  # samples; silence in flac has half of them
_MPEG_FRAME = 1152  # samples, by which an MP3's own count may be wrong


class Sound(NamedTuple):
    """A decoded recording, its channels averaged: float32 [N], at `rate` Hz."""

    samples: Float[np.ndarray, " N"]
    rate: int


class _Unknown(Exception):
    """The format is none that libsndfile opens; says why."""


def decode(path: Path | None, where: str) -> list[Sound]:
    """Decodes a file, or standard input where `path` is None: the recordings it holds, one but for concatenated ones.

    Raises:
      UserError: it is empty, a device, damaged, cut short, or of an unknown format.
      OSError: it cannot be opened or read.
    """
    with open(0 if path is None else path, "rb", closefd=path is not None) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise UserError("is a device or a terminal, not a recording", where, f"Give a {READABLE} file.")
        seekable = stat.S_ISREG(mode) and path is not None
        content: io.BufferedIOBase = file if seekable else io.BytesIO(file.read())  # a pipe tells it only once
        if not content.read(1):
            raise UserError("the file is empty (0 bytes)", where, f"Give a {READABLE} file.")
        try:
            return _open(content, where)
        except _Unknown as error:
            return _through_ffmpeg(path if seekable else None, content, where, str(error))


def _open(content: io.BufferedIOBase, where: str) -> list[Sound]:
    """What libsndfile makes of a file, taken apart before where it would end too early; _Unknown if nothing."""
    content.seek(0)
    head = content.read(12)
    content.seek(0)
    if head[:4] == b"OggS":
        return [_read(io.BytesIO(link), where) for link in ogg_links(content.read(), where)]
    chunk = sound_chunk(content, where)
    if chunk and chunk.mpeg:
        content.seek(chunk.start)
        return _read_mpeg(content.read(chunk.length), where)
    content.seek(0)
    if chunk and chunk.unsaid and head[:3] == b"RIF":  # libsndfile believes it
        content = io.BytesIO(with_length(content.read(), chunk))
    try:
        return [_read(content.name if isinstance(content, io.BufferedReader) else content, where)]
    except _Unknown as error:
        content.seek(0)
        return _read_mpeg(content.read(), where, str(error))


def _read(source: io.BufferedIOBase | str | int, where: str, slack: int = 0) -> Sound:
    """Decodes one stream to its end.

    Args:
      source: the name of a file, one in memory, or the descriptor of a pipe.
      where: its name.
      slack: by how many samples less than promised it may have.

    Raises:
      _Unknown: libsndfile does not open it.
      UserError: it is damaged or cut short.
    """
    import soundfile

    class Stream(soundfile.SoundFile):
        """Read from start to end. Not all codecs can seek, and soundfile seeks after each read if it may."""

        def seekable(self) -> bool:
            return False

    size = _size(source)
    try:
        stream = Stream(source, closefd=False)  # type: ignore[reportArgumentType]
    except soundfile.LibsndfileError as error:
        raise _Unknown(error.error_string.strip(". ")) from None
    with stream:
        if stream.format == "MP3" and not isinstance(source, int):
            raise _Unknown("an MP3")
        if size * _MOST_PER_BYTE < stream.frames < _UNKNOWN:  # some decoders would give as many, all made up
            raise truncated(where, f"{stream.frames} samples promised, {size} bytes found")
        samples, promised, rate = np.concatenate(list(_blocks(stream))), stream.frames, int(stream.samplerate)
    if len(samples) + slack < promised < _UNKNOWN:
        raise truncated(where, f"{promised} samples promised, {len(samples)} found")
    return Sound(samples, rate)


def _size(source: io.BufferedIOBase | str | int) -> int:
    """Bytes of a source of `_read`; of a pipe not known."""
    if isinstance(source, io.BytesIO):
        return len(source.getbuffer())
    return os.stat(source).st_size if isinstance(source, str) else _UNKNOWN


def _blocks(stream: Any) -> Iterator[Float[np.ndarray, " n"]]:
    yield np.zeros(0, np.float32)
    while len(block := stream.read(_BLOCK, dtype="float32", always_2d=True)):
        yield block.mean(axis=1, dtype=np.float32)


def _read_mpeg(content: bytes, where: str, reason: str = "no frames found") -> list[Sound]:
    """Decodes the MP3s in a file, one after the other; _Unknown, for `reason`, where there is none.

    Through a pipe, since libsndfile trusts its estimate of the length of any MP3 that it could seek in.
    """
    sounds = []
    for part in mpeg_parts(content, where):
        with _piped(part) as descriptor:
            sounds.append(_read(descriptor, where, slack=2 * _MPEG_FRAME))
    if not sounds:
        raise _Unknown(reason)
    return sounds


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


def _through_ffmpeg(path: Path | None, content: io.BufferedIOBase, where: str, reason: str) -> list[Sound]:
    """Decodes what libsndfile does not know (for `reason`): m4a, aac, webm, wma and many more, where ffmpeg is.

    Args:
      path: the file; None where it has no name that ffmpeg could open twice, as m4a needs: then one is lent to it.
      content: what is in it.
      where: its name, for errors.
      reason: what libsndfile said.
    """
    if shutil.which("ffmpeg") is None:
        remedy = f"Give a {READABLE} file; others (m4a, aac, webm) need ffmpeg, which is not installed."
        raise UserError(f"not a readable recording ({reason})", where, remedy)
    with contextlib.ExitStack() as stack:
        if path is None:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="copycat-"))
            content.seek(0)
            shutil.copyfileobj(content, file)
            file.flush()
            path = Path(file.name)
        options = ["-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file", "-i", f"file:{path.absolute()}"]
        command = ["ffmpeg", *options, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    # Each line begins with which part of ffmpeg says it; the first tells the cause.
    said = [line.split("] ")[-1] for line in done.stderr.decode(errors="replace").splitlines()]
    why = said[0] if said else reason
    if not done.stdout:
        raise UserError(f"not a readable recording ({why})", where, f"Give a {READABLE} file, or what ffmpeg reads.")
    if done.returncode or "prematurely" in why:
        raise UserError(f"the recording is damaged or cut short ({why})", where, "Copy or download the file again.")
    return _open(io.BytesIO(done.stdout), where)
