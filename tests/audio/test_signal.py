"""Recordings survive reading and writing; broken ones are refused in one line; trimming hears speech, not silence."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.audio import signal
from copycat_jax.errors import UserError

RATE = 16000


def speech(seconds: float = 1.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A voice-like buzz in syllables, fading in and out."""
    t = np.arange(int(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20))
    noise = np.random.default_rng(seed).normal(size=len(t)) * 0.01
    return (0.1 * (buzz + noise) * np.sin(np.pi * t / seconds) ** 0.5).astype(np.float32)


def silence(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.zeros(int(seconds * rate), np.float32)


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("a.wav", {}, 1e-4),
        ("a.flac", {}, 1e-4),
        ("a.ogg", {"format": "OGG", "subtype": "OPUS"}, 0.05),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, 0.05),
        ("a.mp3", {}, 0.05),
    ],
)
def test_formats_are_read_and_channels_averaged(tmp_path, name, options, error):
    left = speech()
    soundfile.write(tmp_path / name, np.stack([left, 0.5 * left], axis=1), RATE, **options)
    read = signal.read_audio(tmp_path / name)
    assert read.sample_rate == RATE and read.samples.dtype == np.float32
    assert abs(len(read.samples) - len(left)) <= (0 if error < 0.01 else 2400)
    shared = min(len(read.samples), len(left))
    assert np.sqrt(np.mean((read.samples[:shared] - 0.75 * left[:shared]) ** 2)) < error


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {}),
        ("a.flac", {}),
        ("a.ogg", {"format": "OGG", "subtype": "OPUS"}),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}),
        ("a.mp3", {}),
    ],
)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path, name, options, kept):
    path = tmp_path / name
    soundfile.write(path, speech(3.0), RATE, **options)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match=re.escape(str(path))):
        signal.read_audio(path)


def make_text(path):
    path.write_text("these are words, not sound" * 40)


def make_empty(path):
    path.touch()


def make_header_only(path):
    soundfile.write(path, np.zeros(0), RATE)


def make_nan(path):
    soundfile.write(path, np.array([0.1, np.nan, 0.2], np.float32), RATE, subtype="FLOAT")


def make_infinite(path):
    soundfile.write(path, np.array([0.1, np.inf, 0.2], np.float32), RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "folder"),
        (make_text, "not a readable recording"),
        (make_empty, "empty"),
        (make_header_only, "no samples"),
        (make_nan, "nan"),
        (make_infinite, "inf"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, make, says):
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(UserError) as caught:
        signal.read_audio(path)
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_written_wav_comes_back_with_its_comment(tmp_path):
    samples = speech()
    signal.write_wav(tmp_path / "out.wav", samples, 22050)
    with soundfile.SoundFile(tmp_path / "out.wav") as file:
        assert file.comment == "synthetic speech" and file.subtype == "PCM_16" and file.samplerate == 22050
    assert b"ICMT" in (tmp_path / "out.wav").read_bytes()
    np.testing.assert_allclose(signal.read_audio(tmp_path / "out.wav").samples, samples, atol=0.5 / 32768 + 1e-9)


def test_writing_clips_instead_of_wrapping(tmp_path):
    signal.write_wav(tmp_path / "out.wav", np.array([2.0, -2.0, 1.0, -1.0], np.float32), 8000)
    read = signal.read_audio(tmp_path / "out.wav").samples
    assert (read[[0, 2]] > 0.999).all() and (read[[1, 3]] == -1).all()


def test_failed_writing_leaves_nothing_behind(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        signal.write_wav(tmp_path / "missing" / "out.wav", speech(), RATE)
    with pytest.raises(UserError, match="nan"):
        signal.write_wav(tmp_path / "out.wav", np.array([np.nan], np.float32), RATE)
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        signal.write_wav(tmp_path / "folder.wav", speech(), RATE)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.wav"]


def test_resampling_keeps_a_tone():
    tone = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32)
    resampled = signal.resample(tone, 48000, 22050)
    assert len(resampled) == 22050 and resampled.dtype == np.float32
    expected = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    np.testing.assert_allclose(resampled[500:-500], expected[500:-500], atol=1e-3)
    assert signal.resample(tone, 48000, 48000) is tone


@settings(max_examples=25, deadline=None)
@given(before=st.integers(0, 3 * RATE), after=st.integers(0, 3 * RATE), seed=st.integers(0, 5))
def test_added_silence_moves_the_bounds_by_its_length_exactly(before, after, seed):
    clip = np.concatenate([silence(0.3), speech(0.8, seed=seed), silence(0.3)])
    start, stop = signal.trim_bounds(clip, RATE)
    padded = np.concatenate([np.zeros(before, np.float32), clip, np.zeros(after, np.float32)])
    assert signal.trim_bounds(padded, RATE) == (start + before, stop + before)


def test_trimming_keeps_the_speech_and_at_most_the_edge():
    clip = np.concatenate([silence(0.7), speech(1.0), silence(0.5)])
    start, stop = signal.trim_bounds(clip, RATE)
    assert 0.6 * RATE <= start <= 0.65 * RATE and 1.75 * RATE <= stop <= 1.8 * RATE
    tight = signal.trim_bounds(clip, RATE, edge_s=0.0)
    assert tight == (start + 0.1 * RATE, stop - 0.1 * RATE)
    assert signal.trim_bounds(speech(1.0), RATE)[0] == 0


def test_low_noise_and_clicks_do_not_count_as_speech():
    clip = np.concatenate([silence(0.7), speech(1.0), silence(0.7)])
    start, stop = signal.trim_bounds(clip, RATE)
    noisy = clip + np.random.default_rng(1).normal(size=len(clip)).astype(np.float32) * 3e-4
    noisy[[2000, len(clip) - 2000]] = 0.5
    noisy_start, noisy_stop = signal.trim_bounds(noisy, RATE)
    assert abs(noisy_start - start) < 0.02 * RATE and abs(noisy_stop - stop) < 0.02 * RATE


@pytest.mark.parametrize("level", [0.0, 1e-5, 1e-4])
def test_silence_alone_is_refused(level):
    noise = level * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    with pytest.raises(UserError, match="silence"):
        signal.trim_bounds(noise, RATE)


def test_quiet_speech_is_not_silence():
    clip = np.concatenate([silence(0.5), speech(1.0), silence(0.5)])
    moved = np.subtract(signal.trim_bounds(clip, RATE), signal.trim_bounds(0.03 * clip, RATE))
    assert np.abs(moved).max() < 0.02 * RATE


@pytest.mark.parametrize(("start", "length"), [(700, 4000), (0, 4000), (700, 2700), (700, 2000), (0, 2000), (900, 950)])
def test_sound_laid_in_silence_does_not_click(start, length):
    loud = 0.5 * np.cos(np.arange(2000) * 2 * np.pi * 100 / RATE).astype(np.float32)  # far from zero at either end
    laid = signal.surround(loud, start, length, 110)
    stop = min(start + 2000, length)
    assert laid.shape == (length,) and laid.dtype == np.float32
    assert not laid[:start].any() and not laid[stop:].any()
    fade = min(110, (stop - start) // 2)
    first, last = (fade if start else 0), (fade if stop < length else 0)
    np.testing.assert_array_equal(laid[start + first : stop - last], loud[first : stop - start - last])
    # No step is larger than the sound's own and the fade's steepest slope together.
    steepest = np.abs(np.diff(loud)).max() + 0.5 * np.pi / 2 / fade
    assert np.abs(np.diff(laid)).max() <= steepest


def test_a_name_that_the_locale_cannot_encode_is_written(tmp_path):
    writer = "import numpy; from copycat_jax.audio.signal import write_wav"
    code = f"{writer}; write_wav('\\udcc3\\udca9.wav', numpy.ones(9), 8000)"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **plain}, check=True)
    assert [os.fsencode(path.name) for path in tmp_path.iterdir()] == ["é.wav".encode()]


# --- what is below the voice

HUMS = {
    "hum of 50 Hz": lambda t: 0.028 * np.sin(2 * np.pi * 50 * t),
    "hum of 60 Hz": lambda t: 0.028 * np.sin(2 * np.pi * 60 * t + 1.0),
    "offset": lambda t: 0.05 + 0 * t,
    "drift": lambda t: 0.05 * np.sin(2 * np.pi * 3 * t),
    "hum and offset": lambda t: 0.03 + 0.02 * np.sin(2 * np.pi * 50 * t),
}


@pytest.mark.parametrize("rate", [RATE, 44100])
@pytest.mark.parametrize("hum", HUMS)
def test_hum_and_offset_do_not_move_the_bounds(hum, rate):
    clip = np.concatenate([silence(0.7, rate), speech(1.0, rate), silence(0.5, rate)])
    clip += 1e-4 * np.random.default_rng(2).normal(size=len(clip)).astype(np.float32)
    with_hum = clip + HUMS[hum](np.arange(len(clip)) / rate).astype(np.float32)
    moved = np.subtract(signal.trim_bounds(with_hum, rate), signal.trim_bounds(clip, rate))
    assert np.abs(moved).max() < 0.03 * rate
    heard = signal.voice_band(with_hum, rate)
    assert heard.dtype == np.float32 and heard.shape == clip.shape
    assert np.sqrt(np.mean((heard - signal._high_pass(clip, rate)) ** 2)) < 2e-3


@pytest.mark.parametrize("part", [(0.0, 2.0), (2.0, 4.2), (1.0, 3.0)])
@pytest.mark.parametrize("hum", ["hum of 50 Hz", "hum of 60 Hz"])
def test_hum_in_a_part_is_taken_out_there_and_the_rest_is_as_it_was(hum, part):
    clip = np.concatenate([silence(0.7), speech(1.0), silence(0.8), speech(1.0), silence(0.7)])
    times = np.arange(len(clip)) / RATE
    with_hum = (clip + HUMS[hum](times) * ((times >= part[0]) & (times < part[1]))).astype(np.float32)
    heard = signal.voice_band(with_hum, RATE)
    far, inside = (times < part[0] - 0.1) | (times > part[1] + 0.1), (times > part[0] + 0.1) & (times < part[1] - 0.1)
    np.testing.assert_allclose(heard[far], clip[far], atol=1e-7)
    assert np.sqrt(np.mean((heard - signal._high_pass(clip, RATE))[inside] ** 2)) < 2e-3
    moved = np.subtract(signal.trim_bounds(with_hum, RATE), signal.trim_bounds(clip, RATE))
    assert np.abs(moved).max() < 0.03 * RATE


@pytest.mark.parametrize("level", [1.0, 0.03])
def test_a_clean_recording_is_measured_as_it_is(level):
    clip = level * np.concatenate([silence(0.5), speech(1.0), silence(0.5)])
    assert signal.voice_band(clip, RATE) is clip
    nothing = silence(0.5)
    assert signal.voice_band(nothing, RATE) is nothing


@pytest.mark.parametrize("length", [1, 2, 100, 1441, 300_000])
def test_the_filter_works_in_blocks_and_on_any_length(length):
    noise = np.random.default_rng(3).normal(size=length)
    filtered = signal._high_pass(noise, RATE)
    half = round(signal._FILTER_S / 2 * RATE)
    assert filtered.shape == noise.shape and np.isfinite(filtered).all()
    np.testing.assert_allclose(signal._high_pass(np.full(length, 0.3), RATE), 0.0, atol=1e-12)
    if length == 300_000:  # of two blocks: the seam is not seen
        seam = (1 << 18) - 2 * half
        part = slice(seam - 2000 - 2 * half, seam + 2000 + 2 * half)
        inner = signal._high_pass(noise[part], RATE)[2 * half : -2 * half]
        np.testing.assert_allclose(filtered[seam - 2000 : seam + 2000], inner, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(before=st.integers(0, 2 * RATE), after=st.integers(0, 2 * RATE), hum=st.sampled_from(sorted(HUMS)))
def test_added_silence_moves_the_bounds_by_its_length_under_hum_too(before, after, hum):
    noisy = speech(1.2) + HUMS[hum](np.arange(int(1.2 * RATE)) / RATE).astype(np.float32)
    clip = np.concatenate([silence(0.3), noisy * np.hanning(len(noisy)).astype(np.float32) ** 0.25, silence(0.3)])
    start, stop = signal.trim_bounds(clip, RATE)
    padded = np.concatenate([np.zeros(before, np.float32), clip, np.zeros(after, np.float32)])
    assert signal.trim_bounds(padded, RATE) == (start + before, stop + before)
