"""What sound files say of their own length and parts, and where what they say is wrong.

A length in a header counts only where the format makes it exact; there, less is refused. Elsewhere (the estimate of an
MP3, a placeholder in a file that went through a pipe) it says nothing. Chained Ogg and concatenated MP3 and FLAC are
told apart into their recordings, since decoders end with the first.
"""

import os
import re
import struct
from collections.abc import Iterator
from io import BufferedIOBase
from mmap import mmap
from typing import NamedTuple

from copycat_jax.errors import UserError


class _Layout(NamedTuple):
    header: str  # of a chunk: its name and its length, as struct has it
    first: int  # where the first chunk begins
    sound: tuple[bytes, ...]  # names of the chunk that holds the sound
    multiple: int  # of bytes, which each chunk is filled up to
    itself: int = 0  # bytes of the header that the length counts too


_LAYOUTS = {
    b"RIFF": _Layout("<4sI", 12, (b"data",), 2),
    b"RIFX": _Layout(">4sI", 12, (b"data",), 2),
    b"RF64": _Layout("<4sI", 12, (b"data",), 2),
    b"FORM": _Layout(">4sI", 12, (b"SSND", b"BODY"), 2),
    b"caff": _Layout(">4sq", 8, (b"data",), 1),
    b"riff": _Layout("<4s12xQ", 40, (b"data",), 8, 24),  # Sony's w64
}
# What writers to a pipe, who cannot know the length, put there, give or take the headers (and 0, and -1).
_PLACEHOLDERS = (2_000_000_000, 0x7F000000, 1 << 31, 1 << 32, 1 << 63, 1 << 64)
_NEIGHBOURHOOD = 1 << 16
_REST = 1024  # bytes behind the sound that may be anything
_FLAC = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)  # its name and the head of its first block
_HEAD = 1024  # bytes, in which the headers lie of files that have no chunks
_NIST_FIELD = re.compile(rb"^(sample_count|channel_count|sample_n_bytes) -\w+ (\d+)", re.MULTILINE)
_VOC_SOUNDS = (1, 9)  # types of the blocks that hold sound, not silence, marks or text

_MPEG_TAGS = (0x50, 0x55)  # of MP2 and MP3 as wav files name their codec
# kbit/s of MPEG frames by (version 1 or not, layer) and the index in their header; 0 and 15 are none.
_KBPS = {
    (True, 1): range(0, 449, 32),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = (44100, 48000, 32000)  # of version 1; halved and quartered for the others
_IN_A_ROW = 3  # frames that must follow each other where none came before
# Of the frame that says how many follow: side information all zero, a name, which fields it has, the number.
_XING = re.compile(
    rb"(?:..)?(?:\0{9}|\0{17}|\0{32})(?:Xing|Info)\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f](.{4})", re.DOTALL
)


class Chunk(NamedTuple):
    """The sound in a file, in bytes."""

    start: int
    length: int
    mpeg: bool = False  # an MP3 in a wav
    unsaid: tuple[str, int] | None = None  # how and where a length is to be written that libsndfile would go by


def truncated(where: str, found: str) -> UserError:
    """The error of a recording that holds less than it says."""
    return UserError(f"the recording is cut short ({found})", where, "Copy or download the file again.")


def sound_chunk(file: BufferedIOBase, where: str) -> Chunk | None:
    """Where the sound of a file lies whose header says how long it is; None for other files, or where there is none.

    Known are wav, RF64, w64, AIFF, 8SVX and CAF, which are made of chunks, and AU, NIST SPHERE and VOC. The length is
    what the file has of it where the header holds a placeholder.

    Raises:
      UserError: the file ends before the sound does, or another recording follows the first.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_HEAD)
    if head[:4] in _LAYOUTS:
        return _among_chunks(file, size, head[:4], where)
    promise = next((promise for magic, promise in _PROMISES.items() if head.startswith(magic)), None)
    start, length = (promise(head) if promise else None) or (0, 0)
    if not start or start > size:
        return None
    field = (">I" if head[:4] == b".snd" else "<I", 8) if head[:4] in (b".snd", b"dns.") else None
    found = size - start if length == 0 and field else _real_length(length, size - start, where)
    if promise is not _voc_promise:  # of which further blocks follow
        _check_rest(file, start + found, size, where)
    return Chunk(start, found, unsaid=field if found != length else None)


def _among_chunks(file: BufferedIOBase, size: int, magic: bytes, where: str) -> Chunk | None:
    """`sound_chunk` of a file of chunks."""
    layout, found, mpeg, real_length = _LAYOUTS[magic], None, False, 0
    file.seek(layout.first)
    while (chunk := _chunk(file, layout)) is not None:
        name, length = chunk
        start, left = file.tell(), size - file.tell()
        if name == b"fmt ":
            mpeg = int.from_bytes(file.read(2), "big" if magic == b"RIFX" else "little") in _MPEG_TAGS
        elif name == b"ds64":  # the sizes that RF64 has no room for elsewhere: the file's, the sound's
            real_length = int.from_bytes(file.read(16)[8:], "little")
        elif name in layout.sound:
            if length == 0xFFFFFFFF and real_length:
                length = real_length
            field = None
            if length == 0 and left > 0 and not _is_next(_chunk(file, layout), left):
                length = left
                field = (layout.header[0] + "I", start - 4) if magic in (b"RIFF", b"RIFX") else None
            elif length < 0:
                field = (">q", start - 8)
            length = _real_length(length, left, where)
            _check_rest(file, start + length, size, where, -length % layout.multiple)
            found = Chunk(start, length, mpeg, field)
        elif name == magic and found:
            raise UserError("another recording follows the first in it", where, "Give each a file of its own.")
        if not 0 <= length <= left:
            break
        file.seek(start + length + -length % layout.multiple)
    return found


def _real_length(promised: int, left: int, where: str) -> int:
    """How much of the sound is there; UserError where that is less than a header promises, unless by a placeholder."""
    if promised < 0:
        return left
    if any(abs(promised - known) <= _NEIGHBOURHOOD for known in _PLACEHOLDERS):
        return min(promised, left)
    if left < promised:
        raise truncated(where, f"{promised} bytes of sound promised, {left} found")
    return promised


def _check_rest(file: BufferedIOBase, place: int, size: int, where: str, filling: int = 0) -> None:
    """Raises UserError where more sound seems to follow that which a header tells of, as of a recorder that failed.

    What follows may be chunks, after the `filling` that not all writers put there, tags, zeros, or little.
    """
    file.seek(place)
    rest = file.read(_NEIGHBOURHOOD)
    named = rest[:3] == b"ID3" or _is_name(rest[:4]) or _is_name(rest[filling:][:4])
    if size - place > _REST and any(rest) and not named:
        what = f"{size - place} bytes follow the sound that are none of its parts"
        raise UserError(what, where, "Its header is wrong: export the recording again.")


def _au_promise(head: bytes) -> tuple[int, int] | None:
    """Where the sound of an AU file begins and how long it is said to be, in bytes."""
    return struct.unpack(">II" if head[:4] == b".snd" else "<II", head[4:12]) if len(head) >= 12 else None


def _nist_promise(head: bytes) -> tuple[int, int] | None:
    """The same of a NIST SPHERE file; None where it is compressed, or does not say."""
    fields = {name: int(number) for name, number in _NIST_FIELD.findall(head)}
    length = head[8:16].strip()
    if b"embedded" in head or not length.isdigit() or not {b"sample_count", b"sample_n_bytes"} <= fields.keys():
        return None
    samples = fields[b"sample_count"] * fields.get(b"channel_count", 1)
    return int(length), samples * fields[b"sample_n_bytes"]


def _voc_promise(head: bytes) -> tuple[int, int] | None:
    """The same of a VOC file: its first block of sound."""
    place = int.from_bytes(head[20:22], "little")
    while place + 4 <= len(head) and head[place]:
        length = int.from_bytes(head[place + 1 : place + 4], "little")
        if head[place] in _VOC_SOUNDS:
            return place + 4, length
        place += 4 + length
    return None


_PROMISES = {
    b".snd": _au_promise,
    b"dns.": _au_promise,
    b"NIST_1A": _nist_promise,
    b"Creative Voice File": _voc_promise,
}


def _chunk(file: BufferedIOBase, layout: _Layout) -> tuple[bytes, int] | None:
    """Name and length of the chunk that begins here."""
    header = file.read(struct.calcsize(layout.header))
    if len(header) < struct.calcsize(layout.header):
        return None
    name, length = struct.unpack(layout.header, header)
    return name, length - layout.itself


def _is_next(chunk: tuple[bytes, int] | None, left: int) -> bool:
    """Whether a chunk begins here, not sound."""
    return chunk is not None and _is_name(chunk[0]) and 0 <= chunk[1] <= left


def _is_name(of_chunk: bytes) -> bool:
    return of_chunk.isascii() and of_chunk.decode().isprintable()


def links(content: bytes | mmap, where: str) -> list[slice]:
    """Where the recordings lie that follow each other in an Ogg or FLAC file, in order; one in most files.

    Raises:
      UserError: the last page is not whole.
    """
    starts, place, heads = [0], 0, True
    if content[:4] == b"fLaC":
        starts = [0, *(match.start() for match in _FLAC.finditer(content, 4))]
    while content[:4] == b"OggS" and (place := content.find(b"OggS", place)) >= 0:
        count = content[place + 26 : place + 27]
        table = content[place + 27 : place + 27 + count[0]] if count else b""
        stop = place + 27 + len(table) + sum(table)
        if not count or len(table) < count[0] or stop > len(content):
            raise truncated(where, "its last page is not whole")
        begins = bool(content[place + 5] & 2)  # a stream; several at once begin one after the other
        if begins and not heads:
            starts.append(place)
        place, heads = stop, begins
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], len(content)], strict=True)]


def begins_as_mpeg(head: bytes) -> bool:
    """Whether a file begins with a frame or with tags, as MP3s do, and FLAC and AAC files too."""
    return head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")


def mpeg_parts(content: bytes | mmap, where: str) -> list[bytes]:
    """The recordings that follow each other in an MP3, each of whole frames, without what is between them (tags).

    Raises:
      UserError: it ends within a frame, or before a recording that says how many it has does.
    """
    parts: list[list[bytes]] = []
    promised = found = 0
    for frame in _frames(content, where):
        xing = _XING.match(frame, 4)
        if xing or not parts or found > promised + 1 > 1:
            _check_frames(promised, found, where)
            parts.append([])
            promised, found = int.from_bytes(xing[1], "big") if xing else 0, -bool(xing)
        parts[-1].append(frame)
        found += 1
    _check_frames(promised, found, where)
    return [b"".join(part) for part in parts]


def _check_frames(promised: int, found: int, where: str) -> None:
    if found < promised - 1:  # not all writers count alike
        raise truncated(where, f"{promised} frames promised, {found} found")


def _frames(content: bytes | mmap, where: str) -> Iterator[bytes]:
    """The MPEG frames of a file, tags and noise left out."""
    place, before = 0, False
    while place < len(content):
        if content[place : place + 3] == b"ID3" and len(content) >= place + 10:
            a, b, c, d = content[place + 6 : place + 10]  # seven bits each
            place, before = place + 10 + (a << 21) + (b << 14) + (c << 7) + d, False
            continue
        length = _frame_length(content, place)
        if length and (before or _in_a_row(content, place)):
            if place + length > len(content):
                raise truncated(where, "its last frame is not whole")
            yield content[place : place + length]
            place, before = place + length, True
        else:
            after = content.find(b"\xff", place + 1)
            tag = content.find(b"ID3", place + 1, after if after >= 0 else len(content))
            place, before = tag if tag >= 0 else after if after >= 0 else len(content), False


def _in_a_row(content: bytes | mmap, place: int) -> bool:
    """Whether frames follow each other from here on, or up to the end."""
    for _ in range(_IN_A_ROW):
        if place == len(content):
            return True
        length = _frame_length(content, place)
        if not length:
            return False
        place += length
    return True


def _frame_length(content: bytes | mmap, place: int) -> int:
    """The bytes of the MPEG frame whose header is here, or 0."""
    if len(content) < place + 4 or content[place] != 0xFF or content[place + 1] < 0xE0:
        return 0
    _, first, second, _ = content[place : place + 4]
    version, layer = (first >> 3) & 3, 4 - ((first >> 1) & 3)  # versions 2.5, none, 2, 1
    bits, rate = second >> 4, (second >> 2) & 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return 0
    rate_hz = _RATES_HZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kbps, padding = _KBPS[version == 3, layer][bits], (second >> 1) & 1
    if layer == 1:
        return 4 * (12_000 * kbps // rate_hz + padding)
    return (72_000 if layer == 3 and version != 3 else 144_000) * kbps // rate_hz + padding
