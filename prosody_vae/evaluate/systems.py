"""The systems that are compared: what each chooses for every sentence, and the references they are held against.

Systems of the selector: centroid, random, length, syntactic, bert, both, shrunk, learned (by the most likely entry, and
"learned mean" by the predicted mean). References, which look at the answer and are starred in every table: "own" (the
encoder's embedding of the very recording; no entry of the bank), "best" (the entry of least distance to the recording's
prosody), "category" (a random entry of the sentence's own category: a selector that knows the category and nothing
else) and "steps" (no embedding: the recording's own phones, each flattened to its mean F0 as the model speaks).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from copycat_jax import console
from copycat_jax.errors import UserError
from prosody_vae.evaluate.measures import LabelledBank, Test, best_of_bank, scale_of

SYSTEMS = ("centroid", "random", "length", "syntactic", "bert", "both", "shrunk", "learned")
MEANS = frozenset(("centroid", "shrunk", "learned mean"))  # their embedding is no entry's, so that nothing was *picked*
REFERENCES = {
    "own": "own recording",
    "best": "best of the bank",
    "category": "its category",
    "steps": "recording in steps",
}
LEARNED_MEAN = "learned mean"  # speaks with the predicted mean instead of the most likely entry
# Many sentences share a tree or a length: the best entries are then a crowd of equals, of which the selector takes the
# first, the same one for all sentences of that shape. Whether it fits is luck, so a random one of them is a row too.
TIED = {"length": "length, any of the best", "syntactic": "syntactic, any of the best"}
TIE = 1e-6
ORDER = (
    *("centroid", "random", "length", TIED["length"], "syntactic", TIED["syntactic"]),
    *("bert", "both", "shrunk", "learned", LEARNED_MEAN, "category", "best", "own", "steps"),
)


class Chosen(NamedTuple):
    """What a system gives each sentence: an entry (-1 if its embedding is no entry's) and an embedding."""

    picks: Int[np.ndarray, " q"]
    embeddings: Float[np.ndarray, "q Z"]
    equals: Int[np.ndarray, " q"] | None = None  # how many entries were as good as the one picked, itself included


def choose(
    selectors: Mapping[str, Any], texts: Sequence[str], batch: int = 64, seed: int = 0
) -> tuple[dict[str, Chosen], dict[str, str]]:
    """Lets every system choose.

    Args:
      selectors: system -> `prosody_vae.selection.selector.Selector` (anything with its `select`) that is asked by that
        name; "learned mean" is asked by "learned".
      texts: the sentences.
      batch: sentences selected at once.
      seed: of the draws among equally good entries (`TIED`).

    Returns:
      ({system: Chosen}, {system: why it is left out}). A system of `TIED` for most of whose sentences several entries
      are equally good has a second row; one that lacks what it needs (a parser, an encoder, a trained one) has none.
    """
    chosen, skipped = {}, {}
    for system, selector in selectors.items():
        by = "learned" if system == LEARNED_MEAN else system
        picks, embeddings = [], []
        try:
            starts = range(0, len(texts), batch)
            for start in console.progress(starts, f"choosing: {system}", total=len(starts), unit="batch"):
                for choice in selector.select(list(texts[start : start + batch]), by=by, top=1):
                    entries = choice.entries if system not in MEANS else ()
                    picks.append(entries[0].index if entries else -1)
                    embeddings.append(np.asarray(choice.embedding, np.float32))
        except UserError as error:
            skipped[system] = str(error)
            continue
        chosen[system] = Chosen(np.array(picks, np.int64), np.stack(embeddings))
        if system in TIED:
            drawn = _any_of_the_best(selector, texts, by, batch, seed)
            if drawn.equals is not None and np.median(drawn.equals) > 1:
                chosen[TIED[system]] = drawn
    return chosen, skipped


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
        found["own"] = Chosen(np.full(len(test.ids), -1, np.int64), np.asarray(own, np.float32))
    return found


def in_order(names: Sequence[str]) -> list[str]:
    """Names of systems in the order in which tables list them."""
    return [n for n in ORDER if n in names] + [n for n in names if n not in ORDER]


def _any_of_the_best(selector: Any, texts: Sequence[str], by: str, batch: int, seed: int) -> Chosen:
    rng, picks, equals = np.random.default_rng(seed), [], []
    for start in range(0, len(texts), batch):
        for row in selector.similarity(list(texts[start : start + batch]), by):
            best = np.flatnonzero(row >= row.max() - TIE)
            picks.append(int(rng.choice(best)))
            equals.append(len(best))
    picks = np.array(picks, np.int64)
    return Chosen(picks, np.asarray(selector.space.mean, np.float32)[picks], np.array(equals, np.int64))


def _embedded(picks: Int[np.ndarray, " q"], means: Float[np.ndarray, "n Z"]) -> Chosen:
    centroid = np.asarray(means, np.float32).mean(axis=0)
    embeddings = np.where((picks >= 0)[:, None], np.asarray(means, np.float32)[picks], centroid[None, :])
    return Chosen(picks, embeddings)
