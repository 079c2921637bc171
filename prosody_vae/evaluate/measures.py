"""What a choice is worth: measures per sentence of the prosody chosen for it against the prosody it was spoken with.

Prosody is four figures of a recording (`PROSODY`): mean F0 (semitones re 1 Hz), F0 spread (semitones), rate (phones per
second) and final rise (semitones). The *distance* of two is the root mean square of the differences, each divided by
its standard deviation over the bank, so that 1 is a typical deviation in every figure; figures that the sentence's own
recording lacks (NaN) are left out, and one that only the other side lacks counts as the bank's mean. The *best of the
bank* for a sentence is the entry of least distance to the sentence's own recording, and the *regret* of a choice is its
distance less that least distance: 0 for the best entry. A choice *hits* if its entry has the style (or category) of the
sentence.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from copycat_jax.audio.pitch import semitones

PROSODY = ("f0_mean_st", "f0_spread_st", "rate", "final_rise_st")
RISE = PROSODY.index("final_rise_st")
DEAD_ZONE_ST = 1.0  # a question whose true final movement is smaller neither rises nor falls
QUESTIONS = frozenset(("wh", "or", "orq", "yn"))


class LabelledBank(NamedTuple):
    """What may be chosen: n entries with their own recordings' prosody; labels are "" where there are none."""

    ids: tuple[str, ...]
    categories: tuple[str, ...]
    styles: tuple[str, ...]
    prosody: Float[np.ndarray, "n 4"]


class Test(NamedTuple):
    """What is to be spoken: q sentences, the prosody of their recordings, and which of them are one sentence."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    categories: tuple[str, ...]
    styles: tuple[str, ...]
    prosody: Float[np.ndarray, "q 4"]
    clusters: tuple[str, ...]  # takes of one sentence share it: they are not independent


class Scores(NamedTuple):
    """Figures of one system, sentence by sentence; NaN where one does not apply.

    A system that draws has several picks for every sentence; its measures are the means over them.
    """

    system: str
    picks: Int[np.ndarray, "d q"]  # entries of the bank, -1 where the system chose none
    prosody: Float[np.ndarray, "d q 4"]  # of what was chosen, or of what was said
    hit: Float[np.ndarray, " q"]  # 1 where the entry has the sentence's style
    category_hit: Float[np.ndarray, " q"]
    distance: Float[np.ndarray, " q"]
    regret: Float[np.ndarray, " q"]
    rise_hit: Float[np.ndarray, " q"]  # questions that move: 1 where the direction is right


def prosody_of(features: Mapping[str, Sequence[float] | np.ndarray]) -> Float[np.ndarray, "n 4"]:
    """The four figures of `PROSODY` from features as `prosody_vae.features.summarise` names them, n recordings."""
    others = [np.asarray(features[name], np.float64) for name in PROSODY[1:]]
    return np.stack([semitones(np.asarray(features["f0_mean_hz"])), *others], axis=-1)


def scale_of(prosody: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " 4"]:
    """Standard deviation of each figure over a bank; infinite where a figure is constant or absent: it never counts."""
    spread = np.sqrt(mean_of((prosody - mean_of(prosody)[None, :]) ** 2))
    return np.where(spread > 1e-9, spread, np.inf)  # false for NaN too


def distance(
    chosen: Float[np.ndarray, "... 4"], truth: Float[np.ndarray, "... 4"], scale: Float[np.ndarray, " 4"]
) -> Float[np.ndarray, "..."]:
    """Root mean square standardised difference over the figures the truth has; NaN if `chosen` lacks one of them."""
    counted = np.isfinite(truth) & np.isfinite(scale)
    gap = np.where(counted, (chosen - truth) / np.where(np.isfinite(scale), scale, 1.0), 0.0)
    return np.sqrt((gap**2).sum(axis=-1) / np.where(counted.any(axis=-1), counted.sum(axis=-1), np.nan))


def best_of_bank(
    truth: Float[np.ndarray, "q 4"], bank: Float[np.ndarray, "n 4"], scale: Float[np.ndarray, " 4"]
) -> tuple[Int[np.ndarray, " q"], Float[np.ndarray, " q"]]:
    """The entry of least distance to each truth (the lowest of equals; -1 where there is none), and that distance."""
    known = filled(bank, mean_of(bank))
    picks, least = np.full(len(truth), -1, np.int64), np.full(len(truth), np.nan)
    for i, figures in enumerate(truth):
        found = distance(known, np.broadcast_to(figures, bank.shape), scale)
        if np.isfinite(found).any():
            picks[i] = np.nanargmin(found)
            least[i] = found[picks[i]]
    return picks, least


def same_label(chosen: Iterable[str], wanted: Iterable[str]) -> Float[np.ndarray, " q"]:
    """1 where two labels agree, 0 where they differ, NaN where either is ""."""
    return np.array([float(a == b) if a and b else np.nan for a, b in zip(chosen, wanted, strict=True)])


def questions(test: Test) -> Bool[np.ndarray, " q"]:
    """Which sentences are questions: by category, by the question mark where there is none."""
    rows = zip(test.categories, test.texts, strict=True)
    return np.array([c in QUESTIONS if c else t.rstrip(" \"'”’)").endswith("?") for c, t in rows], bool)


def rise_hits(
    chosen_st: Float[np.ndarray, " q"],
    true_st: Float[np.ndarray, " q"],
    asked: Bool[np.ndarray, " q"],
    dead_zone_st: float = DEAD_ZONE_ST,
) -> Float[np.ndarray, " q"]:
    """1 where the final movement chosen has the direction of the true one.

    Only sentences `asked` whose *true* movement exceeds the dead zone count (others NaN); the chosen one must merely
    have the same sign, so that a timid right answer is right. A chosen movement that is not known is wrong.
    """
    moves = asked & np.isfinite(true_st) & (np.abs(np.nan_to_num(true_st)) > dead_zone_st)
    with np.errstate(invalid="ignore"):
        right = np.sign(chosen_st) == np.sign(true_st)
    return np.where(moves, right.astype(np.float64), np.nan)


def score_picks(system: str, picks: Int[np.ndarray, "*d q"], bank: LabelledBank, test: Test) -> Scores:
    """Figures of a system that chose an entry of the bank for each sentence (-1: none, all NaN), once or in draws."""
    picks = np.atleast_2d(np.asarray(picks, np.int64))
    if picks.shape[1:] != (len(test.ids),) or (picks.size and not -1 <= picks.min() <= picks.max() < len(bank.ids)):
        raise ValueError(f"picks of shape {picks.shape} do not name entries of {len(bank.ids)} for {len(test.ids)}")
    prosody = np.where((picks >= 0)[..., None], bank.prosody[picks], np.nan)

    def hits(labels: Sequence[str], wanted: Sequence[str]) -> Float[np.ndarray, " q"]:
        chosen = [[str(labels[i]) if i >= 0 else "" for i in draw] for draw in picks]
        return mean_of(np.stack([same_label(draw, wanted) for draw in chosen]))

    return score_prosody(system, prosody, bank, test)._replace(
        picks=picks, hit=hits(bank.styles, test.styles), category_hit=hits(bank.categories, test.categories)
    )


def score_prosody(system: str, prosody: Float[np.ndarray, "*d q 4"], bank: LabelledBank, test: Test) -> Scores:
    """Figures of a prosody that belongs to no entry: what a model says, or a mean. Hits are NaN."""
    scale, nan = scale_of(bank.prosody), np.full(len(test.ids), np.nan)
    prosody = prosody if prosody.ndim == 3 else prosody[None]
    _, least = best_of_bank(test.prosody, bank.prosody, scale)
    distances, rises = [], []
    for draw in prosody:
        said = np.isfinite(draw).any(axis=1)
        distances.append(
            distance(np.where(said[:, None], filled(draw, mean_of(bank.prosody)), np.nan), test.prosody, scale)
        )
        rises.append(np.where(said, rise_hits(draw[:, RISE], test.prosody[:, RISE], questions(test)), np.nan))
    found = mean_of(np.stack(distances))
    picks = np.full(prosody.shape[:2], -1, np.int64)
    return Scores(system, picks, prosody, nan, nan, found, found - least, mean_of(np.stack(rises)))


def bank_mean(bank: LabelledBank, test: Test) -> Float[np.ndarray, "q 4"]:
    """The bank's mean of every figure for every sentence: what the centroid stands for before anything is spoken."""
    return np.tile(mean_of(bank.prosody), (len(test.ids), 1))


def mean_of(prosody: Float[np.ndarray, "n F"]) -> Float[np.ndarray, " F"]:
    """Mean of each figure over the recordings that have it; NaN where none has."""
    kept = np.isfinite(prosody)
    return np.where(kept, prosody, 0.0).sum(axis=0) / np.where(kept.any(axis=0), kept.sum(axis=0), np.nan)


def filled(prosody: Float[np.ndarray, "n F"], mean: Float[np.ndarray, " F"]) -> Float[np.ndarray, "n F"]:
    """`prosody` with `mean` for what is not known."""
    return np.where(np.isfinite(prosody), prosody, mean[None, :])
