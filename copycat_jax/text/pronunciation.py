"""The one door to gruut and to PocketSphinx's dictionary: plain lower-case words to ARPABET with stress.

gruut's lexicon gives each word's pronunciation, by its part of speech in the sentence where that matters (read, live,
the), and its letter-to-sound model those of unknown words. The lexicon's other entries and those of PocketSphinx's
dictionary, which has no stress of its own, are further variants: the aligner hears which was spoken. All is loaded
once, at first use. The lexicon is read whole: its database has no index, and a look-up takes as long as a sentence.
"""

import contextlib
import functools
import importlib.resources
import importlib.util
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from copycat_jax.text.phonemes import is_vowel, reattach_stress

Phones = tuple[str, ...]

LETTERS: dict[str, Phones] = {
    letter: tuple(phones.split())
    for letter, phones in {
        "A": "EY1", "B": "B IY1", "C": "S IY1", "D": "D IY1", "E": "IY1", "F": "EH1 F", "G": "JH IY1", "H": "EY1 CH",
        "I": "AY1", "J": "JH EY1", "K": "K EY1", "L": "EH1 L", "M": "EH1 M", "N": "EH1 N", "O": "OW1", "P": "P IY1",
        "Q": "K Y UW1", "R": "AA1 R", "S": "EH1 S", "T": "T IY1", "U": "Y UW1", "V": "V IY1",
        "W": "D AH1 B AH0 L Y UW0", "X": "EH1 K S", "Y": "W AY1", "Z": "Z IY1",
    }.items()
}  # fmt: skip

_IPA = {
    "b": "B", "t͡ʃ": "CH", "tʃ": "CH", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "g": "G", "h": "HH", "d͡ʒ": "JH",
    "dʒ": "JH", "k": "K", "l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R", "r": "R", "s": "S",
    "ʃ": "SH", "t": "T", "ɾ": "T", "ʔ": "T", "θ": "TH", "v": "V", "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
    "ɑ": "AA", "ɒ": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɔ": "AO", "aʊ": "AW", "aɪ": "AY", "ɛ": "EH",
    "ɚ": "ER", "ɝ": "ER", "eɪ": "EY", "ɪ": "IH", "ᵻ": "IH", "i": "IY", "oʊ": "OW", "ɔɪ": "OY", "ʊ": "UH", "u": "UW",
}  # fmt: skip
_STRESS = {"ˈ": "1", "ˌ": "2"}
_ALIKE = {"VBN": "VBD", "NNS": "NN", "NNP": "NN", "NNPS": "NN"}
_SUBJECTS = frozenset(("i", "you", "he", "she", "it", "we", "they", "who", "which", "that", "people", "men", "women"))
_AUXILIARIES = frozenset((
    *("have", "has", "had", "having", "haven't", "hasn't", "hadn't", "i've", "you've", "we've", "they've", "i'd"),
    *("you'd", "he'd", "she'd", "we'd", "they'd", "be", "am", "is", "are", "was", "were", "been", "being", "isn't"),
    *("aren't", "wasn't", "weren't", "it's", "get", "gets", "got"),
))  # fmt: skip
_BETWEEN = frozenset((
    *("i", "you", "he", "she", "it", "we", "they", "not", "never", "ever", "just", "also", "been", "already", "once"),
))  # fmt: skip
# Where gruut's lexicon is wrong, or does not tell its entries apart: "used to go", "used a knife".
_AMENDED = {
    "used": [("gruut:VBD", "j ˈu z d"), ("gruut:VB", "j ˈu s t")],
    "houses": [("", "h ˈaʊ z ɪ z")],
    "consists": [("", "k ə n s ˈɪ s t s")],
    "lead": [("gruut:VB", "l ˈi d"), ("gruut:NN", "l ˈɛ d")],
    "tear": [("gruut:NN", "t ˈɪ ɹ"), ("gruut:VB", "t ˈɛ ɹ")],
    "tears": [("gruut:NN", "t ˈɪ ɹ z"), ("gruut:VB", "t ˈɛ ɹ z")],
    "bow": [("gruut:NN", "b ˈoʊ"), ("gruut:VB", "b ˈaʊ")],
    "polish": [("gruut:JJ", "p ˈoʊ l ɪ ʃ"), ("", "p ˈɑ l ɪ ʃ")],
    "number": [("", "n ˈʌ m b ɚ")],
    "does": [("", "d ˈʌ z")],
    "nice": [("", "n ˈaɪ s")],
}
_OF_LEAD = frozenset((
    *("pipe", "pipes", "paint", "poisoning", "bullet", "bullets", "shot"),
    *("ore", "weight", "weights", "lined", "glass", "acid"),
))  # fmt: skip
_BEFORE_METAL = frozenset((
    *("of", "like", "with", "as", "from", "molten", "white"),
    *("red", "contain", "contains", "containing", "into"),
))  # fmt: skip
_SENT_LIVE = frozenset((
    *("stream", "streams", "streamed", "streaming", "music", "show", "shows"),
    *("broadcast", "audience", "wire", "wires", "band"),
))  # fmt: skip
_WINDING = frozenset(("around", "round", "up", "down", "through", "along", "its", "tightly"))
_TINY = frozenset(("amount", "amounts", "quantity", "quantities", "detail", "details", "particles", "traces", "doses"))
_SIBILANTS = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_VOICELESS = frozenset(("P", "T", "K", "F", "TH"))


def from_ipa(phonemes: Sequence[str]) -> Phones:
    """gruut's en-us IPA phonemes to ARPABET with stress; what has no counterpart (breaks, ties) is left out."""
    phones = []
    for phoneme in phonemes:
        stress = "0"
        for mark, digit in _STRESS.items():
            if mark in phoneme:
                phoneme, stress = phoneme.replace(mark, ""), digit
        symbol = _IPA.get(phoneme.replace("ː", ""))
        if symbol:
            phones.append(symbol + stress if is_vowel(symbol) else symbol)
    return tuple(phones)


def has_vowel(phones: Phones) -> bool:
    """Whether any of `phones` is a vowel."""
    return any(is_vowel(phone) for phone in phones)


@functools.cache
def is_known(word: str) -> bool:
    """Whether the lower-case `word` is in a dictionary (ours, gruut's or PocketSphinx's)."""
    return word in _exceptions() or bool(_gruut_entries(word)) or word in _sphinx()


def dictionary() -> dict[str, Phones]:
    """Every word of letters and apostrophes that gruut's lexicon has, with the pronunciation it has by itself."""
    found: dict[str, Phones] = {}
    for word, entries in _lexicon().items():
        phones = _exceptions().get(word) or from_ipa(_by_role(entries, "").split())
        if word.replace("'", "").isalpha() and word.isascii() and has_vowel(phones):
            found[word] = phones
    return found


def pronounce(words: Sequence[str]) -> list[list[Phones]]:
    """Pronunciations of each of the lower-case `words`, spoken as one sentence; the likeliest first.

    Variants of a word differ in more than stress. A word for which nothing holds a vowel gets an empty list.
    """
    return [_variants(word, chosen) for word, chosen in zip(words, _in_context(tuple(words)), strict=True)]


def _variants(word: str, chosen: Phones) -> list[Phones]:
    if word in _exceptions():
        return [_exceptions()[word]]
    entries = _gruut_entries(word)
    sphinx = [tuple(phones.split()) for phones in _sphinx().get(word, ())]
    if not entries and not sphinx and word.endswith("'s") and is_known(word[:-2]):
        return [possessive(phones) for phones in _variants(word[:-2], chosen[:-1])]
    if sphinx and not entries:  # a dictionary is a better guess at the sounds, letter-to-sound rules at the stress
        candidates = [*(_stressed(phones, [chosen]) for phones in sphinx)]
    else:
        candidates = [chosen, *entries, *(_stressed(phones, [chosen, *entries]) for phones in sphinx)]
    kept: dict[Phones, Phones] = {}
    for phones in candidates:
        if has_vowel(phones):
            kept.setdefault(tuple(phone.rstrip("012") for phone in phones), phones)
    return list(kept.values())


def _stressed(phones: Phones, references: Sequence[Phones]) -> Phones:
    """`phones` with the stress of the first reference that has as many vowels."""
    count = sum(map(is_vowel, phones))
    fitting = [reference for reference in references if sum(map(is_vowel, reference)) == count]
    return reattach_stress(phones, fitting[0] if fitting else None)


def possessive(phones: Phones) -> Phones:
    """`phones` with the sound of a possessive or plural s."""
    if phones[-1] in _SIBILANTS:
        return (*phones, "IH0", "Z")
    return (*phones, "S" if phones[-1] in _VOICELESS else "Z")


def _in_context(words: tuple[str, ...]) -> list[Phones]:
    """gruut's choice for each word of a sentence: by the tagger where its lexicon has several, unknown ones guessed."""
    entries = [_lexicon().get(word, ()) for word in words]
    tags = _tags(words) if any(len(found) > 1 for found in entries) else [""] * len(words)
    return [
        from_ipa((_by_role(found, f"gruut:{tag}") if found else " ".join(_guesser()(word))).split())
        for word, found, tag in zip(words, entries, tags, strict=True)
    ]


def _tags(words: Sequence[str]) -> list[str]:
    """Parts of speech by the tagger, amended where the words around are the better sign.

    gruut's lexicon knows verbs and nouns, but no finite verbs or plurals. The tagger often takes a noun for a finite
    verb, so that one is believed behind a subject only.
    """
    tags = [_ALIKE.get(tag, tag) for tag in _tagger()(list(words))]
    for i, word in enumerate(words):
        if tags[i] in ("VBP", "VBZ") and words[i - 1 : i] and words[i - 1] in _SUBJECTS:
            tags[i] = "VB"
        if word == "read" and _is_participle(words[:i]):
            tags[i] = "VBD"
        elif word == "used":
            tags[i] = "VB" if words[i + 1 : i + 2] == ("to",) else "VBD"
        else:
            tags[i] = _by_neighbours(words[i - 1 if i else 0 : i + 2], word, tags[i])
    return tags


def _by_neighbours(around: Sequence[str], word: str, tag: str) -> str:
    """The part of speech of a `word` whose meanings are told apart by the words `around` it, else `tag`."""
    before, after = around[: around.index(word)], around[around.index(word) + 1 :]
    if word == "lead":  # the metal, not "in the lead" or "a lead of two"
        metal = _OF_LEAD.intersection(after) or (tag == "NN" and _BEFORE_METAL.intersection(before))
        return "NN" if metal else "VB"
    if word in ("tear", "tears") and tag == "NN":  # a tear in the cloth, wear and tear
        return "VB" if word == "tear" and ("and" in before or "in" in after) else tag
    if word == "wound" and _WINDING.intersection(after):
        return "VBD"
    if word == "minute" and _TINY.intersection(after):
        return "JJ"
    return "JJ" if word == "live" and _SENT_LIVE.intersection(after) else tag


def _is_participle(before: Sequence[str]) -> bool:
    """Whether a form of "have" or "be" precedes, with no more than adverbs or a subject between."""
    for word in reversed(before[-3:]):
        if word in _AUXILIARIES:
            return True
        if not (word.endswith("ly") or word in _BETWEEN):
            return False
    return False


def _by_role(entries: Sequence[tuple[str, str]], role: str) -> str:
    """The first pronunciation of `role`, else of no role in particular, else the first."""
    for wanted in (role, ""):
        for found, ipa in entries:
            if found == wanted:
                return ipa
    return entries[0][1]


def _gruut_entries(word: str) -> list[Phones]:
    return [from_ipa(ipa.split()) for _, ipa in _lexicon().get(word, ())]


@functools.cache
def _lexicon() -> dict[str, list[tuple[str, str]]]:
    """gruut's lexicon: word to (role, IPA phonemes), in its order."""
    entries: dict[str, list[tuple[str, str]]] = {}
    address = f"file:{_language() / 'lexicon.db'}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        database.execute("PRAGMA temp_store = MEMORY")  # it sorts, and there may be no room for temporary files
        for word, role, ipa in database.execute("SELECT word, role, phonemes FROM word_phonemes ORDER BY pron_order"):
            entries.setdefault(word.lower(), []).append((role, ipa))
    return entries | _AMENDED


@functools.cache
def _tagger() -> Callable[[list[str]], list[str]]:
    return _gruut_module("pos").PartOfSpeechTagger(str(_language() / "pos" / "model.crf"))


@functools.cache
def _guesser():
    return _gruut_module("g2p").GraphemesToPhonemes(str(_language() / "g2p" / "model.crf"))


def _gruut_module(name: str) -> Any:
    """A module of gruut without gruut itself, which imports parsers of dates, numbers and graphs [a second]."""
    package: Any = importlib.util.find_spec("gruut")
    path = Path(package.submodule_search_locations[0]) / f"{name}.py"
    spec: Any = importlib.util.spec_from_file_location(f"gruut_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _language() -> Path:
    import gruut_lang_en

    return Path(gruut_lang_en.get_lang_dir())


@functools.cache
def _sphinx() -> dict[str, list[str]]:
    """PocketSphinx's dictionary: word to its pronunciations, without stress, each one string."""
    import pocketsphinx

    entries: dict[str, list[str]] = {}
    with open(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as file:
        for line in file:
            head, _, phones = line.partition(" ")
            word = head[: head.rindex("(")] if head.endswith(")") and "(" in head[1:] else head  # read(2)
            entries.setdefault(word, []).append(phones)
    return entries


@functools.cache
def _exceptions() -> dict[str, Phones]:
    text = importlib.resources.files("copycat_jax.text").joinpath("exceptions.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return {word: tuple(phones.split()) for word, phones in rows}
