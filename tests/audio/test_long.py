import itertools

import numpy as np
import pytest
import soundfile

from copycat_jax.audio import signal
from copycat_jax.audio.long import read_long_audio, resample_long, surrounded_blocks, trim_long
from copycat_jax.audio.mel import extract_mel, extract_mel_part
from copycat_jax.audio.pitch import track_f0, track_f0_part
from copycat_jax.audio.spool import Spool, Stretch, blocks_of
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN


def words(seconds=6.0, rate=22050):
    """A buzz whose F0 moves, with pauses."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * time)) / rate
    return (0.1 * sum(np.sin(k * phase) / k for k in range(1, 9)) * (time % 1.0 < 0.7)).astype(np.float32)


def spooled(samples):
    spool = Spool()
    for part in np.array_split(samples, 3):
        spool.append(part)
    return spool


@pytest.mark.parametrize("part", [slice(None), slice(10, 50), slice(-7, None), slice(90, 500), slice(60, 20)])
def test_a_spool_is_sliced_as_an_array(part):
    samples = np.random.default_rng(0).standard_normal(101).astype(np.float32)
    np.testing.assert_array_equal(spooled(samples)[part], samples[part])
    np.testing.assert_array_equal(Stretch(spooled(samples), 5, 95)[part], samples[5:95][part])
    assert len(spooled(samples)) == 101 and len(Stretch(samples, 5, 95)) == 90


def test_a_spool_without_a_place_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        Spool(tmp_path / "absent")


@pytest.mark.parametrize(("kind", "channels"), [("wav", 1), ("flac", 2), ("opus", 1)])
def test_a_long_file_holds_what_a_short_one_does(tmp_path, kind, channels):
    rate, path = 24000, tmp_path / f"a.{kind}"
    file_kind = {"format": "OGG", "subtype": "OPUS"} if kind == "opus" else {}
    soundfile.write(path, np.stack([words(13.0, rate)] * channels, axis=1), rate, **file_kind)
    whole, long = signal.read_audio(path), read_long_audio(path, 1.0)
    assert isinstance(long.samples, Spool) and long.sample_rate == rate
    np.testing.assert_array_equal(long.samples[:], whole.samples)
    short = read_long_audio(path, 60.0)
    assert isinstance(short, signal.Audio)
    np.testing.assert_array_equal(short.samples, whole.samples)


@pytest.mark.parametrize("content", [b"", b"Dear all", "nan", "cut"])
def test_bad_files_are_refused_as_ever(tmp_path, content):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.where(np.arange(500000) == 400000, np.nan, 0.1), 22050, subtype="FLOAT")
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        soundfile.write(path, np.full(500000, 0.1), 22050)
        path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(UserError) as ours:
        read_long_audio(path, 1.0)
    with pytest.raises(UserError) as short:
        signal.read_audio(path)
    assert ours.value.where == short.value.where


@pytest.mark.parametrize(("before", "after"), [(22050, 2400), (48000, 22050), (22050, 22050)])
def test_resampling_and_trimming_are_those_of_the_whole(before, after):
    samples = np.pad(words(6.0, before), before)
    bounds = signal.trim_bounds(samples, before)
    assert trim_long(spooled(samples), before) == bounds
    ours = resample_long(spooled(samples), *bounds, before, after)
    whole = signal.resample(samples[slice(*bounds)], before, after)
    assert len(ours) == len(whole)
    np.testing.assert_allclose(ours[:], whole, atol=1e-4)


def test_silence_alone_is_refused():
    with pytest.raises(UserError, match="silence"):
        trim_long(np.zeros(200 * 8000, np.float32), 8000)


def test_frames_of_a_part_are_those_of_the_whole():
    samples = words()
    mel, edges = extract_mel(samples, HIFIGAN), (0, 1, 5, 250, 515, len(samples) // 256)
    for start, stop in itertools.pairwise(edges):
        np.testing.assert_allclose(extract_mel_part(spooled(samples), HIFIGAN, start, stop), mel[start:stop], atol=1e-9)


def test_f0_of_parts_cut_in_pauses_is_that_of_the_whole():
    samples, hop_s = words(), HIFIGAN.hop_s
    frames = len(samples) // 256
    whole = track_f0(samples, 22050, frames, hop_s)
    edges = [0, *(round((k + 0.85) / hop_s) for k in (1, 3)), frames]
    parts = [track_f0_part(samples, 22050, *pair, hop_s) for pair in itertools.pairwise(edges)]
    joined = np.concatenate(parts)
    assert len(joined) == frames and np.mean((joined > 0) == (whole > 0)) > 0.98
    both = (joined > 0) & (whole > 0)
    np.testing.assert_allclose(joined[both], whole[both], rtol=0.02)


@pytest.mark.parametrize(("start", "length"), [(0, 1000), (300, 1300), (300, 2000), (0, 2000), (300, 900)])
def test_blocks_are_surrounded_as_the_whole(start, length):
    samples = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    blocks = np.concatenate(list(surrounded_blocks(spooled(samples), start, length, 50)))
    np.testing.assert_array_equal(blocks, signal.surround(samples, start, length, 50))


def test_blocks_are_the_whole():
    samples = np.arange(600000, dtype=np.float32)
    assert np.array_equal(np.concatenate(list(blocks_of(samples, 7, 599999))), samples[7:599999])
