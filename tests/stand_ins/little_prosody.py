"""A prosody of two sentences, three words and a breath, for tests."""

from copycat_jax.prosody.values import Phone, Prosody, Sentence, Word
from copycat_jax.text.phrasing import PHRASE, SENTENCE

FRAME_S = 256 / 22050


def phone(symbol: str, frames: int, pause: int = 0, f0_hz: float = 180.0, energy: float = -3.0) -> Phone:
    return Phone(symbol, frames * FRAME_S, f0_hz, energy, pause * FRAME_S)


def example() -> Prosody:
    """ "Hi, you. No." with a breath after the comma."""
    first = Sentence(
        "Hi, you.",
        (Word("hi", 1, 2, PHRASE), Word("you", 4, 2, SENTENCE)),
        (phone("SIL", 5), phone("HH", 6), phone("AY1", 11, 9), phone("SIL", 3), phone("Y", 4), phone("UW1", 12, 8)),
        silence_s=0.3,
        embedding=(0.5, -0.25),
        like="e1",
    )
    second = Sentence("No.", (Word("no", 1, 2, SENTENCE),), (phone("SIL", 5), phone("N", 6), phone("OW1", 14, 8)))
    return Prosody((first, second), FRAME_S, "f" * 64, "reader")
