"""Edits of a prosody: faster, higher, a word with emphasis. Each gives a new value and leaves the old one as it was."""

import math

from copycat_jax.errors import UserError, nearest
from copycat_jax.prosody.values import Phone, Prosody, Sentence, phones_named
from copycat_jax.text.phonemes import is_vowel

SPEEDS = (0.25, 4.0)
LARGEST_PITCH = 12.0  # semitones
# Emphasis, by what a speaker does to a word: stretch it, its vowels more than the rest; raise it, the stressed vowel
# most; and put more force into it.
VOWEL_STRETCH, CONSONANT_STRETCH = 1.4, 1.2
RAISED_ST, PEAK_ST = 2.0, 1.5
LOUDER_NEPERS = 0.35  # 3 dB


def check_edits(speed: float, semitones: float) -> None:
    """Raises UserError for a speed or a shift of pitch that `faster` and `higher` would refuse."""
    if not SPEEDS[0] <= speed <= SPEEDS[1]:  # also true of NaN
        raise UserError(f"a speed of {speed:g}", "--speed", f"Give {SPEEDS[0]:g} to {SPEEDS[1]:g}; 1 changes nothing.")
    if not abs(semitones) <= LARGEST_PITCH:
        remedy = f"Give {-LARGEST_PITCH:g} to {LARGEST_PITCH:g} semitones."
        raise UserError(f"a pitch of {semitones:g}", "--pitch", remedy)


def faster(prosody: Prosody, speed: float) -> Prosody:
    """Everything `speed` times faster, pauses too.

    Durations are whole frames afterwards, at least one; up to any phone they differ from the wanted time by half a
    frame at most. Raises UserError for a speed outside SPEEDS.
    """
    check_edits(speed, 0.0)
    if speed == 1.0:
        return prosody

    def one(sentence: Sentence) -> Sentence:
        wanted, edge, phones = 0.0, 0, []
        for phone in sentence.phones:
            wanted += max(phone.duration_s / speed / prosody.frame_s, 1.0)
            frames, edge = math.floor(wanted + 0.5) - edge, math.floor(wanted + 0.5)
            pause = max(math.floor(phone.pause_s / speed / prosody.frame_s + 0.5), 1) if phone.pause_s > 0 else 0
            phones.append(phone._replace(duration_s=frames * prosody.frame_s, pause_s=pause * prosody.frame_s))
        return sentence._replace(phones=tuple(phones), silence_s=sentence.silence_s / speed)

    return prosody._replace(sentences=tuple(map(one, prosody.sentences)))


def higher(prosody: Prosody, semitones: float) -> Prosody:
    """The whole melody so many semitones higher; raises UserError beyond LARGEST_PITCH either way."""
    check_edits(1.0, semitones)
    ratio = 2.0 ** (semitones / 12)
    return prosody._replace(
        sentences=tuple(
            sentence._replace(phones=tuple(phone._replace(f0_hz=phone.f0_hz * ratio) for phone in sentence.phones))
            for sentence in prosody.sentences
        )
    )


def emphasised(prosody: Prosody, word: str) -> Prosody:
    """One word longer, higher and louder; every other phone, and every pause, as it was.

    Args:
      prosody: what is changed.
      word: as the words of the prosody are written, capitals meaning nothing; "word:2" is the second of that spelling,
        without a number all of them are meant.

    Raises:
      UserError: no such word.
    """
    name, _, number = word.rpartition(":")
    name, number = (name, number) if number.isdecimal() and name else (word, "")
    places = list(phones_named(prosody, name))
    if not places:
        known = dict.fromkeys(w.text for sentence in prosody.sentences for w in sentence.words)
        remedy = nearest(name, known) or f"Its words: {' '.join(list(known)[:20])}."
        raise UserError(f"no word '{name}' is spoken", "--emphasis", remedy)
    if number and not 1 <= int(number) <= len(places):
        raise UserError(f"'{name}' is spoken {len(places)} times", "--emphasis", f"Write {name}:N, N its number.")
    for i, j in places[int(number) - 1 : int(number)] if number else places:
        prosody = _emphasised_at(prosody, i, j)
    return prosody


def _emphasised_at(prosody: Prosody, at: int, word: int) -> Prosody:
    sentence = prosody.sentences[at]
    first, count = sentence.words[word].first, sentence.words[word].count
    changed = tuple(_emphasised_phone(phone, prosody.frame_s) for phone in sentence.phones[first : first + count])
    phones = sentence.phones[:first] + changed + sentence.phones[first + count :]
    sentences = (*prosody.sentences[:at], sentence._replace(phones=phones), *prosody.sentences[at + 1 :])
    return prosody._replace(sentences=sentences)


def _emphasised_phone(phone: Phone, frame_s: float) -> Phone:
    vowel = is_vowel(phone.symbol)
    stretch = VOWEL_STRETCH if vowel else CONSONANT_STRETCH
    longer = max(round(phone.duration_s * stretch / frame_s), round(phone.duration_s / frame_s) + vowel)
    raised = RAISED_ST + (PEAK_ST if phone.symbol.endswith("1") else 0.0)
    return phone._replace(
        duration_s=longer * frame_s, f0_hz=phone.f0_hz * 2.0 ** (raised / 12), energy=phone.energy + LOUDER_NEPERS
    )
