"""A prosody space as something to search: every score of a sentence with every entry, and the entries that score best.

Each way of choosing (`ways`) computes its own scores; what is kept between searches is kept here.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from copycat_jax.cosine import cosine
from copycat_jax.errors import UserError
from prosody_vae.selection import scores
from prosody_vae.selection.index import Index, check_k, make_index
from prosody_vae.selection.queries import Queries
from prosody_vae.selection.shrink import Shrink, fit_shrink
from prosody_vae.selection.ties import least_equal
from prosody_vae.selection.ways import Both, Way
from prosody_vae.space.table import check_rows

if TYPE_CHECKING:
    from prosody_vae.selection.equipment import Equipment
    from prosody_vae.space.table import Distances, ProsodySpace

HELD_OUT = 512  # at most so many entries fit the shrinking of a space
TIES_SOUGHT = 64  # entries looked at for ties; where all of them tie, every entry is
_COLUMNS = {"vectors": ("sentence vectors", "an encoder"), "distances": ("distances", "a parser")}


class Bank:
    """The searchable side of a space; what it needs is made when first asked for and kept.

    Attributes:
      means: of the entries, float32 [n, Z].
      centroid: their mean.

    Args:
      space: what is chosen from.
      equipment: what analyses sentences, and the learned weights.
      rule: how distance vectors of different length are compared (`scores.LENGTH_RULES`).
      combine: how "both" puts two scores together (`scores.COMBINE`).
      shrink: of "shrunk"; None = fitted on a tenth of the space's own sentences when first needed.
      seed: of the lots of "random" and "length".

    Raises:
      UserError: an unknown rule or way of combining, an embedding that is not finite.
    """

    def __init__(
        self,
        space: "ProsodySpace",
        equipment: "Equipment",
        rule: str = "zero-pad",
        combine: str = "mean",
        shrink: Shrink | None = None,
        seed: int = 0,
    ):
        check_rows(space.mean, space.ids, space.path or "prosody space")
        self.space, self.equipment, self.seed = space, equipment, seed
        self.rule = scores.check_named(rule, scores.LENGTH_RULES, "length rule")
        self.combine = scores.check_named(combine, scores.COMBINE, "way of combining scores")
        self.means = np.asarray(space.mean, np.float32)
        self.centroid = np.asarray(space.centroid(), np.float32)
        self._kept: dict[Any, Any] = {} if shrink is None else {"shrink": shrink}

    def from_centroid(self, embedding: Float[np.ndarray, " Z"]) -> tuple[float, float]:
        """Euclidean distance of an embedding from the centroid, and the mean one of the entries."""
        mean = np.linalg.norm(self.means - self.centroid, axis=1).mean()
        return float(np.linalg.norm(embedding - self.centroid)), float(mean)

    def check(self, analyses: Sequence[str]) -> tuple[str, ...]:
        """Returns the analyses; raises UserError where the space has nothing to compare one of them with."""
        for name in analyses:
            if not self.holds(name):
                what, how = _COLUMNS[name]
                raise UserError(f"the space holds no {what}", "space", f"Build it again with {how}.")
        return tuple(analyses)

    def holds(self, analysis: str) -> bool:
        """Whether the space has what sentences are compared with by "vectors" or "distances"."""
        return (self.space.sentence_vectors if analysis == "vectors" else self.space.distances) is not None

    def products(self, way: Way, queries: Queries) -> Float[np.ndarray, "q n"]:
        """The scores of a way that is an inner product."""
        vectors, constant = way.vectors(self, queries)
        return _plus(vectors @ self.rows(way).T, constant)

    def top(
        self, way: Way, queries: Queries, k: int, excluded: Int[np.ndarray, " e"]
    ) -> tuple[Float[np.ndarray, "q k"], Int[np.ndarray, "q k"]]:
        """The k best entries of every sentence, equal scores by the lowest index.

        Raises:
          UserError: more are asked for than are left.
        """
        check_k(k, len(self.space) - len(excluded))
        if not way.is_product(self):
            return scores.best(way.scores(self, queries), k, excluded)
        vectors, constant = way.vectors(self, queries)
        found, picks = self._index(way).top_k(vectors, k, excluded)
        return _plus(found, constant), picks

    def at(self, way: Way, queries: Queries, picks: Int[np.ndarray, "q k"]) -> Float[np.ndarray, "q k"]:
        """One score of every sentence with a few entries of its own."""
        if not way.is_product(self):
            return np.take_along_axis(way.scores(self, queries), picks, axis=1)
        if way.parts:
            parts = [self.at(part, queries, picks) for part in way.parts]
            return np.float32(1 / len(parts)) * sum(parts[1:], parts[0])
        vectors, constant = way.vectors(self, queries)
        return _plus(np.einsum("qd,qkd->qk", vectors, self.rows(way)[picks]), constant)

    def tied(
        self, way: Way, queries: Queries, k: int, excluded: Int[np.ndarray, " e"]
    ) -> tuple[Float[np.ndarray, "q k"], Int[np.ndarray, "q k"], list[Int[np.ndarray, " t"]]]:
        """`top`, and for every sentence all entries that score as its best one, ascending, however many they are."""
        left = len(self.space) - len(excluded)
        check_k(k, left)
        found, picks = self.top(way, queries, min(max(k, TIES_SOUGHT), left), excluded)
        ties = [np.sort(row[equal_to_best(score)]) for row, score in zip(picks, found, strict=True)]
        for i, rows in enumerate(ties):
            if len(rows) == picks.shape[1] < left:
                every = way.scores(self, queries.take([i]))[0]
                every[excluded] = -np.inf
                ties[i] = np.flatnonzero(equal_to_best(every)).astype(np.int32)
        return found[:, :k], picks[:, :k], ties

    def closeness(self, queries: Queries, place: int, rows: Int[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
        """Cosines of the vector of one sentence with those of a few entries."""
        assert queries.vectors is not None and self.space.sentence_vectors is not None
        return cosine(queries.vectors[place : place + 1], np.asarray(self.space.sentence_vectors[rows]))[0]

    def recorded(self, rows: Int[np.ndarray, " h"]) -> Queries:
        """Entries of the space as queries."""
        space = self.space
        vectors = None if space.sentence_vectors is None else np.asarray(space.sentence_vectors[rows], np.float32)
        distances = None if space.distances is None else tuple(space.distances.row(int(i)) for i in rows)
        return Queries(tuple(str(space.texts[i]) for i in rows), self.words[rows], vectors, distances)

    def lots(self, queries: Queries) -> Float[np.ndarray, "q n"]:
        """Numbers in [0, 1); a sentence draws the same ones in any company."""
        drawn = np.zeros((len(queries.texts), len(self.space)), np.float32)
        for row, text in zip(drawn, queries.texts, strict=True):
            row[:] = np.random.default_rng([self.seed, zlib.crc32(text.encode())]).random(len(row), np.float32)
        return drawn

    def rows(self, way: Way) -> Float[np.ndarray, "n D"]:
        """The bank's side of a way's inner product."""
        return self._keep(("rows", way.name), lambda: way.rows(self))

    def sentence_vectors(self) -> Float[np.ndarray, "n V"]:
        """Those of the space; raises UserError where one is not finite."""
        vectors = np.asarray(self.space.sentence_vectors, np.float32)
        check_rows(vectors, self.space.ids, self.space.path or "prosody space", "sentence vector")
        return vectors

    @property
    def distances(self) -> "Distances":
        """Those of the space, which has some."""
        assert self.space.distances is not None
        return self.space.distances

    @property
    def words(self) -> Int[np.ndarray, " n"]:
        """Words of every entry."""
        return self._keep("words", self._count_words)

    @property
    def shrink(self) -> Shrink:
        """How "shrunk" shrinks: as given, or fitted on evenly spread entries of the space held out of the bank."""
        return self._keep("shrink", self._fit_shrink)

    def _fit_shrink(self) -> Shrink:
        held = [part for part in Both.parts if all(map(self.holds, part.reads))]
        way = held[0] if len(held) == 1 else Both()
        way.needs(self)
        entries = len(self.space)
        rows = np.unique(np.linspace(0, entries - 1, min(HELD_OUT, max(1, entries // 10))).astype(np.int64))
        return fit_shrink(self.space, lambda rows: way.scores(self, self.recorded(rows)), rows, way.name)

    def _count_words(self) -> np.ndarray:
        if self.space.distances is not None:
            return scores.row_lengths(self.space.distances)
        from prosody_vae.linguistics.document import words_of_sentence

        return np.array([len(words_of_sentence(text)) for text in self.space.texts], np.int64)

    def _index(self, way: Way) -> Index:
        def make() -> Index:
            parts = way.parts or (way,)
            return make_index(np.concatenate([self.rows(part) for part in parts], axis=1), normalise=False)

        return self._keep(("index", way.name), make)

    def _keep(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def equal_to_best(scores: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which of one sentence's scores equal the highest (`ties.TIE_TOLERANCE`)."""
    return scores >= least_equal(float(scores.max()))


def _plus(products: np.ndarray, constant: np.ndarray | None) -> np.ndarray:
    return products if constant is None else products + constant[:, None]
