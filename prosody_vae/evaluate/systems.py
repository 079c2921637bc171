"""The systems that are compared: what each chooses for every sentence, and the references they are held against.

Systems are the ways of choosing (`selection.ways.WAYS`). Where a way draws among entries that score alike, a single
draw is luck: its row holds `DRAWS` of them, spread evenly over the entries that tie, and every figure is their mean;
the other rules for ties (`selection.ties.TIES`) have a row each. References, which look at the answer and are starred
in every table: "own" (the encoder's embedding of the very recording; no entry of the bank), "best" (the entry of least
distance to the recording's prosody), "category" (a random entry of the sentence's own category: a selector that knows
the category and nothing else) and "heard" (no embedding: the recording itself, its F0 as the vocoder hears it).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from copycat_jax import console
from copycat_jax.errors import UserError
from prosody_vae.evaluate.measures import LabelledBank, Test, best_of_bank, scale_of
from prosody_vae.selection.ties import TIES
from prosody_vae.selection.ways import WAYS

REFERENCES = {
    "own": "own recording",
    "best": "best of the bank",
    "category": "its category",
    "heard": "recording as heard",
}
DRAWS = 16  # of a way that draws among ties
ORDER = (
    *(name for way in WAYS for name in (way, *(f"{way}, {rule}" for rule in TIES))),
    *("category", "best", "own", "heard"),
)


class Chosen(NamedTuple):
    """What a system gives each sentence: entries (-1 if an embedding is no entry's) and embeddings, a draw a row."""

    picks: Int[np.ndarray, "d q"]
    embeddings: Float[np.ndarray, "d q Z"]
    equals: Int[np.ndarray, " q"] | None = None  # how many entries score as the best one, itself included


def choose(
    selector: Any, names: Sequence[str], texts: Sequence[str], batch: int = 64
) -> tuple[dict[str, Chosen], dict[str, str]]:
    """Lets every system choose.

    Args:
      selector: `prosody_vae.selection.selector.Selector`, or anything with its `select`.
      names: the ways that it is asked for.
      texts: the sentences.
      batch: sentences selected at once.

    Returns:
      ({system: Chosen}, {system: why it is left out}). A way that draws among ties, for most of whose sentences several
      entries score alike, has a further row for every other rule; one that lacks what it needs (a parser, an encoder,
      trained weights) has none.
    """
    chosen, skipped = {}, {}
    for name in names:
        try:
            found = chosen[name] = _chosen(selector, name, texts, batch)
            if len(found.picks) > 1 and found.equals is not None and np.median(found.equals) > 1:
                for rule in TIES:
                    if rule != WAYS[name].ties:
                        chosen[f"{name}, {rule}"] = _chosen(selector, name, texts, batch, rule)
        except UserError as error:
            skipped[name] = str(error)
    return chosen, skipped


def _chosen(selector: Any, name: str, texts: Sequence[str], batch: int, rule: str | None = None) -> Chosen:
    way = WAYS[name]
    draws = rule is None and way.ties is not None and TIES[way.ties].draws
    averages = rule is not None and TIES[rule].averages
    picks, embeddings, equals = [], [], []
    for choice in _choices(selector, name, texts, batch, rule):
        equals.append(len(choice.tied))
        if draws and choice.entries and len(choice.tied) > 1:
            drawn = [choice.tied[draw % len(choice.tied)] for draw in range(DRAWS)]
            picks.append(drawn)
            embeddings.append(selector.bank.means[drawn])
        else:
            entry = choice.entries[0].index if choice.entries and way.picks and not averages else -1
            picks.append([entry] * (DRAWS if draws else 1))
            embeddings.append([choice.embedding] * (DRAWS if draws else 1))
    return Chosen(
        np.array(picks, np.int64).T, np.array(embeddings, np.float32).swapaxes(0, 1), np.array(equals, np.int64)
    )


def _choices(selector: Any, name: str, texts: Sequence[str], batch: int, rule: str | None) -> Iterator[Any]:
    starts = range(0, len(texts), batch)
    for start in console.progress(starts, f"choosing: {name}", total=len(starts), unit="batch"):
        yield from selector.select(list(texts[start : start + batch]), by=name, top=1, ties=rule)


def references(
    bank: LabelledBank,
    test: Test,
    means: Float[np.ndarray, "n Z"],
    own: Float[np.ndarray, "q Z"] | None = None,
    seed: int = 0,
) -> dict[str, Chosen]:
    """What looks at the answer: best of the bank, a random entry of its category, the recording's own embedding."""
    picks, _ = best_of_bank(test.prosody, bank.prosody, scale_of(bank.prosody))
    found = {"best": _embedded(picks, means)}
    rng, members = np.random.default_rng(seed), {}
    for index, category in enumerate(bank.categories):
        members.setdefault(category, []).append(index)
    if any(c and c in members for c in test.categories):
        picks = [int(rng.choice(members[c])) if c and c in members else -1 for c in test.categories]
        found["category"] = _embedded(np.array(picks, np.int64), means)
    if own is not None:
        found["own"] = Chosen(np.full((1, len(test.ids)), -1, np.int64), np.asarray(own, np.float32)[None])
    return found


def in_order(names: Sequence[str]) -> list[str]:
    """Names of systems in the order in which tables list them."""
    return [n for n in ORDER if n in names] + [n for n in names if n not in ORDER]


def _embedded(picks: Int[np.ndarray, " q"], means: Float[np.ndarray, "n Z"]) -> Chosen:
    centroid = np.asarray(means, np.float32).mean(axis=0)
    embeddings = np.where((picks >= 0)[:, None], np.asarray(means, np.float32)[picks], centroid[None, :])
    return Chosen(picks[None], embeddings[None])
