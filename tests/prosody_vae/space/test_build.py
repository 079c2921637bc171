"""A built space does not depend on the batches or devices; its texts are analysed once; mistakes are one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_space import TREES, Letters, tiny_trees

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.corpus.corpus import memory_corpus
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from prosody_vae.features import FEATURES, prosodic_features
from prosody_vae.linguistics.syntax import recorded_parser
from prosody_vae.linguistics.tree_distance import syntactic_distance
from prosody_vae.space.build import build_space

LATENT = 6


def stub_bundle(spec=HIFIGAN, kind="prosody_vae", fingerprint="ab" * 32):
    weights = np.random.default_rng(0).standard_normal((80, LATENT)).astype(np.float32)
    return Bundle(kind, {"prosody_vae": {"w": weights}}, {"prosody_vae": {}}, spec, {}, "", fingerprint)


def stub_encode(params, mel, mask):
    """Masked mean over time through one matrix: as much of an encoder as building has to know."""
    real = mask.astype(jnp.float32)
    shares = real / jnp.sum(real, axis=1, keepdims=True)
    mean = jnp.einsum("btm,bt,mz->bz", mel, shares, params["w"])
    return mean, -0.01 * jnp.abs(mean)


@pytest.fixture(scope="module")
def corpus():
    made = synthetic_utterances(11, speakers=2, seconds=(0.3, 1.2))
    texts = list(TREES)
    made = [u._replace(text=texts[i % len(texts)]) for i, u in enumerate(made)]
    return memory_corpus(made, HIFIGAN)


def test_every_utterance_is_encoded_once_whatever_the_batches(corpus):
    built = [build_space(stub_bundle(), corpus, batch=batch, encode_fn=stub_encode) for batch in (1, 16)]
    for space in built:
        assert list(space.ids) == corpus.ids.tolist() and space.info.corpus == corpus.fingerprint
        assert np.allclose(space.mean, built[0].mean, atol=1e-5)
        assert np.allclose(space.variance, built[0].variance, atol=1e-5) and (space.variance > 0).all()
    for i in (0, 4, 10):
        utterance = corpus.utterance(i)
        mel = utterance.mel.astype(np.float32)[None]
        mean, log_variance = stub_encode(stub_bundle().params["prosody_vae"], mel, np.ones(mel.shape[:2], bool))
        assert np.allclose(built[0].mean[i], mean[0], atol=1e-5)
        assert np.allclose(built[0].variance[i], np.exp(log_variance[0]), atol=1e-5)
        expected = prosodic_features(*utterance_curves(utterance), HIFIGAN.frame_rate_hz)
        found = [built[1].features[name][i] for name in FEATURES]
        np.testing.assert_allclose(found, list(expected.values()), rtol=1e-6)
        assert (built[1].texts[i], built[1].speakers[i]) == (utterance.text, utterance.speaker)
    assert built[0].sentence_vectors is None and built[0].distances is None and built[0].info.parser == ""


def utterance_curves(utterance):
    return utterance.f0_hz, utterance.energy, utterance.phonemes, utterance.durations


def test_one_device_gives_what_eight_give(corpus, monkeypatch):
    from copycat_jax.train import sharding

    eight = build_space(stub_bundle(), corpus, batch=8, encode_fn=stub_encode)
    mesh = jax.make_mesh((1, 1), sharding.AXES, devices=jax.devices()[:1])
    monkeypatch.setattr(sharding, "make_mesh", lambda: mesh)
    one = build_space(stub_bundle(), corpus, batch=8, encode_fn=stub_encode)
    assert len(jax.devices()) == 8 and np.allclose(one.mean, eight.mean, atol=1e-5)


def test_texts_are_analysed_once_each_and_named(corpus):
    encoder = Letters()
    parser = recorded_parser(tiny_trees(), "by hand 1")
    space = build_space(stub_bundle(), corpus, encoder=encoder, parser=parser, encode_fn=stub_encode)
    assert sorted(encoder.seen) == sorted(TREES)
    assert space.info.encoder == "letters" and space.info.encoder_fingerprint == "1" * 64
    assert space.info.parser == "by hand 1" and space.sentence_vectors.dtype == np.float16
    for i in (0, 9):
        assert np.array_equal(space.sentence_vectors[i], encoder.encode([space.texts[i]])[0].astype(np.float16))
        assert np.array_equal(space.distances.row(i), syntactic_distance(space.trees[i]))
    again = build_space(stub_bundle(), corpus, trees=tiny_trees(), encode_fn=stub_encode, indices=np.array([9, 0]))
    assert list(again.ids) == [corpus.ids[0], corpus.ids[9]] and again.info.parser == "recorded trees"
    assert np.array_equal(again.distances.row(1), space.distances.row(9))


def test_mistakes_of_building_are_one_line(corpus):
    for bundle, more, complaint in (
        (stub_bundle(kind="copycat"), {}, "kind 'copycat'"),
        (stub_bundle(spec=PAPER_24K), {}, "mel convention 'paper_24k'"),
        (stub_bundle(), {"indices": np.array([], int)}, "no utterances"),
        (stub_bundle(), {"batch": 0}, "batches of 0"),
        (stub_bundle(), {"trees": {}}, "no tree for"),
        (stub_bundle()._replace(params={"prosody_vae": {"w": np.full((80, 2), np.nan)}}), {}, "is not finite"),
    ):
        with pytest.raises(UserError, match=complaint):
            build_space(bundle, corpus, **{"encode_fn": stub_encode} | more)
    silent = memory_corpus([corpus.utterance(0)._replace(text="")], HIFIGAN)
    with pytest.raises(UserError, match=f"text of utterance '{corpus.ids[0]}'"):
        build_space(stub_bundle(), silent, encoder=Letters(), encode_fn=stub_encode)
    assert build_space(stub_bundle(), silent, encode_fn=stub_encode).texts == ("",)
