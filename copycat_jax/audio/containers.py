"""What sound files say of their own length and parts, and where what they say is wrong.

A length in a header counts only where the format makes it exact; there, less is refused. Elsewhere (the estimate of an
MP3, a placeholder in a file that went through a pipe) it says nothing. Chained Ogg and concatenated MP3 are told apart
into their recordings, since decoders end with the first.
"""

import os
import re
import struct
from io import BufferedIOBase
from typing import NamedTuple

from copycat_jax.errors import UserError


class _Layout(NamedTuple):
    header: str  # of a chunk: its name and its length, as struct has it
    first: int  # where the first chunk begins
    sound: bytes  # the name of the chunk that holds the sound


_LAYOUTS = {
    b"RIFF": _Layout("<4sI", 12, b"data"),
    b"RIFX": _Layout(">4sI", 12, b"data"),
    b"RF64": _Layout("<4sI", 12, b"data"),
    b"FORM": _Layout(">4sI", 12, b"SSND"),
    b"caff": _Layout(">4sq", 8, b"data"),
}
# What writers to a pipe, who cannot know the length, put there, give or take the headers (and 0, and -1).
_PLACEHOLDERS = (2_000_000_000, 1 << 31, 1 << 32)
_NEIGHBOURHOOD = 1 << 16

_MPEG_TAGS = (0x50, 0x55)  # of MP2 and MP3 as wav files name their codec
# The frame that says how long an MP3 is: a header, side information all zero, a name, which fields follow, and these:
# frames and bytes.
_XING = re.compile(
    rb"\xff[\xe0-\xff]..(?:..)?(?:\0{9}|\0{17}|\0{32})(?:Xing|Info)\0\0\0[\x03\x07\x0b\x0f].{4}(.{4})", re.DOTALL
)
_TAGS = 4096  # bytes after an MP3's last frame that are more likely a tag than sound


class Chunk(NamedTuple):
    """The sound in a file of chunks, in bytes."""

    start: int
    length: int
    mpeg: bool  # an MP3 in a wav
    unsaid: bool  # the header says that there is none


def truncated(where: str, found: str) -> UserError:
    """The error of a recording that holds less than it says."""
    return UserError(f"the recording is cut short ({found})", where, "Copy or download the file again.")


def sound_chunk(file: BufferedIOBase, where: str) -> Chunk | None:
    """The chunk of a wav, RF64, AIFF or CAF file that holds its sound; None for other files, or where it has none.

    Its length is what the file has of it where the header holds a placeholder.

    Raises:
      UserError: the file ends before the sound does, or another recording follows the first.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    magic = file.read(4)
    if magic not in _LAYOUTS:
        return None
    layout, found, mpeg, real_length = _LAYOUTS[magic], None, False, 0
    file.seek(layout.first)
    while (chunk := _chunk(file, layout)) is not None:
        name, length = chunk
        start, left = file.tell(), size - file.tell()
        if name == b"fmt ":
            mpeg = int.from_bytes(file.read(2), "big" if magic == b"RIFX" else "little") in _MPEG_TAGS
        elif name == b"ds64":  # the sizes that RF64 has no room for elsewhere: the file's, the sound's
            real_length = int.from_bytes(file.read(16)[8:], "little")
        elif name == layout.sound:
            if length == 0xFFFFFFFF and real_length:
                length = real_length
            unsaid = length == 0 and left > 0 and not _is_next(_chunk(file, layout), left)
            if unsaid:
                length = left
            elif length < 0 or any(abs(length - known) <= _NEIGHBOURHOOD for known in _PLACEHOLDERS):
                length = min(length, left) if length >= 0 else left
            if left < length:
                raise truncated(where, f"{length} bytes of sound promised, {left} found")
            found = Chunk(start, length, mpeg, unsaid)
        elif name == magic and found:
            raise UserError("another recording follows the first in it", where, "Give each a file of its own.")
        if not 0 <= length <= left:
            break
        file.seek(start + length + (length % 2 if layout.first == 12 else 0))
    return found


def _chunk(file: BufferedIOBase, layout: _Layout) -> tuple[bytes, int] | None:
    header = file.read(struct.calcsize(layout.header))
    return struct.unpack(layout.header, header) if len(header) == struct.calcsize(layout.header) else None


def _is_next(chunk: tuple[bytes, int] | None, left: int) -> bool:
    """Whether a chunk begins here, not sound."""
    return chunk is not None and chunk[0].strip().isalnum() and 0 <= chunk[1] <= left


def with_length(content: bytes, chunk: Chunk) -> bytes:
    """A wav whose header says how long its sound is."""
    byte_order = "<I" if content[:4] == b"RIFF" else ">I"
    length = struct.pack(byte_order, min(chunk.length, 0xFFFFFFFF))
    return content[: chunk.start - 4] + length + content[chunk.start :]


def ogg_links(content: bytes, where: str) -> list[bytes]:
    """The recordings that an Ogg file chains, in order; one in most files.

    Raises:
      UserError: the last page is not whole.
    """
    starts, place, heads = [0], 0, True
    while (place := content.find(b"OggS", place)) >= 0:
        count = content[place + 26 : place + 27]
        table = content[place + 27 : place + 27 + count[0]] if count else b""
        stop = place + 27 + len(table) + sum(table)
        if not count or len(table) < count[0] or stop > len(content):
            raise truncated(where, "its last page is not whole")
        begins = bool(content[place + 5] & 2)  # a stream; several at once begin one after the other
        if begins and not heads:
            starts.append(place)
        place, heads = stop, begins
    return [content[start:stop] for start, stop in zip(starts, [*starts[1:], len(content)], strict=True)]


def is_mpeg(head: bytes) -> bool:
    """Whether a file that begins with `head` may be an MP3: a tag, or a frame with a layer (AAC's have none)."""
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0 and bool(head[1] & 6))


def mpeg_parts(content: bytes) -> list[bytes]:
    """What an MP3 is made of: recordings whose first frame says how long they are, and all that is between them."""
    found = list(_XING.finditer(content))
    starts = [match.start() for match in found]
    parts = [content[: starts[0]] if starts else content]
    for match, next_start in zip(found, [*starts, len(content)][1:], strict=True):
        start, length = match.start(), int.from_bytes(match[1], "big")
        stop = min(start + length, next_start)
        if next_start - stop <= _TAGS:
            stop = next_start
        parts += [content[start:stop], content[stop:next_start]]
    return [part for part in parts if part]
