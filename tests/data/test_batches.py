"""Batches: a function of (seed, step), bitwise the same at any host count and resume step; vectors joined by index."""

import dataclasses
import itertools

import numpy as np
import pytest

from copycat_jax.batch import Batch
from copycat_jax.corpus.corpus import memory_corpus
from copycat_jax.corpus.utterance import text_hash
from copycat_jax.data.batches import VectorJoin, make_batches, make_evaluation, open_prefetch
from copycat_jax.data.plan import Share, make_batch_plan, make_evaluation_plan
from copycat_jax.data.synthetic import synthetic_utterances
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN


@pytest.fixture(scope="module")
def corpus():
    utterances = synthetic_utterances(26, speakers=3, seconds=(0.2, 0.7))
    vectors = np.random.default_rng(0).standard_normal((26, 5)).astype(np.float32)
    return memory_corpus(utterances, HIFIGAN, vectors)


@pytest.fixture(scope="module")
def plan(corpus):
    return make_batch_plan(corpus.lengths, corpus.phones, batch_size=8, buckets=3)


def same(a: Batch, b: Batch) -> bool:
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_together_see_the_batch_of_one(corpus, plan, hosts):
    whole = make_batches(corpus, plan, 3)
    parts = [make_batches(corpus, plan, 3, Share(host, hosts)) for host in range(hosts)]
    for step in (0, 1, 5, 23):
        joined = Batch(*(np.concatenate(columns) for columns in zip(*(part(step) for part in parts), strict=True)))
        assert same(whole(step), joined)


def test_rows_hold_their_utterances_and_nothing_else(corpus, plan):
    batch = make_batches(corpus, plan, 0)(2)
    for row, index in enumerate(batch.index):
        utterance = corpus.utterance(index)
        frames, phones = len(utterance.mel), len(utterance.phonemes)
        assert (
            np.array_equal(batch.mel[row, :frames], utterance.mel.astype(np.float32))
            and not batch.mel[row, frames:].any()
        )
        assert np.array_equal(batch.mask[row], np.arange(batch.mel.shape[1]) < frames)
        assert (
            np.array_equal(batch.phonemes[row, :phones], utterance.phonemes) and not batch.phonemes[row, phones:].any()
        )
        assert batch.durations[row].sum() == frames == batch.mask[row].sum()
        assert np.array_equal(batch.f0_hz[row, :frames], utterance.f0_hz)
        assert np.array_equal(batch.energy[row, :frames], utterance.energy)
        assert corpus.speakers[batch.speaker[row]] == utterance.speaker
        assert np.array_equal(batch.speaker_vector[row], corpus.speaker_vectors[index])


def test_prefetch_gives_the_same_batches_from_any_step(corpus, plan):
    batches = make_batches(corpus, plan, 1)
    for threads in (0, 3):
        for start in (0, 7):
            ahead = itertools.islice(open_prefetch(batches, start, threads=threads, buffer=4), 5)
            assert all(same(got, batches(start + i)) for i, got in enumerate(ahead))


def test_vectors_come_from_the_speaker_and_the_pool(corpus, plan):
    pool = np.arange(0, 26, 2)
    batches = make_batches(corpus, plan, 0, pool=pool)
    for step in range(6):
        batch = batches(step)
        for row, index in enumerate(batch.index):
            own = [i for i in pool if corpus.speaker[i] == corpus.speaker[index]]
            lenders = [i for i in own if np.array_equal(corpus.speaker_vectors[i], batch.other_vector[row])]
            assert len(lenders) == 1 and lenders[0] != index
            assert np.allclose(batch.centroid[row], corpus.speaker_vectors[own].mean(axis=0), atol=1e-6)


def test_others_and_centroids_are_those_of_a_slow_search(corpus):
    """The fixture's utterances under 5 other speakers, one of whom lends nothing and one has a single utterance."""
    rng = np.random.default_rng(0)
    of = rng.permutation([4, *rng.integers(0, 4, 25)])
    renamed = [u._replace(speaker=f"v{n}") for u, n in zip(corpus.source, of, strict=True)]
    other = memory_corpus(renamed, HIFIGAN, corpus.speaker_vectors)
    speaker, vectors = other.speaker, other.speaker_vectors
    pool = np.flatnonzero((speaker != 2) & (rng.random(26) < 0.7))
    join = VectorJoin(other, pool)
    for number in range(5):
        own = np.flatnonzero(speaker == number)
        lent = own[np.isin(own, pool)] if np.isin(own, pool).any() else own
        np.testing.assert_allclose(join.centroids[number], vectors[lent].mean(0), rtol=1e-5, atol=1e-6)
        for index in own:
            others = lent[lent != index]
            drawn = {join.other(3, step, int(index)) for step in range(8 * len(lent) + 8)}
            assert drawn <= set(others.tolist() or [index]) and len(drawn) > 0.7 * len(others)


def test_other_utterances_vary_with_the_step_and_never_are_oneself(corpus):
    join = VectorJoin(corpus)
    drawn = {join.other(0, step, 4) for step in range(60)}
    own = set(np.flatnonzero(corpus.speaker == corpus.speaker[4]).tolist())
    assert drawn == own - {4}
    lone = memory_corpus(synthetic_utterances(1, seconds=(0.2, 0.3)), HIFIGAN)
    assert VectorJoin(lone).other(0, 0, 0) == 0


def test_without_vectors_there_are_zeros(corpus, plan):
    bare = dataclasses.replace(corpus, speaker_vectors=None)
    batch = make_batches(bare, plan, 0, embedding=7)(0)
    assert batch.speaker_vector.shape == (8, 7) and not batch.speaker_vector.any() and not batch.centroid.any()


def test_evaluation_counts_every_frame_once(corpus, plan):
    frames, seen = 0, []
    for make in make_evaluation(corpus, plan):
        batch, counts = make()
        frames += int(batch.mask.sum())
        seen += batch.index[counts].tolist()
        assert not batch.mask[~counts].any() and not batch.phoneme_mask[~counts].any()
    assert frames == corpus.lengths.sum() and sorted(seen) == list(range(26))


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_each_build_their_part_of_an_evaluation(corpus, hosts, monkeypatch):
    members = np.arange(3, 26)
    plan = make_evaluation_plan(corpus.lengths, corpus.phones, members, 0, batch_size=8, rows_multiple=4, buckets=3)
    whole = make_evaluation(corpus, plan)
    parts = [make_evaluation(corpus, plan, Share(host, hosts)) for host in range(hosts)]
    assert all(len(part) == len(whole) for part in parts)
    for one, *several in zip(whole, *parts, strict=True):
        built = [make() for make in several]
        joined = Batch(*(np.concatenate(columns) for columns in zip(*(batch for batch, _ in built), strict=True)))
        batch, counts = one()
        assert same(batch, joined) and np.array_equal(counts, np.concatenate([counts for _, counts in built]))
    read = []
    utterance = type(corpus).utterance
    monkeypatch.setattr(type(corpus), "utterance", lambda self, i: (read.append(i), utterance(self, i))[1])
    parts[0][0]()
    assert len(read) == plan.buckets[0].rows // hosts  # reads no rows of others


def test_uneven_hosts_are_refused_before_training(corpus, plan):
    with pytest.raises(UserError, match="multiple of 3"):
        make_batches(corpus, plan, 0, Share(0, 3))


def test_takes_of_a_sentence_share_a_hash():
    assert text_hash("a", "Author of the danger trail, Philip!") == text_hash("b", "author of the DANGER trail philip")
    assert text_hash("a", "one") != text_hash("a", "two")
    assert text_hash("a", "") != text_hash("b", "...")


def test_ids_are_found_or_the_nearest_named(corpus):
    assert corpus.find([str(corpus.ids[3]), str(corpus.ids[0])]).tolist() == [3, 0]
    with pytest.raises(UserError, match="Did you mean"):
        corpus.find(["synthetic-0-0000x"])
