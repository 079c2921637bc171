import dataclasses

import numpy as np
import pytest

from copycat_jax.data import batches
from copycat_jax.data.inputs import TINY_DATA, DataConfig, corpus_batches, corpus_inputs, resolve, synthetic_corpus
from copycat_jax.errors import UserError


@pytest.fixture(scope="module")
def corpus():
    return synthetic_corpus(0.6)


def config(**data) -> dict:
    return {"data": {**TINY_DATA.to_dict(), **data}, "train": {"seed": 3, "eval_every": 1}}


def test_the_data_decides_shapes_convention_and_speakers(corpus):
    resolved = resolve({"task": "t"}, corpus)
    assert resolved["shapes"]["embedding"] == 128 and resolved["shapes"]["mel_bins"] == corpus.spec.mel_bins
    assert resolved["speakers"] == list(corpus.speakers) and resolved["mel_spec"] == corpus.spec.to_dict()
    bare = dataclasses.replace(corpus, speaker_vectors=None)
    assert resolve({}, bare)["shapes"]["embedding"] == 128 and resolved["task"] == "t"


def test_what_is_held_out_is_never_trained_on_and_processes_share_a_batch(corpus):
    settings = resolve(config(held_out=0.3), corpus)
    make, evaluate, plan = corpus_batches(corpus, settings, 0, 1)
    trained = {int(i) for step in range(40) for i in make(step).index}
    held_out = {int(i) for n in range(4) for i in evaluate(n).index}
    assert trained == set(plan.members.tolist()) and held_out and not trained & held_out
    halves = [corpus_batches(corpus, settings, process, 2) for process in (0, 1)]
    for field, one, two in zip(make(5), *(half[0](5) for half in halves), strict=True):
        np.testing.assert_array_equal(field, np.concatenate([one, two]))
    assert corpus_batches(corpus, {**settings, "train": {"seed": 3, "eval_every": 0}}, 0, 1)[1] is None


def test_defaults_are_filled_in_and_rows_come_from_one_of_two(corpus):
    assert DataConfig(batch_size=4).rows == {"batch_size": 4} and DataConfig().rows == {"batch_frames": 25_600}
    inputs = corpus_inputs(
        None, {"data": {"batch_size": 8, "max_seconds": 1.0}, "train": {"seed": 0, "eval_every": 0}}, 0, 1
    )
    assert inputs.batches(0).mel.shape[0] == 8 and inputs.held_out is None
    assert inputs.shapes and inputs.fingerprint and "4 speakers" in inputs.summary


def test_what_a_corpus_lacks_is_one_line(corpus, monkeypatch):
    monkeypatch.setattr(
        "copycat_jax.data.inputs.open_corpus", lambda path: dataclasses.replace(corpus, speaker_vectors=None)
    )
    with pytest.raises(UserError, match="has no speaker vectors"):
        corpus_inputs("data", config(needs_speaker_vectors=True), 0, 1)
    with pytest.raises(UserError, match=r"no utterance between 5\.0 and 6\.0 s"):
        corpus_inputs("data", config(min_seconds=5.0, max_seconds=6.0), 0, 1)
    with pytest.raises(UserError, match="Did you mean 'buckets'"):
        corpus_inputs("data", {"data": {"bucketz": 1}, "train": {}}, 0, 1)
    assert corpus_inputs("data", config(), 0, 1).config["shapes"]["embedding"] == batches.EMBEDDING


def test_other_speaker_vectors_are_other_data(corpus):
    settings = config(needs_speaker_vectors=True)
    turned = dataclasses.replace(corpus, speaker_vectors=-corpus.speaker_vectors, vectors_hash="another")
    bare = dataclasses.replace(corpus, speaker_vectors=None)
    assert len({c.fingerprint for c in (corpus, turned, bare)}) == 3
    assert bare.fingerprint == corpus.info.fingerprint == turned.info.fingerprint
    again = dataclasses.replace(corpus, speaker_vectors=corpus.speaker_vectors.copy())
    assert again.fingerprint == corpus.fingerprint
    assert resolve(settings, turned)["vectors_by"] == "another"
