import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.text import grammar
from copycat_jax.text.characters import plain
from copycat_jax.text.normalize import KINDS, Given, spoken_tokens, spoken_words


def say(text):
    return " ".join(word.text if isinstance(word, Given) else word for word in spoken_words(text))


def test_the_first_kind_takes_the_token():
    kinds = [
        grammar.kind("pair", r"\d-\d", lambda match: "", holds=lambda match: match[0] != "0-0"),
        grammar.kind("digit", r"\d", lambda match: ""),
    ]
    found = [(token.kind.name, token.match[0]) for token in grammar.classify("a 1-2 3 0-0", kinds)]
    assert found == [("pair", "1-2"), ("digit", "3"), ("digit", "0"), ("digit", "0")]


NUMBERS = st.text("0123456789.,:/-–$€%'\" xkmIVA^+", max_size=25)


@given(NUMBERS)
@settings(max_examples=300, deadline=None)
def test_tokens_follow_each_other_and_no_digit_is_lost(text):
    text = plain(text)
    tokens = list(grammar.classify(text, KINDS))
    ends = [0, *(token.match.end() for token in tokens)]
    assert all(token.match.start() >= end for token, end in zip(tokens, ends, strict=False))
    covered = "".join(token.match[0] for token in tokens)
    assert re.findall(r"\d", covered) == re.findall(r"\d", text)
    assert [w for token in spoken_tokens(text) for w in token.words] == spoken_words(text)


AFTER = ["", ".", ",", "!", "?", ";", ":", ")", '."', ".\nThen", "..."]
WRITTEN = {
    "3/4": "three quarters", "2 1/2": "two and a half", "007": "zero zero seven", "10-15%": "ten to fifteen percent",
    "$1.5-2 million": "one point five to two million dollars", "10 €": "ten euros", "1 000 000": "one million",
    "555-1234": "five five five one two three four", "COVID-19's": "covid nineteen's", "±5": "plus or minus five",
    "Henry V": "henry the fifth", "World War I": "world war one", "Chapter XL": "chapter forty", "3:1": "three to one",
    "6'2\" tall": "six feet two inches tall", "5 µm": "five micrometers", "1984": "nineteen eighty four",
    "5-7 km": "five to seven kilometers", "3:45": "three forty five", "£3.50": "three pounds and fifty pence",
    "12 May 1990": "the twelfth of may nineteen ninety", "1.2.3": "one point two point three",
    "the 21st": "the twenty first",
    "10^6": "ten to the power of six", "-5°C": "minus five degrees celsius", "pp. 4-7": "pages four to seven",
}  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_no_mark_behind_a_number_changes_it(written):
    for mark in AFTER:
        expected = WRITTEN[written] + (" then" if "Then" in mark else "")
        assert say(f"{written}{mark}") == expected, mark
        assert say(f"({written}{mark}") == expected, mark


@pytest.mark.parametrize(
    "piece", ["9", "1-", "1/", "1,000", "1 000 ", "1.", "$1-", "I", "1:", "x1", "'1", "10^", "a.", "{"]
)
def test_long_nonsense_is_words_too(piece):
    for word in spoken_words(piece * 1500):
        assert isinstance(word, Given) or word.replace("'", "").isalpha()
