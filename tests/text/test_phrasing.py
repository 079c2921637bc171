import pytest

from copycat_jax.text.normalize import spoken_words
from copycat_jax.text.phrasing import PHRASE, SENTENCE, WORD, word_breaks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Get scores, schedules, and listen.", [WORD, PHRASE, PHRASE, WORD, SENTENCE]),
        ("Come here. Now!", [WORD, SENTENCE, SENTENCE]),
        ("no mark at all", [WORD, WORD, WORD, SENTENCE]),
        ("He left - at last - for good", [WORD, PHRASE, WORD, PHRASE, WORD, SENTENCE]),
        ("The dog (a big one) barked", [WORD, PHRASE, WORD, WORD, PHRASE, SENTENCE]),
        ('"Really?" she asked.', [WORD, WORD, SENTENCE]),
        ("He said: wait; then go.", [WORD, PHRASE, PHRASE, WORD, SENTENCE]),
        ("one—two", [PHRASE, SENTENCE]),
    ],
)
def test_marks_stand_behind_their_words(text, expected):
    assert word_breaks(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith paid $1,000 at 3:15 p.m., didn't he?",
        "See www.example.com, e.g. on Mr. Brown's page; it's 3.5 km.",
        "😀 hello, 世界!",
        "In the U.S. Senate, J. R. R. Tolkien spoke.",
        "",
        "...",
    ],
)
def test_one_break_for_each_spoken_word(text):
    assert len(word_breaks(text)) == len(spoken_words(text))


def test_marks_inside_numbers_and_abbreviations_are_none():
    assert word_breaks("Mr. Brown paid 1,000 dollars") == [WORD] * 5 + [SENTENCE]
    assert word_breaks("from 1914–1918 on") == [WORD] * 6 + [SENTENCE]
    assert PHRASE not in word_breaks("It is 3:15 now") and word_breaks("It is 3:15 now").count(SENTENCE) == 1


def test_a_date_is_divided_where_it_is_written_so():
    assert word_breaks("May 5, 1990 was warm") == [WORD, PHRASE, WORD, WORD, WORD, SENTENCE]
    assert word_breaks("in 1 000\u00adkm, then.") == [WORD, WORD, WORD, PHRASE, SENTENCE]


def test_a_title_ends_no_sentence():
    assert word_breaks("Messrs. Smith of St. Louis") == [WORD] * 4 + [SENTENCE]
