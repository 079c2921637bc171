"""What separates spoken words: nothing, a phrase mark, or the end of a sentence.

A speaker may pause after any word and mostly does so at marks. Marks are found in the written text, and each is placed
behind as many spoken words as the text before it has. Question marks are not told apart from full stops: what kind of
sentence it is, is left to the prosody.
"""

import re
from collections.abc import Container

from copycat_jax.text.normalize import spoken_words

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
    words = spoken_words(text, keep=lexicon)
    breaks = [WORD] * len(words)
    for match in _MARK.finditer(text):
        before = spoken_words(text[: match.end()], keep=lexicon)
        # Where a rule reads across the mark ("St. Paul", "5. May"), what precedes it is not a beginning of the whole.
        if not before or before != words[: len(before)]:
            continue
        kind = SENTENCE if match[1] and match[1][0] in _ENDS else PHRASE
        if kind == SENTENCE and not _starts_sentence(text[match.end() :]):
            kind = WORD  # the full stop of an abbreviation
        breaks[len(before) - 1] = max(breaks[len(before) - 1], kind)
    if count is not None and count != len(words):
        breaks = [WORD] * count
    if breaks:
        breaks[-1] = SENTENCE
    return breaks


def _starts_sentence(rest: str) -> bool:
    found = re.search(r"[^\W_]", rest)
    return found is None or not found[0].islower()
