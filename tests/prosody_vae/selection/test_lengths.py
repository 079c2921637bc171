import numpy as np

from prosody_vae.selection import lengths, scores
from prosody_vae.space.table import Distances


def right_branching(words):
    return np.r_[0, np.arange(words - 1, 0, -1)]


def left_branching(words):
    return np.r_[0, np.arange(1, words)]


def sentences(rng, count):
    """Two kinds that differ in structure alone, and their lengths."""
    kinds = rng.choice(["right", "left"], count)
    rows = [(right_branching if k == "right" else left_branching)(int(rng.integers(3, 15))) for k in kinds]
    return rows, list(kinds)


def test_structure_shows_given_length_and_length_alone_shows_nothing():
    rng = np.random.default_rng(0)
    (queries, query_kinds), (bank, kinds) = sentences(rng, 40), sentences(rng, 300)
    rows = {r.rule: r for r in lengths.length_rule_table(queries, Distances.from_rows(bank), query_kinds, kinds)}
    assert list(rows) == [*scores.LENGTH_RULES, lengths.LENGTH_ONLY]
    for rule in scores.LENGTH_RULES:
        assert rows[rule].partial > 0.3 and rows[rule].hit == 1 and rows[rule].best > rows[rule].random
    alone = rows[lengths.LENGTH_ONLY]
    assert abs(alone.partial) < 1e-6 and alone.ratio == (1, 1, 1) and abs(alone.hit - alone.hit_given_length) < 1e-6
    assert rows["zero-pad"].ratio == (1, 1, 1)  # the rule keeps matches near the query's length
    table = lengths.format_table(list(rows.values()))
    assert len(table.splitlines()) == 5 and "length-only" in table


def test_what_length_explains_is_taken_away():
    rng = np.random.default_rng(1)
    words, bank_words = rng.integers(2, 9, 30), rng.integers(2, 9, 200)
    same = (words[:, None] > 5) == (bank_words[None, :] > 5)  # a property of the two lengths and of nothing else
    similarity = same + 0.01 * rng.normal(size=same.shape)
    assert abs(lengths.partial_correlation(similarity, same, words, bank_words)) < 1e-6
