"""Reads TFDS's ArrayRecord shards with array_record and NumPy alone, and gives nothing but what was built.

A record is a serialised tf.train.Example: a map from feature name to one list of byte strings, floats or integers.
Tensors written with `encoding="bytes"` are one byte string each, so a few lines of wire format do the work of
TensorFlow; our reader and TFDS's return equal arrays (tests/corpus). What a disk or a copy has changed is named: the
size of a shard is compared when it is opened, the content of a record with its hash whenever it is read.
"""

import bisect
import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from copycat_jax.corpus.description import Lengths, Shard
from copycat_jax.corpus.utterance import TEXTS, Utterance, check_utterance, content_hash
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import MelSpec
from copycat_jax.records import fields_of

_REMEDY = "Restore the shard from a copy, or build the corpus again; its cache makes that quick."


class ShardReader:
    """Random access to the utterances of a corpus's shards, in their order; safe to use from several threads.

    Args:
      folder: where the shards are.
      shards: what they were when they were built.
      spec: the mel convention.
      lengths: ids and hashes of their utterances.

    Raises:
      UserError: a shard is missing or damaged; reading raises it too, for a record that is not what was built.
    """

    def __init__(self, folder: str | Path, shards: Sequence[Shard], spec: MelSpec, lengths: Lengths):
        self._folder, self._shards, self._spec = Path(folder), tuple(shards), spec
        self._ids, self._hashes = lengths.ids, lengths.hashes
        self._ends = list(itertools.accumulate(shard.records for shard in shards))
        self._readers = [self._open(number) for number in range(len(shards))]
        self._locks = [threading.Lock() for _ in self._readers]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Utterance:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = bisect.bisect_right(self._ends, index)
        position = index - (self._ends[shard] - self._shards[shard].records)
        try:
            with self._locks[shard]:
                record = self._readers[shard].read([position])[0]
            utterance = decode_utterance(record, self._spec)
            if content_hash(utterance) != self._hashes[index].tobytes():
                check_utterance(utterance, self._spec)
                raise ValueError("it is not what was built")
        except (UserError, RuntimeError, ValueError, OSError, IndexError) as error:
            reason = error.what if isinstance(error, UserError) else error
            what = f"record {position}, utterance '{self._ids[index]}', is damaged: {reason}"
            raise UserError(what, str(self._folder / self._shards[shard].name), _REMEDY) from error
        return utterance

    def __iter__(self) -> Iterator[Utterance]:
        return (self[index] for index in range(len(self)))

    def _open(self, number: int):
        from array_record.python.array_record_module import ArrayRecordReader

        shard, end = self._shards[number], self._ends[number]
        path = self._folder / shard.name
        try:
            size = path.stat().st_size
            if size != shard.bytes:
                raise ValueError(f"the shard has {size:,} bytes, {shard.bytes:,} were written")
            # No readahead: records are read one by one, in random order.
            reader = ArrayRecordReader(str(path), options="readahead_buffer_size:0")
            if reader.num_records() != shard.records:
                raise ValueError(f"the shard has {reader.num_records()} records, {shard.records} were written")
        except (RuntimeError, ValueError, OSError) as error:
            reason = "no such shard" if isinstance(error, FileNotFoundError) else error
            first, last = self._ids[end - shard.records], self._ids[end - 1]
            what = f"{reason}; its utterances are '{first}' to '{last}'"
            raise UserError(what, str(path), _REMEDY) from error
        return reader


def decode_utterance(record: bytes, spec: MelSpec) -> Utterance:
    """The Utterance that a record of `corpus.builder` holds; raises ValueError for any other record."""
    try:
        features = parse_example(record)
        fields: dict[str, Any] = {name: bytes(features[name][0]).decode() for name in TEXTS}
        for name, field in fields_of(Utterance).items():
            shape = [{"M": spec.mel_bins}.get(axis, -1) for axis in field.axes]
            if name in Utterance._field_defaults and name not in features:
                continue  # of a corpus built before it could be stored
            fields[name] = np.frombuffer(features[name][0], field.dtype.newbyteorder("<")).reshape(shape)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ValueError(f"it is not one of ours ({type(error).__name__}: {error})") from error
    return Utterance(**fields)


def parse_example(record: bytes) -> dict[str, list[memoryview] | np.ndarray]:
    """A tf.train.Example as {feature: byte strings, or float32 or int64 array}; ValueError if it is not one."""
    view, features = memoryview(record), {}
    try:
        for _, start, stop in _fields(view, 0, len(view)):  # Example.features
            for _, entry_start, entry_stop in _fields(view, start, stop):  # entries of the map
                name, value = "", []
                for field, at, end in _fields(view, entry_start, entry_stop):
                    if field == 1:
                        name = bytes(view[at:end]).decode()
                    else:
                        value = _feature(view, at, end)
                features[name] = value
    except IndexError as error:
        raise ValueError("the record is cut short") from error
    return features


def _feature(view: memoryview, start: int, stop: int) -> list[memoryview] | np.ndarray:
    for kind, at, end in _fields(view, start, stop):
        if kind == 1:
            return [view[a:b] for _, a, b in _fields(view, at, end)]
        if kind == 2:
            parts = [np.frombuffer(view[a:b], "<f4") for _, a, b in _fields(view, at, end)]
            return np.concatenate(parts) if parts else np.zeros(0, np.float32)
        values = []
        for _, a, b in _fields(view, at, end):
            while a < b:
                number, a = _varint(view, a)
                values.append(number)
        return np.array(values, np.uint64).astype(np.int64)
    return []


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _fields(view: memoryview, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """(field number, start, stop) of every field in view[at:stop]; a varint's span holds its own bytes."""
    while at < stop:
        tag, at = _varint(view, at)
        wire = tag & 7
        if wire == 2:
            length, at = _varint(view, at)
            end = at + length
        elif wire == 0:
            _, end = _varint(view, at)
        elif wire == 5:
            end = at + 4
        else:
            raise ValueError(f"wire type {wire}")
        if end > stop:
            raise ValueError("the record is cut short")
        yield tag >> 3, at, end
        at = end
