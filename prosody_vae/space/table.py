"""The prosody space: one row per utterance of a corpus, its embedding, its text, and what is known of both."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32, Int, Int16, Int32, Int64

from copycat_jax import __version__
from copycat_jax.errors import UserError, nearest

if TYPE_CHECKING:
    from copycat_jax.bundle.bundle import Bundle

KIND = "prosody_vae"  # of the bundles that encode a space and speak with it
FORMAT = 1  # of the files
_BLOCK = 2**16  # rows looked at together


@dataclasses.dataclass(frozen=True)
class SpaceInfo:
    """What a space was made of; labels and fingerprints are empty where there was none.

    Attributes:
      bundle, bundle_kind: fingerprint and kind of the bundle that encoded it.
      corpus: fingerprint of the corpus.
      encoder, encoder_fingerprint: label and fingerprint of the encoder of `sentence_vectors`.
      parser: label of the parser of the distances.
      latent, entries: Z and n.
      version, format: of the program that made it, and of the files.
    """

    bundle: str = ""
    bundle_kind: str = KIND
    corpus: str = ""
    encoder: str = ""
    encoder_fingerprint: str = ""
    parser: str = ""
    latent: int = 0
    entries: int = 0
    version: str = __version__
    format: int = FORMAT


@dataclasses.dataclass(frozen=True, eq=False)
class Distances:
    """Vectors of different lengths, one after another.

    Attributes:
      values: int16 [sum of lengths].
      offsets: int64 [n + 1]; row i is values[offsets[i]:offsets[i + 1]].
    """

    values: Int16[np.ndarray, " S"]
    offsets: Int64[np.ndarray, " N"]

    @classmethod
    def from_rows(cls, rows: Sequence[Int[np.ndarray, " _"]]) -> "Distances":
        """The vectors `rows`, in their order."""
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        values = np.concatenate([np.zeros(0, np.int16), *(np.asarray(row, np.int16) for row in rows)])
        return cls(values, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> Int16[np.ndarray, " W"]:
        """The vector of one entry."""
        index = range(len(self))[index]
        return np.asarray(self.values[int(self.offsets[index]) : int(self.offsets[index + 1])])

    def padded(self, width: int | None = None) -> Float32[np.ndarray, "n width"]:
        """All vectors, with zeros at the end up to `width` words (the longest by default); what is longer is cut."""
        offsets = np.asarray(self.offsets)
        lengths = np.diff(offsets)
        width = int(lengths.max(initial=0)) if width is None else width
        out = np.zeros((len(self), width), np.float32)
        for start in range(0, len(self), _BLOCK):
            stop = min(start + _BLOCK, len(self))
            kept = np.arange(width) < lengths[start:stop, None]
            at = offsets[start:stop, None] + np.arange(width)
            out[start:stop][kept] = self.values[at[kept]]
        return out

    def subset(self, indices: Int[np.ndarray, " k"]) -> "Distances":
        """The vectors of some entries, in the order asked for."""
        return Distances.from_rows([self.row(int(i)) for i in indices])


@dataclasses.dataclass(frozen=True, eq=False)
class ProsodySpace:
    """A prosody space, in memory or mapped from its files.

    Attributes:
      info: what it was made of.
      ids, texts, speakers: of every utterance, as the corpus has them.
      mean, variance: its posterior, float32 [n, Z]; the mean is what is selected.
      features: float32 [n] by the names of `prosody_vae.features.FEATURES`; NaN = not known.
      sentence_vectors: of the texts, [n, V] (float16 in files), or None.
      distances: syntactic distance vectors of the texts, or None.
      trees: the bracketed trees behind them, or None.
      path: where it was opened, for messages; empty in memory.
    """

    info: SpaceInfo
    ids: Sequence[str]
    texts: Sequence[str]
    speakers: Sequence[str]
    mean: Float32[np.ndarray, "n Z"]
    variance: Float32[np.ndarray, "n Z"]
    features: dict[str, Float32[np.ndarray, " n"]] = dataclasses.field(default_factory=dict)
    sentence_vectors: Float[np.ndarray, "n V"] | None = None
    distances: Distances | None = None
    trees: Sequence[str] | None = None
    path: str = ""

    def __post_init__(self):
        entries = len(self.ids)
        columns = (self.texts, self.speakers, self.mean, self.variance, *self.features.values())
        optional = (self.sentence_vectors, self.distances, self.trees)
        if any(len(c) != entries for c in (*columns, *(o for o in optional if o is not None))):
            raise ValueError(f"not every column has {entries} rows")

    def __len__(self) -> int:
        return len(self.ids)

    def check_bundle(self, bundle: "Bundle") -> None:
        """Raises UserError unless the space was built with this very bundle."""
        if self.info.bundle != bundle.fingerprint:
            raise UserError(
                f"built with another bundle ({self.info.bundle[:12]}, not {bundle.fingerprint[:12]})",
                self.path or "prosody space",
                "Give the bundle it was built with, or build it again with `prosody build-space`.",
            )

    def find(self, ids: Sequence[str]) -> Int32[np.ndarray, " k"]:
        """Rows of the utterances with these ids; raises UserError for an unknown one."""
        rows = self._rows_by_id
        for name in ids:
            if name not in rows:
                remedy = nearest(name, rows) or f"An id reads like '{next(iter(rows), '')}'."
                raise UserError(f"unknown utterance '{name}'", self.path or "prosody space", remedy)
        return np.array([rows[name] for name in ids], np.int32)

    @functools.cached_property
    def _rows_by_id(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.ids)}

    def centroid(self, speaker: str | None = None) -> Float32[np.ndarray, " Z"]:
        """The mean of all entries' means, or of one speaker's; raises UserError for an unknown speaker."""
        rows = np.arange(len(self))
        if speaker is not None:
            rows = np.flatnonzero([name == speaker for name in self.speakers])
            if len(rows) == 0:
                known = sorted(set(self.speakers))
                remedy = nearest(speaker, known) or f"Known: {', '.join(known[:20])}."
                raise UserError(f"unknown speaker '{speaker}'", self.path or "prosody space", remedy)
        total = np.zeros(self.mean.shape[1])
        for start in range(0, len(rows), _BLOCK):
            total += self.mean[rows[start : start + _BLOCK]].sum(axis=0, dtype=np.float64)
        return (total / max(1, len(rows))).astype(np.float32)

    def subset(self, indices: Int[np.ndarray, " k"] | Sequence[int]) -> "ProsodySpace":
        """Some rows, in the order asked for, in memory."""
        rows = np.asarray(indices, np.int64).reshape(-1)

        def take(column: Sequence[str]) -> tuple[str, ...]:
            return tuple(column[int(i)] for i in rows)

        return dataclasses.replace(
            self,
            info=dataclasses.replace(self.info, entries=len(rows)),
            ids=take(self.ids),
            texts=take(self.texts),
            speakers=take(self.speakers),
            mean=np.array(self.mean[rows]),
            variance=np.array(self.variance[rows]),
            features={name: np.array(values[rows]) for name, values in self.features.items()},
            sentence_vectors=None if self.sentence_vectors is None else np.array(self.sentence_vectors[rows]),
            distances=None if self.distances is None else self.distances.subset(rows),
            trees=None if self.trees is None else take(self.trees),
        )


def check_rows(rows: Float[np.ndarray, "n D"], ids: Sequence[str], where: str, noun: str = "embedding") -> None:
    """Raises UserError, naming the first utterance, where a row is not finite."""
    for start in range(0, len(rows), _BLOCK):
        bad = ~np.isfinite(rows[start : start + _BLOCK]).all(axis=1)
        if bad.any():
            first = start + int(np.argmax(bad))
            what = f"the {noun} of '{ids[first]}' (row {first}) is not finite"
            raise UserError(what, where, "Build the space again; see that what it is built from is sound.")
