import os

import numpy as np
import pytest
import soundfile

from copycat_jax.audio.encoding import ENCODINGS, check_sound_file, is_synthetic, write_sound, writing_sound
from copycat_jax.errors import UserError

RATE = 22050


def tone(seconds=1.5):
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("ending", ENCODINGS)
def test_every_ending_gives_its_format_the_same_length_and_the_mark(tmp_path, ending):
    path, samples = tmp_path / f"caf\udce9{ending}", tone()  # a name that is no Unicode
    with writing_sound(path, RATE, len(samples)) as writer:
        for block in np.array_split(samples, 7):
            writer.write(block)
        writer.silence(0.5)
    assert writer.samples == len(samples) + RATE // 2 and writer.seconds == pytest.approx(2.0, abs=1e-4)
    found, rate = soundfile.read(os.fsencode(path), dtype="float32")
    info = soundfile.info(os.fsencode(path))
    assert (info.format, info.subtype) == ENCODINGS[ending][:2] and is_synthetic(path)
    assert len(found) / rate == pytest.approx(2.0, abs=0.05) and rate == (ENCODINGS[ending].rate or RATE)
    middle = found[round(0.2 * rate) : round(1.2 * rate)]
    assert np.abs(np.fft.rfft(middle)).argmax() == 220 and middle.std() == pytest.approx(samples.std(), rel=0.05)
    assert np.abs(found[round(1.6 * rate) :]).max() < 0.01
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENCODINGS)
def test_what_fails_leaves_what_was_there(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    write_sound(path, tone(0.2), RATE)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), writing_sound(path, RATE) as writer:
        writer.write(tone())
        raise KeyboardInterrupt
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(UserError, match="cannot be written"), writing_sound(tmp_path / "absent" / f"a{ending}", RATE):
        pass


@pytest.mark.parametrize("ending", ENCODINGS)
def test_only_our_own_recordings_are_replaced(tmp_path, ending):
    path = tmp_path / f"a{ending.upper()}"
    assert check_sound_file(path) == path
    encoding = ENCODINGS[ending]
    soundfile.write(path, tone(), encoding.rate or RATE, encoding.codec, format=encoding.container)
    with pytest.raises(UserError, match="was not written by this program"):
        check_sound_file(path)
    path.write_bytes(b"")
    assert check_sound_file(path) == path
    write_sound(tmp_path / f"b{ending}", tone(), RATE)
    assert check_sound_file(tmp_path / f"b{ending}") == tmp_path / f"b{ending}"
    with pytest.raises(UserError, match="would replace"):
        check_sound_file(tmp_path / f"b{ending}", (tmp_path / f"b{ending}",))


@pytest.mark.parametrize("name", ["a", "a.m4a", "a.wav.txt", ".", "..", "a.wavx"])
def test_other_endings_are_refused_with_all_that_are_known(tmp_path, name):
    with pytest.raises(UserError, match=r"does not end in \.wav, \.flac, \.mp3, \.opus or \.ogg"):
        check_sound_file(tmp_path / name)
