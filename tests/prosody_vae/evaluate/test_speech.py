"""What is said, phone by phone: errors are of what was planted, and the gate can stay shut."""

import numpy as np
import pytest

from prosody_vae.evaluate import speech, tables


def make_phones(count=12, seed=0):
    rng = np.random.default_rng(seed)
    phonemes = np.concatenate([[1], np.full(count, 30)]).astype(np.int32)
    log_f0 = np.concatenate([[np.nan], 5 + 0.2 * rng.standard_normal(count)])
    log_f0[3] = np.nan
    durations, zeros = rng.integers(4, 12, count + 1).astype(np.int32), np.zeros(count + 1, np.int32)
    return speech.PhoneTrack(phonemes, zeros, durations, zeros, log_f0, np.full(count + 1, -3.0))


def test_phone_errors_are_zero_for_the_truth_and_those_planted_otherwise():
    truth = make_phones()
    perfect = speech.phone_errors(truth, truth.durations.astype(float), np.nan_to_num(truth.log_f0))
    assert perfect["f0_rmse_st"] == perfect["duration_error"] == perfect["rate_error"] == 0
    assert perfect["f0_correlation"] == pytest.approx(1)
    off = speech.phone_errors(truth, truth.durations * 2.0, np.nan_to_num(truth.log_f0) + np.log(2) / 6)
    assert off["f0_rmse_st"] == pytest.approx(2) and off["f0_correlation"] == pytest.approx(1)
    assert off["duration_error"] == pytest.approx(np.log(2)) == off["rate_error"]
    unvoiced = truth._replace(log_f0=np.full_like(truth.log_f0, np.nan))
    assert np.isnan(speech.phone_errors(unvoiced, truth.durations * 1.0, truth.log_f0)["f0_rmse_st"])


def test_the_gate_opens_only_for_what_beats_the_centroid():
    rng = np.random.default_rng(1)

    def errors(size):
        return [dict.fromkeys(speech.ERRORS, size + 0.1 * rng.standard_normal()) for _ in range(40)]

    clusters = [str(i) for i in range(40)]
    rows = {"centroid": errors(2.0), "own": errors(1.0), "worse": errors(3.0), "alike": errors(2.0)}
    for row in rows["own"]:
        row["f0_correlation"] = 3.0
    rows["barely"] = [{k: v - 1e-4 for k, v in row.items()} for row in rows["centroid"]]  # surely, but by nothing
    table = speech.gate(rows, clusters, draws=200)
    assert table["barely"]["f0_rmse_st"]["difference_high"] < 0
    assert table["own"]["f0_rmse_st"]["difference"] == pytest.approx(-1, abs=0.1)
    assert all(speech.gate_passed(table).values())
    for name in ("worse", "alike", "barely"):
        assert not any(
            speech.gate_passed(table, name)[error] for error in ("f0_rmse_st", "duration_error", "rate_error")
        )
    assert "less the centroid's" in tables.gate_table("Gate", table)


def test_phones_keep_time_and_hear_the_mean_of_each_phone():
    from copycat_jax.data.synthetic import synthetic_utterances

    utterances = synthetic_utterances(3, seed=4, speakers=1)
    for phones, utterance in zip(speech.phones_of(utterances), utterances, strict=True):
        assert phones.durations.sum() + phones.pauses.sum() == utterance.durations.sum()
        spoken = phones.phonemes != 1
        np.testing.assert_array_equal(phones.phonemes[spoken], utterance.phonemes[utterance.phonemes != 1])
        starts = np.cumsum(utterance.durations) - utterance.durations
        at = np.flatnonzero(utterance.phonemes != 1)
        for mean, i in zip(phones.log_f0[spoken], at, strict=True):
            f0 = utterance.f0_hz[starts[i] : starts[i] + utterance.durations[i]]
            assert np.isnan(mean) if not (f0 > 0).any() else mean == pytest.approx(np.log(f0[f0 > 0]).mean())


def test_what_is_said_is_heard_in_the_mel_and_a_batch_changes_nothing():
    """Of a tiny voice: what the vocoder hears in each mel alone is what it hears of all together."""
    from tiny_voice import tiny_bundle

    from copycat_jax.data.synthetic import synthetic_utterances
    from copycat_jax.mel_spec import HIFIGAN

    bundle = tiny_bundle()
    utterances = synthetic_utterances(3, seed=4, speakers=1)
    tracks = speech.phones_of(utterances)
    config = bundle.config["prosody_vae"]
    z = np.random.default_rng(0).standard_normal((3, config["latent"])).astype(np.float32)
    voices = np.tile(np.array(next(iter(bundle.speakers.values())).centroid, np.float32), (3, 1))
    plans = [
        speech.said_plan(p, x) for p, x in zip(tracks, speech.predict_phones(bundle, tracks, z, voices), strict=True)
    ]
    assert all(plan.durations[0] == track.durations[0] for plan, track in zip(plans, tracks, strict=True))
    together = speech.said_features(bundle, plans, z, voices)
    for i in range(3):
        (alone,) = speech.said_features(bundle, plans[i : i + 1], z[i : i + 1], voices[i : i + 1])
        for name, value in alone.items():
            np.testing.assert_allclose(together[i][name], value, rtol=1e-3, err_msg=name)
    heard = speech.heard_features(utterances, HIFIGAN)
    for found, utterance in zip(heard, utterances, strict=True):
        assert found["seconds"] == pytest.approx(len(utterance.mel) / HIFIGAN.frame_rate_hz)
