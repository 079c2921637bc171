"""Trackers follow a known melody at the centres of mel frames; registers shrug off octave errors."""

import sys

import numpy as np
import pytest

from copycat_jax.audio.pitch import (
    frame_energy,
    register_doubt,
    register_hz,
    spread_semitones,
    track_f0,
    voiced,
)
from copycat_jax.audio.signal import read_audio
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, MEL_SPECS

HOP_S = HIFIGAN.hop_samples / HIFIGAN.sample_rate


def glide(seconds: float, rate: int, low_hz: float = 110.0) -> np.ndarray:
    """A buzz that rises by one octave per second."""
    t = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * low_hz * (2**t - 1) / np.log(2)
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, 20)).astype(np.float32)


@pytest.mark.parametrize("tracker", ["pyin", "dio"])
@pytest.mark.parametrize("rate, hop_s", [(16000, HOP_S), (24000, 0.0125)])
def test_a_glide_is_followed_at_the_centres_of_frames(tracker, rate, hop_s):
    if tracker == "dio":
        pytest.importorskip("pyworld")
    frames = int(1.2 / hop_s)
    f0 = track_f0(glide(1.2, rate), rate, frames, hop_s, tracker)
    assert f0.shape == (frames,) and f0.dtype == np.float32
    inner = slice(8, frames - 8)
    assert voiced(f0)[inner].mean() > 0.95
    centres = (np.arange(frames) + 0.5) * hop_s
    heard = voiced(f0) & (np.arange(frames) >= 8) & (np.arange(frames) < frames - 8)
    # One frame of shift would be 14 cents.
    assert abs(np.mean(1200 * (np.log2(f0[heard] / 110.0) - centres[heard]))) < 6


@pytest.mark.parametrize("tracker", ["pyin", "dio", "none"])
def test_silence_is_unvoiced_and_any_number_of_frames_can_be_asked_for(tracker):
    if tracker == "dio":
        pytest.importorskip("pyworld")
    assert not track_f0(np.zeros(8000, np.float32), 16000, 40, HOP_S, tracker).any()
    for frames in (1, 30, 70):
        assert track_f0(glide(0.5, 16000), 16000, frames, HOP_S, tracker).shape == (frames,)


def test_none_hears_nothing():
    assert not track_f0(glide(0.5, 16000), 16000, 40, HOP_S, "none").any()


def test_unknown_and_missing_trackers_say_what_to_do(monkeypatch):
    with pytest.raises(UserError, match="Did you mean 'pyin'"):
        track_f0(glide(0.1, 16000), 16000, 5, HOP_S, "pyinn")
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(UserError, match=r"copycat-jax\[f0\]"):
        track_f0(glide(0.1, 16000), 16000, 5, HOP_S, "dio")


def test_register_is_the_geometric_mean_and_shrugs_off_octave_errors():
    melody = 150 * 2 ** (np.sin(np.linspace(0, 20, 400)) / 4)
    assert abs(12 * np.log2(register_hz(melody) / 150)) < 0.1
    assert spread_semitones(melody) == pytest.approx(3 / np.sqrt(2), abs=0.15)
    broken = melody.copy()
    broken[::20], broken[7::25], broken[3::9] = 2.1 * broken[::20], 0.47 * broken[7::25], 0
    assert abs(12 * np.log2(register_hz(broken) / register_hz(melody))) < 0.15
    assert abs(spread_semitones(broken) - spread_semitones(melody)) < 1.0
    # A register moves with its melody, so a ratio of two registers needs no calibration.
    assert register_hz(1.3 * broken) == pytest.approx(1.3 * register_hz(broken))
    assert np.isnan(register_hz(np.zeros(5))) and np.isnan(spread_semitones(np.zeros(5)))


@pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)
def test_energy_is_log_rms(spec):
    count = 20 * spec.hop_samples
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(count) / spec.sample_rate)
    energy = frame_energy(tone, spec)
    assert energy.shape == (20,) and energy.dtype == np.float32
    np.testing.assert_allclose(energy[6:-6], np.log(0.2 / np.sqrt(2)), atol=1e-2)
    np.testing.assert_allclose(frame_energy(0.5 * tone, spec), energy - np.log(2), atol=1e-5)
    np.testing.assert_allclose(frame_energy(np.zeros(count), spec), np.log(spec.floor))


@pytest.mark.slow
@pytest.mark.parametrize("tracker", ["pyin", "dio"])
def test_against_the_exact_curves_of_gold_dev(corpora, tracker):
    if tracker == "dio":
        pytest.importorskip("pyworld")
    differences = []
    for path in sorted((corpora / "kokoro" / "gold_dev").glob("*.opus")):
        audio = read_audio(path)
        exact = np.load(path.with_suffix(".npz"))["f0_hz_12p5ms"].astype(np.float64)
        frames = int(len(audio.samples) / audio.sample_rate / HOP_S)
        f0 = track_f0(audio.samples, audio.sample_rate, frames, HOP_S, tracker)
        at = np.minimum((np.arange(frames) + 0.5) * HOP_S / 0.0125, len(exact) - 1)
        before, after = exact[np.floor(at).astype(int)], exact[np.ceil(at).astype(int)]
        both = (before > 46) & (after > 46) & voiced(f0)
        truth = before + (at % 1) * (after - before)
        differences.append(12 * np.log2(f0[both] / truth[both]))
    semitones = np.abs(np.concatenate(differences))
    gross, median_cents = np.mean(semitones > 3.16), 100 * np.median(semitones)
    print(f"\n{tracker}: {len(semitones)} frames, gross {100 * gross:.2f} %, median {median_cents:.1f} cents")
    assert gross <= 0.03 and median_cents <= 40


@pytest.mark.parametrize("low", ["hum of 50 Hz", "hum of 60 Hz", "offset"])
def test_what_is_below_the_voice_does_not_move_the_register(low):
    rate = 16000
    t = np.arange(2 * rate) / rate
    pauses = (np.sin(2 * np.pi * 1.5 * t) > -0.2).astype(np.float32)
    clip = glide(2.0, rate) * pauses + 2e-4 * np.random.default_rng(0).normal(size=len(t)).astype(np.float32)
    wave = 0.05 + 0 * t if low == "offset" else 0.028 * np.sin(2 * np.pi * (50 if "50" in low else 60) * t)
    noisy = clip + wave.astype(np.float32)
    frames = int(2.0 / HOP_S)
    clean, heard = (register_hz(track_f0(x, rate, frames, HOP_S)) for x in (clip, noisy))
    assert abs(12 * np.log2(heard / clean)) < 0.5


@pytest.mark.parametrize(("hertz", "says"), [(120.0, ""), (55.0, "55 Hz"), (900.0, "900 Hz"), (float("nan"), "voiced")])
def test_a_register_that_no_voice_has_is_doubted(hertz, says):
    doubt = register_doubt(hertz)
    assert (says in doubt) if says else doubt == ""
