"""The syntactic distance of a sentence: one number per word, from its constituency tree (Tyagi et al. section 2.1.1).

The distance of a word is the height of the lowest common ancestor of that word and the one before it, in the tree
without punctuation, binarised to the right, with unary chains collapsed and words at height 0; the first word's is 0
(Shen et al. 2018, and the worked example of Tyagi et al., which these conventions alone give exactly):

>>> syntactic_distance(
...     "(S (S (NP The brown fox) (VP is (ADJP quick))) (, ,) (CC and) (S (NP it) (VP is (VP jumping "
...     "(PP over (NP the lazy dog))))) (. .))"
... ).tolist()
[0, 2, 1, 3, 1, 8, 7, 6, 5, 4, 3, 2, 1]

Large distances are where a phrase ends and prosody resets; 8 stands before the second clause.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32
from numpy.typing import ArrayLike

from copycat_jax.errors import UserError
from prosody_vae.linguistics.trees import (
    Tree,
    leaves,
    parse_brackets,
    rebuild,
    strip_punctuation,
    to_brackets,
)

__all__ = [
    "Tree",
    "binarise",
    "distance_to_tree",
    "leaves",
    "parse_brackets",
    "strip_punctuation",
    "syntactic_distance",
    "to_brackets",
]

MADE = "<empty>"  # the label of the nodes that binarising adds


def binarise(tree: Tree) -> Tree:
    """Binarises to the right and collapses unary chains, joining their labels with "+".

    (A b c d) becomes (A b (<empty> c (<empty> d e))); nodes made here are labelled "<empty>". Punctuation is a word
    like any other here: strip it first.
    """
    return rebuild(tree, lambda node: [node], _binary)[0]


def _binary(label: str, children: list[Tree]) -> list[Tree]:
    if not children:
        return []
    if len(children) == 1:
        child = children[0]
        return [child._replace(label="+".join(name for name in (label, child.label) if name))]
    right = children[-1]
    for child in reversed(children[1:-1]):
        right = Tree(MADE, (child, right))
    return [Tree(label, (children[0], right))]


def syntactic_distance(tree: str | Tree) -> Int32[np.ndarray, "W"]:
    """The distance vector of a tree: n numbers for n words, the first of them 0.

    Args:
      tree: Penn brackets or a parsed tree, with or without punctuation and traces.

    Returns:
      int32; for n >= 2 words the smallest distance after the first is 1 and the largest is the tree's height.

    Raises:
      UserError: unbalanced brackets, no words.
    """
    tree = binarise(strip_punctuation(parse_brackets(tree) if isinstance(tree, str) else tree))
    order = [tree]  # parents before children
    parents = [-1]
    for i, node in enumerate(order):
        order += node.children
        parents += [i] * len(node.children)
    height = np.zeros(len(order), np.int32)
    for i in range(len(order) - 1, 0, -1):
        height[parents[i]] = max(height[parents[i]], height[i] + 1)
    return np.asarray([0, *_splits_in_order(order, parents, height)], np.int32)


def _splits_in_order(order: list[Tree], parents: list[int], height: np.ndarray) -> list[int]:
    """Heights of the inner nodes of a binary tree, left to right: the one between two neighbours is their ancestor."""
    first = {parent: i for i, parent in reversed(list(enumerate(parents)))}  # a node's left child; the right is next
    splits: list[int] = []
    waiting = [(0, False)]
    while waiting:
        i, seen = waiting.pop()
        if order[i].word is not None:
            continue
        if seen:
            splits.append(int(height[i]))
        else:
            waiting += [(first[i] + 1, False), (i, True), (first[i], False)]
    return splits


def distance_to_tree(distance: ArrayLike, words: Sequence[str] | None = None) -> Tree:
    """The binarised tree of a distance vector: split at the first largest distance, then both sides alike.

    The inverse of `syntactic_distance` up to labels, n-ary nodes and unary nodes; any vector with the same ranking
    gives the same tree.

    Args:
      distance: one number per word, as `syntactic_distance` gives it; the first is not looked at.
      words: the words; w1, w2, ... if not given.

    Raises:
      UserError: no words, another number of words than distances, or distances that are not numbers.
    """
    values = np.asarray(distance, np.float64)
    n = len(values) if values.ndim == 1 else 0
    words = [f"w{i + 1}" for i in range(n)] if words is None else list(words)
    if not n or len(words) != n or np.isnan(values[1:]).any():
        raise UserError(
            f"{values.shape} distances for {len(words)} words",
            "syntactic distance",
            "Give one number per word, no NaN.",
        )
    nodes: list[tuple[int, int]] = [(0, n)]  # spans, parents before children
    children: dict[int, int] = {}
    for i, (start, end) in enumerate(nodes):
        if end - start > 1:
            split = start + 1 + int(np.argmax(values[start + 1 : end]))
            children[i] = len(nodes)
            nodes += [(start, split), (split, end)]
    built: dict[int, Tree] = {}
    for i in range(len(nodes) - 1, -1, -1):
        left = children.get(i)
        if left is None:
            built[i] = Tree("" if n > 1 else "X", (), words[nodes[i][0]])
        else:
            built[i] = Tree("X", (built.pop(left), built.pop(left + 1)))
    return built[0]
