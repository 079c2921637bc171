"""Generated utterances are records like any others, repeatable, and speak as their truth says."""

import numpy as np
import pytest

from copycat_jax.audio.pitch import track_f0
from copycat_jax.corpus.utterance import check_utterance
from copycat_jax.data.synthetic import synthetic_batch, synthetic_recordings, synthetic_utterances
from copycat_jax.mel_spec import HIFIGAN, MEL_SPECS


@pytest.mark.parametrize("name", sorted(MEL_SPECS))
def test_utterances_are_valid_records_and_repeat(name):
    spec = MEL_SPECS[name]
    first = synthetic_utterances(5, spec, seed=3, seconds=(0.4, 0.9))
    again = synthetic_utterances(5, spec, seed=3, seconds=(0.4, 0.9))
    for utterance, twin in zip(first, again, strict=True):
        check_utterance(utterance, spec)
        assert all(np.array_equal(a, b) for a, b in zip(utterance, twin, strict=True))
    assert len({u.speaker for u in first}) == 4
    assert len({u.mel.tobytes() for u in first}) == 5


def test_the_audio_has_the_melody_it_claims():
    for utterance, samples in synthetic_recordings(3, seed=1, speakers=3, seconds=(1.0, 1.2)):
        hop_s = HIFIGAN.hop_samples / HIFIGAN.sample_rate
        heard = track_f0(samples, HIFIGAN.sample_rate, len(utterance.f0_hz), hop_s)
        both = (heard > 0) & (utterance.f0_hz > 0)
        assert both.mean() > 0.4
        assert np.median(np.abs(12 * np.log2(heard[both] / utterance.f0_hz[both]))) < 0.3


@pytest.mark.parametrize("shape", [(4, 64, 12), (3, 16, 16), (2, 8, 1)])
def test_batches_keep_the_contract_of_batch(shape):
    rows, frames, phones = shape
    batch = synthetic_batch(rows, frames, phones, seed=5, speakers=2, embedding=6)
    assert batch.mel.shape == (rows, frames, HIFIGAN.mel_bins) and batch.mel.dtype == np.float32
    assert batch.mask[0].all() and batch.phoneme_mask[0].all()
    assert np.array_equal(batch.durations.sum(axis=1), batch.mask.sum(axis=1))
    assert (batch.durations[batch.phoneme_mask] > 0).all() and not batch.durations[~batch.phoneme_mask].any()
    assert not batch.mel[~batch.mask].any() and not batch.phonemes[~batch.phoneme_mask].any()
    assert batch.speaker_vector.shape == batch.other_vector.shape == batch.centroid.shape == (rows, 6)
    again = synthetic_batch(rows, frames, phones, seed=5, speakers=2, embedding=6)
    assert all(np.array_equal(a, b) for a, b in zip(batch, again, strict=True))
