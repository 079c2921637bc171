"""Constituency trees as plain values: Penn brackets in, Penn brackets out, punctuation removed.

Nothing here recurses: a right-branching tree of 400 words is 400 nodes deep, and Python's stack is not.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from copycat_jax.errors import UserError

BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LCB-": "{", "-RCB-": "}", "-LSB-": "[", "-RSB-": "]"}
_ESCAPES = {"(": "-LRB-", ")": "-RRB-"}
_TOKEN = re.compile(r"[()]|[^\s()]+")


class Tree(NamedTuple):
    """A node of a constituency tree.

    Attributes:
      label: of the constituent, or the part of speech of a word; empty for a bare word and for an unlabelled bracket.
      children: from left to right; empty for a word.
      word: the written word of a leaf; None for a constituent.

    `Tree("NN", (), "dog")` and `Tree("", (), "dog")` are words, with and without a part of speech. Comparing, hashing
    and printing go through the brackets, so that they do not recurse either.
    """

    label: str
    children: tuple["Tree", ...] = ()
    word: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and to_brackets(self) == to_brackets(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(to_brackets(self))

    def __repr__(self) -> str:
        return f"Tree<{to_brackets(self)}>"


def parse_brackets(text: str) -> Tree:
    """Reads one tree in Penn brackets, e.g. `(S (NP (DT The) (NN dog)) (VP barks))`.

    Labels may be missing, words may stand bare beside constituents; `-LRB-` and the like become the brackets they
    stand for. An unlabelled bracket around the whole, as the Treebank writes it, is kept as a unary node.

    Raises:
      UserError: no tree, unbalanced brackets, or anything after the tree.
    """
    tokens = [(m[0], m.start()) for m in _TOKEN.finditer(text)]
    if not tokens or tokens[0][0] != "(":
        raise UserError(f"no tree in '{_shown(text)}'", "bracketed tree", "Write it as (S (NP The dog) (VP barks)).")
    open_nodes: list[tuple[str, list[Tree]]] = []
    labelled = False  # the token after a "(" is a label, unless it is itself a bracket
    for i, (token, _) in enumerate(tokens):
        if token == "(":
            labelled = i + 1 < len(tokens) and tokens[i + 1][0] not in "()"
            open_nodes.append(("", []))
        elif token == ")":
            label, children = open_nodes.pop()
            node = _closed(label, children)
            if open_nodes:
                open_nodes[-1][1].append(node)
            elif i + 1 == len(tokens):
                return node
            else:
                rest = text[tokens[i + 1][1] :]
                raise UserError(
                    f"unbalanced brackets or a second tree: '{_shown(rest)}' follows the end of the tree",
                    f"bracketed tree, character {tokens[i + 1][1]}",
                    "Give one tree whose brackets all close at its end.",
                )
        elif labelled:
            open_nodes[-1] = (token, [])
            labelled = False
        else:
            open_nodes[-1][1].append(Tree("", (), _unescape(token)))
    raise UserError(
        f"unbalanced brackets: {len(open_nodes)} still open at the end of '{_shown(text)}'",
        "bracketed tree",
        "Close every bracket.",
    )


def _closed(label: str, children: list[Tree]) -> Tree:
    """A constituent, or a word with its part of speech where the bracket holds one bare word."""
    if len(children) == 1 and children[0].word is not None and not children[0].label:
        return Tree(label, (), children[0].word)
    return Tree(label, tuple(children))


def _shown(text: str, width: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def _unescape(word: str) -> str:
    for escaped, bracket in BRACKETS.items():
        word = word.replace(escaped, bracket)
    return word


def to_brackets(tree: Tree) -> str:
    """Writes a tree in Penn brackets on one line.

    Round brackets inside words become -LRB- and -RRB-; where a missing label could not be read back it is written X.
    """
    written: list[str] = []
    waiting: list[Tree | str] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            written[-1] += node
        elif node.word is not None:
            word = "".join(_ESCAPES.get(c, c) for c in node.word)
            written.append(f"({node.label or 'X'} {word})" if node.label or node is tree else word)
        else:
            first = node.children[0] if node.children else node
            bare = first.word is not None and not first.label  # would be read as the label
            written.append(f"({node.label or ('X' if bare else '')}")
            waiting.append(")")
            waiting += reversed(node.children)
    return " ".join(written)


def leaves(tree: Tree) -> list[str]:
    """The words of a tree from left to right."""
    return [node.word for node in word_nodes(tree) if node.word is not None]


def word_nodes(tree: Tree) -> list[Tree]:
    """The leaves of a tree from left to right, with their parts of speech."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if node.word is not None:
            found.append(node)
        waiting += reversed(node.children)
    return found


def rebuild(
    tree: Tree, leaf: Callable[[Tree], list[Tree]], join: Callable[[str, list[Tree]], list[Tree]]
) -> list[Tree]:
    """Rebuilds a tree bottom-up without recursion.

    Args:
      tree: what is rebuilt.
      leaf: what stands in the place of a word, called once for each word from left to right.
      join: what stands in the place of a constituent, given its label and what has become of its children.

    Returns:
      What has become of the root: no, one or several trees.
    """
    finished: list[list[Tree]] = [[]]
    waiting: list[tuple[Tree, bool]] = [(tree, False)]
    while waiting:
        node, done = waiting.pop()
        if node.word is not None:
            finished[-1] += leaf(node)
        elif done:
            children = finished.pop()
            finished[-1] += join(node.label, children)
        else:
            finished.append([])
            waiting.append((node, True))
            waiting += ((child, False) for child in reversed(node.children))
    return finished[0]


def is_word(node: Tree) -> bool:
    """Whether a leaf is spoken: not a trace, not punctuation.

    A trace is labelled -NONE-. Punctuation is a token without a letter or digit ("$", "%" and "&" too, as in
    `document.words_of_sentence`), or one whose label has none; but for the labels "$" and "#", under which the Treebank
    also has "US$".
    """
    if node.word is None or node.label == "-NONE-" or not any(c.isalnum() for c in _unescape(node.word)):
        return False
    return not node.label or node.label in ("$", "#") or any(c.isalnum() for c in node.label)


def strip_punctuation(tree: Tree) -> Tree:
    """Removes traces, punctuation, and the constituents that they leave empty (papers.md section 4.3).

    Raises:
      UserError: nothing is left.
    """
    left = rebuild(
        tree,
        lambda node: [node] if is_word(node) else [],
        lambda label, children: [Tree(label, tuple(children))] if children else [],
    )
    if not left:
        raise UserError("the tree holds no words", f"tree '{_shown(to_brackets(tree))}'", "Give a tree of a sentence.")
    return left[0]
