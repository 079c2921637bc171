"""Texts that are not what is said are caught, true ones pass; on stated scores, on the clip that ships, on corpora."""

import csv
import json
import math
import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copycat_jax.align.aligner import align_text
from copycat_jax.align.suspicion import (
    SCORE_THRESHOLD,
    UNWRITTEN,
    Mismatch,
    ScoredPhone,
    check_match,
    confidence,
    doubtful,
    excursions,
    find_doubts,
    phone_rate,
    suspicion,
    total_cost,
)
from copycat_jax.audio.signal import read_audio
from copycat_jax.demo import CLIP, clip_text
from copycat_jax.errors import UserError
from copycat_jax.types import Alignment, Interval

QUIET_DB, LOUD_DB = -60.0, -20.0


def alignment(*lasting_s, score=SCORE_THRESHOLD + 1.0, **fields):
    """Phones of these lengths between half a second of silence on either side."""
    phones, start = [Interval(0.0, 0.5, "SIL")], 0.5
    for seconds in lasting_s:
        phones.append(Interval(start, start + seconds, "AA1"))
        start += seconds
    phones.append(Interval(start, start + 0.5, "SIL"))
    return Alignment(tuple(phones), (Interval(0.5, start, "ah"),), score, **fields)


def test_the_rate_leaves_silences_out():
    assert phone_rate(alignment(0.1, 0.2, 0.1)) == pytest.approx(7.5)


DOUBT = Interval(0.5, 0.7, "'ah' is not heard")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (alignment(0.1, 0.1, 0.1), ""),
        (alignment(*[0.03] * 10), "too fast"),
        (alignment(*[0.3] * 10), "too slow"),
        (alignment(0.3, 0.3), ""),  # "Ah!"
        (alignment(*[0.1] * 40, 1.1), "AA1 at 4.50 s lasts 1.10 s"),
        (alignment(0.1, 0.1, score=SCORE_THRESHOLD - 1.0), "text"),
        (alignment(0.1, 0.1, doubts=(DOUBT,)), r"'ah' is not heard \(0.50 to 0.70 s\)"),
        (alignment(0.1, 0.1, doubts=(DOUBT,) * 5), "2 more such places"),
    ],
)
def test_what_looks_wrong_is_said_and_refused(given, reason):
    check_match(given._replace(score=math.nan), "a.wav")  # made elsewhere
    if not reason:
        assert suspicion(given) == ""
        check_match(given, "a.wav")
    else:
        with pytest.raises(Mismatch, match=rf"a\.wav: .*{reason}"):
            check_match(given, "a.wav")


def test_of_a_long_recording_a_word_may_be_doubted_but_no_sentence():
    for doubt, refused in ((DOUBT, False), (DOUBT._replace(end_s=1.5), True)):
        minute = alignment(*[0.1] * 600, doubts=(doubt,))
        if refused:
            with pytest.raises(Mismatch, match="'ah' is not heard"):
                check_match(minute, "a.wav")
        else:
            check_match(minute, "a.wav")
            assert "'ah' is not heard" in suspicion(minute)  # it is named all the same
    with pytest.raises(Mismatch, match="score"):
        check_match(minute._replace(score=SCORE_THRESHOLD - 1.0, doubts=(DOUBT,)), "a.wav")
    with pytest.raises(Mismatch, match="'ah' is not heard"):
        check_match(alignment(*[0.1] * 280, doubts=(DOUBT._replace(end_s=0.6),)), "a.wav")  # 29 s: every word counts


def test_confidence_follows_score_and_doubts():
    assert confidence(alignment(0.1, score=math.nan)) == 1.0
    assert confidence(alignment(0.1, score=SCORE_THRESHOLD)) == pytest.approx(0.5)
    assert confidence(alignment(0.1, score=-1e9)) < 1e-6 < 0.9 < confidence(alignment(0.1, score=SCORE_THRESHOLD + 12))
    sure = alignment(0.1, score=-10.0)
    assert confidence(sure._replace(doubts=(DOUBT,))) == pytest.approx(confidence(sure) / 2)


@given(st.lists(st.floats(-100, 100), max_size=60), st.floats(1, 300))
@settings(deadline=None)
def test_excursions_are_disjoint_stretches_that_add_up(gains, limit):
    found = excursions(gains, limit)
    assert all(sum(gains[start:stop]) >= limit - 1e-6 for start, stop in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    best = max(sums[j] - sums[i] for i in range(len(sums)) for j in range(i, len(sums)))
    assert bool(found) == (best >= limit) or abs(best - limit) < 1e-6


def sequence(*parts):
    """Phones from (word, frames, cost), and a loudness that is that of speech in words and low in silences."""
    phones, loudness, start = [], [], 0
    for word, frames, cost in parts:
        phones.append(ScoredPhone(word, start, frames, cost))
        loudness += [LOUD_DB if word >= 0 else QUIET_DB] * frames
        start += frames
    return phones, np.array(loudness)


WORDS = ["one", "two", "had", "four", "five", "six"]
ORDINARY = [(-1, 30, 8.0), *[(word, 8, 10.0) for word in range(6) for _ in range(3)], (-1, 30, 8.0)]


def put(at, *parts):
    return [*ORDINARY[:at], *parts, *ORDINARY[at + len(parts) :]]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (ORDINARY, []),
        (put(19, (-1, 100, 60.0)), ["more is said than is written, near 'six'"]),
        (put(5, (1, 100, 50.0)), ["more is said than is written, near 'two'"]),
        (put(1, (0, 100, 1.0)), ["more is said than is written, near 'one'"]),  # drawn out, though little in play
        (put(4, *[(1, 3, 110.0)] * 3), ["'two' is not heard"]),
        (put(4, *[(1, 3, 110.0)] * 3, *[(2, 3, 150.0)] * 3), ["'two had' is not heard"]),
        (put(7, *[(2, 3, 100.0), (2, 3, 100.0), (2, 4, 20.0)]), []),  # "'d"
        (put(4, *[(1, 6, 40.0)] * 3), []),
    ],
)
def test_what_is_said_and_what_is_written(parts, said):
    phones, loudness = sequence(*parts)
    doubts, confidences = find_doubts(phones, WORDS, loudness)
    assert [text for _, _, text in doubts] == said
    assert len(confidences) == len(WORDS) and all(0.0 <= c <= 1.0 for c in confidences)
    unheard = [word for word, sure in zip(WORDS, confidences, strict=True) if sure < 0.5]
    assert set(unheard) <= set(" ".join(said).replace("'", " ").split())


def test_a_doubtful_word_without_which_all_is_heard_better_is_not_heard():
    phones, loudness = sequence(*put(4, *[(1, 3, 60.0)] * 3))
    assert doubtful(phones, WORDS) == [1] and not find_doubts(phones, WORDS, loudness).doubts
    found = find_doubts(phones, WORDS, loudness, surplus=[1])
    assert found.doubts[0][2] == "'two' is not heard" and found.confidences[1] == 0.5
    assert total_cost(phones) == pytest.approx(sum(cost * frames for _, frames, cost in put(4, *[(1, 3, 60.0)] * 3)))


def test_loud_silence_before_the_first_word_counts_and_quiet_does_not():
    phones, loudness = sequence(*ORDINARY)
    assert not find_doubts(phones, WORDS, loudness).doubts
    loudness[5:25] = LOUD_DB
    ((start, stop, said),) = find_doubts(phones, WORDS, loudness).doubts
    assert (start, stop) == (5, 25) and said.endswith("near 'one'") and UNWRITTEN < 20 * 125
    assert not find_doubts(phones, WORDS, loudness - 30.0 * (np.arange(len(loudness)) < 30)).doubts


def test_where_all_is_heard_poorly_more_is_excused():
    poorly = [(word, frames, cost if word < 0 else 30.0) for word, frames, cost in ORDINARY]
    ending = (-1, 60, 50.0)
    assert find_doubts(*sequence(*ORDINARY[:-1], ending)[:1], WORDS, sequence(*ORDINARY[:-1], ending)[1]).doubts
    phones, loudness = sequence(*poorly[:-1], ending)
    assert not find_doubts(phones, WORDS, loudness).doubts


def altered(words, other, rng):
    """A text's partial, extended and swapped versions, by kind; `other` are words of another text."""
    third, at = 3, rng.randrange(1, len(words) - 3)
    long = rng.choice([word for word in other if len(word) > 4])
    half = len(words) // 2
    return {
        "last three missing": words[:-third],
        "first three missing": words[third:],
        "three missing within": words[:at] + words[at + third :],
        "half missing": words[:half],
        "a word too many": [*words, long],
        "three words too many": [*words, *other[:third]],
        "halves swapped": words[half:] + words[:half],
        "another text": other,
    }


def refused(audio, words) -> bool:
    try:
        check_match(align_text(*audio, " ".join(words)), "")
    except UserError:
        return True
    return False


OTHER = ["several", "astonished", "gardeners", "applauded", "while", "purple", "umbrellas", "floated", "overhead"]


@pytest.fixture(scope="module")
def clip():
    return read_audio(CLIP / "source.opus")


@pytest.mark.parametrize("kind", list(altered(clip_text().split(), OTHER, random.Random(0))))
def test_altered_texts_of_the_clip_are_refused(clip, kind):
    assert refused(clip, altered(clip_text().split(), OTHER, random.Random(0))[kind])


def test_the_clip_passes_and_its_doubtful_words_are_named(clip):
    words = clip_text().split()
    true = align_text(*clip, " ".join(words))
    assert suspicion(true) == "" and min(true.confidences) > 0.8 and len(true.confidences) == len(true.words)
    longer = align_text(*clip, " ".join([*words, "umbrella"]))
    assert "'umbrella' is not heard" in suspicion(longer) and confidence(longer) <= 0.5
    assert longer.confidences[-1] < 0.5 < min(longer.confidences[:-1])
    shorter = align_text(*clip, " ".join(words[: len(words) // 2]))
    (doubt,) = shorter.doubts
    assert words[len(words) // 2 - 1].strip(".,").lower() in doubt.label
    assert doubt.end_s - doubt.start_s > 1.0 and doubt.end_s <= shorter.phones[-1].end_s


def _human(folder):
    with open(folder / "metadata.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    paths = {path.stem: path for path in (folder / "audio").iterdir()}
    return [(paths[row["id"]], row["text"]) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("corpus", ["kathleen", "librispeech_mini", "vctk_mini", "ljspeech_mini", "gold_dev"])
def test_altered_texts_are_refused_and_true_ones_pass(corpora, corpus):
    if corpus == "gold_dev":
        table = (corpora / "kokoro" / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, table) if row["set"] == corpus]
        pairs = [(corpora / "kokoro" / corpus / f"{row['id']}.opus", row["text"]) for row in rows]
    else:
        pairs = _human(corpora / corpus)
    pairs = [pair for pair in pairs if len(pair[1].split()) >= 6][:: max(1, len(pairs) // 12)][:12]
    rng, caught = random.Random(0), {}
    for path, text in pairs:
        audio, words = read_audio(path), text.split()
        other = rng.choice([t for _, t in pairs if t != text]).split()
        for kind, given_words in {"true": words, **altered(words, other, rng)}.items():
            caught.setdefault(kind, []).append(refused(audio, given_words))
    rates = {kind: np.mean(outcomes) for kind, outcomes in caught.items()}
    assert rates.pop("true") <= 0.1, rates  # one of twelve
    assert np.mean(list(rates.values())) >= 0.95 and min(rates.values()) >= 0.75, rates
