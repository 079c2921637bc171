"""The prosody file: JSON that a person reads and edits, written and read here alone. README.md describes it.

What is read back is what was written: numbers carry so many digits that float32 comes out to the bit. The times of
words and phones (`start_s`, `end_s`) stand there for the reader and are not read; they follow from the durations.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError, nearest, refuse_unknown
from copycat_jax.files import check_file, write_text
from copycat_jax.prosody.values import MARKS, Phone, Prosody, Sentence, Word, sentence_times
from copycat_jax.text.phonemes import INVENTORY, PAD, SIL
from copycat_jax.text.phrasing import WORD

FORMAT, VERSION = "copycat-jax prosody", 1
LIMITS = {  # what a value may be
    "duration_s": (0.0, 10.0),
    "pause_s": (0.0, 60.0),
    "silence_s": (0.0, 600.0),
    "f0_hz": (20.0, 1500.0),
    "energy": (-20.0, 3.0),
    "frame_s": (0.001, 0.1),
}
_HEAD = ("format", "version", "frame_s", "bundle", "speaker", "sentences")
_SENTENCE = ("text", "start_s", "end_s", "silence_s", "like", "embedding", "words", "phones")
_WORD = ("word", "start_s", "end_s", "first", "phones", "then")
_PHONE = ("phone", "start_s", "duration_s", "f0_hz", "energy", "pause_s")


def check_prosody_file(path: str | Path, inputs: tuple[str | Path, ...] = ()) -> Path:
    """The path of a prosody file that is to be written; raises UserError if a file of another kind is there."""
    path = check_file(path, ".json", inputs)
    if path.exists() and path.stat().st_size:
        try:
            read_prosody(path)
        except UserError:
            raise UserError("exists and is no prosody file", str(path), "Move it, or choose another name.") from None
    return path


def write_prosody(path: str | Path, prosody: Prosody) -> None:
    """Writes a prosody file whole or not at all; raises UserError where it cannot be written."""
    write_text(path, prosody_text(prosody))


def prosody_text(prosody: Prosody) -> str:
    """The prosody file as text: a line for every word and every phone."""
    at, parts = 0.0, []
    for sentence in prosody.sentences:
        parts.append(_sentence_text(sentence, at))
        at += sentence.seconds + sentence.silence_s
    head = {
        "format": FORMAT,
        "version": VERSION,
        "frame_s": prosody.frame_s,
        "bundle": prosody.bundle,
        "speaker": prosody.speaker,
    }
    lines = ",\n".join(f" {json.dumps(name)}: {_dumped(value)}" for name, value in head.items())
    return f'{{\n{lines},\n "sentences": [\n' + ",\n".join(parts) + "\n ]\n}\n"


def read_prosody(path: str | Path) -> Prosody:
    """Reads a prosody file.

    Raises:
      UserError: missing, no such file, of another version, an unknown field, or a value that no speech has, with the
        sentence and the phone it stands at.
    """
    try:
        fields = json.loads(read_text(path, "prosody file"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON: {error}", str(path), "Write it again with --prosody-out.") from None
    return parse_prosody(fields, str(path))


def parse_prosody(fields: Any, where: str) -> Prosody:
    """The prosody that a JSON value stands for; `where` names it in errors, which are those of `read_prosody`."""
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise UserError("is not a prosody file", where, "Write one with --prosody-out.")
    if fields.get("version") != VERSION:
        remedy = f"This program reads version {VERSION}; write the file again with it."
        raise UserError(f"is a prosody file of version {fields.get('version')!r:.20}", where, remedy)
    refuse_unknown(fields, _HEAD, where)
    frame_s = _number(fields, "frame_s", where)
    sentences = _list(fields, "sentences", where)
    if not sentences:
        raise UserError("holds no sentence", where, "Write it again with --prosody-out.")
    parsed = [_sentence(row, f"{where}: sentence {i}") for i, row in enumerate(sentences, 1)]
    return Prosody(tuple(parsed), frame_s, _string(fields, "bundle", where), _string(fields, "speaker", where))


def check_words(prosody: Prosody, spoken: Callable[[str], list[str]], text: str | None, where: str) -> None:
    """Raises UserError where the words are not those of the texts.

    Args:
      prosody: what was read.
      spoken: the words of a text as they are spoken.
      text: what shall be said; None: what each sentence of the prosody says of itself.
      where: the file, for errors.
    """
    pairs = [(sentence.text, sentence.words) for sentence in prosody.sentences]
    if text is not None:
        pairs = [(text, tuple(word for sentence in prosody.sentences for word in sentence.words))]
    for said, words in pairs:
        wanted, held = spoken(said), [word.text for word in words]
        for number, (a, b) in enumerate(zip(wanted, held, strict=False), 1):
            if a.casefold() != b.casefold():
                raise UserError(f"does not fit the text: word {number} is '{b}', in the text '{a}'", where, _FIT)
        if len(wanted) != len(held):
            counts = f"it holds {len(held)} words, '{said[:40]}' has {len(wanted)}"
            raise UserError(f"does not fit the text: {counts}", where, _FIT)


_FIT = "Give the text it was made for, or leave the text out."


def _sentence_text(sentence: Sentence, start_s: float) -> str:
    times = sentence_times(sentence).moved(start_s)
    head = {
        "text": sentence.text,
        "start_s": round(start_s, 4),
        "end_s": round(start_s + sentence.seconds, 4),
        "silence_s": sentence.silence_s,
        "like": sentence.like,
        "embedding": list(sentence.embedding),
    }
    names = {mark: name for name, mark in MARKS.items()}
    words = [
        dict(zip(_WORD, (w.text, *_span(i), w.first, w.count, names[w.mark]), strict=True))
        for w, i in zip(sentence.words, times.words, strict=True)
    ]
    at, phones = start_s, []
    for phone in sentence.phones:
        values = (phone.symbol, round(at, 4), *(_digits(v) for v in phone[1:]))
        phones.append(dict(zip(_PHONE, values, strict=True)))
        at += phone.duration_s + phone.pause_s
    lines = [f"   {json.dumps(name)}: {_dumped(value)}" for name, value in head.items()]
    for name, rows in (("words", words), ("phones", phones)):
        lines.append(f'   "{name}": [\n' + ",\n".join(f"    {_dumped(row)}" for row in rows) + "\n   ]")
    return "  {\n" + ",\n".join(lines) + "\n  }"


def _span(interval) -> tuple[float, float]:
    return round(interval.start_s, 4), round(interval.end_s, 4)


def _digits(value: float) -> float | None:
    """Nine digits, which tell any float32 from its neighbours; None for what is unknown."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def _dumped(value: Any) -> str:
    if isinstance(value, list):
        value = [_digits(item) for item in value]
    elif isinstance(value, float):
        value = float(f"{value:.12g}")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _sentence(row: Any, where: str) -> Sentence:
    _check_fields(row, _SENTENCE, where)
    phones = tuple(_phone(p, f"{where}, phone {i}") for i, p in enumerate(_list(row, "phones", where), 1))
    if len(phones) < 2 or phones[0].symbol != SIL:
        raise UserError("its phones do not begin with SIL", where, "Put the silence before the sentence there.")
    words = tuple(_word(w, f"{where}, word {i}") for i, w in enumerate(_list(row, "words", where), 1))
    held = [i for word in words for i in range(word.first, word.first + word.count)]
    if held != [i for i, phone in enumerate(phones) if phone.symbol != SIL]:
        remedy = "Mend `first` and `phones` of its words."
        raise UserError("its words do not hold every phone but SIL once, in order", where, remedy)
    embedding = _list(row, "embedding", where) if row.get("embedding") is not None else []
    if not all(_is_number(value) for value in embedding):
        raise UserError("its embedding holds what is no number", where, "Leave it empty: [].")
    silence_s = _number(row, "silence_s", where) if "silence_s" in row else 0.0
    like = _string(row, "like", where)
    return Sentence(_string(row, "text", where), words, phones, silence_s, tuple(map(float, embedding)), like)


def _word(row: Any, where: str) -> Word:
    _check_fields(row, _WORD, where)
    first, count = (row.get(name) for name in ("first", "phones"))
    if not (_is_whole(first) and _is_whole(count) and first >= 0 and count >= 1):
        raise UserError("`first` and `phones` are not whole numbers", where, "Say which phones it has.")
    then = row.get("then", "word")
    if then not in MARKS:
        raise UserError(
            f"`then` is {str(then)[:20]!r}", where, nearest(str(then), MARKS) or f"Known: {', '.join(MARKS)}."
        )
    return Word(_string(row, "word", where), first, count, MARKS.get(then, WORD))


def _phone(row: Any, where: str) -> Phone:
    _check_fields(row, _PHONE, where)
    symbol = _string(row, "phone", where)
    if symbol not in INVENTORY or symbol == PAD:
        known = nearest(symbol, INVENTORY[1:]) or f"Known: {' '.join(INVENTORY[1:])}."
        raise UserError(f"unknown phone '{symbol[:20]}'", where, known)
    f0_hz, energy = (math.nan if row.get(n) is None else _number(row, n, where) for n in ("f0_hz", "energy"))
    pause_s = _number(row, "pause_s", where) if "pause_s" in row else 0.0
    return Phone(symbol, _number(row, "duration_s", where), f0_hz, energy, pause_s)


def _check_fields(row: Any, known: tuple[str, ...], where: str) -> None:
    if not isinstance(row, dict):
        raise UserError("is not an object with fields", where, f"Known fields: {', '.join(known)}.")
    refuse_unknown(row, known, where)


def _list(fields: Mapping[str, Any], name: str, where: str) -> list:
    if not isinstance(fields.get(name), list):
        raise UserError(f"`{name}` is not a list", where, "Write it again with --prosody-out.")
    return fields[name]


def _string(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise UserError(f"`{name}` is not a text", where, "Put it in quotation marks.")
    return value


def _number(fields: Mapping[str, Any], name: str, where: str) -> float:
    value: Any = fields.get(name)
    low, high = LIMITS[name]
    if not _is_number(value) or not low <= value <= high:
        raise UserError(f"`{name}` is {str(value)[:20]}", where, f"Give a number from {low:g} to {high:g}.")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
