"""A recording of any length aligned passage by passage, so that memory does not grow with it.

Which words lie in the next stretch is found by an alignment that may end after any word (`aligner.reach`); the passage
ends in the longest pause of its latter half and is then aligned with just its words, as any recording is.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from copycat_jax.align import aligner
from copycat_jax.align.durations import merge_silences
from copycat_jax.align.suspicion import Mismatch
from copycat_jax.audio.spool import Samples
from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Lexicon, Word, words_of
from copycat_jax.types import Alignment, Interval

WHOLE_S = 30.0  # what is aligned at once
STRETCH_S = 15.0  # what is listened to for the next passage; longer ones score lower (more states are in play)
LONGEST_STRETCH_S = 120.0  # where it holds no word
WORDS_PER_S = 8  # nobody speaks faster
# Of one passage; the mean of all has the aligner's threshold. Of 1000 s by ten speakers of LibriSpeech test-other the
# lowest passage scored -29.0.
PASSAGE_THRESHOLD = -35.0


def align_text(
    samples: Samples,
    sample_rate: int,
    text: str,
    lexicon: Lexicon | None = None,
    progress: Callable[[float], object] = lambda seconds: None,
    force: bool = False,
) -> Alignment:
    """Aligns a recording of any length with written text; a short one as `aligner.align_text` does.

    Args:
      samples: mono, float, within [-1, 1].
      sample_rate: in Hz; any.
      text: what is said.
      lexicon: looked into before all else.
      progress: hears of every passage how many seconds it lasts.
      force: go on although the text of a passage does not seem to be what is said.

    Returns:
      As `aligner.align`; the score is the mean over the passages, weighted by how long their words last.

    Raises:
      UserError: as in `aligner`; of a long recording it says between which times the text is not what is said.
    """
    words = words_of(text, lexicon)
    if len(samples) <= WHOLE_S * sample_rate:
        alignment = aligner.align(samples[:], sample_rate, words)
        progress(len(samples) / sample_rate)
        return alignment
    phones: list[Interval] = []
    spoken: list[Interval] = []
    confidences: list[float] = []
    doubts: list[Interval] = []
    scores, weights = [], []
    for start_s, passage in _passages(samples, sample_rate, words, force):
        phones += _moved(passage.phones, start_s)
        spoken += _moved(passage.words, start_s)
        confidences += passage.confidences
        doubts += _moved(passage.doubts, start_s)
        scores.append(passage.score)
        weights.append(sum(word.end_s - word.start_s for word in passage.words))
        progress(passage.phones[-1].end_s)
    score = float(np.average(scores, weights=weights))
    return Alignment(tuple(merge_silences(phones)), tuple(spoken), score, tuple(confidences), tuple(doubts))


def _passages(samples: Samples, rate: int, words: Sequence[Word], force: bool) -> Iterator[tuple[float, Alignment]]:
    """Passages that tile the recording: when each begins, and its own alignment."""
    at, stretch_s = 0, STRETCH_S
    while len(samples) - at > WHOLE_S * rate:
        if not words:
            raise _mismatch(at / rate, len(samples) / rate, "it has no more words")
        stretch = samples[at : at + round(stretch_s * rate)]
        found = aligner.reach(stretch, rate, words[: round(stretch_s * WORDS_PER_S)])
        cut_s, count = _cut(found)
        if count:
            stop = at + round(cut_s * rate)
            yield at / rate, _aligned(samples[at:stop], rate, words[:count], at / rate, force)
            at, words, stretch_s = stop, words[count:], STRETCH_S
        elif 2 * stretch_s > LONGEST_STRETCH_S:
            raise _mismatch(at / rate, len(samples) / rate, "no words of it are found")
        else:
            stretch_s *= 2
    yield at / rate, _aligned(samples[at:], rate, words, at / rate, force)


def _cut(found: Sequence[tuple[float, float, int | None]]) -> tuple[float, int]:
    """Where a passage ends, in seconds, and how many words it has: 0 if none was found.

    In the longest pause of the latter half; without pauses, between two words there.
    """
    spoken = [part for part in found if part[2] is not None]
    if not spoken:
        return 0.0, 0
    ends = np.array([end for _, end, _ in spoken])
    starts = np.array([*(start for start, _, _ in spoken[1:]), found[-1][1]])  # of what follows each word
    middles, gaps = (ends + starts) / 2, starts - ends
    late = middles > found[-1][1] / 2
    best = int(np.argmax(np.where(late, gaps, -1.0)))
    return float(middles[best]), best + 1


def _aligned(samples: np.ndarray, rate: int, words: Sequence[Word], start_s: float, force: bool) -> Alignment:
    stop_s = start_s + len(samples) / rate
    try:
        alignment = aligner.align(samples, rate, words)
    except UserError as error:
        raise _mismatch(start_s, stop_s, error.what) from None
    if alignment.score < PASSAGE_THRESHOLD and not force:
        raise _mismatch(start_s, stop_s, f"score {alignment.score:.1f}, below {PASSAGE_THRESHOLD}", Mismatch)
    return alignment


def _mismatch(start_s: float, stop_s: float, why: str, kind: type[UserError] = UserError) -> UserError:
    what = f"the text does not match the recording between {_clock(start_s)} and {_clock(stop_s)} ({why})"
    return kind(what, remedy="Give the words that are spoken, as they are spoken.")


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _moved(tier: Sequence[Interval], by_s: float) -> list[Interval]:
    return [Interval(i.start_s + by_s, i.end_s + by_s, i.label) for i in tier]
