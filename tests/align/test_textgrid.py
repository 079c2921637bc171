import math

import pytest

from copycat_jax.align.textgrid import read_textgrid, write_textgrid
from copycat_jax.errors import UserError
from copycat_jax.types import Alignment, Interval

ALIGNMENT = Alignment(
    (Interval(0.0, 0.25, "SIL"), Interval(0.25, 0.4, "HH"), Interval(0.4, 0.5, "AY1"), Interval(0.5, 1.0, "SIL")),
    (Interval(0.25, 0.5, 'say "hi"'),),
    -12.5,
    (0.875,),
    (Interval(0.3, 0.45, "'say \"hi\"' is not heard"), Interval(0.45, 0.9, "more is said than is written")),
)

MFA_LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.0
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "speaker 1 - words"
        xmin = 0
        xmax = 1.0
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 0.5
            text = "hi"
    item [2]:
        class = "IntervalTier"
        name = "speaker 1 - phones"
        xmin = 0
        xmax = 1.0
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.25
            text = "sil"
        intervals [2]:
            xmin = 0.25
            xmax = 0.4
            text = "HH"
        intervals [3]:
            xmin = 0.4
            xmax = 0.5
            text = "AY1"
        intervals [4]:
            xmin = 0.5
            xmax = 0.7
            text = "spn"
"""

PRAAT_SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
3
"IntervalTier"
"phones"
0
1
3
0
0.25
"sp"
0.25
0.5
"ay"
0.5
1
""
"TextTier"
"clicks"
0
1
1
0.3
"click"
"IntervalTier"
"words"
0
1
1
0.25
0.5
"eye"
"""


def tiers(*named: tuple[str, str], end_s: float = 1.0) -> str:
    """A TextGrid in the short format: each tier's name and its intervals, "0.1-0.4:HH 0.4-0.5:AY1"."""
    lines = ['"ooTextFile"', '"TextGrid"', "0", str(end_s), "<exists>", str(len(named))]
    for name, intervals in named:
        lines += ['"IntervalTier"', f'"{name}"', "0", str(end_s), str(len(intervals.split()))]
        for interval in intervals.split():
            times, _, label = interval.partition(":")
            lines += [*times.split("-"), f'"{label}"']
    return "\n".join(lines)


WORDS, PHONES = "0.1-0.5:hi", "0.1-0.4:HH 0.4-0.5:AY1"


def test_written_and_read_again(tmp_path):
    path = tmp_path / "new" / "a.TextGrid"
    write_textgrid(path, ALIGNMENT)
    assert read_textgrid(path) == ALIGNMENT
    assert [p.name for p in path.parent.iterdir()] == ["a.TextGrid"]


def test_no_score_is_nan(tmp_path):
    write_textgrid(tmp_path / "a.TextGrid", ALIGNMENT._replace(score=math.nan))
    assert math.isnan(read_textgrid(tmp_path / "a.TextGrid").score)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_mfa_long_format(tmp_path, encoding):
    path = tmp_path / "mfa.TextGrid"
    path.write_text(MFA_LONG, encoding=encoding)
    alignment = read_textgrid(path)
    assert [phone.label for phone in alignment.phones] == ["SIL", "HH", "AY1", "SPN", "SIL"]
    assert alignment.phones[-1] == Interval(0.7, 1.0, "SIL")
    assert alignment.words == (Interval(0.25, 0.5, "hi"),)
    assert math.isnan(alignment.score)


def test_praat_short_format(tmp_path):
    path = tmp_path / "praat.TextGrid"
    path.write_text(PRAAT_SHORT)
    alignment = read_textgrid(path)
    assert alignment.phones == (Interval(0.0, 0.25, "SIL"), Interval(0.25, 0.5, "AY0"), Interval(0.5, 1.0, "SIL"))
    assert alignment.words == (Interval(0.25, 0.5, "eye"),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a TextGrid"),
        ("hello there", "not a TextGrid"),
        (MFA_LONG[:500], "cut short"),
        (MFA_LONG.replace("AY1", "aɪ"), "ARPABET"),
        (MFA_LONG.replace("phones", "segments"), "no tier named 'phones'"),
        (MFA_LONG.replace("xmin = 0.4\n", "xmin = 0.3\n"), "overlap"),
        (MFA_LONG.replace("size = 4", "size = 1e400"), "too large"),
        (MFA_LONG.replace("size = 4", "size = 3.5"), "no number of"),
        (MFA_LONG.replace("size = 4", "size = -1"), "no number of"),
        (MFA_LONG.replace("xmax = 0.7", f"xmax = {'9' * 400}"), "too large"),
        (tiers(("words", WORDS), ("phones", "0.1-0.4:HH 0.5-0.4:AY1")), "ends before it begins"),
        (tiers(("words", "0.5-0.1:hi"), ("phones", PHONES)), "ends before it begins"),
        (tiers(("words", "0.1-0.5:hi 0.2-0.4:ho"), ("phones", PHONES)), "overlap"),
        (tiers(("words", WORDS), ("phones", "0.1-1.5:HH")), "0.100 to 1.500 s lies outside its 1.000 s"),
        (tiers(("words", WORDS), ("phones", PHONES), end_s=0.3), "outside its 0.300 s"),
        (MFA_LONG.replace("xmin = 0.25", "xmin = -0.25"), "-0.250 to 0.[45]00 s lies outside"),
        (MFA_LONG.replace("size = 4", "size = 3"), "holds more than it says"),
        (f"{MFA_LONG}1.0", "holds more than it says"),
        ("ooBinaryFile\bTextGrid\0\0", "Praat's binary format"),
        ('"Praat chronological TextGrid text file"\n0 1\n2\n', "not a TextGrid"),
        (MFA_LONG.replace("0.25", "0,25"), "not a TextGrid"),
        (tiers(("words", WORDS), ("phones", "0-1:sil")), "nothing is spoken in its phones"),
        (tiers(("words", WORDS), ("phones", "0.1-0.5:spn")), "nothing is spoken in its phones"),
        (tiers(("words", "0-1:"), ("phones", PHONES)), "nothing is spoken in its words"),
        (tiers(("words", "0.1-0.5:<unk>"), ("phones", PHONES)), "nothing is spoken in its words"),
        (tiers(("words", "0.1-0.5:hi 0.6-0.9:you"), ("phones", PHONES)), "no phone is spoken in the word 'you'"),
        (tiers(("words", PHONES), ("phones", WORDS)), "ARPABET"),
        (tiers(("a - words", WORDS), ("a - phones", PHONES), ("b - words", WORDS), ("b - phones", PHONES)), "several"),
        (tiers(("words", WORDS), ("phones", PHONES), ("phones", PHONES)), "several"),
        (tiers(("a - words", WORDS), ("b - phones", "0.6-0.9:AA1")), "no phone is spoken in the word 'hi'"),
    ],
)
def test_what_is_not_an_alignment_is_refused(tmp_path, content, message):
    path = tmp_path / "bad.TextGrid"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_textgrid(path)


@pytest.mark.parametrize(
    "content",
    [
        tiers(("a - words", "0-1:"), ("a - phones", "0-1:"), ("b - words", WORDS), ("b - phones", PHONES)),
        tiers(("b - words", WORDS), ("b - phones", PHONES), ("a - words", "0-1:"), ("a - phones", "0-1:spn")),
        tiers(("b - words", WORDS), ("a - words", "0-1:"), ("b - phones", PHONES), ("a - phones", "0-1:sil")),
        tiers(("phones", "0-1:"), ("words", "0-1:"), ("phones", PHONES), ("words", WORDS)),
        tiers(("Speaker-1 - Word", WORDS), ("Speaker-1 - Phone", PHONES), ("notes", "0-1:laughs")),
        tiers(("keywords", "0-1:no"), ("words", WORDS), ("phones", PHONES)),
        tiers(("words", WORDS), ("phones", PHONES), ("score", "0-1:1e999")),
        tiers(
            ("words", f"0-0.1:<sil> {WORDS} 0.6-0.8:[cough] 0.8-1:{{LG}}"), ("phones", f"0-0.1:<p:> {PHONES} 0.5-1:sp")
        ),
        tiers(("words", WORDS), ("phones", PHONES)).replace("ooTextFile", "ooTextFile short"),
    ],
)
def test_of_several_tiers_those_that_hold_the_speech_are_taken(tmp_path, content):
    (tmp_path / "a.TextGrid").write_text(content)
    alignment = read_textgrid(tmp_path / "a.TextGrid")
    assert alignment.words == (Interval(0.1, 0.5, "hi"),) and math.isnan(alignment.score)
    assert [phone.label for phone in alignment.phones] == ["SIL", "HH", "AY1", "SIL"]


def test_a_missing_file_and_an_unwritable_one(tmp_path):
    with pytest.raises(UserError, match=r"none\.TextGrid"):
        read_textgrid(tmp_path / "none.TextGrid")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_textgrid(tmp_path / "file" / "a.TextGrid", ALIGNMENT)
