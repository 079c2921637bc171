import pytest

from prosody_vae.linguistics.document import make_document
from prosody_vae.linguistics.plain_text import blocks_of_text

PROSE = "It rained all day. Nobody came."


def plain(text):
    return make_document(blocks_of_text(text), sure=False)


def sentences(document):
    return [text for chapter in document.chapters for p in chapter.paragraphs for text in p.sentences]


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("CHAPTER IV", "CHAPTER IV"),
        ("Chapter the First.", "Chapter the First"),
        ("CHAPTER TWENTY-ONE\nIn Which It Rains", "CHAPTER TWENTY-ONE: In Which It Rains"),
        ("CHAPTER", "CHAPTER"),
        ("CHAPTER\n\nI\n\nThe Storm", "CHAPTER I: The Storm"),
        ("The Second Chapter", "The Second Chapter"),
        ("STAVE ONE", "STAVE ONE"),
        ("I", "1"),
        ("I.", "1"),
        ("1", "1"),
        ("I\n\nThe Storm", "1: The Storm"),
        ("I. THE STORM.", "1: THE STORM"),
        ("I.—The Storm", "1: The Storm"),
        ("ACT I\nSCENE I. A room", "ACT I: SCENE I. A room"),
        ("# One", "One"),
        ("One\n===", "One"),
        ("A Name of It\n------------", "A Name of It"),
    ],
)
def test_headings(heading, title):
    document = plain(f"{PROSE}\n\n{heading}\n\n{PROSE}")
    assert [chapter.title for chapter in document.chapters] == ["", title]


def test_numerals_count_on():
    text = "\n\n".join(f"{numeral}\n\n{PROSE}" for numeral in ("I", "II", "III", "IV", "V"))
    assert [chapter.title for chapter in plain(text).chapters] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("text", ["C. Smith", "V", "Part of the crew", "I. M. Pei", "I wandered lonely", "1984"])
def test_what_is_no_heading(text):
    document = plain(f"{PROSE}\n\n{text}\n\n{PROSE}")
    assert len(document.chapters) == 1 and text in sentences(document) and document.unread == ()


def test_numbers_within_sentences_are_pages_and_the_sentence_goes_on():
    document = plain(f"{PROSE}\n\nIt rained\n\n12\n\nall day. It\n\n- 13 -\n\nsnowed.\n\n14\n\nMore.")
    assert sentences(document)[2:] == ["It rained all day.", "It snowed.", "More."]
    assert [(u.kind, u.text) for u in document.unread] == [("page mark", t) for t in ("12", "- 13 -", "14")]


@pytest.mark.parametrize(
    "rows",
    [
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "a | b\n--- | ---\n1 | 2",
        "a | b\n1 | 2\n3 | 4",
        "+---+---+\n| a | b |\n+---+---+\n| 1 | 2 |\n+---+---+",
        "Name    Age\n------  ---\nAnn     12",
        "Name\tAge\tCity\nAnn\t12\tRome",
        "Ann    12   Rome\nBob    13   Oslo\nCy     14   Bern",
    ],
)
def test_tables_are_left_out_and_said(rows):
    document = plain(f"{PROSE}\n\n{rows}\n\n{PROSE}")
    assert "|" not in "".join(sentences(document)) and [part.kind for part in document.unread] == ["table"]
    assert sentences(plain("He is A | B in this. So it is.")) == ["He is A | B in this.", "So it is."]


@pytest.mark.parametrize(
    "text", ["ANN:\tHello.\nBOB:\tHi.\nANN:\tGood.", "He came.  She went.  It rained.\nSo  it is."]
)
def test_what_is_no_table(text):
    assert plain(text).unread == ()


@pytest.mark.parametrize("mark", ["-", "*", "•", "1.", "(a)"])
def test_items_of_a_list_are_paragraphs(mark):
    document = plain(f"{PROSE}\n\n{mark} Some bread\n  and butter\n{mark} Milk\n\n{PROSE}")
    kept = "" if mark in "-*•" else f"{mark} "
    assert sentences(document)[2:4] == [f"{kept}Some bread and butter", f"{kept}Milk"]
    assert len(document.chapters[0].paragraphs) == 4


def test_quotations_emphasis_and_tags_leave_their_words():
    text = "> It is _very_ late,\n> he <i>said</i> &amp; *left*.\n\n<p>Five < six.</p>One<br>two."
    assert sentences(plain(text)) == ["It is very late, he said & left.", "Five < six.", "One two."]


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        ("It was won-\nderful.", "It was wonderful."),
        ("A well-\nknown man.", "A well-known man."),
        ("A self-\nmade man -\nand more.", "A self-made man - and more."),
        ("From Anglo-\nSaxon.", "From Anglo- Saxon."),
        ("It was won\u00adder\u200bful\ufeff.", "It was wonderful."),
        ("It was won&shy;derful.", "It was wonderful."),
    ],
)
def test_divided_words_are_put_together(lines, read):
    assert sentences(plain(lines)) == [read]


def test_a_sentence_with_a_note_at_its_end_is_no_title():
    assert plain("He said so.[1] And so.[2]\n\nThey left.").title == ""


def test_chapters_that_only_count_stand_beside_a_prologue():
    numbered = f"1\n\n{PROSE}\n\n2\n\n{PROSE}"
    titles = [chapter.title for chapter in plain(f"Prologue\n\n{PROSE}\n\n{numbered}\n\nEpilogue\n\n{PROSE}").chapters]
    assert titles == ["Prologue", "1", "2", "Epilogue"]
    parts = plain(f"PART ONE\n\n{PROSE}\n\n{numbered}\n\nPART TWO\n\n{numbered}")
    assert [chapter.title for chapter in parts.chapters] == ["PART ONE", "PART TWO"]
