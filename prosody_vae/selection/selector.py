"""The selector: for every sentence an embedding of the prosody space, and why it was chosen.

Ways of choosing are objects (`ways.WAYS`); what happens where entries score alike is a rule (`ties.TIES`). Where every
entry scores as the best one the score says nothing (a one-word sentence has no syntactic distances: all its cosines
are 0), and the sentence gets the centroid whatever the rule.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from copycat_jax import console
from copycat_jax.errors import UserError
from prosody_vae.selection import continuity as paths
from prosody_vae.selection.bank import Bank, equal_to_best
from prosody_vae.selection.choice import Choice, Entry
from prosody_vae.selection.equipment import Equipment
from prosody_vae.selection.index import check_k
from prosody_vae.selection.queries import Queries
from prosody_vae.selection.shrink import Shrink
from prosody_vae.selection.ties import Tied, TieRule, tie_rule
from prosody_vae.selection.ways import WAYS, Way, way_named

if TYPE_CHECKING:
    from prosody_vae.linguistics.protocols import Encoder, Parser
    from prosody_vae.selection.learned import LearnedSelector
    from prosody_vae.space.table import ProsodySpace

NO_INFORMATION = "the score tells no recording from another, so the centroid is taken"
BY_SOUND = "the one that sounds nearest to the sentence before"
PREFERENCE = 1e-5  # added, in a path, to the similarity of the one of several equal entries that a rule prefers


class _Ranked(NamedTuple):
    """The entries of every sentence, best first, and what decided among them."""

    scores: Float[np.ndarray, "q k"]
    picks: Int[np.ndarray, "q k"]
    rule: TieRule | None = None
    equals: Sequence[np.ndarray] = ()  # all rows that tie, in the rule's order; nothing where there is no rule
    silent: frozenset[int] = frozenset()  # sentences whose score says nothing
    acoustic: Float[np.ndarray, "q k"] | None = None
    merit: Float[np.ndarray, "q k"] | None = None  # what the order is by, where it is not the score


class Selector:
    """Chooses embeddings of a space for sentences and paragraphs.

    Args:
      space: what is chosen from.
      encoder: the one the space was built with, or its name; None = the installed one, opened when first needed.
      parser: likewise.
      learned: the learned selector of the space; None = the one beside it, likewise.
      trees: recorded trees, {sentence: bracketed tree} or a file of them, instead of a parser.
      rule: how distance vectors of different length are compared (`scores.LENGTH_RULES`).
      combine: "mean" (paper) or "z".
      shrink: of "shrunk"; None = fitted on a tenth of the space's own sentences when first needed.
      seed: of "random" and "length".

    Raises:
      UserError: an unknown rule or way of combining, no such encoder or parser, another encoder than the space's, an
        embedding that is not finite.
    """

    def __init__(
        self,
        space: "ProsodySpace",
        encoder: "Encoder | str | None" = None,
        parser: "Parser | str | None" = None,
        learned: "LearnedSelector | None" = None,
        *,
        trees: str | Path | Mapping[str, str] | None = None,
        rule: str = "zero-pad",
        combine: str = "mean",
        shrink: Shrink | None = None,
        seed: int = 0,
    ):
        self.space = space
        self.equipment = Equipment(space, encoder, parser, trees, learned)
        self.bank = Bank(space, self.equipment, rule, combine, shrink, seed)
        self._plane: paths.Plane | None = None

    def select(
        self,
        texts: Sequence[str],
        by: str = "both",
        top: int = 5,
        lock: Mapping[int, str] | None = None,
        exclude: Sequence[str] = (),
        ties: str | None = None,
    ) -> list[Choice]:
        """Chooses for each sentence by itself.

        Args:
          texts: the sentences.
          by: a name of `ways.WAYS`.
          top: how many entries to report, best first.
          lock: sentence index to the utterance id that it must be spoken like, whatever `by`.
          exclude: ids never to choose.
          ties: a name of `ties.TIES`; None = the way's own.

        Raises:
          UserError: an unknown way, rule or id, more entries asked for than there are, a sentence that cannot be
            spoken, or whatever a score needs is missing.
        """
        way, rule = self._asked(by, ties)
        barred = self._excluded(exclude)
        locked = self._locked(lock, len(texts), barred)
        check_k(top, len(self.space) - len(barred))
        queries, ranking = self._read(texts, way, rule), way.ranking(self.bank)
        if not texts:
            return []
        if ranking is None:
            return [self._without_ranking(text, by, locked.get(i)) for i, text in enumerate(queries.texts)]
        count = min(way.count(self.bank, top), len(self.space) - len(barred))
        if rule is None:
            return self._choices(queries, way, _Ranked(*self.bank.top(ranking, queries, count, barred)), top, locked)
        scores, picks, tied = self.bank.tied(ranking, queries, count, barred)
        equals = [self._arranged(rule, queries, i, rows) for i, rows in enumerate(tied)]
        before = np.array(picks)
        for row, rows in zip(picks, equals, strict=True):
            if len(rows) > 1:
                row[:] = [*rows, *row[~np.isin(row, rows)]][:count]
        if (picks != before).any():
            scores = self.bank.at(ranking, queries, picks)
        ranked = _Ranked(scores, picks, rule, equals, self._silent(equals, barred))
        return self._choices(queries, way, ranked, top, locked)

    def similarity(self, texts: Sequence[str], by: str = "both", weighed: bool = False) -> Float[np.ndarray, "q n"]:
        """The score of every sentence with every entry, as `select` ranks them; "shrunk" as the score it builds on.

        Args:
          texts: the sentences.
          by: a name of `ways.WAYS` that compares something.
          weighed: as `paragraph` weighs it against the acoustic distance, see there.

        Raises:
          UserError: as `select`; a way that compares nothing.
        """
        way = way_named(by)
        ranking = way.ranking(self.bank)
        if ranking is None:
            others = ", ".join(name for name, other in WAYS.items() if other is not way)
            raise UserError(f"the {by} compares no sentences", "by", f"Choose among {others}.")
        scores = ranking.scores(self.bank, self._read(texts, way))
        return self._weighed(scores, ranking) if weighed else scores

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
        ties: str | None = None,
    ) -> list[Choice]:
        """Chooses for the sentences of a paragraph in order, similarity against acoustic continuity (`continuity`).

        Log-likelihoods ("learned") and means of z-scores are no similarities in 0 to 1: here each sentence's are mapped
        linearly, its best entry to 1 and the bank's mean to 0.

        Of entries that score alike the acoustic distance decides; only where it does not (a paragraph's first sentence,
        a weight of 1) does the rule for ties. A sentence whose score says nothing gets the centroid and is no part of
        the path.

        Args:
          texts: the paragraph's sentences.
          by: a name of `ways.WAYS`; one that compares nothing has no path.
          lsw: the weight of language, 1 = no continuity.
          scaled: D in units of the mean distance between two entries, instead of raw as in the paper.
          exact: the best path of all (Viterbi), instead of the paper's greedy rule.
          top: how many entries to report; those after the first are the next best at that place of the path.
          lock: as in `select`.
          exclude: as in `select`.
          ties: as in `select`.

        Raises:
          UserError: as `select`; a weight outside 0 to 1.
        """
        way, rule = self._asked(by, ties)
        paths.check_lsw(lsw)
        ranking = way.ranking(self.bank)
        if ranking is None or not texts:
            return self.select(texts, by, top, lock, exclude, ties)
        barred = self._excluded(exclude)
        locked = self._locked(lock, len(texts), barred)
        check_k(top, len(self.space) - len(barred))
        queries = self._read(texts, way, rule)
        scores = ranking.scores(self.bank, queries)
        similarity = np.array(self._weighed(scores, ranking), np.float32)
        similarity[:, barred] = -np.inf
        equals: list[np.ndarray] = []
        for i in range(len(texts)):
            if rule is None:
                break
            at = np.flatnonzero(np.isfinite(similarity[i]))
            equals.append(self._arranged(rule, queries, i, at[equal_to_best(scores[i, at])]))
            similarity[i, equals[i][0]] += PREFERENCE * (len(equals[i]) > 1)
        free = np.array(similarity)
        for i, row in locked.items():
            similarity[i, np.arange(similarity.shape[1]) != row] = -np.inf
        plane, scale = self.plane, self.plane.scale if scaled else 1.0
        silent = self._silent(equals, barred) - set(locked)
        walked = [i for i in range(len(texts)) if i not in silent]
        if exact:
            chosen = self._best_path(similarity[walked], lsw, scale)
        else:
            chosen = paths.greedy(similarity[walked], plane.positions, lsw, scale)
        # What each entry is worth after the one before it; at a weight of 1 this is the similarity itself.
        acoustic = np.full_like(free, np.nan)
        for i, previous in zip(walked[1:], chosen[:-1], strict=True):
            acoustic[i] = np.linalg.norm(plane.positions - plane.positions[previous], axis=1) / scale
            free[i] -= (1 - lsw) / max(lsw, 1e-6) * acoustic[i]
        first = np.array(free)
        first[walked, chosen] = np.inf
        count = min(way.count(self.bank, top), len(self.space) - len(barred))
        picks = np.argsort(-first, axis=1, kind="stable")[:, :count].astype(np.int32)
        found, far, merit = (np.take_along_axis(a, picks, axis=1) for a in (scores, acoustic, free))
        return self._choices(queries, way, _Ranked(found, picks, rule, equals, silent, far, merit), top, locked)

    def analyse(self, texts: Sequence[str], by: str, ties: str | None = None) -> None:
        """Parses many sentences at once where a way needs that, so that choosing for each of them finds its tree.

        Raises:
          UserError: as `select`.
        """
        way, rule = self._asked(by, ties)
        if "distances" in self._analyses(way, rule):
            self.equipment.parser.parse(texts)

    def used(self, by: str, ties: str | None = None) -> dict[str, Any]:
        """What choices by a way are made with, as JSON has it; parser and encoder that it needs are opened.

        None stands for what is not used; the parser and the encoder are those that read the sentences, which need not
        be those of the space.

        Raises:
          UserError: an unknown way or rule; in one line, all that is missing.
        """
        way, rule = self._asked(by, ties)
        ranking, analyses = way.ranking(self.bank), self._analyses(way, rule)
        compares = () if ranking is None else ranking.needs(self.bank)
        return {
            "by": by,
            "space_entries": len(self.space),
            **self.equipment.labels(analyses),
            "learned": self.equipment.learned.fingerprint if way.learns else None,
            "length_rule": self.bank.rule if "distances" in compares else None,
            "combine": self.bank.combine if ranking is not None and ranking.parts else None,
            "ties": (ties or way.ties) if rule is not None else None,
        }

    def details(self, choice: Choice) -> dict[str, Any]:
        """What else explains a choice, as JSON has it; `Way.explain` makes lines of it."""
        way = way_named(choice.by)
        return way.details(self.bank, self._read([choice.text], way)) if way.ranking(self.bank) is not None else {}

    def finest_ties(self, by: str) -> str | None:
        """The best rule for the ties of a way: "vector" where an encoder is there, else the way's own."""
        own = way_named(by).ties
        if own is None or not self.bank.holds("vectors"):
            return own
        try:
            self.equipment.labels(("vectors",))
        except UserError:
            return own
        return "vector"

    @property
    def plane(self) -> paths.Plane:
        """The 2-D PCA of the space's means."""
        if self._plane is None:
            self._plane = paths.fit_plane(self.bank.means)
        return self._plane

    def _asked(self, by: str, ties: str | None) -> tuple[Way, TieRule | None]:
        """A way, and the rule for its ties; None where it knows none."""
        way = way_named(by)
        asked = None if ties is None else tie_rule(ties)
        return way, None if way.ties is None else asked or tie_rule(way.ties)

    def _weighed(self, scores: Float[np.ndarray, "q n"], ranking: Way) -> Float[np.ndarray, "q n"]:
        """Scores as numbers that can be weighed against a distance."""
        return scores if ranking.is_similarity(self.bank) else _to_unit(scores)

    def _analyses(self, way: Way, rule: TieRule | None = None) -> set[str]:
        """What the score and the rule need, and whatever else is at hand to explain the choice."""
        if way.ranking(self.bank) is None:
            return set()
        needed = {*way.needs(self.bank), *(self.bank.check(rule.reads) if rule else ())}
        return needed | {name for name in self.equipment.given if self.bank.holds(name)}

    def _read(self, texts: Sequence[str], way: Way, rule: TieRule | None = None) -> Queries:
        if isinstance(texts, str):
            raise UserError("one text was given where a list is expected", "texts", "Put it in a list.")
        return self.equipment.read(texts, self._analyses(way, rule))

    def _arranged(self, rule: TieRule, queries: Queries, place: int, rows: np.ndarray) -> Int[np.ndarray, " t"]:
        """The entries that tie for one sentence, in the order in which the rule takes them."""
        if len(rows) < 2:
            return rows
        closeness = self.bank.closeness(queries, place, rows) if rule.reads else None
        ids = [str(self.space.ids[int(row)]) for row in rows]
        return rows[np.asarray(rule.order(Tied(queries.texts[place], rows, ids, closeness)))]

    def _best_path(self, similarity: Float[np.ndarray, "L n"], lsw: float, scale: float) -> Int[np.ndarray, " L"]:
        """The exact path; a warning says by how much it may miss where the bank is too large to know."""
        path = paths.best_path(similarity, self.plane.positions, lsw, scale=scale)
        many = len(self.space) > paths.BEAM and len(path) > 1
        bound = paths.path_bound(path, similarity, self.plane.positions, lsw, scale=scale) if many else 0.0
        if bound > PREFERENCE:
            console.warn(f"the loss of a paragraph's path exceeds the least by at most {bound:.4f}")
        return path

    def _silent(self, equals: Sequence[np.ndarray], barred: np.ndarray) -> frozenset[int]:
        """The sentences for which every entry that may be chosen scores as the best one."""
        left = len(self.space) - len(barred)
        return frozenset(i for i, rows in enumerate(equals) if len(rows) == left > 1)

    def _choices(
        self, queries: Queries, way: Way, ranked: _Ranked, top: int, locked: Mapping[int, int]
    ) -> list[Choice]:
        """Ranked entries to choices: locks, the embedding, every score at hand."""
        ranking = way.ranking(self.bank)
        assert ranking is not None
        scores, picks = ranked.scores, ranked.picks
        for i, row in locked.items():
            others = [j for j in picks[i] if j != row][: picks.shape[1] - 1]
            picks[i] = [row, *others]
        if locked:
            scores = self.bank.at(ranking, queries, picks)
        embeddings = way.embeddings(self.bank, queries, scores if ranked.merit is None else ranked.merit, picks)
        shown = picks[:, :top]
        analysed = {"vectors": queries.vectors, "distances": queries.distances}
        beside = [w for w in WAYS.values() if w.beside and all(analysed[part] is not None for part in w.reads)]
        details = {w.name: self.bank.at(w, queries, shown) for w in beside if w is not ranking}
        details[ranking.name] = scores[:, :top]
        choices = []
        for i, text in enumerate(queries.texts):
            equals = tuple(map(int, ranked.equals[i])) if ranked.equals and i not in locked else ()
            if i in ranked.silent and i not in locked:
                choices.append(Choice(text, way.name, (), self.bank.centroid, False, equals, NO_INFORMATION))
                continue
            entries = []
            for j, row in enumerate(shown[i]):
                far = None if ranked.acoustic is None or np.isnan(ranked.acoustic[i, j]) else ranked.acoustic[i, j]
                parts = {name: float(details[name][i, j]) for name in WAYS if name in details}
                entries.append(self._entry(int(row), float(scores[i, j]), parts, None if far is None else float(far)))
            embedding, note = self.bank.means[shown[i, 0]] if i in locked else embeddings[i], ""
            if ranked.rule is not None and len(equals) > 1 and way.picks and shown[i, 0] in equals:
                taken = BY_SOUND if entries[0].acoustic is not None else ranked.rule.about
                if ranked.rule.averages:
                    embedding, taken = self.bank.means[list(equals)].mean(axis=0), ranked.rule.about
                note = f"{len(equals)} recordings score alike: {taken}"
            choices.append(Choice(text, way.name, tuple(entries), embedding, i in locked, equals, note))
        return choices

    def _entry(self, row: int, score: float, scores: dict[str, float], acoustic: float | None = None) -> Entry:
        return Entry(row, str(self.space.ids[row]), str(self.space.texts[row]), score, scores, acoustic)

    def _without_ranking(self, text: str, by: str, lock: int | None) -> Choice:
        if lock is None:
            return Choice(text, by, (), self.bank.centroid)
        return Choice(text, by, (self._entry(lock, 0.0, {}),), self.bank.means[lock], True)

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
