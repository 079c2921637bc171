"""What was chosen for a sentence, and why."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


class Entry(NamedTuple):
    """An entry of the space that was chosen, or came close.

    Attributes:
      index: its row in the space.
      id: the utterance.
      text: what is said there.
      score: what the choice was made by.
      scores: every score that was worked out, by the name of its way.
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
      entries: best first, the one that is spoken like at the front; empty where the centroid is taken.
      embedding: float32 [Z], to synthesise with.
      locked: the entry was given, not chosen.
      tied: rows of all entries that score as the best one, in the order in which the rule takes them; empty where the
        way knows no ties.
      note: how a tie or a score without information was settled; empty where there was nothing to settle.
    """

    text: str
    by: str
    entries: tuple[Entry, ...]
    embedding: Float[np.ndarray, " Z"]
    locked: bool = False
    tied: tuple[int, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The choice as JSON holds it; of what ties, the number."""
        return {
            "text": self.text,
            "by": self.by,
            "locked": self.locked,
            "tied": len(self.tied),
            "note": self.note,
            "entries": [entry._asdict() for entry in self.entries],
            "embedding": [round(float(x), 6) for x in self.embedding],
        }

    def why(self) -> str:
        """The choice in a line."""
        first = next(iter(self.entries), None)
        what = "the mean of all recordings" if first is None else f'like "{first.text}" ({first.score:.3f})'
        return f"{what}; {self.note}" if self.note else what
