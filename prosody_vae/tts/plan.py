"""What is said and how, before it sounds: the text's phonemes in pieces, and a predicted duration and pause for each.

A pause is made where its probability exceeds one half, and left out elsewhere. Rounded durations never drift: up to
any phoneme they differ from what was predicted by at most half a frame.

What is longer than LONGEST_PHONEMES (about twelve seconds; the models saw no longer sentences) is cut where a mark
stands near the middle, else between words, and spoken in pieces under one embedding. A cut is a pause of CUT_S or more.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Lexicon, words_of
from copycat_jax.text.phonemes import SIL_ID, to_ids
from copycat_jax.text.phrasing import word_breaks

LONGEST_PHONEMES = 150
RATE_RANGE = (0.25, 4.0)  # times the model's own speed
CUT_S = 0.12  # the least pause where a long sentence is cut
EDGE_PAUSE_S = 0.1  # the most silence before the first and after the last word: as in the trimmed training recordings
_VOICELESS = to_ids(("SIL", "SPN", "CH", "F", "HH", "K", "P", "S", "SH", "T", "TH"))


class TextPiece(NamedTuple):
    """What is spoken in one breath: `phonemes` and `breaks` int32 [P], the first one leading silence."""

    phonemes: np.ndarray
    breaks: np.ndarray


class SpeechPlan(NamedTuple):
    """What is said and how; P phonemes, times in frames. Its first phoneme, and one after every cut, is silence."""

    phonemes: np.ndarray  # int32 [P], ids
    breaks: np.ndarray  # int32 [P], values of copycat_jax.text.phrasing
    durations: np.ndarray  # int32 [P], at least 1
    pauses: np.ndarray  # int32 [P], silence after the phoneme; 0 = none
    log_f0: np.ndarray  # float32 [P], natural log Hz
    energy: np.ndarray  # float32 [P], log-RMS

    @property
    def frames(self) -> int:
        """How long it is in all."""
        return int(self.durations.sum() + self.pauses.sum())


class Curve(NamedTuple):
    """A plan on the frames it will take: steps, silences as phonemes of their own; as `features.summarise` wants it."""

    f0_hz: np.ndarray  # float32 [T], 0 = unvoiced
    energy: np.ndarray  # float32 [T]
    phonemes: np.ndarray  # int32 [Q], SIL where the plan pauses
    durations: np.ndarray  # int32 [Q], their sum is T


def check_rate(rate: float) -> None:
    """Raises UserError for a rate of speech out of the allowed range, or not finite."""
    low, high = RATE_RANGE
    if not low <= rate <= high:  # also true of NaN
        raise UserError(f"a rate of {rate:g}", remedy=f"Give one between {low} and {high}; 1 is the voice's own.")


def cut_text(text: str, lexicon: Lexicon | None = None, longest: int = LONGEST_PHONEMES) -> list[TextPiece]:
    """The phonemes of `text` in pieces of at most `longest` (a single word may exceed it), each after a silence.

    Raises:
      UserError: the text is empty or holds nothing that can be spoken.
    """
    words = [word.variants[0] for word in words_of(text, lexicon)]
    breaks = word_breaks(text, lexicon.entries if lexicon else (), len(words))
    pieces = []
    for start, stop in _spans([len(word) for word in words], breaks, longest):
        phonemes, follows = [SIL_ID], [0]
        for word, kind in zip(words[start:stop], breaks[start:stop], strict=True):
            phonemes += to_ids(word).tolist()
            follows += [0] * (len(word) - 1) + [kind]
        pieces.append(TextPiece(np.array(phonemes, np.int32), np.array(follows, np.int32)))
    return pieces


def curve(plan: SpeechPlan) -> Curve:
    """A plan on its frames: F0 and energy as steps, F0 zero in silences and voiceless consonants."""
    f0_hz = np.where(np.isin(plan.phonemes, _VOICELESS), 0.0, np.nan_to_num(np.exp(plan.log_f0)))
    f0_hz, frames = interleave(f0_hz, plan.durations, plan.pauses, 0.0)
    energy, _ = interleave(plan.energy, plan.durations, plan.pauses, float(np.min(plan.energy)))
    phonemes, _ = interleave(plan.phonemes, plan.durations, plan.pauses, SIL_ID)
    return Curve(np.repeat(f0_hz, frames), np.repeat(energy, frames), phonemes, frames)


def interleave(values: np.ndarray, durations: np.ndarray, pauses: np.ndarray, silence) -> tuple[np.ndarray, np.ndarray]:
    """Values [P] with `silence` put where a pause is, and the frames each lasts: both [Q], none of no frames."""
    filled = np.stack([values, np.full_like(values, silence)], axis=1).ravel()
    frames = np.stack([durations, pauses], axis=1).ravel()
    return filled[frames > 0].astype(np.asarray(values).dtype), frames[frames > 0].astype(np.int32)


def whole_frames(expected: Float[np.ndarray, " P"]) -> np.ndarray:
    """Expected frames as whole ones of at least 1, whose sum up to any phoneme is right to half a frame."""
    edges = np.floor(np.cumsum(np.maximum(expected.astype(np.float64), 1.0)) + 0.5)
    return np.diff(edges, prepend=0.0).astype(np.int32)


def make_speech_plan(
    piece: TextPiece, predicted: Sequence[np.ndarray], rate: float, frame_rate_hz: float, last: bool
) -> SpeechPlan:
    """One piece with its prosody in whole frames; `predicted` as model.Prosody, each [P]."""
    frames, probability, pause_frames, log_f0, energy = predicted
    edge, expected = max(1.0, EDGE_PAUSE_S * frame_rate_hz), np.maximum(frames, 1.0) / rate
    expected[0] = min(expected[0], edge)
    paused = np.maximum(np.floor(pause_frames / rate + 0.5), 1.0)
    pauses = np.where((probability > 0.5) & (piece.breaks > 0), paused, 0.0)
    # What follows the last word is the silence left at the end of a trimmed recording, not a pause.
    pauses[-1] = math.floor(edge) if last else max(pauses[-1], math.ceil(CUT_S * frame_rate_hz))
    return SpeechPlan(piece.phonemes, piece.breaks, whole_frames(expected), pauses.astype(np.int32), log_f0, energy)


def join_plans(plans: Sequence[SpeechPlan]) -> SpeechPlan:
    """Plans one after the other."""
    return SpeechPlan(*(np.concatenate(values) for values in zip(*plans, strict=True)))


def check_known(plan: SpeechPlan) -> None:
    """Raises UserError for a phone whose F0 or energy is not known."""
    for name, values in (("F0", plan.log_f0), ("energy", plan.energy)):
        if not np.isfinite(values).all():
            number = int(np.flatnonzero(~np.isfinite(values))[0]) + 1
            raise UserError(f"phone {number} of a sentence has no {name}", remedy="Give it a number.")


def split_plan(plan: SpeechPlan) -> list[SpeechPlan]:
    """What `join_plans` joined: a piece for each silence among the phonemes."""
    edges = [*np.flatnonzero(plan.phonemes == SIL_ID), len(plan.phonemes)]
    return [SpeechPlan(*(values[a:b] for values in plan)) for a, b in itertools.pairwise(edges)]


def _spans(lengths: Sequence[int], breaks: Sequence[int], longest: int) -> list[tuple[int, int]]:
    """[start, stop) of words whose phonemes number at most `longest`: halves at the strongest break near the middle."""
    edges = np.concatenate([[0], np.cumsum(lengths)])

    def halve(start: int, stop: int) -> list[tuple[int, int]]:
        total = edges[stop] - edges[start]
        if total <= longest or stop - start == 1:
            return [(start, stop)]

        def cost(at: int) -> tuple[float, float]:
            away = abs((edges[at] - edges[start]) / total - 0.5)
            return (-breaks[at - 1] if away <= 0.3 else 0, away)

        at = min(range(start + 1, stop), key=cost)
        return halve(start, at) + halve(at, stop)

    return halve(0, len(lengths))
