import numpy as np
import pytest

from copycat_jax.evaluate.objective import GRID_S
from copycat_jax.evaluate.pitch_errors import PitchErrors, pitch_errors


@pytest.fixture
def truth():
    time = np.arange(400)
    return np.where(time % 50 < 35, 150 * 2 ** (4 * np.sin(time / 21) / 12), 0.0)


CORRELATIONS = ("correlation_voiced", "correlation_hz", "correlation_interpolated", "correlation_union")
ERRORS = ("gpe", "vde", "ffe", "rmse_all", "rmse_hz")


def test_the_same_is_ideal(truth):
    same = pitch_errors(truth, truth)
    assert all(getattr(same, name) == 0 for name in ERRORS)
    assert all(getattr(same, name) == pytest.approx(1) for name in CORRELATIONS)


def test_by_hand():
    """Ten frames: one gross error of +25 %, one of exactly 20 % (none), a voiced frame too many, one too few."""
    p = np.array([100.0] * 9 + [0.0])
    q = np.array([125.0, 120.0, 100.0, 110.0, 100.0, 100.0, 100.0, 100.0, 0.0, 90.0])
    found = pitch_errors(q, p)
    assert found.gpe == pytest.approx(1 / 8) and found.vde == pytest.approx(2 / 10)
    assert found.ffe == pytest.approx(3 / 10)
    st = 12 * np.log2(np.array([1.25, 1.2, 1, 1.1, 1, 1, 1, 1]))
    assert found.rmse_all == pytest.approx(np.sqrt(np.mean(st**2)))
    assert found.rmse_hz == pytest.approx(np.sqrt((25**2 + 20**2 + 10**2) / 8))
    assert np.isnan(found.correlation_voiced)  # the reference is flat


def test_known_distortions_move_each_the_right_way(truth):
    rng = np.random.default_rng(0)
    octave = truth.copy()
    octave[10:30] *= 2
    lost = truth.copy()
    lost[60:80] = 0
    noisy = np.where(truth > 0, truth * 2 ** (rng.standard_normal(400) / 12), 0)
    same = pitch_errors(truth, truth)
    worse = {"gpe": octave, "vde": lost, "ffe": lost, "rmse_all": noisy, "rmse_hz": 1.05 * truth}
    for name, curve in worse.items():
        assert getattr(pitch_errors(curve, truth), name) > getattr(same, name)
    for name in CORRELATIONS:
        assert getattr(pitch_errors(octave, truth), name) < 0.95
        flat = np.where(truth > 0, 150.0, 0.0)
        assert np.isnan(getattr(pitch_errors(flat, truth), name))
    moved = pitch_errors(1.1 * truth, truth)  # another register: no correlation hears it
    assert all(getattr(moved, name) == pytest.approx(1) for name in CORRELATIONS) and moved.gpe == 0
    assert pitch_errors(lost, truth).correlation_interpolated < pitch_errors(lost, truth).correlation_voiced


def test_an_exact_curve_is_voiced_where_the_tracker_says(truth):
    exact = np.where(truth > 0, truth, 100.0)
    assert pitch_errors(truth, exact).vde > 0.2
    assert pitch_errors(truth, exact, truth) == pitch_errors(truth, truth)


def test_silence_and_nothing_have_no_pitch_to_err_in(truth):
    silent = pitch_errors(np.zeros(400), truth)
    assert silent.vde == silent.ffe == pytest.approx(np.mean(truth > 0))
    assert all(np.isnan(getattr(silent, name)) for name in ("gpe", "rmse_all", *CORRELATIONS))
    assert all(np.isnan(value) for value in pitch_errors(np.zeros(0), truth))
    assert pitch_errors(truth[:300], truth) == pitch_errors(truth[:300], truth[:300])


@pytest.mark.parity
def test_pitch_and_voicing_agree_with_mir_eval(truth):
    """mir_eval's raw pitch accuracy within 316 cents is 1 - GPE at that threshold; recall and false alarms make VDE."""
    melody = pytest.importorskip("mir_eval.melody")
    rng = np.random.default_rng(1)
    heard = np.where(rng.random(400) < 0.9, truth * 2 ** (rng.choice([0, 0.1, 7], 400, p=[0.8, 0.1, 0.1]) / 12), 0)
    heard[(rng.random(400) < 0.2) & (truth == 0)] = 140.0
    times = np.arange(400) * GRID_S
    on_truth, cents_truth, on_heard, cents_heard = melody.to_cent_voicing(times, truth, times, heard)
    recall, alarm = melody.voicing_measures(on_truth, on_heard)
    found: PitchErrors = pitch_errors(heard, truth)
    share = np.mean(truth > 0)
    assert found.vde == pytest.approx((1 - recall) * share + alarm * (1 - share), abs=1e-6)
    both = (truth > 0) & (heard > 0)
    cents = 1200 * np.log2(1.2)  # above; below, 20 % less are 386 cents, which no error here lies between
    accuracy = melody.raw_pitch_accuracy(on_truth[both], cents_truth[both], on_heard[both], cents_heard[both], cents)
    assert found.gpe == pytest.approx(1 - accuracy, abs=1e-6)
