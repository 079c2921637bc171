"""Trees of a parser's tokens re-aligned to the words of the text.

Parsers split words ("it's" to "it" and "'s"), leave words out, join some, and change their case; a distance vector
needs one leaf per written word.
"""

import difflib
import unicodedata
from collections.abc import Sequence

from copycat_jax.errors import UserError
from prosody_vae.linguistics.trees import Tree, rebuild, word_nodes

_PHRASES = frozenset((
    *("S", "SBAR", "SBARQ", "SINV", "SQ", "NP", "VP", "PP", "ADJP", "ADVP", "QP", "PRT", "PRN", "NX", "INTJ", "FRAG"),
    *("WHNP", "WHPP", "WHADVP", "WHADJP", "UCP", "CONJP", "LST", "NAC", "RRC", "X"),
))  # fmt: skip


def align_tree(tree: Tree, words: Sequence[str]) -> Tree:
    """The tree over exactly `words`, in their order and spelling.

    Tokens and words are matched by their letters and digits in order. The pieces of a split word become one leaf where
    the first piece stood. Several words in one token become a constituent in its place. A word that the parser left out
    joins the constituent of the word after it, just before that word, or of the word before it at the end of a
    sentence. Tokens without a word (punctuation) go, and constituents left empty. A tree that shares no word with the
    text gives one flat constituent.

    Args:
      tree: of a parser, punctuation included or not.
      words: as `document.words_of_sentence` gives them.

    Raises:
      UserError: no words.
    """
    words = list(words)
    if not words:
        raise UserError("no words to align a tree to", "align_tree", "Give a sentence with at least one word.")
    tokens = [node.word or "" for node in word_nodes(tree)]
    homes = _homes([_key(token) for token in tokens], [_key(word) for word in words])
    if not any(home is not None for home in homes):
        return Tree("S", tuple(Tree("", (), word) for word in words))
    matched = [home is not None for home in homes]
    following = None
    for i in range(len(words) - 1, -1, -1):  # a word left out goes where the next one stands
        following = homes[i] = homes[i] if homes[i] is not None else following
    last = max(home for home in homes if home is not None)
    standing: dict[int, list[int]] = {}
    for i, home in enumerate(homes):
        standing.setdefault(last if home is None else home, []).append(i)

    seen = iter(range(len(tokens)))

    def place(node: Tree) -> list[Tree]:
        here = standing.get(next(seen), [])
        own = [i for i in here if matched[i]]
        if not here:
            return []
        placed = [Tree("", (), words[i]) for i in here if i < own[0]]
        after = [Tree("", (), words[i]) for i in here if i > own[-1]]
        held = [words[i] for i in here if own[0] <= i <= own[-1]]
        if len(held) > 1:
            return [*placed, Tree(node.label, tuple(Tree("", (), word) for word in held)), *after]
        if node.label in _PHRASES and (placed or after):  # (NP dogs) is a constituent, (NN dogs) is not
            return [Tree(node.label, (*placed, Tree("", (), held[0]), *after))]
        return [*placed, Tree(node.label, (), held[0]), *after]

    aligned = rebuild(tree, place, lambda label, children: [Tree(label, tuple(children))] if children else [])
    return aligned[0] if len(aligned) == 1 else Tree("S", tuple(aligned))


def _key(text: str) -> str:
    """Letters and digits only, without accents, in lower case."""
    return "".join(c for c in unicodedata.normalize("NFKD", text).lower() if c.isalnum())


def _homes(tokens: list[str], words: list[str]) -> list[int | None]:
    """For every word the token that holds its first matched letter; None where less than half of it was matched."""
    token_of = [i for i, token in enumerate(tokens) for _ in token]
    spoken, written = "".join(tokens), "".join(words)
    where: list[int | None] = [None] * len(written)
    if spoken == written:
        blocks = [(0, 0, len(written))]
    else:
        blocks = difflib.SequenceMatcher(None, spoken, written, autojunk=False).get_matching_blocks()
    for a, b, size in blocks:
        where[b : b + size] = token_of[a : a + size]
    homes: list[int | None] = []
    start = 0
    for word in words:
        found = [home for home in where[start : start + len(word)] if home is not None]
        homes.append(found[0] if found and 2 * len(found) >= len(word) else None)
        start += len(word)
    return homes
