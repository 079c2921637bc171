import dataclasses

import numpy as np
import pytest

from copycat_jax.data import batches
from copycat_jax.data.inputs import TINY_DATA, DataConfig, corpus_batches, corpus_inputs, resolve, synthetic_corpus
from copycat_jax.data.plan import Share
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
    make, evaluate, plan = corpus_batches(corpus, settings, Share())
    trained = {int(i) for step in range(40) for i in make(step).index}
    held_out = {int(i) for make_one in evaluate for i in make_one().index}
    assert trained == set(plan.members.tolist()) and held_out and not trained & held_out
    halves = [corpus_batches(corpus, settings, Share(process, 2)) for process in (0, 1)]
    for field, one, two in zip(make(5), *(half[0](5) for half in halves), strict=True):
        np.testing.assert_array_equal(field, np.concatenate([one, two]))
    assert corpus_batches(corpus, {**settings, "train": {"seed": 3, "eval_every": 0}}, Share())[1] == ()


def test_defaults_are_filled_in_and_rows_come_from_one_of_two(corpus):
    assert DataConfig(batch_size=8).rows_on(1) == {"batch_size": 8, "rows_multiple": 8}
    inputs = corpus_inputs(
        None, {"data": {"batch_size": 8, "max_seconds": 1.0}, "train": {"seed": 0, "eval_every": 0}}, Share()
    )
    assert inputs.batches(0).mel.shape[0] == 8 and not inputs.held_out
    assert inputs.shapes and inputs.fingerprint and "4 speakers" in inputs.summary


def test_a_run_goes_on_with_as_many_devices_as_see_the_same_batches():
    fields = config(batch_size=0, batch_frames=2000, max_seconds=0.6)
    made = {n: corpus_inputs(None, fields, Share(0, 1, n)) for n in (1, 8, 16)}
    assert made[1].config == made[8].config != made[16].config  # a resumed run compares it
    assert {n: made[n].shapes[0][0] % n for n in made} == {1: 0, 8: 0, 16: 0}
    asked = corpus_inputs(None, config(batch_size=8, per_device=True, max_seconds=0.6), Share(0, 1, 4))
    assert {rows for rows, _, _ in asked.shapes} == {32}


def test_a_share_of_the_texts_is_trained_on_and_a_larger_one_holds_it(corpus):
    trained = {}
    for share in (0.3, 0.6, 1.0):
        plan = corpus_batches(corpus, resolve(config(held_out=0.2, share=share), corpus), Share())[2]
        trained[share] = set(plan.members.tolist())
    assert trained[0.3] < trained[0.6] < trained[1.0] and 0.1 < len(trained[0.3]) / len(trained[1.0]) < 0.5
    with pytest.raises(UserError, match=r"data\.share"):
        corpus_batches(corpus, resolve(config(share=0.0), corpus), Share())


def test_what_is_shorter_than_a_window_is_left_out(corpus):
    plan = corpus_batches(corpus, resolve(config(min_frames=40, buckets=9), corpus), Share())[2]
    assert min(frames for _, frames, _ in plan.shapes) >= 40 and corpus.lengths[plan.members].min() >= 40
    assert plan.utterances < (corpus.lengths > 0).sum()


def test_what_a_corpus_lacks_is_one_line(corpus, monkeypatch):
    monkeypatch.setattr(
        "copycat_jax.data.inputs.open_corpus", lambda path: dataclasses.replace(corpus, speaker_vectors=None)
    )
    with pytest.raises(UserError, match="has no speaker vectors"):
        corpus_inputs("data", config(needs_speaker_vectors=True), Share())
    with pytest.raises(UserError, match=r"no utterance between 5\.0 and 6\.0 s"):
        corpus_inputs("data", config(min_seconds=5.0, max_seconds=6.0), Share())
    with pytest.raises(UserError, match="Did you mean 'buckets'"):
        corpus_inputs("data", {"data": {"bucketz": 1}, "train": {}}, Share())
    assert corpus_inputs("data", config(), Share()).config["shapes"]["embedding"] == batches.EMBEDDING


def test_other_speaker_vectors_are_other_data(corpus):
    settings = config(needs_speaker_vectors=True)
    turned = dataclasses.replace(corpus, speaker_vectors=-corpus.speaker_vectors, vectors_hash="another")
    bare = dataclasses.replace(corpus, speaker_vectors=None)
    assert len({c.fingerprint for c in (corpus, turned, bare)}) == 3
    assert bare.fingerprint == corpus.info.fingerprint == turned.info.fingerprint
    again = dataclasses.replace(corpus, speaker_vectors=corpus.speaker_vectors.copy())
    assert again.fingerprint == corpus.fingerprint
    assert resolve(settings, turned)["vectors_by"] == "another"
