"""The ways of choosing: each one object that knows its name, what it needs, how it scores, and how it explains itself.

To add one, write a subclass of `Way` here and put it into `WAYS`; help texts, tables, captions and errors follow. Most
scores are inner products of a row per entry and a vector per sentence, and are searched as one matrix product on the
devices (`index`): a way then says `rows` and `vectors`. Any other way says `scores`.

Nothing heavy is imported at the top: `--help` names the ways.
"""

from typing import TYPE_CHECKING, Any

from copycat_jax.errors import UserError, nearest

if TYPE_CHECKING:
    import numpy as np

    from prosody_vae.selection.bank import Bank
    from prosody_vae.selection.queries import Queries


class Way:
    """A way of choosing; what a subclass leaves out is that of an inner product that takes the best entry.

    Attributes:
      name: what it is asked for by.
      about: what is chosen; a sentence for help texts and captions.
      title, label: as heading and in a line of text, where "{encoder}" stands for the encoder's name.
      reads: the analyses of a sentence that it compares ("vectors", "distances").
      parts: ways whose plain mean it is, so that their rows lie side by side.
      ties: the rule for entries that score alike (`ties.TIES`) unless another is asked for; None: there are none.
      picks: its embedding is that of the entry it names first.
      learns: it reads the learned weights.
      beside: its score is shown beside any other's wherever the sentence was analysed that far.
    """

    name = about = title = label = ""
    reads: tuple[str, ...] = ()
    parts: "tuple[Way, ...]" = ()
    ties: str | None = "first"
    picks = True
    learns = False
    beside = False

    def ranking(self, bank: "Bank") -> "Way | None":
        """The way by whose score entries are ranked; None where nothing is compared."""
        return self

    def needs(self, bank: "Bank") -> tuple[str, ...]:
        """The analyses of a sentence that it needs; raises UserError where the space has nothing to compare them to."""
        return bank.check(self.reads)

    def count(self, bank: "Bank", top: int) -> int:
        """How many entries have to be found for `top` of them to be shown."""
        return top

    def is_product(self, bank: "Bank") -> bool:
        """Whether its score is an inner product."""
        return True

    def is_similarity(self, bank: "Bank") -> bool:
        """Whether its score is a similarity of at most 1, to be weighed against a distance as it is."""
        return True

    def rows(self, bank: "Bank") -> "np.ndarray":
        """The bank's side of the inner product, float32 [n, D]."""
        raise TypeError(f"the score of '{self.name}' is no inner product")

    def vectors(self, bank: "Bank", queries: "Queries") -> "tuple[np.ndarray, np.ndarray | None]":
        """The sentences' side of it, float32 [q, D], and what is added to each sentence's products, [q]."""
        raise TypeError(f"the score of '{self.name}' is no inner product")

    def scores(self, bank: "Bank", queries: "Queries") -> "np.ndarray":
        """The score of every sentence with every entry, float32 [q, n]."""
        return bank.products(self, queries)

    def embeddings(self, bank: "Bank", queries: "Queries", scores: "np.ndarray", picks: "np.ndarray") -> "np.ndarray":
        """What is spoken with, [q, Z], from each sentence's ranked entries and their scores, both [q, k]."""
        return bank.means[picks[:, 0]]

    def details(self, bank: "Bank", queries: "Queries") -> dict[str, Any]:
        """What else explains a choice for one sentence, as JSON holds it."""
        return {}

    def explain(self, details: dict[str, Any]) -> list[str]:
        """The details as lines of text."""
        return []


class Centroid(Way):
    """The usual system: one embedding for everything."""

    name, title = "centroid", "Centroid"
    about = "One embedding for everything: the mean of all recordings. The baseline."
    ties = None
    picks = False

    def ranking(self, bank: "Bank") -> None:
        """Nothing is compared."""


class Random(Way):
    """A baseline that any way of choosing must beat."""

    name, title = "random", "Random"
    about = "A recording drawn by lot."
    ties = None

    def is_product(self, bank: "Bank") -> bool:
        """Worked out for every entry."""
        return False

    def scores(self, bank: "Bank", queries: "Queries") -> "np.ndarray":
        """Numbers in [0, 1)."""
        return bank.lots(queries)


class Length(Random):
    """A baseline that sees the number of words and nothing else."""

    name, title = "length", "Length"
    about = "A recording whose sentence has the closest number of words, among equals by lot."

    def scores(self, bank: "Bank", queries: "Queries") -> "np.ndarray":
        """See `scores.length_similarity`."""
        from prosody_vae.selection.scores import length_similarity

        return length_similarity(queries.words, bank.words, bank.lots(queries))


class Syntactic(Way):
    """Tyagi et al., section 2.1.1."""

    name, title = "syntactic", "Syntactic"
    about = "The recording whose syntactic distances are most similar."
    reads = ("distances",)
    ties = "draw"
    beside = True

    def is_product(self, bank: "Bank") -> bool:
        """Where the length rule is linear."""
        return bank.rule != "truncate"

    def rows(self, bank: "Bank") -> "np.ndarray":
        """Unit distance vectors."""
        from prosody_vae.selection.scores import syntactic_rows, widest

        return syntactic_rows(bank.distances, widest(bank.distances), bank.rule)

    def vectors(self, bank: "Bank", queries: "Queries") -> "tuple[np.ndarray, None]":
        """Unit distance vectors."""
        from prosody_vae.selection.scores import query_rows, widest

        return query_rows(queries.distances or (), widest(bank.distances), bank.rule), None

    def scores(self, bank: "Bank", queries: "Queries") -> "np.ndarray":
        """Cosines, under the bank's length rule."""
        from prosody_vae.selection.scores import syntactic_similarities

        if self.is_product(bank):
            return bank.products(self, queries)
        return syntactic_similarities(queries.distances or (), bank.distances, bank.rule)


class SentenceVector(Way):
    """Tyagi et al., section 2.1.2."""

    name, title, label = "bert", "{encoder}", "{encoder}"
    about = "The recording whose sentence vector is closest."
    reads = ("vectors",)
    beside = True

    def rows(self, bank: "Bank") -> "np.ndarray":
        """Unit sentence vectors."""
        from copycat_jax.cosine import unit

        return unit(bank.sentence_vectors())

    def vectors(self, bank: "Bank", queries: "Queries") -> "tuple[np.ndarray, None]":
        """Unit sentence vectors."""
        from copycat_jax.cosine import unit

        assert queries.vectors is not None
        return unit(queries.vectors), None


class Both(Way):
    """Tyagi et al., section 2.1.3."""

    name, title = "both", "{encoder} + syntactic"
    about = "The mean of the two similarities."
    reads = ("distances", "vectors")
    parts = (Syntactic(), SentenceVector())
    beside = True

    def is_product(self, bank: "Bank") -> bool:
        """Where the plain mean of two inner products is taken."""
        return bank.combine == "mean" and all(part.is_product(bank) for part in self.parts)

    def is_similarity(self, bank: "Bank") -> bool:
        """Not as a mean of z-scores."""
        return bank.combine == "mean"

    def vectors(self, bank: "Bank", queries: "Queries") -> "tuple[np.ndarray, None]":
        """The halves side by side, each at half length: the inner product is the mean of the two."""
        import numpy as np

        return np.concatenate([0.5 * part.vectors(bank, queries)[0] for part in self.parts], axis=1), None

    def scores(self, bank: "Bank", queries: "Queries") -> "np.ndarray":
        """The parts' scores, combined as the bank combines."""
        from prosody_vae.selection.scores import combine

        return combine({part.name: part.scores(bank, queries) for part in self.parts}, bank.combine)

    def details(self, bank: "Bank", queries: "Queries") -> dict[str, Any]:
        """How much of the variance of the mean comes from each part."""
        from prosody_vae.selection.scores import variance_shares

        return {"variance_shares": variance_shares({part.name: part.scores(bank, queries) for part in self.parts})}

    def explain(self, details: dict[str, Any]) -> list[str]:
        """One line."""
        shares = ", ".join(f"{name} {share:.0%}" for name, share in details["variance_shares"].items())
        return [f"variance of the plain mean over the recordings: {shares}"]


class Shrunk(Way):
    """Beyond the paper: see `shrink`."""

    name, title = "shrunk", "Shrunk"
    about = "A mean of the most similar recordings, pulled towards the centroid."
    picks = False

    def ranking(self, bank: "Bank") -> Way:
        """The similarity that the shrinking was fitted for."""
        return WAYS[bank.shrink.by]

    def needs(self, bank: "Bank") -> tuple[str, ...]:
        """Those of the similarity."""
        return self.ranking(bank).needs(bank)

    def count(self, bank: "Bank", top: int) -> int:
        """As many as are averaged."""
        return max(top, bank.shrink.k)

    def embeddings(self, bank: "Bank", queries: "Queries", scores: "np.ndarray", picks: "np.ndarray") -> "np.ndarray":
        """The neighbourhood's mean, shrunk."""
        from prosody_vae.selection.shrink import shrunk

        return shrunk(scores, bank.means[picks], bank.centroid, bank.shrink)

    def details(self, bank: "Bank", queries: "Queries") -> dict[str, Any]:
        """How it shrinks; JSON knows no infinity."""
        shrink = bank.shrink
        endless = shrink.temperature == float("inf")
        return {"shrink": shrink._replace(temperature=None if endless else shrink.temperature)._asdict()}  # type: ignore[arg-type]

    def explain(self, details: dict[str, Any]) -> list[str]:
        """One line."""
        shrink = details["shrink"]
        weighed = "all alike" if shrink["temperature"] is None else f"temperature {shrink['temperature']:g}"
        return [
            f"shrunk: {shrink['k']} nearest by {shrink['by']}, {weighed}, weight {shrink['weight']:.2f} "
            "(fitted on sentences held out of the space)"
        ]


class Learned(Way):
    """After Kathaka: see `learned`. Squares and values of the embeddings against precision and mean."""

    name, title = "learned", "Learned"
    about = "The recording of highest likelihood under a Gaussian predicted from the sentence."
    learns = True

    def needs(self, bank: "Bank") -> tuple[str, ...]:
        """What the network reads."""
        analyses = {"sentence": "vectors", "distance": "distances"}
        return tuple(analyses[part] for part in bank.equipment.learned.reads)

    def is_similarity(self, bank: "Bank") -> bool:
        """A log-likelihood is none."""
        return False

    def rows(self, bank: "Bank") -> "np.ndarray":
        """See `learned.LearnedSelector.likelihood_rows`."""
        import numpy as np

        return np.asarray(bank.equipment.learned.likelihood_rows(bank.means))

    def vectors(self, bank: "Bank", queries: "Queries") -> "tuple[np.ndarray, np.ndarray]":
        """See `learned.LearnedSelector.queries`."""
        import numpy as np

        found = bank.equipment.learned.queries(queries.vectors, queries.padded_distances())
        return np.asarray(found.vectors), np.asarray(found.constant)


class LearnedMean(Learned):
    """The other use of the same network."""

    name, title = "learned mean", "Learned mean"
    about = "The mean of that Gaussian, which is nobody's recording."
    picks = False

    def ranking(self, bank: "Bank") -> Way:
        """Entries are ranked by the same likelihood."""
        return WAYS[Learned.name]

    def embeddings(self, bank: "Bank", queries: "Queries", scores: "np.ndarray", picks: "np.ndarray") -> "np.ndarray":
        """The predicted means."""
        import numpy as np

        return np.asarray(bank.equipment.learned.distribution(queries.vectors, queries.padded_distances())[0])


WAYS: dict[str, Way] = {
    way.name: way for way in (Centroid(), Random(), Length(), *Both.parts, Both(), Shrunk(), Learned(), LearnedMean())
}
"""Every way by its name, in the order of tables."""


def way_named(name: str, where: str = "") -> Way:
    """The way of that name; raises UserError, naming `where` it was asked for, for an unknown one."""
    if name not in WAYS:
        remedy = nearest(name, WAYS) or f"Known: {', '.join(WAYS)}."
        raise UserError(f"unknown way of choosing '{name}'", where, remedy)
    return WAYS[name]
