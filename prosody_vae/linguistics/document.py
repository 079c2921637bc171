"""Written text as sentences and words: what a voice reads, in the units in which it reads.

Words are the units of trees and distance vectors; sentences are the units of selection; paragraphs those of the
long-form rule; chapters those of an audiobook.
"""

import io
import re
import sys
import unicodedata
import zipfile
from pathlib import Path
from typing import NamedTuple

from copycat_jax.encodings import decode_text
from copycat_jax.errors import UserError
from copycat_jax.text.characters import visible
from copycat_jax.text.lexicon import tell_unspoken
from prosody_vae.linguistics.apparatus import without_contents, without_gutenberg, without_marks
from prosody_vae.linguistics.blocks import Block, Items, Unread, join_lines, merge_unread
from prosody_vae.linguistics.epub import blocks_of_epub, is_epub
from prosody_vae.linguistics.hypertext import blocks_of_html, decode_markup, looks_like_html
from prosody_vae.linguistics.markdown import blocks_of_markdown
from prosody_vae.linguistics.plain_text import blocks_of_text

MAX_WORDS = 400
_FOREIGN = {
    b"%PDF": "a PDF",
    b"{\\rtf": "RTF",
    b"PK": "a zip file or an office document",
    b"\xd0\xcf\x11\xe0": "an old office document",
    b"\x1f\x8b": "a compressed file",
}
_MARKED_UP = {  # text whose marks would be spoken, by the name's ending
    ".tex": "LaTeX", ".ltx": "LaTeX", ".rst": "reStructuredText", ".adoc": "AsciiDoc", ".org": "Org mode",
    ".csv": "a table", ".tsv": "a table", ".json": "JSON", ".jsonl": "JSON", ".ipynb": "a notebook",
    ".srt": "subtitles", ".vtt": "subtitles", ".ass": "subtitles", ".bib": "BibTeX", ".texi": "Texinfo",
    ".fb2": "FictionBook", ".tei": "TEI",
}  # fmt: skip
_MARKED_UP_CONTENT = {  # and by how it begins
    "LaTeX": r"(?:\s|%.*\n)*\\(?:documentclass|documentstyle|begin\{document\})",
    "subtitles": r"WEBVTT\b|\s*\d+\s*\n\d\d:\d\d:\d\d[,.]\d+ --> ",
    "FictionBook": r"(?:<\?xml[^>]*>)?\s*<FictionBook\b",
}


class Paragraph(NamedTuple):
    """A paragraph of a document.

    Attributes:
      sentences: each with at least one word.
    """

    sentences: tuple[str, ...]


class Chapter(NamedTuple):
    """A chapter of a document.

    Attributes:
      title: its heading; empty where the text has none.
      paragraphs: in order.
    """

    title: str
    paragraphs: tuple[Paragraph, ...]


class Document(NamedTuple):
    """A text to be read aloud.

    Attributes:
      title: of the whole; empty where it has none.
      chapters: at least one.
      unread: what stood in it and is no part of the text, in order.
    """

    title: str
    chapters: tuple[Chapter, ...]
    unread: tuple[Unread, ...] = ()


_LETTER = r"[^\W_][\u0300-\u036f]*"
# Joined inside a word: apostrophes, hyphens, "&" of AT&T, "/" of and/or, "@" and "_" of addresses; full stops of 3.5,
# U.S., e.g., example.com and Ph.D. (not of "end.Next"); commas and colons of 1,000 and 10:30.
_JOINT = r"(?:['’‘\-\u2010\u2011&@_/]|(?<=\d)[,:](?=\d)|\.(?=[a-z0-9])|(?<=\b[^\W_])\.|(?<=\bPh)\.(?=D))"
_WORD = re.compile(rf"(?:{_LETTER})+(?:{_JOINT}(?:{_LETTER})+)*")
_SPOKEN_NAMES = ("LATIN ", "VULGAR FRACTION ", "SUPERSCRIPT ", "DIGIT ")


def words_of_sentence(text: str) -> list[str]:
    """The written words of a text without punctuation: the tokens of its distance vector.

    A word is a run of Latin letters (of any language, accents included) and digits. Hyphens and apostrophes inside it
    are kept (well-known, don't, o'clock), those at its edges dropped ('tis, dogs'); a dash ends it. Numbers are words,
    with their decimals, thousands and clock times (3.5, 1,000, 10:30); so are U.S, e.g, AT&T, and/or, example.com.

    Dropped, because the voice cannot say them: emoji, other scripts (Greek, Cyrillic, Chinese), and symbols, "&", "%"
    and "$" standing alone among them, as a constituency tree loses them with its punctuation.
    """
    if not text.isascii():
        text = "".join(map(_latin, unicodedata.normalize("NFC", visible(text))))
    return _WORD.findall(text)


def _latin(character: str) -> str:
    """The character, or a space for a letter or number of another script."""
    if character == "ʼ":  # an apostrophe that Unicode calls a letter
        return "'"
    if character.isascii() or not (character.isalnum() or unicodedata.category(character)[0] == "S"):
        return character
    return character if unicodedata.name(character, "").startswith(_SPOKEN_NAMES) else " "


def check_sentence(text: str) -> None:
    """Refuses what cannot be one spoken sentence.

    A number is a sentence ("1984."), as it is spoken in words.

    Raises:
      UserError: empty, no letters or digits that a voice could say, or more than 400 words.
    """
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 50 else shown[:47] + "..."
    if not shown:
        raise UserError("empty text", "sentence", "Give a sentence.")
    words = words_of_sentence(text)
    if not words:
        raise UserError(
            f"no letters in '{shown}'",
            "sentence",
            "Give words in Latin letters; emoji and other scripts are dropped.",
        )
    if len(words) > MAX_WORDS:
        raise UserError(
            f"{len(words)} words in one sentence, of which {MAX_WORDS} are allowed",
            f"sentence '{shown}'",
            "Divide it with full stops.",
        )


def _table(words: str) -> frozenset[str]:
    return frozenset(words.split())


# No end of a sentence before a word; none before a number; one only where a frequent first word follows.
_TITLES = _table(
    "mr mrs ms messrs mme mlle dr drs prof gen col capt cpt lt sgt maj cpl adm cmdr rev hon gov sen rep pres supt st "
    "mt ft vs e.g i.e cf viz approx ca esp incl"
)
_NUMBERED = _table(
    "no nos c s v vol vols fig figs p pp ch chap sec art eq ex jan feb mar apr jun jul aug sep sept oct nov dec"
)
_OPEN = _table(
    "etc jr sr co inc ltd corp bros dept assn ave blvd rd hwy esq al a.m p.m b.c a.d b.c.e c.e u.s u.k u.n u.s.a d.c "
    "ph.d m.d b.a m.a ed eds tel est"
)
_FIRST_WORDS = _table(
    "the a an he she it they we i you this that these those there his her its their our my your but and or so yet "
    "in on at by for from to with as of when where while after before since because although though if once until "
    "then now here what who why how which not no yes is was are were did do does have has had can could will would "
    "should may might must one some many most all both each every another other such even only also however "
    "meanwhile moreover nevertheless later still perhaps"
)
_STOP = re.compile(r"(?:\.(?:\s?\.){2,}|[.!?…]+)[\"'”’»)\]*_]*(?=\s|$)")
_OPENING = "\"'“‘«([*_-–— "


def split_sentences(text: str) -> list[str]:
    """Splits a paragraph into sentences; nothing but white space is lost, and runs of it become one space.

    A sentence ends at a full stop, question mark, exclamation mark or ellipsis, with its closing quotes and brackets,
    where what follows does not start in lower case ('"Why?" he asked.' is one). Semicolons and colons end none.
    A full stop ends none after a title (Mr., Dr., St., e.g.), the number of a list, or "No." and a month's abbreviation
    before a number; after initials (J. Smith, U.S.), etc., Jr., a.m. and the like it does if a word follows that often
    begins a sentence (The, He, But). Decimals and times are inside a word. A part without a word stays with the
    sentence before it, the first with the one after.
    """
    text = " ".join(text.split())
    sentences: list[str] = []
    start = 0
    for match in _STOP.finditer(text):
        if match.start() < start or not _ends(text, start, match):
            continue
        sentences.append(text[start : match.end()].strip())
        start = match.end()
    if text[start:].strip():
        sentences.append(text[start:].strip())
    joined: list[str] = []
    for sentence in sentences:
        if joined and not (words_of_sentence(sentence) and words_of_sentence(joined[-1])):
            joined[-1] += " " + sentence
        else:
            joined.append(sentence)
    return joined


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether the stop that `match` found ends the sentence that began at `start`."""
    after = text[match.end() : match.end() + 80].lstrip(_OPENING)
    if not after:
        return True
    if after[0].islower() or after[0] in ".!?…,;:)":
        return False
    if match[0][0] != "." or ".." in match[0].replace(" ", ""):
        return True
    before = text[start : match.start()].rsplit(" ", 1)[-1].lstrip("\"'“‘«([*_-–—")
    word = re.split(r"[-–—/]", before)[-1]
    lower = word.lower()
    following = (words_of_sentence(after) or [""])[0].lower()
    if lower in _TITLES and match[0] == ".":
        return False
    number = r"\d" if lower == "no" else r"\d|[IVXLC]+\b"  # "No. I see."
    if lower in _NUMBERED and re.match(number, after) and match[0] == ".":
        return False
    if re.fullmatch(r"\d+|[a-zA-Z]", word) and not text[start : match.start() - len(before)].strip():
        return False  # 1. or A. before the item of a list
    is_initials = re.fullmatch(r"[A-Z](?:\.[A-Z])*", word) is not None and match[0] == "."
    if lower in _OPEN or is_initials:
        return following.split("'")[0] in _FIRST_WORDS and not re.match(r"[A-Z]\.", after)  # Mrs. R. A. Reid
    return True


def read_document(path: str | Path) -> Document:
    """Reads a file of text, Markdown (.md, .markdown), HTML or EPUB; "-" is a text from standard input.

    HTML and EPUB are known by their content, whatever the name. See `plain_text`, `markdown`, `hypertext` and `epub`
    for what is a heading and what is not read, `apparatus` for notes, contents lists and Project Gutenberg's matter.
    Letters of other scripts and emoji are dropped, and a warning says so. A sentence of more than 400 words is divided.

    Raises:
      UserError: no such file, of a kind that cannot be read, or nothing to read in it.
    """
    content, name, sure = _content(path), Path(path), True
    if name.suffix.lower() == ".epub" and not zipfile.is_zipfile(io.BytesIO(content)):
        raise UserError("is no EPUB, or a damaged one", str(path), "Copy or download it again.")
    if is_epub(content):
        items = blocks_of_epub(content, str(path))
    elif name.suffix.lower() in (".html", ".htm", ".xhtml", ".xml"):
        items = blocks_of_html(decode_markup(content, str(path)))
    else:
        text = _decoded(content, str(path))
        _check_running(text, name)
        if name.suffix.lower() in (".md", ".markdown"):
            items = blocks_of_markdown(text)
        else:
            sure = looks_like_html(text)
            items = blocks_of_html(text) if sure else blocks_of_text(text)
    document = make_document(items, sure)
    if not any(chapter.paragraphs for chapter in document.chapters):
        raise UserError("nothing to read: no words in Latin letters", str(path), "Give a text with sentences.")
    tell_unspoken(" ".join(item.text for item in items if isinstance(item, Block)), str(path))
    return document


def read_text(path: str | Path) -> str:
    """The text of a file in whatever encoding; "-" stands for standard input.

    Raises:
      UserError: no such file, or of a kind that is no text.
    """
    return _decoded(_content(path), str(path))


def _content(path: str | Path) -> bytes:
    remedy = "Give a file of text, Markdown, HTML or EPUB."
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError("no such file", str(path), remedy) from None
    except IsADirectoryError:
        raise UserError("is a folder", str(path), remedy) from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", str(path), remedy) from None


def _decoded(content: bytes, where: str) -> str:
    for magic, noun in _FOREIGN.items():
        if content.startswith(magic):
            raise UserError(f"is {noun}, not text", where, "Save it as text, Markdown, HTML or EPUB.")
    return decode_text(content, where)


def _check_running(text: str, path: Path) -> None:
    """Raises UserError for a text in a language of marks that is not read, by its name or its beginning."""
    noun = _MARKED_UP.get(path.suffix.lower(), "")
    noun = noun or next((noun for noun, begins in _MARKED_UP_CONTENT.items() if re.match(begins, text)), "")
    if noun:
        remedy = "Save it as plain text, Markdown, HTML or EPUB (pandoc can), and name it so."
        raise UserError(f"is {noun}, which is not read", str(path), remedy)


def make_document(items: Items, sure: bool = True) -> Document:
    """Headings to title and chapters, paragraphs to sentences.

    The first block is the title where it is a heading that no other equals in level and none exceeds. The largest
    headings that remain start chapters; smaller ones are paragraphs of one sentence. A chapter of nothing but its
    heading ("Part One") lends that to the next.

    Args:
      items: of a reader.
      sure: whether it knows headings from paragraphs, or guesses.
    """
    items = without_marks(without_contents(without_gutenberg(items), sure))
    unread = merge_unread(item for item in items if isinstance(item, Unread))
    blocks = [Block(item.level, _running(item.text)) for item in items if isinstance(item, Block)]
    blocks = [block for block in blocks if words_of_sentence(block.text)]
    title = ""
    if blocks and blocks[0].level is not None:
        levels = [block.level for block in blocks[1:] if block.level is not None]
        if blocks[0].level == 0 or (levels and min(levels) > blocks[0].level):
            title = blocks.pop(0).text
    top = min((block.level for block in blocks if block.level is not None), default=None)
    chapters: list[tuple[list[str], list[Paragraph]]] = [([], [])]
    for block in blocks:
        if block.level is not None and block.level == top:
            if chapters[-1][1]:
                chapters.append(([], []))
            chapters[-1][0].append(block.text)
            continue
        sentences = split_sentences(block.text) if block.level is None else [block.text]
        chapters[-1][1].append(Paragraph(tuple(part for text in sentences for part in divided(text))))
    return Document(title, tuple(Chapter(": ".join(titles), tuple(parts)) for titles, parts in chapters), unread)


def _running(text: str) -> str:
    return " ".join(join_lines(visible(text).split("\n")).split())


def divided(sentence: str) -> list[str]:
    """A sentence of more than 400 words in parts, cut at the strongest mark near its middle; others as they are."""
    words = sentence.split()
    if len(words_of_sentence(sentence)) <= MAX_WORDS or len(words) < 2:
        return [sentence]

    def cost(at: int) -> tuple[float, float]:
        away = abs(at / len(words) - 0.5)
        strength = next((i for i, marks in enumerate((".!?", ";:—–", ",")) if words[at - 1][-1] in marks), 3)
        return (strength if away <= 0.3 else 3), away

    middle = min(range(1, len(words)), key=cost)
    return divided(" ".join(words[:middle])) + divided(" ".join(words[middle:]))
