"""Sentences to choose for, as the ways of choosing see them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from prosody_vae.selection.scores import pad_distances


class Queries(NamedTuple):
    """Sentences and their analyses.

    Attributes:
      texts: the sentences.
      words: their numbers of words.
      vectors: from the encoder; None where nothing asked for them.
      distances: syntactic distance vectors, each as long as its sentence; None likewise.
    """

    texts: tuple[str, ...]
    words: Int[np.ndarray, " q"]
    vectors: Float[np.ndarray, "q V"] | None = None
    distances: tuple[np.ndarray, ...] | None = None

    def take(self, places: Sequence[int]) -> "Queries":
        """Some of the sentences, in the order asked for."""
        return Queries(
            tuple(self.texts[i] for i in places),
            self.words[np.asarray(places, np.int64)],
            None if self.vectors is None else self.vectors[np.asarray(places, np.int64)],
            None if self.distances is None else tuple(self.distances[i] for i in places),
        )

    def padded_distances(self) -> Float[np.ndarray, "q w"] | None:
        """Distances as one array, as the learned selector reads them."""
        return None if self.distances is None else pad_distances(self.distances, max([1, *map(len, self.distances)]))
