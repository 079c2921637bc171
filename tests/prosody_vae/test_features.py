import json
import math

import numpy as np
import pytest

from copycat_jax.text.phonemes import to_ids
from prosody_vae.features import FEATURES, prosodic_features

RATE = 80.0


def spoken(f0_hz, symbols=("AA1",), durations=None, energy=None):
    f0_hz = np.asarray(f0_hz, np.float32)
    durations = [len(f0_hz)] if durations is None else durations
    energy = np.full(len(f0_hz), -2.5, np.float32) if energy is None else energy
    return prosodic_features(f0_hz, energy, to_ids(symbols), np.array(durations), RATE)


def line(*points, frames=120):
    """F0 through (fraction of the time, semitones above 200 Hz)."""
    at, semitones = zip(*points, strict=True)
    return 200 * 2 ** (np.interp(np.linspace(0, 1, frames), at, semitones) / 12)


def test_every_feature_is_explained_and_measured():
    assert list(spoken(line((0, 0), (1, 0)))) == list(FEATURES)


def test_time_is_counted_without_silence():
    found = spoken(np.full(160, 200.0), ["SIL", "HH", "AY1", "SIL", "Y", "UW1", "SIL"], [20, 20, 20, 40, 20, 20, 20])
    assert found["seconds"] == 2.0
    assert found["rate"] == pytest.approx(4 / 1.0)
    assert found["pause_share"] == pytest.approx(40 / 120)


def test_melody_is_geometric_and_in_semitones():
    f0 = np.tile([120.0, 0.0, 187.5, 30.0], 40)  # 30 Hz is nobody's voice
    found = spoken(f0)
    assert found["f0_mean_hz"] == pytest.approx(150.0)
    assert found["f0_spread_st"] == pytest.approx(12 * np.log2(1.25))
    assert spoken(2 * f0[f0 > 50])["f0_spread_st"] == pytest.approx(found["f0_spread_st"])


@pytest.mark.parametrize("shift", [0.7, 1.0, 1.6])
def test_the_final_rise_is_in_semitones_whatever_the_register(shift):
    assert spoken(shift * line((0, 0), (0.85, 0), (0.9, 4), (1, 4)))["final_rise_st"] == pytest.approx(4, abs=0.1)
    assert spoken(shift * line((0, 3), (0.85, 3), (0.9, 0), (1, 0)))["final_rise_st"] == pytest.approx(-3, abs=0.1)
    assert spoken(shift * line((0, 0), (1, 0)))["final_rise_st"] == pytest.approx(0)


def test_what_comes_after_speech_does_not_count():
    f0 = line((0, 0), (0.85, 0), (0.9, 4), (1, 4))
    noise = np.full(40, 150.0)
    symbols, durations = ["AA1", "SIL"], [120, 40]
    ends = spoken(np.concatenate([f0, noise]), symbols, durations)["final_rise_st"]
    assert ends == spoken(f0)["final_rise_st"]
    energy = np.full(160, -2.5)
    energy[120:] = -7  # breath within the last phone
    assert spoken(np.concatenate([f0, noise]), energy=energy)["final_rise_st"] == ends


def test_octave_errors_and_edges_of_voicing_do_not_count():
    f0 = line((0, 0), (0.85, 0), (0.9, 4), (1, 4))
    clean = spoken(f0)["final_rise_st"]
    f0[40:50], f0[60] = 0, 70  # a gap with half a guess at its edge
    f0[39], f0[50] = 420, 90
    f0[100] *= 2.2
    assert spoken(f0)["final_rise_st"] == pytest.approx(clean, abs=0.2)


def test_an_end_that_was_not_tracked_is_not_guessed():
    f0 = line((0, 5), (0.6, 0), (0.7, -5), (1, 5))
    f0[-20:] = 0
    assert math.isnan(spoken(f0)["final_rise_st"])


def test_nothing_tracked_is_nan_and_the_rest_is_known():
    found = spoken(np.zeros(80))
    assert {name for name, value in found.items() if math.isnan(value)} == {
        "f0_mean_hz",
        "f0_spread_st",
        "final_rise_st",
    }
    silent = spoken(np.zeros(80), ["SIL"])
    assert math.isnan(silent["rate"]) and math.isnan(silent["pause_share"]) and silent["seconds"] == 1.0
    assert all(isinstance(value, float) for value in found.values())
    assert spoken([120.0])["seconds"] == 1 / RATE


def test_lengths_that_do_not_fit_are_a_mistake_of_the_program():
    with pytest.raises(ValueError, match="durations of 50"):
        spoken(np.zeros(80), durations=[50])


def test_rendered_questions_rise_and_statements_fall(corpora):
    """On exact curves; the planted style of yes/no questions ends higher than those of other sentences."""
    # The renderer's energies are log-RMS on a scale of their own: 0.53 x - 6.2 fits its audio with correlation 0.99.
    rows = [json.loads(line) for line in (corpora / "kokoro" / "metadata.jsonl").read_text().splitlines()]
    found: dict[str, list[float]] = {"yn": [], "wh": [], "compound": [], "complex": []}
    for row in rows:
        style = row.get("style")
        if row["set"] == "reader_test" and style in found and style == row["category"] and len(found[style]) < 20:
            with np.load(corpora / "kokoro" / row["set"] / f"{row['id']}.npz") as exact:
                f0, energy = exact["f0_hz_12p5ms"].astype(np.float64), exact["energy_12p5ms"].astype(np.float64)
            found[style].append(spoken(f0, energy=0.53 * energy - 6.2)["final_rise_st"])
    rising, *falling = (np.array(values)[np.isfinite(values)] for values in found.values())
    falling = np.concatenate(falling)
    assert len(rising) >= 15 and len(falling) >= 45
    assert np.mean(rising[:, None] > falling) > 0.9
