"""Voices told apart and confused on purpose; what an embedding gives away is found, and nothing where nothing is."""

import numpy as np
import pytest

from copycat_jax.evaluate import leakage


def _voices(speakers=6, clips=20, width=16, noise=0.15, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(speakers, width))
    labels = np.repeat([f"v{k}" for k in range(speakers)], clips)
    rows = means[np.repeat(np.arange(speakers), clips)] + noise * rng.normal(size=(speakers * clips, width))
    return rows, list(labels)


def test_nearest_voice_finds_target_and_notices_leakage():
    rows, labels = _voices()
    voices = leakage.centroids(rows, labels)
    assert list(voices) == [f"v{k}" for k in range(6)]
    good = leakage.identify(rows[0], "v0", "v1", voices)
    assert good.nearest == "v0" and good.to_target > 0.9 > good.to_source
    leaked = leakage.identify(rows[25], "v0", "v1", voices)
    assert leaked.nearest == "v1" and leaked.to_source > leaked.to_target
    assert np.isnan(leakage.identify(rows[0], "v0", "nobody", voices).to_source)
    assert leakage.identify(0 * rows[0], "v0", "v1", voices) == (0, 0, "")


def test_similarity_matrix_is_symmetric_with_ones():
    rows, labels = _voices()
    matrix = leakage.similarity_matrix(leakage.centroids(rows, labels))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(matrix), 1)


def test_equal_error_rate_of_separate_mixed_and_known_scores():
    assert leakage.equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0
    assert leakage.equal_error_rate(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == 1
    rng = np.random.default_rng(0)
    assert leakage.equal_error_rate(rng.normal(size=4000), rng.normal(size=4000)) == pytest.approx(0.5, abs=0.03)
    shifted = leakage.equal_error_rate(rng.normal(size=8000) + 2, rng.normal(size=8000))
    assert shifted == pytest.approx(0.1587, abs=0.01)  # the normal distribution beyond one deviation


def test_all_pairs_are_scored_once():
    rows, labels = _voices(3, 4)
    same, different = leakage.verification_scores(rows, labels)
    assert len(same) == 3 * 6 and len(different) == 66 - 18
    assert leakage.equal_error_rate(same, different) < 0.05


def test_what_is_in_an_embedding_is_predicted_and_noise_is_not():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 20))
    value = rows[:, :3].sum(axis=1) + 0.1 * rng.normal(size=300)
    assert leakage.predicted_share(rows, value) > 0.95
    assert leakage.predicted_share(rows, rng.normal(size=300)) < 0.05


def test_groups_kept_together_cannot_be_learnt_by_heart():
    rng = np.random.default_rng(2)
    rows, labels = _voices(8, 25, 32, 0.05)
    value = rng.normal(size=8)[np.repeat(np.arange(8), 25)]
    assert leakage.predicted_share(rows, value) > 0.9
    assert leakage.predicted_share(rows, value, labels, folds=8) < 0.5


def test_within_a_speaker_only_the_clip_remains():
    rows, labels = _voices(4, 10)
    inner = leakage.within_groups(rows, labels)
    for name in set(labels):
        np.testing.assert_allclose(inner[np.array(labels) == name].mean(axis=0), 0, atol=1e-12)
