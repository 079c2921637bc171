"""What surrounds a text is not read, and said; what only looks like it is read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosody_vae.linguistics.apparatus import roman_value
from prosody_vae.linguistics.document import MAX_WORDS, make_document, read_document, words_of_sentence
from prosody_vae.linguistics.hypertext import blocks_of_html
from prosody_vae.linguistics.markdown import blocks_of_markdown
from prosody_vae.linguistics.plain_text import blocks_of_text


def plain(text):
    return make_document(blocks_of_text(text), sure=False)


def sentences(document):
    return [text for chapter in document.chapters for p in chapter.paragraphs for text in p.sentences]


def kinds(document):
    return [part.kind for part in document.unread]


@pytest.mark.parametrize(
    ("text", "read", "left_out"),
    [
        ("He came.[2] She went.", "He came. She went.", ["[2]"]),
        ("He came [12] and went.", "He came and went.", ["[12]"]),
        ("He came,[a] and went[*].", "He came, and went.", ["[*]", "[a]"]),
        ("It ended.12 Then it began.", "It ended. Then it began.", ["12"]),
        ("“It ended.”3 Then it began.", "“It ended.” Then it began.", ["3"]),
        ("It ended.¹² Then, later,³ it began.", "It ended. Then, later, it began.", ["¹²", "³"]),
        ("He slept* badly† and long.‡", "He slept badly and long.", ["*", "†", "‡"]),
        ("He slept{12} badly {xii} and long. {p. 7}", "He slept badly and long.", ["{12}", "{xii}", "{p. 7}"]),
        ("He slept [Pg 12] badly.[Page 3]", "He slept badly.", ["[Pg 12]", "[Page 3]"]),
        ("A ship [Illustration: The [old] ship] came.", "A ship came.", ["[Illustration: The [old] ship]"]),
        ("He [Footnote 3: Not he.] came. [Sidenote: Who?]", "He came.", ["[Footnote 3: Not he.]", "[Sidenote: Who?]"]),
        ("[Transcriber's Note: It is so.] He came.", "He came.", ["[Transcriber's Note: It is so.]"]),
    ],
)
def test_marks_are_left_out_and_said(text, read, left_out):
    for document in (plain(text), make_document(blocks_of_markdown(text)), make_document(blocks_of_html(f"<p>{text}"))):
        assert " ".join(sentences(document)) == read
        assert sorted(part.text.strip() for part in document.unread) == sorted(left_out)


@pytest.mark.parametrize(
    "text",
    [
        "He saw [a] dog in [1984] and said [sic] so.",
        "See no.12 Downing Street, fig.2 Above, and p.7 There.",
        "It is 3.14 or 10.30 at example.com and 10² m² x³.",
        "Say {HH AH0 L OW1} to him.",
        "She is 5 * 6 & 7, and AT&T is 2*3.",
        "Vitamin B12 and the MI5 man left.",
        "Is 5 < 6 and 7 > 3?",
    ],
)
def test_what_only_looks_like_a_mark_is_read(text):
    document = plain(text)
    assert sentences(document) == [text] and document.unread == ()


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("A set {of things} here.", "A set of things here."),
        ("A {HH AH0 L XX1} set {} here {{b} c}.", "A HH AH0 L XX1 set here b c."),
        ("An open { brace } and } one {.", "An open brace and } one {."),
    ],
)
def test_a_brace_that_holds_no_phonemes_is_text(text, read):
    assert " ".join(sentences(plain(text))) == read


@pytest.mark.parametrize("mark", ["[3]", "*", "†", "4", "⁵"])
def test_a_note_is_left_out_after_its_mark_and_read_without_it(mark):
    here = {"4": "It ended.4", "⁵": "It ended.⁵"}.get(mark, f"It ended{mark}.")
    note = f"{mark} See the other book."
    with_mark, without = plain(f"{here} So.\n\nMore.\n\n{note}"), plain(f"It ended. So.\n\nMore.\n\n{note}")
    assert sentences(with_mark) == ["It ended.", "So.", "More."]
    assert kinds(with_mark) == ["footnote mark", "footnote"]
    assert "See the other book." in sentences(without)[-1] and "footnote" not in kinds(without)


FRONT = "The Project Gutenberg eBook of X\n\nTitle: X\n\n"
START = "*** START OF THE PROJECT GUTENBERG EBOOK A VERY LONG\nTITLE ***"
END = "*** END OF THE PROJECT GUTENBERG EBOOK X ***\n\nSection 1. General Terms of Use.\n\nDonate."


@pytest.mark.parametrize(
    "text",
    [
        f"{FRONT}{START}\n\nProduced by Jane Doe.\n\n@\n\n{END}",
        f"{FRONT}{START.replace('THE PROJECT', 'THIS PROJECT').replace('*** ', '***')}\n@\n{END}",
        f"{FRONT}*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n@\n\nEnd of the Project "
        "Gutenberg Etext of X\n\nMore.",
    ],
)
def test_gutenberg_s_own_words_are_left_out_of_text_and_html(text):
    story = "It rained.\n\nIt snowed."
    markup = "<html><p>" + text.replace("@", f"\n{story}\n").replace("\n\n", "</p><p>")
    for document in (plain(text.replace("@", story)), make_document(blocks_of_html(markup))):
        assert sentences(document)[-2:] == ["It rained.", "It snowed."]
        assert not any("Gutenberg" in s or "Produced" in s or "Donate" in s for s in sentences(document))
        assert "Project Gutenberg's matter" in kinds(document)
    assert sentences(plain("The Project Gutenberg is a library.\n\nProduced by hand.")) == [
        "The Project Gutenberg is a library.", "Produced by hand.",
    ]  # fmt: skip


CONTENTS = {
    "a block of lines": "CONTENTS\n\nCHAPTER I. The Wind\nCHAPTER II. The Rain\nCHAPTER III. The Sun",
    "paragraphs": "Contents.\n\nChapter I\n\nChapter II\n\nChapter III",
    "numerals": "TABLE OF CONTENTS\n\nI. The Wind ........ 1\nII. The Rain ........ 20\nIII. The Sun . . . . . 30",
    "counting anew": "CONTENTS\n\nBOOK I\n\nChapter I\n\nChapter II\n\nBOOK II\n\nChapter I\n\nChapter II",
    "synopses": "CONTENTS\n\nCHAPTER I.\n"
    + "The wind -- It blows -- And more of it -- " * 20
    + "\n\nCHAPTER II.\n"
    + "The rain -- It falls -- " * 20,
    "leaders alone": "The wind ........ 1\nThe rain ........ 20",
}


@pytest.mark.parametrize("form", CONTENTS)
def test_a_contents_list_is_left_out_and_the_chapters_stay(form):
    body = "It blew. It blew more.\n\nCHAPTER II.\nThe Rain\n\nIt fell."
    head = "BOOK I\n\nCHAPTER I.\nThe Wind" if form == "counting anew" else "CHAPTER I.\nThe Wind"
    document = plain(f"{CONTENTS[form]}\n\n{head}\n\n{body}")
    assert [chapter.title.removeprefix("BOOK I: ") for chapter in document.chapters] == [
        "CHAPTER I: The Wind", "CHAPTER II: The Rain",
    ]  # fmt: skip
    assert sentences(document) == ["It blew.", "It blew more.", "It fell."] and set(kinds(document)) == {"contents"}


def test_contents_of_markup_end_at_a_heading():
    text = "# Book\n\n## Contents\n\n- [One](#one)\n- Two\n\n## One\n\nShort\n\n- items\n\n## Two\n\nText."
    document = make_document(blocks_of_markdown(text))
    assert [c.title for c in document.chapters] == ["One", "Two"] and sentences(document) == ["Short", "items", "Text."]
    prose = make_document(blocks_of_markdown("# Contents\n\nThe contents of the box were lost. Nobody knew."))
    assert sentences(prose) == ["The contents of the box were lost.", "Nobody knew."] and prose.unread == ()


@pytest.mark.parametrize("words", [401, 2000])
@pytest.mark.parametrize("mark", ["", ";", ","])
def test_a_block_that_is_too_long_is_divided(words, mark):
    text = " ".join(f"word{mark}" if i % 9 == 0 else "word" for i in range(words))
    parts = sentences(plain(f"It rained.\n\n{text}\n\nIt snowed."))[1:-1]
    assert " ".join(parts) == text and max(len(words_of_sentence(part)) for part in parts) <= MAX_WORDS
    assert not mark or all(part.endswith(mark) for part in parts[:-1])


@given(st.text(st.sampled_from("aB1.[]{}*†|#<>-_'\n\\ \t²I&;"), max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_or_has_nothing_to_read(text):
    for blocks in (blocks_of_text, blocks_of_markdown, blocks_of_html):
        document = make_document(blocks(text), sure=blocks is not blocks_of_text)
        for sentence in sentences(document):
            assert words_of_sentence(sentence) and "\n" not in sentence


def test_book_prose_holds_nothing_that_would_be_left_out(corpora, tmp_path):
    path = corpora / "ljspeech_transcripts.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    (tmp_path / "book.txt").write_text("\n\n".join(line.split("|")[1] for line in path.read_text().splitlines()[:1500]))
    document = read_document(tmp_path / "book.txt")
    assert document.unread == () and len(document.chapters) == 1


@pytest.mark.parametrize(
    ("numeral", "value"), [("I", 1), ("iv", 4), ("XXXIX", 39), ("XL", 40), ("XCIX", 99), ("CCCXC", 390), ("IIII", None),
    ("IC", None), ("VX", None), ("", None), ("M", None)],
)  # fmt: skip
def test_roman_numerals(numeral, value):
    assert roman_value(numeral) == value


CONTENTS_LISTS = {
    "numerals": ("CONTENTS\n\nI. The Start\nII. The Middle\nIII. The End\n", "I. The Start"),
    "bare": ("Contents\n\nCHAPTER I\nCHAPTER II\nCHAPTER III\n", "CHAPTER I"),
    "names": ("CONTENTS\n\n  The Start          1\n  The Middle        20\n  The End          300\n", "THE START"),
    "spaced": ("CONTENTS\n\nChapter I. The Start\n\nChapter II. The Middle\n", "Chapter I. The Start"),
    "leaders": (
        "CONTENTS.\n\nCHAP.         PAGE\n\nI.   THE START . . . . 1\n\nII.  THE MIDDLE . . . 20\n",
        "CHAPTER I.\n\nTHE START.",
    ),
    "books": (
        "TABLE OF CONTENTS\n\nBOOK ONE\n\n  1. Start\n  2. Middle\n\nBOOK TWO\n\n  3. End\n",
        "BOOK ONE\n\n1. Start",
    ),
    "long": (
        "CONTENTS\n\nPREFACE\nCHAPTER I.--In which he goes\n  to town.\nCHAPTER II.--In which he is.\n",
        "PREFACE",
    ),
    "run together": ("CONTENTS\n\n" + " ".join(f"Chapter {i} The Name 3" for i in range(400)) + "\n", "CHAPTER 1"),
    "400 pages": (
        "CONTENTS\n\n" + "".join(f"CHAPTER {i}. Name{'.' * 9} {i}\n" for i in range(1, 400)),
        "CHAPTER 1. Name",
    ),
}
BEGINNINGS = {
    "prose": "It was the best of times, it was the\nworst of times, it was the\nage of belief.",
    "poem": "Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe;\nAll mimsy were the borogoves.",
    "speech": "“Well,” said he. “What is it?”",
    "colon": "He opened the door, and then at last he said:",
    "note": "It was a dark night.[1] The man sat down. He said that\nit was cold.† Then he left.‡",
}


@pytest.mark.parametrize("contents", CONTENTS_LISTS)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_no_word_behind_a_contents_list_is_lost(contents, beginning):
    listed, heading = CONTENTS_LISTS[contents]
    text = f"{listed}\n\n{heading}\n\n{BEGINNINGS[beginning]}\n\nThen he slept and they all went home.\n"
    document = plain(text)
    read = " ".join(sentences(document))
    first = BEGINNINGS[beginning].replace("\n", " ")
    assert first.split(".")[0].split("[")[0] in read and read.endswith("they all went home.")
    assert kinds(document)[0] == "contents" and "Middle" not in read and "II" not in read


def test_marks_of_markdown_s_extensions_are_not_spoken():
    text = """\
---
title: A book
---

[TOC]

# Head {#head .big}

One ==two== ^[A note.] H~2~O is $x_1$ and costs $5 or $6. ~~Gone~~ :smile: He\\
went to [[Page|the page]].

$$ E = mc^2 $$

> [!NOTE]
> Three.

Term
: Meaning of it
"""
    document = make_document(blocks_of_markdown(text))
    assert document.chapters[0].title == "Head"
    assert sentences(document) == [
        "One two H2O is and costs $5 or $6.",
        "He went to the page.",
        "Three.",
        "Term",
        "Meaning of it",
    ]
    expected = ["header", "formula", "contents", "footnote", "struck out", "picture", "formula"]
    assert sorted(kinds(document)) == sorted(expected)


def test_a_rule_at_the_beginning_is_no_header():
    assert sentences(make_document(blocks_of_markdown("---\n\nOne.\n\n---\n\nTwo."))) == ["One.", "Two."]


def test_numbers_of_a_poem_s_lines_are_left_out():
    document = plain("Twas brillig, and the toves\nDid gimble in the wabe,     5\nAll mimsy.")
    assert sentences(document) == ["Twas brillig, and the toves Did gimble in the wabe, All mimsy."]
    assert document.unread[0] == ("line number", "5")


def test_what_html_strikes_out_or_hides_is_not_read():
    document = make_document(blocks_of_html("<p>It is <del>old</del><ins>new</ins>. <b aria-hidden=true>No.</b></p>"))
    assert sentences(document) == ["It is new."] and kinds(document) == ["struck out"]


def test_what_only_leads_about_a_page_is_not_read():
    page = "<p>Word<span class='mw-editsection'>[edit]</span></p><div role='navigation'>Home</div><p>Other.</p>"
    document = make_document(blocks_of_html(page))
    assert sentences(document) == ["Word", "Other."] and kinds(document) == ["navigation", "navigation"]
