"""Between a plan, on the frames of a voice, and a prosody, as files and edits have it; each way loses nothing."""

import numpy as np

from copycat_jax.prosody.values import Phone, Sentence, Word
from copycat_jax.text.lexicon import Lexicon, words_of
from copycat_jax.text.phonemes import SIL_ID, to_ids, to_symbols
from prosody_vae.tts.plan import SpeechPlan


def to_sentence(plan: SpeechPlan, text: str, frame_s: float, lexicon: Lexicon | None = None) -> Sentence:
    """The prosody of a plan that was made of `text`."""
    values = (to_symbols(plan.phonemes), plan.durations, np.exp(plan.log_f0.astype(np.float64)), plan.energy)
    phones = [
        Phone(symbol, int(frames) * frame_s, float(f0_hz), float(energy), int(pause) * frame_s)
        for symbol, frames, f0_hz, energy, pause in zip(*values, plan.pauses, strict=True)
    ]
    labels = iter([word.text for word in words_of(text, lexicon)])
    words, count = [], 0
    for i, (phone, kind) in enumerate(zip(plan.phonemes, plan.breaks, strict=True)):
        count += int(phone) != SIL_ID
        if kind > 0:
            words.append(Word(next(labels), i + 1 - count, count, int(kind)))
            count = 0
    return Sentence(" ".join(text.split()), tuple(words), tuple(phones))


def to_plan(sentence: Sentence, frame_s: float) -> SpeechPlan:
    """The plan of a sentence in whole frames: each phone at least one, each pause to the nearest."""
    phones = sentence.phones
    breaks = np.zeros(len(phones), np.int32)
    for word in sentence.words:
        breaks[word.first + word.count - 1] = word.mark
    seconds = np.array([[phone.duration_s, phone.pause_s] for phone in phones])
    frames = np.floor(seconds / frame_s + 0.5).astype(np.int32)
    return SpeechPlan(
        phonemes=to_ids([phone.symbol for phone in phones]),
        breaks=breaks,
        durations=np.maximum(frames[:, 0], 1),
        pauses=frames[:, 1],
        log_f0=np.log([phone.f0_hz for phone in phones]).astype(np.float32),
        energy=np.array([phone.energy for phone in phones], np.float32),
    )
