"""Each figure is right on curves made by hand, and each can fail where another cannot."""

import numpy as np
import pytest

from copycat_jax.evaluate.objective import (
    energy_correlation,
    log_f0_correlation,
    on_grid,
    transfer_scores,
    word_errors,
)


@pytest.fixture
def truth():
    """Two voiced stretches around 200 Hz, 3 semitones up and down, with pauses that mean unvoiced."""
    t = np.arange(200)
    curve = 200 * 2 ** (3 * np.sin(t / 12) / 12)
    curve[:20] = curve[90:110] = curve[185:] = 5.0  # below 46 Hz: unvoiced
    return curve


def test_the_truth_itself_is_perfect(truth):
    s = transfer_scores(truth, truth)
    assert s.frames == 145
    assert s.correlation == pytest.approx(1) and s.spread == pytest.approx(1)
    assert s[1:4] == (0, 0, 0) and s.voicing_error == 0


def test_a_shifted_curve_only_misses_the_register(truth):
    s = transfer_scores(truth * 2 ** (2 / 12), truth)
    assert s.register == pytest.approx(2) and s.rmse == pytest.approx(2)
    assert s.correlation == pytest.approx(1) and s.spread == pytest.approx(1) and s.gross == 0


def test_octave_errors_are_gross_and_leave_the_rest_alone(truth):
    result = truth.copy()
    result[30:59] *= 2
    s = transfer_scores(result, truth)
    assert s.gross == pytest.approx(29 / 145) and s.rmse == 0 and s.correlation == pytest.approx(1)


def test_a_gross_error_is_beyond_and_not_at_the_limit(truth):
    assert transfer_scores(truth * 2 ** (3.15 / 12), truth).gross == 0
    assert transfer_scores(truth * 2 ** (3.17 / 12), truth).gross == 1


def test_a_monotone_has_no_spread_and_no_correlation(truth):
    s = transfer_scores(np.where(truth > 46, 200.0, 0), truth)
    assert s.spread == pytest.approx(0, abs=1e-9) and np.isnan(s.correlation) and s.register < 1.5


def test_a_mirrored_melody_correlates_negatively_with_the_right_register_and_spread(truth):
    s = transfer_scores(np.where(truth > 46, 200**2 / truth, 0), truth)
    assert s.correlation < -0.99 and s.spread == pytest.approx(1) and s.gross > 0


def test_voicing_is_judged_by_the_tracker_and_not_by_the_exact_curve(truth):
    heard = truth.copy()
    heard[20:40] = 0  # the exact curve runs on where there is no energy
    assert transfer_scores(heard, truth, heard).voicing_error == 0
    assert transfer_scores(heard, truth).voicing_error == pytest.approx(20 / 200)


def test_silence_has_no_score_but_its_voicing(truth):
    silent = transfer_scores(np.zeros(200), truth)
    assert np.isnan(silent.gross) and silent.voicing_error == pytest.approx(145 / 200)


def test_grid_interpolates_in_log_frequency_and_invents_nothing_at_edges():
    times, f0 = np.arange(10) * 0.016, np.array([0, 0, 100, 200, 200, 0, 0, 150, 150, 0.0])
    curve = on_grid(times, f0, 12, grid_s=0.008)
    assert (
        curve[5] == pytest.approx(np.sqrt(100 * 200))
        and curve[4] == pytest.approx(100)
        and curve[6] == pytest.approx(200)
    )
    assert set(np.round(curve[[0, 1, 2]], 6)) == {0} and set(
        np.round(on_grid(times, f0, 40, grid_s=0.008), 6)[18:]
    ) == {0}


def test_offset_puts_a_trimmed_result_back_in_its_place(truth):
    times = np.arange(150) * 0.0125
    back = on_grid(times, np.where(truth > 46, truth, 0)[25:175], 200, offset_s=25 * 0.0125)
    s = transfer_scores(back, truth)
    assert s.correlation > 0.9999 and s.rmse < 1e-3
    assert transfer_scores(on_grid(times, truth[25:175], 200), truth).correlation < 0.99


def test_source_correlation_ignores_the_register_but_feels_octave_errors(truth):
    assert log_f0_correlation(truth * 1.7, truth) == pytest.approx(1)
    wrong = truth.copy()
    wrong[30:59] *= 2
    assert log_f0_correlation(wrong, truth) < 0.8


def test_loudness_correlates_whatever_its_level_and_not_with_another_clip():
    rng, rate = np.random.default_rng(0), 8000
    gain = np.repeat(rng.uniform(0.01, 1, 40), 400)
    noise, other = rng.normal(size=16000) * gain, rng.normal(size=16000) * np.repeat(rng.uniform(0.01, 1, 40), 400)
    assert energy_correlation(0.1 * noise, noise, rate) > 0.999
    assert abs(energy_correlation(noise, other, rate)) < 0.6


def test_word_errors_count_each_kind():
    said = ["the", "cat", "sat", "on", "the", "mat"]
    assert word_errors(said, said) == 0
    assert word_errors(said, ["the", "cat", "sat", "the", "mat"]) == 1
    assert word_errors(said, ["a", "cat", "sat", "up", "on", "the", "mat"]) == 2
    assert word_errors(said, []) == 6
