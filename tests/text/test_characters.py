import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from copycat_jax.text.characters import SIGNS, plain, unspeakable
from copycat_jax.text.normalize import spoken_words, unspoken

INVISIBLE = [
    "\u00ad",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u2063",
    "\u202a",
    "\ufe0f",
    "\u034f",
    "\u3164",
    "\u2027",
    "&shy;",
]


@pytest.mark.parametrize("mark", INVISIBLE)
def test_what_is_invisible_joins(mark):
    assert plain(f"im{mark}por{mark}tant 1{mark}0") == "important 10"
    assert plain(f"{mark}He{mark} said{mark}.{mark}") == "He said."


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u2009", "\u202f", "\u3000", "\t", "\n"])
def test_every_space_is_a_space(space):
    assert spoken_words(f"the{space}end") == ["the", "end"]
    assert spoken_words(f"5{space}000{space}000 men") == ["five", "million", "men"]


@pytest.mark.parametrize("mark", "'’‘ʼ′`´ʹʻ‵׳❜")
def test_an_apostrophe_of_any_keyboard(mark):
    assert spoken_words(f"they don{mark}t") == ["they", "don't"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("impor-\ntant", "important"),
        ("impor-  \r\n   tant", "important"),
        ("blorp-\ntangle", "blorptangle"),
        ("well-\nknown", "well-known"),
        ("MAC-\nBETH", "MACBETH"),
        ("WELL-\nKNOWN", "WELL-KNOWN"),
        ("impor-\rtant", "important"),
        ("impor-\u2028tant", "important"),
        ("Anglo-\nSaxon", "Anglo- Saxon"),
        ("at last -\nthen", "at last - then"),
    ],
)
def test_a_hyphen_at_a_lines_end(written, expected):
    assert plain(written) == expected


def test_any_latin_letter_has_a_plain_form():
    latin = [chr(code) for code in (*range(0xC0, 0xD7), *range(0xD8, 0xF7), *range(0xF8, 0x250))]
    for letter in latin:
        assert plain(letter).isascii() and plain(letter).strip(), letter
    assert unspeakable("".join(latin)) == []


def test_quotes_primes_and_dashes():
    assert plain("‘a’ “b” «c» don′t 5′10″") == '\'a\' "b" "c" don\'t 5\'10"'
    assert plain("1‐2 3−4 5–6 7—8") == "1-2 3-4 5–6 7—8"


def test_what_is_lost_is_named_once():
    assert unspoken("привет 😀 и 😀 мир αβγ, Łódź ± 5 € “ok”") == ["привет", "😀", "и", "мир", "αβγ"]
    assert unspoken("a | b ♥ c") == ["♥", "|"]
    assert unspoken("It's 5 & 6; «so» (he said)… — α, µ, Ω, 10²?") == []


@given(st.text(max_size=60))
@example("A`À")
@example("ἀ")
@settings(max_examples=200, deadline=None)
def test_plain_text_is_its_own_plain_form(text):
    once = plain(text)
    assert plain(once) == once and "  " not in once
    assert all(c in string.printable or c in SIGNS or "Ͱ" <= c <= "Ͽ" for c in once)
