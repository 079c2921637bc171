"""The table of the issue, and `cases.tsv`: what is written, what is spoken."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from copycat_jax.text import numbers as n
from copycat_jax.text.normalize import Given, spoken_words

TABLE = [line.split(" | ") for line in """\
Hello, world! | hello world
1 or 21 | one or twenty one
1,234,567 people | one million two hundred thirty four thousand five hundred sixty seven people
3.14 | three point one four
.5 inches | zero point five inches
-5 below | minus five below
room 007 | room zero zero seven
the 1st, 2nd and 23rd | the first second and twenty third
his 100th | his one hundredth
in 1984 | in nineteen eighty four
in 1905 | in nineteen oh five
in 1900 | in nineteen hundred
in 2000 | in two thousand
in 2007 | in two thousand seven
in 2021 | in twenty twenty one
the 1990s | the nineteen nineties
the '80s | the eighties
1914-18 | nineteen fourteen to eighteen
10-20 people | ten to twenty people
Nov. 22, 1963 | november twenty second nineteen sixty three
on 22 November 1963 | on the twenty second of november nineteen sixty three
the 4th of July | the fourth of july
January 3rd | january third
2021-03-05 | march fifth twenty twenty one
3/5/2021 | march fifth twenty twenty one
at 3:45pm | at three forty five P M
at 9:05 a.m. we go | at nine oh five A M we go
10 AM | ten A M
10:00 | ten o'clock
14:30 | fourteen thirty
a 1:1 ratio | a one to one ratio
$4.50 | four dollars and fifty cents
$1 | one dollar
$3 million | three million dollars
£1,250 | one thousand two hundred fifty pounds
€20 | twenty euros
50¢ | fifty cents
$1.5bn | one point five billion dollars
45% | forty five percent
12km | twelve kilometers
1 km | one kilometer
5 kg | five kilograms
60 mph | sixty miles per hour
20°C | twenty degrees celsius
6 ft | six feet
5 m² | five square meters
3.5 GHz | three point five gigahertz
1/2 | one half
3/4 cup | three quarters cup
2½ cups | two and a half cups
24/7 | twenty four seven
call 555-1234 | call five five five one two three four
No. 5 | number five
No. Really. | no really
#5 | number five
pp. 12-15 | pages twelve to fifteen
e.g. apples | for example apples
fruit, i.e., apples | fruit that is apples
apples, etc. | apples et cetera
cats vs. dogs | cats versus dogs
Mr. Smith | mister smith
Mrs Hall cried | missus hall cried
Dr. Brown of St. Louis | doctor brown of saint louis
12 Elm St. in Boston | twelve elm street in boston
Prof. Gen. Walker | professor general walker
Smith and Co. Ltd. | smith and company limited
the U.S. army | the U S army
J. R. R. Tolkien | J R R tolkien
David F. Powers | david F powers
a Ph.D. | a P H D
the FBI and the CIA | the F B I and the C I A
NASA and NATO | nasa and nato
it was NOT me | it was not me
THE QUICK BROWN FOX | the quick brown fox
MR. SMITH TOLD US 4 TIMES | mister smith told us four times
AT&T | A T and T
R&D | R and D
MP3 | M P three
H2O | H two O
vitamin C | vitamin C
A cat. Plan A. | a cat plan A
X-ray | X ray
World War II | world war two
Henry VIII | henry the eighth
Chapter IV | chapter four
well-known | well known
a mother-in-law | a mother in law
yes — no – maybe -- so | yes no maybe so
"quoted" and 'single' | quoted and single
“curly” and ‘curly’ | curly and curly
the dogs' bowls | the dogs bowls
don't, I'll, it's | don't i'll it's
O'Brien's | o'brien's
salt & pepper | salt and pepper
@home | at home
me@example.com | me at example dot com
www.example.com/faq. | W W W dot example dot com slash faq
https://example.org | example dot org
2 + 2 = 4 | two plus two equals four
and/or | and or
Café naïve Müller | cafe naive muller
fine 😀🎉 then | fine then
[sic] (aside) *bold* | sic aside bold
xkcd | X K C D
hmm, nth | hmm nth
an hour... or two | an hour or two
C2766 | C twenty seven sixty six
the Messrs. Smith | the messrs smith
1,000th | one thousandth
the year 1066 | the year ten sixty six""".splitlines()]  # fmt: skip


@pytest.mark.parametrize(("written", "spoken"), TABLE, ids=[row[0] for row in TABLE])
def test_table(written, spoken):
    assert [word.text if isinstance(word, Given) else word for word in spoken_words(written)] == spoken.split()


def read_cases():
    """Kind, written text (with its escapes resolved) and accepted readings of each line of `cases.tsv`."""
    lines = Path(__file__).with_name("cases.tsv").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if not line.startswith("#"):
            kind, written, spoken = line.split("\t")
            for escape in ("\\n", "\\r", *(f"\\u{code}" for code in ESCAPED)):
                written = written.replace(escape, escape.encode().decode("unicode_escape"))
            yield kind, written, spoken.split(" / ")


ESCAPED = ("00a0", "00ad", "0301", "2009", "200b", "200c", "200d", "202f", "2060", "20e3", "fe0f", "feff")
CASES = list(read_cases())


@pytest.mark.parametrize("kind", dict.fromkeys(kind for kind, _, _ in CASES))
def test_cases(kind):
    said = {
        written: " ".join(word.text if isinstance(word, Given) else word for word in spoken_words(written))
        for of, written, _ in CASES
        if of == kind
    }
    assert {written: spoken for of, written, spoken in CASES if of == kind and said[written] not in spoken} == {}


def test_the_tables_are_long_enough():
    assert len(TABLE) >= 60
    assert len({written for _, written, _ in CASES}) == len(CASES) >= 250
    assert min(Counter(kind for kind, _, _ in CASES).values()) >= 4


def test_inline_phonemes_stand_for_a_word():
    assert spoken_words("say {HH AH0  L OW1} twice") == [
        "say",
        Given("HH AH0 L OW1", ("HH", "AH0", "L", "OW1")),
        "twice",
    ]


def test_letters_take_an_ending_with_its_sound():
    assert spoken_words("the CEOs")[-1] == Given("O's", ("OW1", "Z"))


@pytest.mark.parametrize("text", ["", "   ", "?!... -- ()", "😀", "***"])
def test_nothing_to_say(text):
    assert spoken_words(text) == []


def test_a_custom_word_is_not_spelled():
    assert spoken_words("run xkcd", keep={"xkcd"}) == ["run", "xkcd"]


@given(st.text(max_size=40))
@example("A'A")
@settings(max_examples=150, deadline=None)
def test_any_text_gives_words_of_letters(text):
    for word in spoken_words(text.replace("{", "").replace("}", "")):
        assert isinstance(word, Given) or word.replace("'", "").isalpha()


@given(st.integers(0, 10**24))
@settings(max_examples=100, deadline=None)
def test_numbers_are_words(value):
    assert n.cardinal(value).replace(" ", "").isalpha()
    assert n.ordinal(value).endswith(("th", "st", "nd", "rd"))


def test_neighbouring_numbers_differ():
    for speak in (n.cardinal, n.ordinal, n.year):
        assert len({speak(value) for value in range(3000)}) == 3000


def test_roman_numerals_invert():
    assert [n.roman(text) for text in ("I", "IV", "VIII", "XIV", "XXXIX", "CXIX", "MIX")] == [
        1,
        4,
        8,
        14,
        39,
        119,
        1009,
    ]
    assert [n.roman(text) for text in ("IIII", "VX", "IXX", "IM", "")] == [None] * 5
