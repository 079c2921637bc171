"""Words, sentences and chapters: rules by example, nothing lost on real text, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.errors import UserError
from prosody_vae.linguistics.document import (
    Document,
    check_sentence,
    read_document,
    split_sentences,
    words_of_sentence,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The brown fox is quick, and it is lazy.", "The brown fox is quick and it is lazy"),
        ("It's a well-known dog's life, isn’t it?", "It's a well-known dog's life isn’t it"),
        ("'Tis the dogs' rock 'n' roll o'clock", "Tis the dogs rock n roll o'clock"),
        ("wait—what -- no… yes...maybe", "wait what no yes maybe"),
        ("1,000 men at 10:30 paid $3.50 (50%).", "1,000 men at 10:30 paid 3.50 50"),
        ("The U.S. and AT&T, e.g. J.R.R. Tolkien, and/or R & D", "The U.S and AT&T e.g J.R.R Tolkien and/or R D"),
        ("see example.com at 3 p.m.", "see example.com at 3 p.m"),
        ("the end.Next comes", "the end Next comes"),
        ("Mr. Smith, Ph.D., 21st c.", "Mr Smith Ph.D 21st c"),
        ("naïve Zoë ate a crème brûlée in Øre", "naïve Zoë ate a crème brûlée in Øre"),
        ("nai\u0308ve", "naïve"),
        ("I 😀 love 👩‍👩‍👧 it ❤️!", "I love it"),
        ("Москва is 東京 and α β", "is and"),
        ("½ a cup and 2² ☃ © ™ °", "½ a cup and 2²"),
        ("!!! ... — 😀", ""),
        ("", ""),
    ],
)
def test_words(text, words):
    assert words_of_sentence(text) == words.split()


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("aB1é.,;:!?'’\"()-—/&@_ \n\tЯ😀漢$%"), max_size=40))
def test_words_hold_letters_and_are_their_own_words(text):
    for word in words_of_sentence(text):
        assert any(c.isalnum() for c in word) and not any(c.isspace() for c in word)
        assert words_of_sentence(word) == [word]
    joined = " ".join(words_of_sentence(text))
    assert words_of_sentence(joined) == words_of_sentence(text)


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mr. Smith met Dr. Jones.", "They left."],
        ["He lives in the U.S. Government house.", "Yes."],
        ["She left the U.S.", "The rest stayed."],
        ["Bring apples, e.g. Gala, i.e. red ones, etc. and pears.", "Go."],
        ["J. R. R. Tolkien wrote it.", "And I.", "He said so."],
        ["Mrs. R. A. Reid saw it.", "So did Maj. Gen. Walker."],
        ["It cost $3.50 at 10.30 a.m. on Jan. 5.", "Nobody paid."],
        ["It closed at 9 p.m.", "We went home."],
        ["“Stop!” he cried.", "“Why?”", "“Because.”"],
        ['"Where are you?" she asked.', 'He said, "Here."', "Then he left."],
        ["Wait... what?", "Oh… no.", "I see . . . nothing.", "Good."],
        ["What?!", "No!", "Really?"],
        ["He ran; she walked: they met.", "(It rained.)", "[So.]"],
        ["No. 5 is alive.", "Vol. IV is lost.", "See fig. 3 for it."],
        ["No.", "He would not."],
        ["1. The first thing.", "It was good."],
        ["Pi is 3.14159.", "It was 1984.", "In 1985 it ended."],
        ["No stop at the end"],
    ],
)
def test_sentences(sentences):
    assert split_sentences(" ".join(sentences)) == sentences
    assert split_sentences("\n ".join(sentences)) == sentences


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("aB1.,;!?…'\")( \n"), max_size=60))
def test_splitting_loses_nothing(text):
    sentences = split_sentences(text)
    assert " ".join(sentences).replace(" ", "") == "".join(text.split())
    assert all(sentence == " ".join(sentence.split()) and sentence for sentence in sentences)
    assert all(words_of_sentence(sentence) for sentence in sentences) or len(sentences) == 1


MARKDOWN = """---
author: nobody
---
<!-- not read -->
# The *Great* Book

An opening with a [link](http://a.b/c_(d)), **bold** and _slanted_ words, `code`, and snake_case.
It goes on ![picture](x.png) here.[^1]

## One

> Quoted words
> go on. They end.

- first item
- second item
  continued
1. third item

```python
not = "read"
```

    neither = "this"

| a | b |
|---|---|

***

Two
---

5 \\* 6 &amp; <b>more</b>. Hyphen-
ated it is!

### A smaller heading

Last.

[^1]: a note
[ref]: http://x.y
"""


def test_markdown(tmp_path):
    path = tmp_path / "book.md"
    path.write_text(MARKDOWN)
    document = read_document(path)
    assert document.title == "The Great Book"
    assert [chapter.title for chapter in document.chapters] == ["", "One", "Two"]
    paragraphs = [[list(p.sentences) for p in chapter.paragraphs] for chapter in document.chapters]
    opening = "An opening with a link, bold and slanted words, code, and snake_case."
    assert paragraphs[0] == [[opening, "It goes on here."]]
    assert paragraphs[1] == [
        ["Quoted words go on.", "They end."], ["first item"], ["second item continued"], ["third item"],
    ]  # fmt: skip
    assert paragraphs[2] == [
        ["5 * 6 & more.", "Hyphenated it is!"], ["A smaller heading"], ["Last."],
    ]  # fmt: skip


def test_plain_text(tmp_path):
    path = tmp_path / "book.txt"
    path.write_text(
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***\r\nThe Storm\r\n\r\n"
        "PART ONE\r\n\r\nCHAPTER I\r\n\r\nA Wind\r\n\r\n"
        "It was a dark\r\nand stormy night. It\r\nrained.\r\n\r\n\r\nNobody came.\r\n\r\n"
        "CHAPTER II.\r\nThe Calm\r\n\r\n"
        "Chapter and verse were quoted by the old man in the pulpit.\r\n\r\n# Three\r\n\r\n* * *\r\n\r\nSun.\r\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK X ***\r\nLicence.\r\n"
    )
    document = read_document(path)
    assert document.title == "The Storm"
    assert [chapter.title for chapter in document.chapters] == [
        "PART ONE: CHAPTER I: A Wind",
        "CHAPTER II: The Calm",
        "Three",
    ]
    assert [p.sentences for p in document.chapters[0].paragraphs] == [
        ("It was a dark and stormy night.", "It rained."), ("Nobody came.",),
    ]  # fmt: skip
    assert document.chapters[2].paragraphs[0].sentences == ("Sun.",)


def test_a_text_without_headings_is_one_chapter(tmp_path):
    path = tmp_path / "note"
    path.write_text("\ufeffOne line. Another.\n\nA second paragraph")
    document = read_document(path)
    assert document == Document("", (document.chapters[0],)) and document.chapters[0].title == ""
    assert [len(p.sentences) for p in document.chapters[0].paragraphs] == [2, 1]


def test_book_text_keeps_every_word(corpora):
    path = corpora / "ljspeech_transcripts.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    text = " ".join(line.split("|")[1] for line in path.read_text().splitlines()[:1500])
    sentences = split_sentences(text)
    assert [word for s in sentences for word in words_of_sentence(s)] == words_of_sentence(text)
    lengths = [len(words_of_sentence(s)) for s in sentences]
    assert 15 < sum(lengths) / len(lengths) < 35 and max(lengths) < 200
    for sentence in sentences:
        check_sentence(sentence)
        assert not sentence.endswith((" Mr.", " Mrs.", " Dr.", " Messrs."))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("?! ...", "no letters"),
        ("😀😀", "no letters"),
        ("Москва 東京", "no letters"),
        ("word " * 401, "401 words"),
        ("word " * 5000, "5000 words"),
    ],
)
def test_what_is_no_sentence_is_refused_in_one_line(text, says, tmp_path):
    with pytest.raises(UserError, match=says) as refused:
        check_sentence(text)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200
    path = tmp_path / "text.txt"
    path.write_text(text)
    if words_of_sentence(text):  # what is only too long is divided
        (chapter,) = read_document(path).chapters
        assert [w for s in chapter.paragraphs[0].sentences for w in words_of_sentence(s)] == words_of_sentence(text)
    else:
        with pytest.raises(UserError, match=r"text\.txt"):
            read_document(path)


def test_sentences_that_pass():
    for text in ("Go!", "1984.", "word " * 400, "naïve 😀"):
        check_sentence(text)


def test_files_that_are_no_text_are_refused(tmp_path):
    written = {
        "kanji.txt": "東京".encode("shift_jis"),
        "a.pdf": b"%PDF-1.7",
        "a.docx": b"PK\x03\x04",
        "a.rtf": b"{\\rtf",
    }
    written |= {"cut.epub": b"PK\x03\x04META-INF/container.xml", "a.doc": b"\xd0\xcf\x11\xe0", "a.bin": b"a\0b"}
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    lines = {"absent.txt": "no such file", "kanji.txt": "UTF-8", "": "folder", "a.pdf": "PDF", "a.rtf": "RTF"}
    lines |= {"a.docx": "zip", "cut.epub": "damaged", "a.doc": "office", "a.bin": "zeros"}
    for name, says in lines.items():
        with pytest.raises(UserError, match=says):
            read_document(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tex", "Just words.", "is LaTeX"),
        ("a.txt", "% mine\n\\documentclass{book}\n\\begin{document}Words.\\end{document}", "is LaTeX"),
        ("a.rst", "Title\n=====\n\nWords.", "is reStructuredText"),
        ("a.csv", "id,text\n1,Words.\n", "is a table"),
        ("a.TSV", "1\tWords.\n", "is a table"),
        ("a.json", '{"text": "Words."}', "is JSON"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nWords.\n", "is subtitles"),
        ("a", "WEBVTT\n\n00:01.000 --> 00:02.000\nWords.\n", "is subtitles"),
        ("a.fb2", "<FictionBook><body><p>Words.</p></body></FictionBook>", "is FictionBook"),
    ],
)
def test_languages_of_marks_are_named_and_not_spoken(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{says}, which is not read"):
        read_document(tmp_path / name)


def test_a_text_in_latin_1_is_read(tmp_path, capsys):
    (tmp_path / "latin.txt").write_bytes("A café and a naïve señor.".encode("latin-1"))
    (chapter,) = read_document(tmp_path / "latin.txt").chapters
    assert chapter.paragraphs[0].sentences == ("A café and a naïve señor.",)
    assert "latin.txt is not UTF-8; it is read as Windows-1252" in capsys.readouterr().err
