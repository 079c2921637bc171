"""A document as what is spoken one after the other: titles and paragraphs, each with the pause behind it.

Between the end of one sentence and the start of the next lies a pause by the mark that ends the first, or by what ends
with it, whichever is longer (PAUSES_S). A sentence without a word (a row of asterisks, emoji alone) is left out.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Lexicon, words_of
from copycat_jax.text.normalize import spoken_words
from prosody_vae.linguistics.document import Document, check_sentence, words_of_sentence

# Seconds from the last sound of a sentence to the first of the next, by what the sentence ends with.
PAUSES_S = {".": 0.5, "!": 0.5, "?": 0.6, "…": 0.7, ",": 0.25, ";": 0.35, ":": 0.4, "—": 0.3, "–": 0.3, "-": 0.3}
OTHER_S, PARAGRAPH_S, TITLE_S, CHAPTER_S = 0.5, 0.9, 1.2, 2.0
_CLOSING = "\"'”’»)]}*_ "


class Passage(NamedTuple):
    """A title or a paragraph.

    Attributes:
      chapter: in which it stands, from 0; the document's own title is a chapter of its own.
      paragraph: which of its chapter it is, from 0.
      sentences: of which some may hold nothing to speak.
      pause_s: the least silence behind it.
    """

    chapter: int
    paragraph: int
    sentences: tuple[str, ...]
    pause_s: float

    @property
    def spoken(self) -> list[str]:
        """The sentences that can be spoken."""
        return [text for text in self.sentences if is_speakable(text)]


def chapter_titles(document: Document) -> list[str]:
    """The titles of the chapters as `passages_of` numbers them."""
    return [document.title] * bool(document.title) + [chapter.title for chapter in document.chapters]


def passages_of(document: Document) -> list[Passage]:
    """All titles and paragraphs of a document in order; behind the last is only the pause of its mark."""
    passages: list[Passage] = []
    bodies = [()] * bool(document.title) + [chapter.paragraphs for chapter in document.chapters]
    for number, (title, paragraphs) in enumerate(zip(chapter_titles(document), bodies, strict=True)):
        parts = [((title,), TITLE_S)] if is_speakable(title) else []
        parts += [(paragraph.sentences, PARAGRAPH_S) for paragraph in paragraphs]
        for i, (sentences, pause_s) in enumerate(parts):
            passages.append(Passage(number, i, sentences, CHAPTER_S if i == len(parts) - 1 else pause_s))
    return [*passages[:-1], passages[-1]._replace(pause_s=0.0)] if passages else []


def check_passages(passages: Sequence[Passage], where: str, lexicon: Lexicon | None = None) -> None:
    """Raises UserError, before any work, if a sentence cannot be spoken although it has words, or if none has."""
    spoken = [text for passage in passages for text in passage.spoken]
    if not spoken:
        raise UserError("holds nothing that can be spoken", where, "Give a text in English.")
    for text in spoken:
        check_sentence(text)
        words_of(text, lexicon)


@functools.lru_cache(1 << 16)
def is_speakable(text: str) -> bool:
    """Whether anything in a sentence can be spoken."""
    return bool(words_of_sentence(text)) and bool(spoken_words(text))


def pause_after(text: str, at_least_s: float = 0.0) -> float:
    """Seconds of silence after a sentence: by its last mark, closing quotes aside, but at least `at_least_s`."""
    bare = text.rstrip(_CLOSING)
    return max(PAUSES_S.get(bare[-1:], OTHER_S), at_least_s)
