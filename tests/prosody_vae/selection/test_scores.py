import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.cosine import cosine
from copycat_jax.errors import UserError
from prosody_vae.selection import scores
from prosody_vae.space.table import Distances

VECTORS = st.lists(st.lists(st.integers(1, 9), min_size=0, max_size=11).map(lambda d: [0, *d]), min_size=1, max_size=6)


def cosine_of(a, b):
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.dot(a, b) / norm) if norm else 0.0


def obvious(rule, a, b):
    """The rules as they are described, one pair at a time."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if rule == "zero-pad":
        width = max(len(a), len(b))
        return cosine_of(np.pad(a, (0, width - len(a))), np.pad(b, (0, width - len(b))))
    if rule == "truncate":
        width = min(len(a), len(b))
        return cosine_of(a[:width], b[:width])
    points = np.linspace(0, 1, scores.RESAMPLED_POINTS)
    return cosine_of(*(np.interp(points * (len(v) - 1), np.arange(len(v)), v) for v in (a, b)))


@pytest.mark.parametrize("rule", scores.LENGTH_RULES)
@given(queries=VECTORS, bank=VECTORS)
@settings(max_examples=30, deadline=None)
def test_every_length_rule_is_the_cosine_it_describes(rule, queries, bank):
    distances = Distances.from_rows([np.array(row) for row in bank])
    found = scores.syntactic_similarities([np.array(q) for q in queries], distances, rule)
    expected = [[obvious(rule, q, b) for b in bank] for q in queries]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_an_unknown_rule_is_refused_with_the_nearest_one():
    with pytest.raises(UserError, match="Did you mean 'truncate'"):
        scores.syntactic_similarities([np.array([0, 1])], Distances.from_rows([np.array([0, 1])]), "truncat")
    with pytest.raises(UserError, match="Known: mean, z"):
        scores.combine({"a": np.zeros((1, 2))}, "sum")


def test_cosine_of_nothing_is_zero():
    rows = cosine(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(rows, [[0, 0], [1, 0]])


def test_the_paper_s_combination_is_the_plain_mean():
    rng = np.random.default_rng(0)
    both = {"syntactic": rng.normal(size=(3, 20)), "bert": 0.1 * rng.normal(size=(3, 20))}
    np.testing.assert_allclose(scores.combine(both), (both["syntactic"] + both["bert"]) / 2, atol=1e-6)


def test_z_gives_each_score_an_equal_say_whatever_its_range():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 200)), rng.normal(size=(3, 200))
    z = scores.combine({"a": a, "b": b}, "z")
    np.testing.assert_allclose(z, scores.combine({"a": 5 * a - 2, "b": 0.01 * b + 1}, "z"), atol=1e-4)
    equal = scores.combine({"a": a, "b": np.full_like(b, 0.3)}, "z")  # a score that is the same everywhere says nothing
    np.testing.assert_array_equal(np.argsort(-equal, axis=1), np.argsort(-np.float32(a), axis=1))


def test_variance_shares_add_up_and_follow_the_spread():
    rng = np.random.default_rng(1)
    shares = scores.variance_shares({"wide": 3 * rng.normal(size=(4, 500)), "narrow": rng.normal(size=(4, 500)) + 9})
    assert abs(sum(shares.values()) - 1) < 1e-9
    assert 0.8 < shares["wide"] < 0.97
    assert scores.variance_shares({"a": np.ones((1, 3)), "b": np.ones((1, 3))}) == {"a": 0, "b": 0}


def test_length_alone_prefers_the_nearest_length_and_draws_among_equals():
    bank = np.array([3, 8, 8, 12])
    plain = scores.length_similarity(np.array([9]), bank)[0]
    assert list(np.argsort(-plain, kind="stable")) == [1, 2, 3, 0]
    lots = np.array([[0.9, 0.9, 0.1, 0.99]])
    drawn = scores.length_similarity(np.array([9]), bank, lots)[0]
    assert list(np.argsort(-drawn, kind="stable")) == [2, 1, 3, 0]


def test_best_gives_ties_to_the_lowest_index_and_never_the_excluded():
    highest, picks = scores.best(np.array([[1.0, 3.0, 3.0, 2.0, 3.0]]), 3, np.array([2]))
    np.testing.assert_array_equal(picks, [[1, 4, 3]])
    np.testing.assert_array_equal(highest, [[3, 3, 2]])
