"""The distance vector: the paper's sentence exactly, the invariants of its definition, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.errors import UserError
from prosody_vae.linguistics.tree_distance import (
    Tree,
    binarise,
    distance_to_tree,
    leaves,
    parse_brackets,
    strip_punctuation,
    syntactic_distance,
    to_brackets,
)

GOLDEN = [0, 2, 1, 3, 1, 8, 7, 6, 5, 4, 3, 2, 1]
PLAIN = (
    "(S (S (NP The brown fox) (VP is (ADJP quick))) (CC and) "
    "(S (NP it) (VP is (VP jumping (PP over (NP the lazy dog))))))"
)
PUNCTUATED = (
    "( (S (S (NP (DT The) (JJ brown) (NN fox)) (VP (VBZ is) (ADJP (JJ quick)))) (, ,) (CC and) (S (NP (PRP it)) "
    "(VP (VBZ is) (VP (VBG jumping) (PP (IN over) (NP (DT the) (JJ lazy) (NN dog)))))) (. .)) )"
)

SILENT = ["(, ,)", "(X (. .))", "(-NONE- *T*-1)", "(PRN (-LRB- -LRB-))", "(NP (NP (-NONE- *)) (: --))"]

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789'", min_size=1, max_size=6).filter(lambda w: w.strip("'"))
labels = st.sampled_from(["S", "NP", "VP", "PP-LOC", "X|Y", "NP=2", ""])
leaf = st.builds(lambda label, word: Tree(label, (), word), labels, words)
trees = st.recursive(
    leaf,
    lambda inner: st.builds(
        lambda label, kids: Tree(label, tuple(kids)), labels, st.lists(inner, min_size=1, max_size=5)
    ),
    max_leaves=25,
)
deeper = settings(max_examples=100, deadline=None)


@pytest.mark.parametrize(
    "tree",
    [
        PLAIN,
        PUNCTUATED,
        PLAIN.replace(" (CC and)", " (, ,) (CC and)"),
        PUNCTUATED.replace("(. .)", "(. .) ('' '')").replace("(S (S", "(S (`` ``) (S", 1),
        PUNCTUATED.replace("(CC and)", "(NP-SBJ (-NONE- *T*-1)) (CC and) (PRN (-LRB- -LRB-) (-RRB- -RRB-))"),
        PLAIN.replace("(VP jumping (PP over (NP the lazy dog)))", "jumping (PP over (NP the lazy dog))"),
        PLAIN.replace("(NP The brown fox)", "(NP The (NP brown fox))"),
    ],
)
def test_the_papers_sentence_exactly(tree):
    assert syntactic_distance(tree).tolist() == GOLDEN
    assert syntactic_distance(parse_brackets(tree)).dtype == np.int32


def test_another_bracketing_gives_another_vector():
    nested = PLAIN.replace("(NP The brown fox)", "(NP (NP The brown) fox)")
    assert syntactic_distance(nested).tolist() == [0, 1, 2, *GOLDEN[3:]]


@pytest.mark.parametrize("n", [2, 3, 7, 400])
def test_branching_one_way_only(n):
    right = "".join(f"(S (NN w{i}) " for i in range(n)) + ")" * n
    left = "(S " * n + "".join(f"(NN w{i})) " for i in range(n))
    flat = "(S " + " ".join(f"w{i}" for i in range(n)) + ")"
    assert syntactic_distance(right).tolist() == [0, *range(n - 1, 0, -1)]
    assert syntactic_distance(flat).tolist() == [0, *range(n - 1, 0, -1)]
    assert syntactic_distance(left).tolist() == list(range(n))
    for tree in (right, left, flat):
        d = syntactic_distance(tree)
        again = distance_to_tree(d)
        np.testing.assert_array_equal(syntactic_distance(to_brackets(again)), d)
        assert parse_brackets(tree) == parse_brackets(tree)


def test_one_word_is_one_zero():
    assert syntactic_distance("(S (VP (VB Go)) (. !))").tolist() == [0]
    assert leaves(distance_to_tree([0], ["Go"])) == ["Go"]


def _slow_distance(tree: Tree) -> tuple[list[int], int]:
    """The definition written down, recursively, over a stripped tree."""
    if tree.word is not None:
        return [], 0
    parts = [_slow_distance(child) for child in tree.children]
    splits, height = parts[-1]
    for left, left_height in reversed(parts[:-1]):
        top = max(left_height, height) + 1
        splits, height = [*left, top, *splits], top
    return splits, height


@deeper
@given(trees)
def test_invariants(tree):
    d = syntactic_distance(tree)
    n = len(leaves(tree))
    assert len(d) == n and d[0] == 0
    assert d.tolist() == [0, *_slow_distance(tree)[0]]
    if n >= 2:
        assert d[1:].min() == 1 and np.ceil(np.log2(n)) <= d.max() <= n - 1
    _assert_unique_maxima(d[1:].tolist())


def _assert_unique_maxima(splits: list[int]) -> None:
    """Inside every constituent the largest distance is unique, and lowers on both sides (4.4, 4)."""
    if splits:
        top = max(splits)
        assert splits.count(top) == 1
        _assert_unique_maxima(splits[: splits.index(top)])
        _assert_unique_maxima(splits[splits.index(top) + 1 :])


@deeper
@given(trees)
def test_round_trip_rebuilds_the_binarised_tree(tree):
    d = syntactic_distance(tree)
    again = distance_to_tree(d, leaves(tree))
    assert leaves(again) == leaves(tree)
    np.testing.assert_array_equal(syntactic_distance(again), d)
    assert _shape(again) == _shape(binarise(tree))
    ranks = np.unique(d[1:], return_inverse=True)[1] * 0.7 - 3.0  # any vector with the same ranking
    assert _shape(distance_to_tree([9.0, *ranks])) == _shape(again)


def _shape(tree: Tree):
    return tuple(map(_shape, tree.children))


@deeper
@given(trees, st.randoms(use_true_random=False))
def test_labels_unary_nodes_and_punctuation_change_nothing(tree, random):
    d = syntactic_distance(tree)

    def dress(node: Tree) -> Tree:
        label = random.choice(["A", "B-C", ""])
        kids: list[Tree] = []
        for child in node.children:
            kids.append(dress(child))
            if random.random() < 0.4:
                kids.append(parse_brackets(random.choice(SILENT)))
        changed = Tree(label, tuple(kids), node.word)
        for _ in range(random.randrange(3)):
            changed = Tree(random.choice(["U", ""]), (changed,))
        return changed

    dressed = dress(tree)
    np.testing.assert_array_equal(syntactic_distance(dressed), d)
    assert leaves(strip_punctuation(dressed)) == leaves(tree)


@deeper
@given(trees)
def test_brackets_round_trip(tree):
    written = to_brackets(tree)
    again = parse_brackets(written)
    assert leaves(again) == leaves(tree)
    np.testing.assert_array_equal(syntactic_distance(again), syntactic_distance(tree))
    assert to_brackets(parse_brackets(to_brackets(again))) == to_brackets(again)


def test_brackets_inside_words_survive_writing():
    tree = Tree("S", (Tree("X", (), "f(x)"), Tree("-LRB-", (), "(")))
    assert "-LRB-" in to_brackets(tree) and leaves(parse_brackets(to_brackets(tree))) == ["f(x)", "("]


def test_currency_words_are_words_and_signs_are_not():
    assert len(syntactic_distance("(NP ($ US$) (CD 5) (NN %) (CC &) (NN co))")) == 3


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ("", "no tree"),
        ("dog", "no tree"),
        ("(S (NP a)", "unbalanced"),
        ("(S", "unbalanced"),
        ("(S (NP a)))", "unbalanced"),
        ("(S a) (S b)", "second tree"),
        ("(S a) and more", "second tree"),
        ("()", "no words"),
        ("(S (NP ) (VP))", "no words"),
        ("(S (. .) (-NONE- *))", "no words"),
    ],
)
def test_refused_in_one_line(tree, says):
    with pytest.raises(UserError, match=says) as refused:
        syntactic_distance(tree)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("d", "words"), [([], None), ([0, 1], ["a"]), ([0, np.nan], None), ([[0, 1]], None)])
def test_distances_that_make_no_tree_are_refused(d, words):
    with pytest.raises(UserError):
        distance_to_tree(d, words)
