"""What separates spoken words: nothing, a phrase mark, or the end of a sentence.

A speaker may pause after any word and mostly does so at marks. Marks are found in the written text, and each is placed
behind as many spoken words as the text before it has. Question marks are not told apart from full stops: what kind of
sentence it is, is left to the prosody.
"""

import re
from collections.abc import Container, Sequence

from copycat_jax.text.characters import plain
from copycat_jax.text.normalize import Spoken, spoken_tokens, spoken_words

INSIDE, WORD, PHRASE, SENTENCE = 0, 1, 2, 3  # what follows a phoneme
BREAKS = 4  # how many kinds there are

# A mark counts where a space, a closing quote or the end follows it: not inside "1,000", "3:15", "U.S." or a URL.
_MARK = re.compile(r"""([.!?…]+|[,;:]|\s[-–—]+(?=\s)|[–—]|[()\[\]])["'”’)\]]*(?=\s|$)|(?<=\w)[–—](?=\w)|\s(?=[(\[])""")
_ENDS = frozenset(".!?…")


def word_breaks(text: str, lexicon: Container[str] = (), count: int | None = None) -> list[int]:
    """What follows each spoken word of `text`: WORD, PHRASE or SENTENCE; the last word always ends a sentence.

    Args:
      text: written English.
      lexicon: lower-case words of a custom lexicon, which are never spelled out.
      count: how many words are known to be spoken (an alignment's; a word may be spelled out). Where the text has
        another number, only that words end is known.

    Returns:
      One value for each item of `normalize.spoken_words(text)`, or for each of the `count` words.
    """
    text = plain(text)
    tokens = spoken_tokens(text, lexicon)
    words = [word for token in tokens for word in token.words]
    breaks = [WORD] * len(words)
    for match in _MARK.finditer(text):
        last = _words_before(tokens, match, lexicon) - 1
        if last < 0:
            continue
        kind = SENTENCE if match[1] and match[1][0] in _ENDS else PHRASE
        if kind == SENTENCE and not _starts_sentence(text[match.end() :]):
            kind = WORD  # the full stop of an abbreviation
        breaks[last] = max(breaks[last], kind)
    if count is not None and count != len(words):
        breaks = [WORD] * count
    if breaks:
        breaks[-1] = SENTENCE
    return breaks


def _words_before(tokens: Sequence[Spoken], mark: re.Match, lexicon: Container[str]) -> int:
    """How many words are spoken before the mark; 0 where it is none ("Mr. Brown", "1914–18")."""
    count, stop = 0, mark.end()
    for token in tokens:
        if token.stop > stop:
            if token.start >= stop:
                return count
            # Inside a token it counts in "May 5, 1990", where what precedes it is the beginning of what is said.
            before = spoken_words(mark.string[token.start : stop], keep=lexicon)
            return count + len(before) if mark[1] == "," and before == token.words[: len(before)] else 0
        count += len(token.words)
        if token.stop == stop and not token.closes:
            return 0
    return count


def _starts_sentence(rest: str) -> bool:
    found = re.search(r"[^\W_]", rest)
    return found is None or not found[0].islower()
