"""Sound is decoded to its very end, whatever its container promises; what cannot be is refused with the true reason."""

import errno
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.audio import decode
from copycat_jax.audio.long import recording_seconds
from copycat_jax.audio.signal import read_audio, reading_audio
from copycat_jax.errors import UserError
from copycat_jax.files import NoRoom

RATE = 16000
SECONDS = 2.0
FRAME = 576  # samples of an MP3 frame at this rate
_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def voice(seconds: float = SECONDS, f0_hz: float = 120.0) -> np.ndarray:
    """A quiet beginning, then a buzz: estimates from the first frames of an MP3 are far off."""
    t = np.arange(int(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * f0_hz * k * t) / k for k in range(1, 20))
    noise = np.random.default_rng(0).normal(size=len(t))
    return (0.08 * buzz * (t > 0.4) + 0.02 * noise * (t > 1.0)).astype(np.float32)


def encode(kind: str, seconds: float = SECONDS, **options) -> bytes:
    options = {"format": kind, **options}
    out = io.BytesIO()
    soundfile.write(out, voice(seconds), RATE, **options)
    return out.getvalue()


def mp3(mode: str, seconds: float = SECONDS) -> bytes:
    return encode("MP3", seconds, bitrate_mode=mode, compression_level=0.9)


def bare(content: bytes) -> bytes:
    """An MP3 without the frame that says how long it is."""
    if b"Xing" not in content[:200]:
        return content
    return content[72 * 1000 * _KBPS[content[2] >> 4] // RATE + ((content[2] >> 1) & 1) :]


def wav(data: bytes, tag: int = 1, promised: int | None = None, after: bytes = b"") -> bytes:
    fmt = struct.pack("<HHIIHH", tag, 1, RATE, 2 * RATE, 2 if tag == 1 else 1, 16 if tag == 1 else 0)
    fmt += struct.pack("<HHIHHH", 12, 1, 2, 144, 1, 1393) if tag == 0x55 else b""
    length = len(data) if promised is None else promised
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", length) + data + after
    return b"RIFF" + struct.pack("<I", min(len(body), 0xFFFFFFFF)) + body


def pcm(seconds: float = SECONDS) -> bytes:
    return (voice(seconds) * 32767).astype("<i2").tobytes()


def unknown_length(flac: bytes) -> bytes:
    """A FLAC as it comes out of a pipe: its number of samples, 36 bits of it, is zero."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + b"\0" * 4 + flac[26:]


def aiff_of_pipe() -> bytes:
    """As sox writes it: both lengths are the largest that nobody's arithmetic is troubled by."""
    return of_pipe(of_pipe(encode("AIFF"), b"SSND", ">4xI", 0x7F000008), b"COMM", ">10xI", 0x7F000000 // 2)


def of_pipe(content: bytes, name: bytes, form: str, length: int) -> bytes:
    """A file as it comes out of a pipe: behind `name` its length is a placeholder."""
    packed, place = struct.pack(re.sub("[0-9]+x", "", form), length), content.index(name) + struct.calcsize(form)
    return content[: place - len(packed)] + packed + content[place:]


def seconds_of(path, content: bytes) -> float:
    path.write_bytes(content)
    samples, rate = read_audio(path)
    return len(samples) / rate


WORDS = b"words of no meaning " * 40
ID3 = b"ID3\4\0\0\0\0" + bytes([len(WORDS) >> 7, len(WORDS) & 127]) + WORDS
LOOSE = 3 * FRAME / RATE  # without its first frame, an MP3 cannot say where within its frames the sound begins and ends


@pytest.mark.parametrize(
    ("name", "make", "seconds", "within"),
    [
        ("vbr", lambda: mp3("VARIABLE"), SECONDS, 0),
        ("bare vbr", lambda: bare(mp3("VARIABLE")), SECONDS, LOOSE),
        ("bare abr", lambda: bare(mp3("AVERAGE")), SECONDS, LOOSE),
        ("bare cbr", lambda: bare(mp3("CONSTANT")), SECONDS, LOOSE),
        ("tagged", lambda: ID3 + bare(mp3("VARIABLE")) + b"APETAGEX" + WORDS + b"TAG" + WORDS[:125], SECONDS, LOOSE),
        ("padded", lambda: bare(mp3("CONSTANT")) + bytes(5000), SECONDS, LOOSE),
        ("cut out of a stream", lambda: bare(mp3("CONSTANT"))[100:], SECONDS, LOOSE),
        ("joined", lambda: mp3("VARIABLE") + mp3("VARIABLE", 1.0), SECONDS + 1.0, 0),
        ("joined with tags", lambda: 2 * (ID3 + mp3("VARIABLE") + b"TAG" + WORDS[:125]), 2 * SECONDS, 0),
        ("joined, one bare", lambda: mp3("VARIABLE") + mp3("CONSTANT"), 2 * SECONDS, LOOSE),
        ("joined bare", lambda: bare(mp3("VARIABLE")) + bare(mp3("CONSTANT")), 2 * SECONDS, 2 * LOOSE),
        ("in a wav", lambda: wav(bare(mp3("VARIABLE")), 0x55), SECONDS, LOOSE),
        ("vorbis", lambda: encode("OGG", subtype="VORBIS"), SECONDS, 0),
        ("chained vorbis", lambda: encode("OGG", subtype="VORBIS") + encode("OGG", 1.0), SECONDS + 1.0, 0),
        ("chained opus", lambda: 2 * encode("OGG", subtype="OPUS"), 2 * SECONDS, 0),
        ("chained, of two codecs", lambda: encode("OGG") + encode("OGG", subtype="OPUS"), 2 * SECONDS, 0),
        ("flac", lambda: encode("FLAC"), SECONDS, 0),
        ("flac of a pipe", lambda: unknown_length(encode("FLAC")), SECONDS, 0),
        ("joined flac", lambda: encode("FLAC") + encode("FLAC", 1.0), SECONDS + 1.0, 0),
        ("joined flac of pipes", lambda: 2 * unknown_length(encode("FLAC")), 2 * SECONDS, 0),
        ("tagged flac", lambda: ID3 + encode("FLAC"), SECONDS, 0),
        ("gsm", lambda: encode("WAV", subtype="GSM610"), SECONDS, 0.03),
        ("g721", lambda: encode("WAV", subtype="G721_32"), SECONDS, 0.03),
        ("adpcm", lambda: encode("WAV", subtype="IMA_ADPCM"), SECONDS, 0.04),
        ("gsm in aiff", lambda: encode("AIFF", subtype="GSM610"), SECONDS, 0.03),
        ("g723 in au", lambda: encode("AU", subtype="G723_24"), SECONDS, 0.03),
        ("aiff", lambda: encode("AIFF"), SECONDS, 0),
        ("caf", lambda: encode("CAF"), SECONDS, 0),
        ("rf64", lambda: encode("RF64"), SECONDS, 0),
        ("w64", lambda: encode("W64"), SECONDS, 0),
        ("caf of a pipe", lambda: of_pipe(encode("CAF"), b"data", ">4xq", -1), SECONDS, 0),
        ("aiff of a pipe", aiff_of_pipe, SECONDS, 0),
        ("w64 of a pipe", lambda: of_pipe(encode("W64"), b"data", "<16xQ", (1 << 63) - 1), SECONDS, 0),
        ("au", lambda: encode("AU"), SECONDS, 0),
        ("au, little endian", lambda: encode("AU", endian="LITTLE"), SECONDS, 0),
        ("nist", lambda: encode("NIST"), SECONDS, 0),
        ("voc", lambda: encode("VOC"), SECONDS, 0),
        ("svx", lambda: encode("SVX"), SECONDS, 0),
        ("ircam", lambda: encode("IRCAM"), SECONDS, 0),
        ("wav with more after it", lambda: wav(pcm(), after=b"LIST\4\0\0\0INFO"), SECONDS, 0),
        ("wav with much after it", lambda: wav(pcm(), after=b"_PMX\xb8\x0b\0\0" + 3000 * b"\xff"), SECONDS, 0),
        ("wav of odd length, not filled up", lambda: wav(pcm()[:-1], after=b"bext" + 3000 * b"\xff"), SECONDS, 0.01),
        ("wav with tags after it", lambda: wav(pcm(), after=3 * ID3), SECONDS, 0),
        ("wav filled up", lambda: wav(pcm(), after=bytes(30_000)), SECONDS, 0),
    ],
)
def test_files_are_read_whole(tmp_path, name, make, seconds, within):
    assert abs(seconds_of(tmp_path / "a.bin", make()) - seconds) <= within


@pytest.mark.parametrize(
    "promised",
    [0, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000, 0x80000000, 2_000_000_000, 1_999_999_964, 0xFFFFFFFF, 0xFFFFEF97],
)
def test_placeholders_for_a_length_are_none(tmp_path, promised):
    assert seconds_of(tmp_path / "a.wav", wav(pcm(), promised=promised)) == SECONDS


@pytest.mark.parametrize("promised", [0, 0x7FFFFFFF, 0x7FFFFFFF - 24, 0xFFFFFFFF])
@pytest.mark.parametrize("endian", ["BIG", "LITTLE"])
def test_placeholders_for_the_length_of_an_au_are_none(tmp_path, endian, promised):
    content = encode("AU", endian=endian)
    length = struct.pack(">I" if endian == "BIG" else "<I", promised)
    assert seconds_of(tmp_path / "a.au", content[:8] + length + content[12:]) == SECONDS


@pytest.mark.parametrize("kind", ["AU", "W64", "NIST", "VOC", "SVX"])
@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW", "GSM610", "G721_32", "PCM_U8", "PCM_24"])
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_cut_file_is_refused_whatever_its_container(tmp_path, kind, subtype, kept):
    if not soundfile.check_format(kind, subtype):
        pytest.skip("no such format")
    content = encode(kind, subtype=subtype)
    with pytest.raises(UserError, match=r"cut short \(\d+ bytes of sound promised, \d+ found\)"):
        seconds_of(tmp_path / "a.bin", content[: int(kept * len(content))])


@pytest.mark.parametrize("kind", ["MAT4", "MAT5", "SDS", "MPC2K", "WVE", "XI"])
def test_a_format_whose_length_is_not_known_is_not_read(tmp_path, kind):
    subtype = {"WVE": "ALAW", "XI": "DPCM_16"}.get(kind, "PCM_16")
    with pytest.raises(UserError, match="not a readable recording"):
        seconds_of(tmp_path / "a.bin", encode(kind, subtype=subtype))


@pytest.mark.parametrize(
    "make", [lambda: encode("FLAC"), lambda: bare(mp3("CONSTANT")), lambda: wav(pcm(), promised=0)]
)
def test_memory_holds_blocks_not_the_recording(tmp_path, monkeypatch, make):
    monkeypatch.setattr(decode, "_BLOCK", 1 << 10)
    (tmp_path / "a.bin").write_bytes(make())
    with reading_audio(tmp_path / "a.bin") as (rate, blocks):
        lengths = [len(block) for block in blocks]
    assert max(lengths) <= 1 << 10 and abs(sum(lengths) / rate - SECONDS) <= LOOSE


def test_a_full_disk_is_told_where_a_pipe_is_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").open("wb").close(), daemon=True)
    writer.start()
    with pytest.raises(UserError, match=r"absent.*cannot be written"):
        read_audio(tmp_path / "pipe")


def test_a_wav_that_is_empty_is_not_filled_with_what_follows(tmp_path):
    with pytest.raises(UserError, match="no samples"):
        seconds_of(tmp_path / "a.wav", wav(b"", after=b"LIST\4\0\0\0INFO"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: wav(pcm(), promised=len(pcm()) + 1000), "cut short"),
        (lambda: encode("AIFF")[:-1000], "cut short"),
        (lambda: encode("RF64")[:-1000], "cut short"),
        (lambda: encode("OGG")[:-100], "cut short"),
        (lambda: encode("OGG", subtype="OPUS") + encode("OGG", subtype="OPUS")[:-100], "cut short"),
        (lambda: mp3("VARIABLE") + mp3("VARIABLE")[:-2000], "cut short"),
        (lambda: mp3("CONSTANT")[:-100], "last frame is not whole"),
        (lambda: 2 * wav(pcm()), "another recording follows"),
        (lambda: wav(pcm(), promised=len(pcm()) // 2), "32000 bytes follow the sound that are none of its parts"),
        (lambda: wav(pcm(), promised=1), "bytes follow the sound"),
        (lambda: of_pipe(encode("AIFF"), b"SSND", ">4xI", 20_000), "bytes follow the sound"),
        (lambda: of_pipe(encode("AU"), b".snd", ">8xI", 20_000), "bytes follow the sound"),
        (lambda: wav(pcm()).replace(struct.pack("<I", RATE), struct.pack("<I", 3), 1), "3 Hz"),
    ],
)
def test_what_is_not_whole_is_refused_with_the_reason(tmp_path, make, says):
    with pytest.raises(UserError, match=says):
        seconds_of(tmp_path / "a.bin", make())


def test_more_samples_than_bytes_can_hold_are_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "_MOST_PER_BYTE", 0.1)  # what a damaged header claims of a file of this size
    with pytest.raises(UserError, match=r"samples promised, .* bytes found"):
        seconds_of(tmp_path / "a.wav", wav(pcm()))


def test_parts_of_other_rates_are_brought_to_the_first_ones(tmp_path):
    other = io.BytesIO()
    soundfile.write(other, voice()[::2], RATE // 2, format="OGG")
    assert seconds_of(tmp_path / "a.ogg", encode("OGG") + other.getvalue()) == 2 * SECONDS


@pytest.mark.parametrize(
    "make", [lambda: wav(pcm(), promised=0), lambda: encode("FLAC"), lambda: bare(mp3("CONSTANT"))]
)
def test_pipes_are_read_to_their_end(tmp_path, make):
    content, pipe = make(), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(content))
    writer.start()
    try:
        samples, rate = read_audio(pipe)
    finally:
        writer.join()
    assert abs(len(samples) / rate - SECONDS) <= LOOSE


def test_standard_input_is_a_recording_by_two_names(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(pcm(), promised=0xFFFFFFFF))
    code = "import sys; from copycat_jax.audio.signal import read_audio; print(len(read_audio(sys.argv[1]).samples))"
    for name in ("-", "/dev/stdin"):
        with (tmp_path / "a.wav").open("rb") as file:
            done = subprocess.run([sys.executable, "-c", code, name], stdin=file, capture_output=True, text=True)
        assert done.stdout.strip() == str(int(SECONDS * RATE)), done.stderr


@pytest.mark.parametrize(
    ("number", "says"), [("EACCES", "Permission denied"), ("ELOOP", "symbolic"), ("ENOENT", "no such")]
)
def test_why_a_file_is_not_reached_is_said(tmp_path, monkeypatch, number, says):
    def refuse(path):
        raise OSError(getattr(errno, number), "")

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(UserError, match=says):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AU"])
def test_a_name_that_is_no_unicode_is_a_name(tmp_path, kind):
    path = tmp_path / "caf\udce9"
    content = mp3("CONSTANT") if kind == "MP3" else encode(kind)
    assert abs(seconds_of(path, content) - SECONDS) <= LOOSE
    assert abs(recording_seconds(path) - SECONDS) <= LOOSE
    with pytest.raises(UserError, match=r"damaged|cut short"):
        seconds_of(path, content[: len(content) // 2 + 9])


def test_a_device_is_no_recording():
    with pytest.raises(UserError, match="is a device"):
        read_audio(os.devnull)


def fake_ffmpeg(folder, body: str, monkeypatch) -> None:
    """An ffmpeg that tells its arguments apart as little as the true one's caller needs."""
    script = folder / "ffmpeg"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


M4A = b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(range(200))


def test_without_ffmpeg_one_line_says_that_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="ffmpeg, which is not installed"):
        seconds_of(tmp_path / "a.m4a", M4A)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("cat '{sound}'", ""),
        ("echo '[mov @ 0x1] moov atom not found' >&2; exit 183", r"not a readable recording \(moov atom not found\)"),
        ("head -c 9000 '{sound}'; echo '[aac @ 0x1] corrupt input packet' >&2; exit 183", "corrupt input packet"),
        ("cat '{sound}'; echo '[webm @ 0x1] File ended prematurely' >&2", "ended prematurely"),
    ],
)
def test_ffmpeg_reads_what_libsndfile_does_not_know(tmp_path, monkeypatch, body, says):
    (tmp_path / "sound").write_bytes(wav(pcm(), promised=0xFFFFFFFF))
    fake_ffmpeg(tmp_path, body.format(sound=tmp_path / "sound"), monkeypatch)
    if not says:
        assert seconds_of(tmp_path / "a.m4a", M4A) == SECONDS
        return
    with pytest.raises(UserError, match=says) as caught:
        seconds_of(tmp_path / "a.m4a", M4A)
    assert str(caught.value).startswith(f"{tmp_path / 'a.m4a'}: ") and "\n" not in str(caught.value)


def test_a_full_disk_is_not_the_recordings_fault(tmp_path, monkeypatch):
    fake_ffmpeg(
        tmp_path, "head -c 9000 /dev/zero; echo '[out @ 0x1] No space left on device' >&2; exit 228", monkeypatch
    )
    monkeypatch.setattr(decode, "refusal_in", lambda folder: OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(NoRoom, match=tempfile.gettempdir()):
        seconds_of(tmp_path / "a.m4a", M4A)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("name", ["a.m4a", "a.aac", "a.webm"])
@pytest.mark.parametrize("piped", [False, True])
def test_the_true_ffmpeg_reads_them(tmp_path, name, piped):
    (tmp_path / "a.wav").write_bytes(wav(pcm()))
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", tmp_path / name], check=True)
    path = tmp_path / name
    if piped:
        path, content = tmp_path / "pipe", path.read_bytes()
        os.mkfifo(path)
        threading.Thread(target=lambda: path.write_bytes(content), daemon=True).start()
    samples, rate = read_audio(path)
    assert abs(len(samples) / rate - SECONDS) < 0.2


WHOLE = [
    wav(pcm(0.5)),
    wav(bare(mp3("VARIABLE", 0.5)), 0x55),
    encode("FLAC", 0.5),
    encode("OGG", 0.5),
    encode("OGG", 0.5, subtype="OPUS"),
    mp3("VARIABLE", 0.5),
    encode("AIFF", 0.5),
    encode("CAF", 0.5),
    encode("WAV", 0.5, subtype="GSM610"),
    encode("AU", 0.5),
    encode("W64", 0.5),
    encode("NIST", 0.5),
    encode("VOC", 0.5),
]


@settings(max_examples=80, deadline=None)
@given(
    content=st.sampled_from(WHOLE),
    wounds=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=0, max_size=9)), max_size=4),
    kept=st.floats(0.0, 1.0),
)
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path_factory, content, wounds, kept):
    damaged = bytearray(content)
    for place, bytes_ in wounds:
        at = int(place**3 * len(damaged))  # headers suffer most
        damaged[at : at + len(bytes_)] = bytes_
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(damaged[: int(len(damaged) * kept)])
    try:
        samples, rate = read_audio(path)
    except UserError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    else:
        assert len(samples) and np.isfinite(samples).all() and rate > 0
