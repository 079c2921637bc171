"""The host's log-mel equals librosa's at the same framing."""

import numpy as np
import pytest
from reference import import_librosa

from copycat_jax.audio.mel import extract_mel
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MEL_SPECS, MelSpec, mel_filters


def librosa_log_mel(samples: np.ndarray, spec: MelSpec) -> np.ndarray:
    padded = np.pad(samples.astype(np.float64), spec.pad_samples, mode="reflect")
    mel = import_librosa().feature.melspectrogram(
        y=padded,
        sr=spec.sample_rate,
        n_fft=spec.fft_samples,
        win_length=spec.window_samples,
        hop_length=spec.hop_samples,
        n_mels=spec.mel_bins,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        power=1.0,
        center=False,
        dtype=np.float64,
    )
    return np.log(np.maximum(mel, spec.floor)).T[: spec.frames(len(samples))]


@pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("extra", [0, 1, -1, 137])
def test_equals_librosa(spec, extra):
    rng = np.random.default_rng(extra % 7)
    count = 37 * spec.hop_samples + extra
    samples = rng.normal(size=count).astype(np.float32) * np.geomspace(1e-6, 0.5, count)
    mel = extract_mel(samples, spec)
    assert mel.dtype == np.float64 and mel.shape == (len(samples) // spec.hop_samples, spec.mel_bins)
    np.testing.assert_allclose(mel, librosa_log_mel(samples, spec), atol=1e-5, rtol=0)


def test_long_signals_are_cut_into_chunks_without_seams(monkeypatch):
    spec = MEL_SPECS["hifigan"]
    samples = np.random.default_rng(0).normal(size=30 * spec.hop_samples)
    whole = extract_mel(samples, spec)
    monkeypatch.setattr("copycat_jax.audio.mel._CHUNK", 7)
    np.testing.assert_allclose(extract_mel(samples, spec), whole, atol=1e-12)


@pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)
def test_every_filter_hears_something_and_silence_is_the_floor(spec):
    assert (mel_filters(spec).sum(axis=0) > 0).all()
    np.testing.assert_allclose(extract_mel(np.zeros(spec.sample_rate), spec), np.log(spec.floor))


@pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)
def test_short_signals_are_refused_and_the_shortest_taken(spec):
    with pytest.raises(UserError, match="samples"):
        extract_mel(np.zeros(spec.pad_samples), spec)
    shortest = max(spec.pad_samples + 1, spec.hop_samples)
    assert extract_mel(np.zeros(shortest), spec).shape == (shortest // spec.hop_samples, spec.mel_bins)
