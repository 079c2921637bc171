import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.batch import AlignedPhonemes
from copycat_jax.bundle.shapes import baseline_shapes, flat_shapes
from copycat_jax.data.inputs import synthetic_corpus
from copycat_jax.data.prosody_statistics import interpolated_log_f0, speaker_statistics
from copycat_jax.data.synthetic import synthetic_batch
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.models import baseline
from copycat_jax.models.baseline import PROSODIES, SIZES, BaselineConfig, make_task
from copycat_jax.modules import phone_prosody
from copycat_jax.task import total

SHAPES = {"mel_bins": 80, "embedding": 16, "speaker_statistics": ((5.0, 0.2, -3.0, 1.0, 0.0, 1.0),) * 8}


def task_of(prosody: str, **fields):
    return make_task({**dataclasses.asdict(SIZES["tiny"]), "prosody": prosody, **fields}, SHAPES)


def config_of(prosody: str) -> BaselineConfig:
    return dataclasses.replace(SIZES["tiny"], prosody=prosody).sized(SHAPES)


@pytest.fixture(scope="module")
def batch():
    made = jax.tree.map(jnp.asarray, synthetic_batch(4, 56, 10, embedding=16))
    time, mask = np.arange(56.0)[None], np.asarray(made.mask)
    f0_hz = np.where(mask & (time % 7 > 1), 120.0 + 20.0 * np.sin(time / 5.0 + np.asarray(made.index)[:, None]), 0.0)
    energy = np.where(mask, np.cos(time / 9.0) - 3.0, 0.0)
    return made._replace(f0_hz=jnp.asarray(f0_hz, jnp.float32), energy=jnp.asarray(energy, jnp.float32))


@pytest.mark.parametrize("prosody", PROSODIES)
def test_one_step_lowers_the_loss_and_every_parameter_has_a_gradient_and_its_shape(prosody, batch):
    task = task_of(prosody)
    params = task.init(jax.random.key(0), batch)
    assert {k: v.shape for k, v in flat(params["model"]).items()} == flat_shapes(
        baseline_shapes(config_of(prosody), HIFIGAN)
    )
    rngs = dict(zip(task.rng_names, jax.random.split(jax.random.key(1), 3), strict=True))

    def loss(params):
        return total(task.loss["model"](params, batch, rngs, jnp.asarray(5), None)[0])

    valued = jax.jit(jax.value_and_grad(loss))
    before, gradient = valued(params)
    assert all(np.abs(g).max() > 0 for name, g in flat(gradient["model"]).items() if "log_variance" not in name)
    after, _ = valued(jax.tree.map(lambda p, g: p - 1e-4 * g, params, gradient))
    assert after < before
    assert set(jax.jit(task.evaluate)(params, batch)) >= {"l1", "l1_centroid"}


@pytest.mark.parametrize("prosody", PROSODIES)
def test_padding_changes_nothing_and_only_what_hears_the_reference_depends_on_it(prosody, batch):
    config, params = config_of(prosody), task_of(prosody).init(jax.random.key(0), batch)["model"]

    @jax.jit
    def run(f0_hz, energy, aligned):
        curves = jnp.stack([f0_hz, energy], -1)
        nothing = jnp.ones_like(batch.centroid)
        return baseline.transfer_mel(params, config, curves, nothing[:, 0], aligned, nothing, batch.centroid, HIFIGAN)

    clean = run(batch.f0_hz, batch.energy, batch.aligned)
    assert not np.asarray(clean)[~np.asarray(batch.mask)].any()
    dirty = [jnp.where(batch.mask, x, jnp.nan) for x in (batch.f0_hz, batch.energy)]
    np.testing.assert_array_equal(run(*dirty, batch.aligned), clean)
    # Another register is nothing: features are standardised by the clip. Another melody is something to all but one.
    np.testing.assert_allclose(run(2 * batch.f0_hz, batch.energy, batch.aligned), clean, atol=1e-3)
    bent = batch.f0_hz * jnp.linspace(0.7, 1.4, 56)[None]
    moved = float(jnp.abs(run(bent, batch.energy, batch.aligned) - clean).max())
    assert moved == 0 if prosody == "none" else moved > 1e-2


def test_the_features_are_those_of_the_phones():
    """Three phones of 3, 1 and 2 frames, by hand."""
    f0_hz = jnp.asarray([[100.0, 0.0, 400.0, 200.0, 0.0, 0.0]])
    energy = jnp.asarray([[1.0, 2.0, 3.0, 4.0, 5.0, 7.0]])
    aligned = AlignedPhonemes(jnp.asarray([[5, 6, 7]]), jnp.asarray([[3, 1, 2]]), jnp.ones((1, 6), bool))
    found = phone_prosody.phone_features(f0_hz, energy, aligned)[0]
    log = np.log
    by_hand = [
        [log(100), log(200), log(400), 1, 2, 3, log(3)],
        [log(200)] * 3 + [4] * 3 + [0],
        [log(200)] * 3 + [5, 7, 6, log(2)],  # thirds of two frames: first, second, none
    ]
    by_hand[2][3:6] = [5, 7, 6]
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_a_silent_row_and_a_row_without_a_voiced_frame_are_finite(batch):
    for f0_hz in (jnp.zeros_like(batch.f0_hz), batch.f0_hz):
        raw = phone_prosody.phone_features(f0_hz, jnp.zeros_like(batch.energy), batch.aligned)
        made = phone_prosody.standardised(raw, batch.aligned, phone_prosody.statistics_of(raw, batch.aligned, 1))
        assert np.isfinite(made).all()


def test_statistics_of_a_corpus_are_those_of_the_features_of_its_rows():
    corpus = synthetic_corpus(0.6)
    found = speaker_statistics(corpus)
    speaker, features, counted = 1, [], []
    for index in np.flatnonzero(corpus.speaker == speaker):
        row = corpus.utterance(index)
        ids, durations = (jnp.asarray(x)[None] for x in (row.phonemes, row.durations))
        aligned = AlignedPhonemes(ids, durations, jnp.ones((1, len(row.f0_hz)), bool))
        curves = (jnp.asarray(x, jnp.float32)[None] for x in (row.f0_hz, row.energy))
        raw = phone_prosody.phone_features(*curves, aligned, found["phoneme_durations"])[0]
        features.append(np.stack([raw[:, :3].mean(1), raw[:, 3:6].mean(1), raw[:, 6]], 1))
        counted.append(row.phonemes != 1)
    spoken = np.concatenate(features)[np.concatenate(counted)]
    wanted = np.stack([spoken.mean(0), spoken.std(0)], 1).ravel()
    np.testing.assert_allclose(found["speaker_statistics"][speaker], wanted, atol=2e-3)
    assert len(found["speaker_statistics"]) == len(corpus.speakers)
    curve = np.where(np.arange(9) % 4 == 1, 100.0, 0.0)
    aligned = AlignedPhonemes(jnp.ones((1, 1), jnp.int32), jnp.full((1, 1), 9), jnp.ones((1, 9), bool))
    same = phone_prosody.interpolated_log_f0(jnp.asarray(curve, jnp.float32)[None], aligned.mask)[0]
    np.testing.assert_allclose(interpolated_log_f0(curve), same, rtol=1e-6)


def flat(tree, prefix=""):
    found = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {prefix + name: value}
    return found
