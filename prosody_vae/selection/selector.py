"""The selector: for every sentence an embedding of the prosody space, and why it was chosen.

Ways of choosing (`BY`): "centroid", the mean of all entries (the usual system, the baseline); "syntactic", "bert" and
"both", the entry of the most similar sentence (Tyagi et al. section 2); "shrunk", a mean of the most similar ones
pulled towards the centroid; "learned", the entry of highest likelihood under a Gaussian predicted from the sentence;
"random" and "length" (the closest number of words), baselines that a way of choosing must beat.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from copycat_jax.errors import UserError
from prosody_vae.selection import continuity as paths
from prosody_vae.selection.bank import SCORES, Bank
from prosody_vae.selection.index import check_k
from prosody_vae.selection.queries import Encoder, Linguist, Queries
from prosody_vae.selection.scores import check_named
from prosody_vae.selection.shrink import Shrink, fit_shrink, shrunk
from prosody_vae.space.table import check_rows

if TYPE_CHECKING:
    from prosody_vae.linguistics.syntax import Parser
    from prosody_vae.selection.learned import Learned
    from prosody_vae.space.table import ProsodySpace

BY = ("centroid", "syntactic", "bert", "both", "shrunk", "learned", "random", "length")
HELD_OUT = 512  # at most so many entries fit the shrinking of a space


class Entry(NamedTuple):
    """An entry of the space that was chosen, or came close.

    Attributes:
      index: its row in the space.
      id: the utterance.
      text: what is said there.
      score: what the choice was made by.
      scores: every score that was worked out: "syntactic", "bert", "both", "learned", "random", "length".
      acoustic: in a paragraph, the distance D from the entry chosen for the sentence before; None without one.
    """

    index: int
    id: str
    text: str
    score: float
    scores: dict[str, float]
    acoustic: float | None = None


class Choice(NamedTuple):
    """What was chosen for a sentence.

    Attributes:
      text: the sentence.
      by: the way of choosing.
      entries: best first, the one that is spoken like at the front; empty for the centroid.
      embedding: float32 [Z], to synthesise with.
      locked: the entry was given, not chosen.
    """

    text: str
    by: str
    entries: tuple[Entry, ...]
    embedding: Float[np.ndarray, " Z"]
    locked: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The choice as JSON holds it."""
        return {
            "text": self.text,
            "by": self.by,
            "locked": self.locked,
            "entries": [entry._asdict() for entry in self.entries],
            "embedding": [round(float(x), 6) for x in self.embedding],
        }


class Selector:
    """Chooses embeddings of a space for sentences and paragraphs.

    Args:
      space: what is chosen from.
      encoder: of sentences, the one the space was built with; None = the installed one, opened when needed.
      parser: likewise.
      learned: the learned selector of the space, for "learned".
      rule: how distance vectors of different length are compared (`score.LENGTH_RULES`).
      combine: "mean" (paper) or "z".
      shrink: of "shrunk"; None = fitted on a tenth of the space's own sentences when first needed.
      seed: of "random".
      predicted_mean: "learned" speaks with the predicted mean instead of the most likely entry.

    Raises:
      UserError: an unknown rule or way of combining, another encoder than the space's, an embedding that is
        not finite.
    """

    def __init__(
        self,
        space: "ProsodySpace",
        encoder: Encoder | None = None,
        parser: "Parser | None" = None,
        learned: "Learned | None" = None,
        *,
        rule: str = "zero-pad",
        combine: str = "mean",
        shrink: Shrink | None = None,
        seed: int = 0,
        predicted_mean: bool = False,
    ):
        check_rows(space.mean, space.ids, space.path or "prosody space")
        self.space = space
        self.bank = Bank(space, rule, combine, learned, seed)
        self.linguist = Linguist(space.info, encoder, parser)
        self.predicted_mean = predicted_mean
        self._shrink, self._plane = shrink, None
        self._means = np.asarray(space.mean, np.float32)
        self._centroid = np.asarray(space.centroid(), np.float32)

    def select(
        self,
        texts: Sequence[str],
        by: str = "both",
        top: int = 5,
        lock: Mapping[int, str] | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Choice]:
        """Chooses for each sentence by itself.

        Args:
          texts: the sentences.
          by: one of `BY`.
          top: how many entries to report, best first.
          lock: sentence index to the utterance id that it must be spoken like, whatever `by`.
          exclude: ids never to choose.

        Raises:
          UserError: an unknown way or id, more entries asked for than there are, a sentence that cannot be spoken, or
            whatever a score needs is missing.
        """
        check_named(by, BY, "way of choosing")
        barred = self._excluded(exclude)
        locked = self._locked(lock, len(texts), barred)
        check_k(top, len(self.space) - len(barred))
        base = self._base(by)
        queries = self._read(texts, base)
        if not texts:
            return []
        if base is None:
            choices = [Choice(text, by, (), self._centroid) for text in queries.texts]
            return [self._lock_centroid(c, locked[i]) if i in locked else c for i, c in enumerate(choices)]
        count = max(top, self.shrink.k) if by == "shrunk" else top
        scores, picks = self.bank.top(queries, base, min(count, len(self.space) - len(barred)), barred)
        return self._choices(queries, by, base, scores, picks, top, locked)

    def similarity(self, texts: Sequence[str], by: str = "both", weighed: bool = False) -> Float[np.ndarray, "q n"]:
        """The score of every sentence with every entry, as `select` ranks them; "shrunk" as the score it builds on.

        Args:
          texts: the sentences.
          by: one of `BY` but the centroid.
          weighed: as `paragraph` weighs it against the acoustic distance, see there.

        Raises:
          UserError: as `select`; the centroid compares nothing.
        """
        check_named(by, BY, "way of choosing")
        base = self._base(by)
        if base is None:
            raise UserError("the centroid compares no sentences", "by", f"Choose among {', '.join(BY[1:])}.")
        scores = self.bank.scores(self._read(texts, base), base)
        return self._weighed(scores, base) if weighed else scores

    def paragraph(
        self,
        texts: Sequence[str],
        by: str = "both",
        lsw: float = paths.PAPER_LSW,
        scaled: bool = False,
        exact: bool = False,
        top: int = 1,
        lock: Mapping[int, str] | None = None,
        exclude: Sequence[str] = (),
        candidates: int = 32,
    ) -> list[Choice]:
        """Chooses for the sentences of a paragraph in order, similarity against acoustic continuity (`path`).

        Log-likelihoods ("learned") and means of z-scores are no similarities in 0 to 1: here each sentence's are mapped
        linearly, its best entry to 1 and the bank's mean to 0.

        Args:
          texts: the paragraph's sentences.
          by: one of `BY`; the centroid has no path.
          lsw: the weight of language, 1 = no continuity.
          scaled: D in units of the mean distance between two entries, instead of raw as in the paper.
          exact: the best path of all (Viterbi), instead of the paper's greedy rule.
          top: how many entries to report; those after the first are the next best at that place of the path.
          lock: as in `select`.
          exclude: as in `select`.
          candidates: per sentence, of the exact path.

        Raises:
          UserError: as `select`; a weight outside 0 to 1.
        """
        check_named(by, BY, "way of choosing")
        paths.check_lsw(lsw)
        base = self._base(by)
        if base is None or not texts:
            return self.select(texts, by, top, lock, exclude)
        barred = self._excluded(exclude)
        locked = self._locked(lock, len(texts), barred)
        check_k(top, len(self.space) - len(barred))
        queries = self._read(texts, base)
        scores = self.bank.scores(queries, base)
        similarity = np.array(self._weighed(scores, base), np.float32)
        similarity[:, barred] = -np.inf
        free = np.array(similarity)
        for i, row in locked.items():
            similarity[i, np.arange(similarity.shape[1]) != row] = -np.inf
        plane = self.plane
        scale = plane.scale if scaled else 1.0
        if exact:
            chosen = paths.best_path(similarity, plane.positions, lsw, candidates, scale)
        else:
            chosen = paths.greedy(similarity, plane.positions, lsw, scale)
        # What each entry is worth after the one before it; at a weight of 1 this is the similarity itself.
        acoustic = np.full_like(free, np.nan)
        for i in range(1, len(texts)):
            acoustic[i] = np.linalg.norm(plane.positions - plane.positions[chosen[i - 1]], axis=1) / scale
            free[i] -= (1 - lsw) / max(lsw, 1e-6) * acoustic[i]
        first = np.array(free)
        first[np.arange(len(texts)), chosen] = np.inf
        count = max(top, self.shrink.k) if by == "shrunk" else top
        count = min(count, len(self.space) - len(barred))
        picks = np.argsort(-first, axis=1, kind="stable")[:, :count].astype(np.int32)
        return self._choices(
            queries,
            by,
            base,
            np.take_along_axis(scores, picks, axis=1),
            picks,
            top,
            locked,
            np.take_along_axis(acoustic, picks, axis=1),
            np.take_along_axis(free, picks, axis=1),
        )

    @property
    def plane(self) -> paths.Plane:
        """The 2-D PCA of the space's means."""
        if self._plane is None:
            self._plane = paths.fit_plane(self._means)
        return self._plane

    @property
    def shrink(self) -> Shrink:
        """How "shrunk" shrinks: as given, or fitted on evenly spread entries of the space held out of the bank."""
        if self._shrink is None:
            by = self._shrink_base()
            self.bank.needs(by)
            entries = len(self.space)
            held_out = np.unique(np.linspace(0, entries - 1, min(HELD_OUT, max(1, entries // 10))).astype(np.int64))
            self._shrink = fit_shrink(self.space, lambda rows: self.bank.scores(self._recorded(rows), by), held_out, by)
        return self._shrink

    def _base(self, by: str) -> str | None:
        """The score that a way of choosing ranks by."""
        if by == "centroid":
            return None
        return self.shrink.by if by == "shrunk" else by

    def _weighed(self, scores: Float[np.ndarray, "q n"], base: str) -> Float[np.ndarray, "q n"]:
        """Scores as numbers that can be weighed against a distance."""
        is_cosine = base != "learned" and not (base == "both" and self.bank.combine == "z")
        return scores if is_cosine else _to_unit(scores)

    def _shrink_base(self) -> str:
        space = self.space
        held = [n for n, part in (("syntactic", space.distances), ("bert", space.sentence_vectors)) if part is not None]
        return "both" if len(held) != 1 else held[0]

    def _recorded(self, rows: Int[np.ndarray, " h"]) -> Queries:
        """Entries of the space as queries."""
        space = self.space
        vectors = None if space.sentence_vectors is None else np.asarray(space.sentence_vectors[rows], np.float32)
        distances = None if space.distances is None else tuple(space.distances.row(int(i)) for i in rows)
        return Queries(tuple(str(space.texts[i]) for i in rows), self.bank.words[rows], vectors, distances)

    def _read(self, texts: Sequence[str], base: str | None) -> Queries:
        """Analyses what the score needs, and whatever else is at hand to explain the choice."""
        if isinstance(texts, str):
            raise UserError("one text was given where a list is expected", "texts", "Put it in a list.")
        needed = set() if base is None else set(self.bank.needs(base))
        if base is not None:
            held = {"bert": self.space.sentence_vectors, "syntactic": self.space.distances}
            needed |= {name for name in self.linguist.given if held[name] is not None}
        return self.linguist.read(texts, needed)

    def _choices(
        self,
        queries: Queries,
        by: str,
        base: str,
        scores: Float[np.ndarray, "q k"],
        picks: Int[np.ndarray, "q k"],
        top: int,
        locked: Mapping[int, int],
        acoustic: Float[np.ndarray, "q k"] | None = None,
        merit: Float[np.ndarray, "q k"] | None = None,
    ) -> list[Choice]:
        """Ranked entries to choices: locks, the embedding, every score at hand."""
        for i, row in locked.items():
            others = [j for j in picks[i] if j != row][: picks.shape[1] - 1]
            picks[i] = [row, *others]
        if locked:
            scores = self.bank.at(queries, base, picks)
        embeddings = self._embeddings(queries, by, scores if merit is None else merit, picks)
        shown = picks[:, :top]
        names = [n for n, part in (("syntactic", queries.distances), ("bert", queries.vectors)) if part is not None]
        names += ["both"] if len(names) == 2 else []
        details = {name: self.bank.at(queries, name, shown) for name in SCORES if name in names and name != base}
        details[base] = scores[:, :top]
        choices = []
        for i, text in enumerate(queries.texts):
            entries = []
            for j, row in enumerate(shown[i]):
                far = None if acoustic is None or np.isnan(acoustic[i, j]) else float(acoustic[i, j])
                parts = {name: float(details[name][i, j]) for name in SCORES if name in details}
                own = str(self.space.ids[row]), str(self.space.texts[row])
                entries.append(Entry(int(row), *own, float(scores[i, j]), parts, far))
            embedding = self._means[shown[i, 0]] if i in locked else embeddings[i]
            choices.append(Choice(text, by, tuple(entries), embedding, i in locked))
        return choices

    def _embeddings(self, queries: Queries, by: str, scores: np.ndarray, picks: np.ndarray) -> Float[np.ndarray, "q Z"]:
        if by == "shrunk":
            return shrunk(scores, self._means[picks], self._centroid, self.shrink)
        if by == "learned" and self.predicted_mean:
            return self.bank.predicted(queries)
        return self._means[picks[:, 0]]

    def _lock_centroid(self, choice: Choice, row: int) -> Choice:
        entry = Entry(row, self.space.ids[row], self.space.texts[row], 0.0, {})
        return choice._replace(entries=(entry,), embedding=self._means[row], locked=True)

    def _excluded(self, ids: Sequence[str]) -> Int[np.ndarray, " e"]:
        if isinstance(ids, str):
            ids = [ids]
        return np.array(sorted({self._row(name, "exclude") for name in ids}), np.int64)

    def _locked(self, lock: Mapping[int, str] | None, sentences: int, barred: np.ndarray) -> dict[int, int]:
        rows = {}
        for sentence, name in (lock or {}).items():
            if not 0 <= sentence < sentences:
                raise UserError(
                    f"there is no sentence {sentence}", "lock", f"Sentences are numbered 0 to {sentences - 1}."
                )
            row = self._row(name, "lock")
            if row in barred:
                raise UserError(f"'{name}' is locked and excluded at once", "lock", "Take it out of one of the two.")
            rows[sentence] = row
        return rows

    def _row(self, name: str, where: str) -> int:
        try:
            return int(self.space.find([name])[0])
        except UserError as error:
            raise UserError(f"the space has no utterance '{name}'", where, error.remedy) from None


def _to_unit(scores: Float[np.ndarray, "q n"]) -> Float[np.ndarray, "q n"]:
    """Each row mapped linearly, its largest value to 1 and its mean to 0."""
    mean, largest = scores.mean(axis=1, keepdims=True), scores.max(axis=1, keepdims=True)
    return (scores - mean) / np.maximum(largest - mean, 1e-6)
