"""Is a built corpus what was built? Every record is read and compared with all that stands beside the shards."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from copycat_jax import console
from copycat_jax.corpus.corpus import read_vectors
from copycat_jax.corpus.description import (
    CORPUS_FILE,
    VECTORS_FILE,
    CorpusInfo,
    Lengths,
    describe,
    read_description,
)
from copycat_jax.corpus.shards import ShardReader
from copycat_jax.corpus.utterance import Utterance, check_utterance
from copycat_jax.corpus.writing import METADATA_FILE, read_records
from copycat_jax.errors import UserError


def check_corpus(path: str | Path) -> tuple[CorpusInfo, list[str]]:
    """The description of the corpus at `path`, and every fault in it in a line of its own; changes nothing.

    Raises:
      UserError: there is no corpus, or its description is damaged.
    """
    path = Path(path)
    info, lengths = read_description(path)
    faults: list[str] = []
    sound = console.progress(_sound(path, info, lengths, faults), "check", len(lengths.ids), "utterance")
    with contextlib.suppress(UserError):  # of a corpus of which nothing is left, as the faults say
        found, table = describe(sound, info.spec, info.shards, info.options)
        same = found == info and all(map(np.array_equal, table, lengths))
        if not faults and not same:
            faults.append(f"{path / CORPUS_FILE}: what it says of the utterances is not true of the shards")
    if read_records(path) != [shard.records for shard in info.shards]:
        faults.append(
            f"{path / METADATA_FILE}: TFDS would not read these shards; append to the corpus, or build it again"
        )
    if (path / VECTORS_FILE).is_file():
        try:
            read_vectors(path / VECTORS_FILE, info.fingerprint, lengths.ids)
        except UserError as error:
            faults.append(str(error))
    return info, faults


def _sound(path: Path, info: CorpusInfo, lengths: Lengths, faults: list[str]) -> Iterator[Utterance]:
    """The utterances that are what was built and fit to be stored; what is wrong with the others goes to `faults`."""
    start = 0
    for shard in info.shards:
        stop = start + shard.records
        part = Lengths(*(column[start:stop] for column in lengths))
        start = stop
        try:
            reader = ShardReader(path, [shard], info.spec, part)
        except UserError as error:
            faults.append(f"{error.where}: {error.what}")
            continue
        for index in range(len(reader)):
            try:
                utterance = reader[index]
                check_utterance(utterance, info.spec)
            except UserError as error:
                faults.append(f"{error.where}: {error.what}")
            else:
                yield utterance
