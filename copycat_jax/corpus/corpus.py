"""A built corpus open for reading, its description in memory and its utterances on demand; and its speaker vectors."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32

from copycat_jax.corpus.description import VECTORS_FILE, CorpusInfo, Lengths, describe, read_description
from copycat_jax.corpus.shards import ShardReader
from copycat_jax.corpus.utterance import Utterance
from copycat_jax.errors import UserError, nearest
from copycat_jax.files import replacing_file
from copycat_jax.mel_spec import MelSpec


@runtime_checkable
class Utterances(Protocol):
    """Where a corpus takes its utterances from: shards, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Utterance: ...

    def __iter__(self) -> Iterator[Utterance]: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus open for reading: its description in memory, its utterances on demand.

    Attributes:
      info: the content of corpus.json.
      table: ids, frames, phones, speaker and text hash of every utterance.
      source: the utterances, by position.
      speaker_vectors: float32 [n, E], or None where `copycat embed` has not run.
      vectors_hash: hash of the classifier that made them; empty without.
    """

    info: CorpusInfo
    table: Lengths
    source: Utterances
    speaker_vectors: np.ndarray | None = None
    vectors_hash: str = ""

    def __len__(self) -> int:
        return self.info.utterances

    @property
    def spec(self) -> MelSpec:
        """The mel convention of the corpus."""
        return self.info.spec

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers in the order of their numbers."""
        return tuple(self.info.speakers)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash over all that a model can be trained on: the utterances, and the speaker vectors if there are any."""
        if self.speaker_vectors is None:
            return self.info.fingerprint
        vectors = np.ascontiguousarray(self.speaker_vectors, "<f4")
        return hashlib.sha256(bytes.fromhex(self.info.fingerprint) + vectors.tobytes()).hexdigest()

    @property
    def ids(self) -> np.ndarray:
        """Ids, str [n]."""
        return self.table.ids

    @property
    def lengths(self) -> np.ndarray:
        """Frames of every utterance, int32 [n]."""
        return self.table.frames

    @property
    def phones(self) -> np.ndarray:
        """Phonemes of every utterance, int32 [n]."""
        return self.table.phones

    @property
    def speaker(self) -> np.ndarray:
        """Number of every utterance's speaker, int32 [n]."""
        return self.table.speaker

    @property
    def text_hashes(self) -> np.ndarray:
        """Hash of every utterance's text, uint64 [n]; takes of a sentence share it."""
        return self.table.text_hashes

    def utterance(self, index: int | np.integer) -> Utterance:
        """The utterance at `index`, read from its shard."""
        return self.source[int(index)]

    @property
    def gib(self) -> float:
        """Size of all mel-spectrograms, and of the sound if it is there, as they are stored, in GiB."""
        values = self.spec.mel_bins + self.spec.hop_samples * self.has_audio
        return float(self.lengths.sum(dtype=np.int64)) * values * 2 / 2**30

    @property
    def has_audio(self) -> bool:
        """Whether it was built with its sound."""
        return len(self) > 0 and len(self.utterance(0).samples) > 0

    def loaded(self) -> "Corpus":
        """The same corpus with its utterances decoded once and held in memory: reading is then no part of a step."""
        return dataclasses.replace(self, source=tuple(self.source))

    def find(self, ids: Sequence[str]) -> Int32[np.ndarray, " k"]:
        """Positions of the utterances with these ids; raises UserError for an unknown one."""
        where = {name: i for i, name in enumerate(self.ids.tolist())}
        for name in ids:
            if name not in where:
                raise UserError(f"unknown utterance '{name}'", "corpus", nearest(name, where))
        return np.array([where[name] for name in ids], np.int32)


def open_corpus(path: str | Path, with_vectors: bool = True) -> Corpus:
    """Opens a folder made by `copycat build`, with its speaker vectors if it has any and they are wanted.

    Raises:
      UserError: not a built corpus, damaged, or its speaker vectors were made for another corpus.
    """
    path = Path(path)
    info, lengths = read_description(path)
    source = ShardReader(path, info.shards, info.spec, lengths)
    vectors, made_by = None, ""
    if with_vectors and (path / VECTORS_FILE).is_file():
        vectors, made_by = read_vectors(path / VECTORS_FILE, info.fingerprint, lengths.ids)
    return Corpus(info, lengths, source, vectors, made_by)


def memory_corpus(
    utterances: Sequence[Utterance], spec: MelSpec, speaker_vectors: Float32[np.ndarray, "n E"] | None = None
) -> Corpus:
    """A corpus of utterances that are already in memory: generated ones, or a test's."""
    info, lengths = describe(utterances, spec, shards=(), options={})
    return Corpus(info, lengths, utterances, speaker_vectors)


def read_vectors(path: str | Path, fingerprint: str, ids: np.ndarray) -> tuple[Float32[np.ndarray, "n E"], str]:
    """Speaker vectors of the utterances `ids` of a corpus and the hash of the classifier that made them.

    Raises:
      UserError: the file is damaged, or belongs to another corpus.
    """
    from safetensors import SafetensorError, safe_open

    remedy = "Run `copycat embed` again."
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata, vectors = file.metadata() or {}, file.get_tensor("vectors")
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"damaged speaker vectors ({error})", str(path), remedy) from error
    if metadata.get("corpus") != fingerprint:
        raise UserError("the speaker vectors were made for another corpus", str(path), remedy)
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise UserError(f"speaker vectors of shape {vectors.shape} for {len(ids)} utterances", str(path), remedy)
    odd = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(odd):
        raise UserError(f"the vector of '{ids[odd[0]]}' holds values that are not finite", str(path), remedy)
    if metadata.get("sha256") != _vectors_hash(vectors):
        raise UserError("the speaker vectors are not those that were written", str(path), remedy)
    return vectors.astype(np.float32), metadata.get("bundle", "")


def write_vectors(path: str | Path, vectors: Float32[np.ndarray, "n E"], corpus: str, bundle: str) -> None:
    """Writes speaker vectors in corpus order, whole or not at all, with both fingerprints in the metadata."""
    from safetensors.numpy import save

    vectors = np.ascontiguousarray(vectors, np.float32)
    metadata = {"corpus": corpus, "bundle": bundle, "sha256": _vectors_hash(vectors)}
    content = save({"vectors": vectors}, metadata=metadata)
    with replacing_file(path) as temporary:
        temporary.write_bytes(content)  # `save_file` makes files that only their owner may read


def _vectors_hash(vectors: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()
