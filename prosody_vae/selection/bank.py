"""A prosody space as something to search: every score of a sentence with every entry, and the entries that score best.

Most scores are inner products of two vectors, and are searched as one matrix product on the devices (`index`):

* "bert": unit sentence vectors;
* "syntactic": unit distance vectors under the rules "zero-pad" and "resample";
* "both": the two side by side, the query's halved: its inner product is the mean of the two cosines;
* "learned": squares and values of the embeddings against precision and mean (log-likelihood up to a constant).

The others ("truncate", z-scored means, "length", "random") are worked out for every entry and sorted.
"""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.errors import UserError
from prosody_vae.selection import scores
from prosody_vae.selection.index import Index, check_k, make_index
from prosody_vae.selection.queries import Queries
from prosody_vae.space.table import check_rows

if TYPE_CHECKING:
    from prosody_vae.selection.learned import Learned
    from prosody_vae.space.table import Distances, ProsodySpace

SCORES = ("syntactic", "bert", "both", "learned", "random", "length")


class Bank:
    """The searchable side of a space; what it needs is made when first asked for and kept.

    Args:
      space: what is chosen from.
      rule: how distance vectors of different length are compared (`scores.LENGTH_RULES`).
      combine: how "both" puts two scores together (`scores.COMBINE`).
      learned: the learned selector, if any.
      seed: of "random".

    Raises:
      UserError: an unknown rule or way of combining.
    """

    def __init__(
        self,
        space: "ProsodySpace",
        rule: str = "zero-pad",
        combine: str = "mean",
        learned: "Learned | None" = None,
        seed: int = 0,
    ):
        self.space, self.learned, self.seed = space, learned, seed
        self.rule = scores.check_named(rule, scores.LENGTH_RULES, "length rule")
        self.combine = scores.check_named(combine, scores.COMBINE, "way of combining scores")
        self._kept: dict[Any, Any] = {}

    def needs(self, name: str) -> tuple[str, ...]:
        """Which analyses of a sentence ("bert", "syntactic") the score needs.

        Raises:
          UserError: the space lacks what the score compares with.
        """
        if name == "learned":
            if self.learned is None:
                raise UserError(
                    "no learned selector was given",
                    "by",
                    "Train one on the space (configs/selector.py), or choose another way.",
                )
            reads = {"sentence": "bert", "distance": "syntactic"}
            return tuple(reads[part] for part in self.learned.reads)
        needed = {"both": ("syntactic", "bert"), "bert": ("bert",), "syntactic": ("syntactic",)}.get(name, ())
        for part in needed:
            if (self.space.sentence_vectors if part == "bert" else self.space.distances) is None:
                what, how = {"bert": ("sentence vectors", "an encoder"), "syntactic": ("distances", "a parser")}[part]
                raise UserError(f"the space holds no {what}", "space", f"Build it again with {how}.")
        return needed

    def scores(self, queries: Queries, name: str) -> Float[np.ndarray, "q n"]:
        """One score of every sentence with every entry."""
        if name == "both":
            return scores.combine({part: self.scores(queries, part) for part in ("syntactic", "bert")}, self.combine)
        if name == "syntactic" and self.rule == "truncate":
            return scores.syntactic_similarities(_given(queries.distances), self._distances, self.rule)
        if name == "length":
            return scores.length_similarity(queries.words, self.words, self._random(queries))
        if name == "random":
            return self._random(queries)
        own, bank = self._query_rows(queries, name), self._rows(name)
        products = own.vectors @ bank.T
        return products + own.constant[:, None]

    def top(
        self, queries: Queries, name: str, k: int, excluded: Int[np.ndarray, " e"]
    ) -> tuple[Float[np.ndarray, "q k"], Int[np.ndarray, "q k"]]:
        """The k best entries of every sentence by one score, ties to the lowest index.

        Raises:
          UserError: more are asked for than are left.
        """
        check_k(k, len(self.space) - len(excluded))
        if not self._is_product(name):
            return scores.best(self.scores(queries, name), k, excluded)
        own = self._query_rows(queries, name)
        found, picks = self._index(name).top_k(own.vectors, k, excluded)
        return found + own.constant[:, None], picks

    def at(self, queries: Queries, name: str, picks: Int[np.ndarray, "q k"]) -> Float[np.ndarray, "q k"]:
        """One score of every sentence with a few entries of its own."""
        if not self._is_product(name):
            return np.take_along_axis(self.scores(queries, name), picks, axis=1)
        if name == "both":
            return np.float32(0.5) * (self.at(queries, "syntactic", picks) + self.at(queries, "bert", picks))
        own = self._query_rows(queries, name)
        return np.einsum("qd,qkd->qk", own.vectors, self._rows(name)[picks]) + own.constant[:, None]

    def predicted(self, queries: Queries) -> Float[np.ndarray, "q Z"]:
        """The learned selector's mean for every sentence."""
        assert self.learned is not None
        return np.asarray(self.learned.distribution(queries.vectors, _padded(queries))[0])

    @property
    def words(self) -> Int[np.ndarray, " n"]:
        """Words of every entry."""
        return self._keep("words", self._count_words)

    def _count_words(self) -> np.ndarray:
        if self.space.distances is not None:
            return scores.row_lengths(self.space.distances)
        from prosody_vae.linguistics.document import words_of_sentence

        return np.array([len(words_of_sentence(text)) for text in self.space.texts], np.int64)

    def _is_product(self, name: str) -> bool:
        if name == "both":
            return self.combine == "mean" and self.rule != "truncate"
        return name in ("bert", "learned") or (name == "syntactic" and self.rule != "truncate")

    def _rows(self, name: str) -> Float[np.ndarray, "n D"]:
        """The bank's side of an inner product."""

        def make() -> np.ndarray:
            if name == "bert":
                vectors = np.asarray(self.space.sentence_vectors, np.float32)
                check_rows(vectors, self.space.ids, self.space.path or "prosody space", "sentence vector")
                return scores.unit(vectors)
            if name == "syntactic":
                return scores.syntactic_rows(self._distances, scores.widest(self._distances), self.rule)
            assert name == "learned" and self.learned is not None
            return np.asarray(self.learned.likelihood_rows(np.asarray(self.space.mean)))

        return self._keep(("rows", name), make)

    def _query_rows(self, queries: Queries, name: str) -> "_Side":
        """The sentences' side of an inner product, and what is added to it."""
        if name == "bert":
            return _Side(scores.unit(_given(queries.vectors)))
        if name == "syntactic":
            width = scores.widest(self._distances)
            return _Side(scores.query_rows(_given(queries.distances), width, self.rule))
        if name == "both":
            halves = [0.5 * self._query_rows(queries, part).vectors for part in ("syntactic", "bert")]
            return _Side(np.concatenate(halves, axis=1))
        assert name == "learned" and self.learned is not None
        found = self.learned.queries(queries.vectors, _padded(queries))
        return _Side(np.asarray(found.vectors), np.asarray(found.constant))

    def _index(self, name: str) -> Index:
        def make() -> Index:
            parts = ("syntactic", "bert") if name == "both" else (name,)
            return make_index(np.concatenate([self._rows(part) for part in parts], axis=1), normalise=False)

        return self._keep(("index", name), make)

    def _random(self, queries: Queries) -> Float[np.ndarray, "q n"]:
        """Numbers in [0, 1); a sentence draws the same ones in any company."""
        drawn = np.zeros((len(queries.texts), len(self.space)), np.float32)
        for row, text in zip(drawn, queries.texts, strict=True):
            row[:] = np.random.default_rng([self.seed, zlib.crc32(text.encode())]).random(len(row), np.float32)
        return drawn

    @property
    def _distances(self) -> "Distances":
        assert self.space.distances is not None
        return self.space.distances

    def _keep(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


class _Side:
    """One side of an inner product, and a number per row that is added to it."""

    def __init__(self, vectors: np.ndarray, constant: np.ndarray | None = None):
        self.vectors = vectors
        self.constant = np.zeros(len(vectors), np.float32) if constant is None else constant


def _padded(queries: Queries) -> np.ndarray | None:
    """Distances as one array, as the learned selector reads them."""
    if queries.distances is None:
        return None
    return scores.pad_rows(queries.distances, max([1, *map(len, queries.distances)]))


def _given(part: Any) -> Any:
    assert part is not None, "Bank.needs says which analyses a score needs"
    return part
