"""Reads alignments made elsewhere (MFA, Praat) and writes our own as TextGrids.

Praat's text formats, long and short, hold the same sequence of free-standing numbers and quoted strings; all else is
decoration, so one reader serves both. Ours carry three more tiers: "score", the aligner's mean phone score per frame,
"confidence" of each word, and "doubts", where text and sound disagree.
"""

import bisect
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError
from copycat_jax.files import refusals_of, write_text
from copycat_jax.text.phonemes import SIL, SPN, is_phone, is_vowel
from copycat_jax.types import Alignment, Interval

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z", re.ASCII)
# MFA names the tiers of several speakers "SPEAKER - words" and "SPEAKER - phones".
_TIER = re.compile(r"(?:.*\S\s+-\s+)?(word|phone)s?\Z", re.IGNORECASE | re.DOTALL)
_LABELS = dict.fromkeys(("", "SIL", "SP", "<SIL>", "<EPS>", "<P:>", "PAU"), SIL) | dict.fromkeys(
    ("SPN", "<UNK>", "NSN"), SPN
)
_SLACK_S, _OVERLAP_S = 1e-6, 1e-3
_BINARY = b"ooBinaryFile"
_Kind = TypeVar("_Kind", str, float)


def read_textgrid(path: str | os.PathLike) -> Alignment:
    """Reads the tiers of words and phones of a TextGrid.

    The tiers are those named `words` and `phones` (or "speaker - words" and "speaker - phones", as MFA does); of
    several speakers' those in which something is spoken. Gaps and labels "", sil, sp become SIL, spn becomes SPN; a
    vowel without a stress digit is unstressed. The score is NaN unless a tier `score` holds it.

    Raises:
      UserError: missing file, not a TextGrid, no such tier, several in which something is spoken or none, times out of
        order, a word without phones, or a phone outside the inventory.
    """
    path = Path(path)
    if _is_binary(path):
        raise UserError("is in Praat's binary format", str(path), "Save it as a text file.")
    tiers, end_s = _parse(read_text(path, "TextGrid"), path)
    word_tier, phone_tier = _tiers_that_speak(tiers, path)
    phones = _fill([i._replace(label=_phone(i.label, path)) for i in phone_tier], end_s, path)
    words = [i for i in word_tier if _is_spoken(i)]
    _fill(words, end_s, path)  # refuses what overlaps
    _check_words(words, phones, path)
    score = math.nan
    for name, intervals in tiers:
        if name == "score" and intervals and _NUMBER.match(intervals[0].label):
            score = float(intervals[0].label)
            score = score if math.isfinite(score) else math.nan
    return Alignment(tuple(phones), tuple(words), score, *_findings(dict(tiers), len(words)))


def write_textgrid(path: str | os.PathLike, alignment: Alignment) -> None:
    """Writes `alignment` as a long-format TextGrid, to a temporary name first; raises UserError where it cannot."""
    path = Path(path)
    text = textgrid_text(alignment, path)
    with refusals_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def textgrid_text(alignment: Alignment, where: str | os.PathLike = "alignment") -> str:
    """`alignment` as a long-format TextGrid; raises UserError, which names `where`, if its words overlap."""
    path = Path(where)
    end_s = alignment.phones[-1].end_s
    tiers = [("words", _fill(alignment.words, end_s, path, gap="")), ("phones", list(alignment.phones))]
    if not math.isnan(alignment.score):
        tiers.append(("score", [Interval(0.0, end_s, f"{alignment.score:.3f}")]))
        rated = zip(alignment.words, alignment.confidences, strict=False)
        tiers.append(("confidence", _fill([w._replace(label=f"{c:.3f}") for w, c in rated], end_s, path, gap="")))
        tiers.append(("doubts", _fill(alignment.doubts, end_s, path, gap="")))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end_s:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += ["        xmin = 0", f"        xmax = {end_s:.6f}", f"        intervals: size = {len(intervals)}"]
        for i, (start, stop, label) in enumerate(intervals, 1):
            quoted = label.replace('"', '""')
            lines += [f"        intervals [{i}]:", f"            xmin = {start:.6f}", f"            xmax = {stop:.6f}"]
            lines.append(f'            text = "{quoted}"')
    return "\n".join(lines) + "\n"


def _is_binary(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_BINARY)) == _BINARY
    except OSError:  # which whoever reads it as text will tell
        return False


def _findings(tiers: Mapping[str, list[Interval]], words: int) -> tuple[tuple[float, ...], tuple[Interval, ...]]:
    """Confidences of the words and doubts of a TextGrid of ours; nothing of others."""
    rated = [float(i.label) for i in tiers.get("confidence", ()) if _NUMBER.match(i.label)]
    rated = [number for number in rated if math.isfinite(number)]
    return tuple(rated) if len(rated) == words else (), tuple(i for i in tiers.get("doubts", ()) if i.label.strip())


def _parse(text: str, path: Path) -> tuple[list[tuple[str, list[Interval]]], float]:
    """All interval tiers, in order, and the end of the recording in seconds."""
    tokens: list[str | float] = []
    for quoted, bare in _TOKEN.findall(text):
        if not bare:
            tokens.append(quoted.replace('""', '"'))
        elif _NUMBER.match(bare):
            if math.isinf(number := float(bare)):
                raise UserError(f"the number '{bare[:20]}' is too large", str(path), "Is it a TextGrid at all?")
            tokens.append(number)
    following = iter(tokens)

    def take(kind: type[_Kind]) -> _Kind:
        value = next(following, None)
        if not isinstance(value, kind):
            raise UserError(
                "not a TextGrid, or one cut short", str(path), "Expected Praat's long or short text format."
            )
        return value

    def count() -> int:
        number = take(float)
        if number < 0 or not number.is_integer():
            raise UserError(f"{number:g} is no number of tiers or intervals", str(path), "Is it a TextGrid at all?")
        return int(number)

    if take(str) not in ("ooTextFile", "ooTextFile short") or take(str) != "TextGrid":
        raise UserError("not a TextGrid", str(path), "Expected Praat's long or short text format.")
    take(float)
    end_s = take(float)
    tiers = []
    for _ in range(count()):
        kind, name = take(str), take(str)
        take(float)
        take(float)
        intervals = []
        for _ in range(count()):
            start = take(float)
            stop = take(float) if kind == "IntervalTier" else start
            intervals.append(Interval(start, stop, take(str)))
        if kind == "IntervalTier":
            tiers.append((name, intervals))
    if next(following, None) is not None:
        raise UserError("holds more than it says", str(path), "Its numbers of tiers or intervals are wrong.")
    return tiers, end_s


def _tiers_that_speak(tiers: Sequence[tuple[str, list[Interval]]], path: Path) -> tuple[list[Interval], list[Interval]]:
    """The tiers of words and of phones in which something is spoken, if that is one of each."""
    spoken: dict[str, list[Interval]] = {}
    for kind in ("words", "phones"):
        named = [(name, tier) for name, tier in tiers if _kind(name) == kind]
        if not named:
            names = ", ".join(f"'{name}'" for name, _ in tiers) or "none"
            what = f"no tier named '{kind}' (found: {names})"
            raise UserError(what, str(path), "Rename the tier of phones or words.")
        speaking = [(name, tier) for name, tier in named if any(map(_is_spoken, tier))]
        if not speaking:
            raise UserError(f"nothing is spoken in its {kind}", str(path), "Align the recording again.")
        if len(speaking) > 1:
            what = f"several tiers hold {kind}: {', '.join(repr(name) for name, _ in speaking)}"
            raise UserError(what, str(path), "Leave the tiers of one speaker.")
        spoken[kind] = speaking[0][1]
    return spoken["words"], spoken["phones"]


def _kind(name: str) -> str:
    """What a tier of this name holds, whoever's it is: "words", "phones", or neither, an empty string."""
    match = _TIER.match(name.strip())
    return f"{match[1].lower()}s" if match else ""


def _is_spoken(interval: Interval) -> bool:
    """Whether a word or phone is; labels in brackets are noises, as "[laughter]" and "<unk>"."""
    label = interval.label.strip().upper()
    return label not in _LABELS and f"{label[:1]}{label[-1:]}" not in ("[]", "<>", "{}")


def _check_words(words: Sequence[Interval], phones: Sequence[Interval], path: Path) -> None:
    """Raises UserError for a word in which no phone is spoken, as where the tiers are not of one speech."""
    middles = [(phone.start_s + phone.end_s) / 2 for phone in phones if phone.label != SIL]
    for word in words:
        first = bisect.bisect_left(middles, word.start_s)
        if word.end_s > word.start_s and not (first < len(middles) and middles[first] <= word.end_s):
            what = f"no phone is spoken in the word '{word.label}' at {word.start_s:.2f} s"
            raise UserError(what, str(path), "Align the recording again.")


def _phone(label: str, path: Path) -> str:
    symbol = label.strip().upper()
    if symbol in _LABELS:
        return _LABELS[symbol]
    if is_vowel(symbol) and not symbol[-1].isdigit():
        symbol += "0"
    if not is_phone(symbol):
        raise UserError(f"'{label}' is not an ARPABET phone", str(path), "Align with an ARPABET dictionary.")
    return symbol


def _fill(intervals: Sequence[Interval], end_s: float, path: Path, gap: str = SIL) -> list[Interval]:
    """`intervals` with gaps filled by `gap`, so that they tile [0, end_s]; UserError where they overlap, go back
    or lie outside."""
    tiled: list[Interval] = []
    at = 0.0
    for interval in [*intervals, Interval(end_s, end_s, gap)]:
        if interval.end_s < interval.start_s:
            raise UserError(f"an interval at {interval.start_s:.3f} s ends before it begins", str(path))
        if interval.start_s < -_OVERLAP_S or interval.end_s > end_s + _OVERLAP_S:
            what = f"an interval from {interval.start_s:.3f} to {interval.end_s:.3f} s lies outside its {end_s:.3f} s"
            raise UserError(what, str(path), "Align the recording again.")
        if interval.start_s < at - _OVERLAP_S:
            raise UserError(f"intervals overlap at {interval.start_s:.3f} s", str(path))
        if interval.start_s > at + _SLACK_S:
            tiled.append(Interval(at, interval.start_s, gap))
        elif tiled:
            tiled[-1] = tiled[-1]._replace(end_s=interval.start_s)
        if interval.end_s > interval.start_s:
            tiled.append(interval)
            at = interval.end_s
    return tiled or [Interval(0.0, end_s, gap)]
