"""The filters are librosa's, to the bit, without librosa; the window is scipy's periodic Hann."""

import dataclasses

import numpy as np
import pytest
from reference import import_librosa

from copycat_jax.mel_spec import MEL_SPECS, mel_edges_hz, mel_filters, window


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)
def test_filters_are_librosas(spec, dtype):
    theirs = import_librosa().filters.mel(
        sr=spec.sample_rate,
        n_fft=spec.fft_samples,
        n_mels=spec.mel_bins,
        fmin=spec.fmin_hz,
        fmax=spec.fmax_hz,
        dtype=dtype,
    )
    ours = mel_filters(spec, dtype)
    assert ours.dtype == dtype and ours.shape == (spec.fft_samples // 2 + 1, spec.mel_bins)
    np.testing.assert_array_equal(ours.T, theirs)


@pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)
def test_edges_are_librosas_mel_frequencies(spec):
    theirs = import_librosa().mel_frequencies(n_mels=spec.mel_bins + 2, fmin=spec.fmin_hz, fmax=spec.fmax_hz)
    np.testing.assert_array_equal(mel_edges_hz(spec), theirs)


@pytest.mark.parametrize("spec", MEL_SPECS.values(), ids=lambda spec: spec.name)
def test_the_window_is_a_periodic_hann_in_the_middle(spec):
    from scipy.signal import get_window

    left = (spec.fft_samples - spec.window_samples) // 2
    inside = window(spec)[left : left + spec.window_samples]
    np.testing.assert_allclose(inside, get_window("hann", spec.window_samples), atol=1e-12)
    assert window(spec).sum() == pytest.approx(inside.sum()) and len(window(spec)) == spec.fft_samples


def test_a_hop_is_one_over_the_frame_rate():
    for spec in MEL_SPECS.values():
        assert spec.hop_s == spec.hop_samples / spec.sample_rate == pytest.approx(1 / spec.frame_rate_hz)
        assert dataclasses.replace(spec, hop_samples=2 * spec.hop_samples).hop_s == 2 * spec.hop_s
