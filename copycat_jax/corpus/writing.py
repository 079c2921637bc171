"""The door to TFDS: writes examples to ArrayRecord shards and reads them back as anyone else would.

TFDS is used without TensorFlow (its ArrayRecord writer, `encoding="bytes"` tensors, group_size:1). Shards are numbered
but do not say how many there are, so that more can be put beside them.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from copycat_jax import console
from copycat_jax.corpus import beam
from copycat_jax.corpus.description import Shard
from copycat_jax.corpus.utterance import ARRAYS, TEXTS, Utterance
from copycat_jax.files import write_json
from copycat_jax.records import fields_of

METADATA_FILE = "dataset_info.json"
_SPLIT = "train"


class SpeechCorpus(tfds.core.GeneratorBasedBuilder):
    """One split, in the order of the jobs, readable by `tfds.builder_from_directory`."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, examples: Any, mel_bins: int, **tfds_options):
        self._examples, self._mel_bins = examples, mel_bins
        super().__init__(**tfds_options)

    def _info(self) -> tfds.core.DatasetInfo:
        tensors = {}
        for name, field in fields_of(Utterance).items():
            shape = tuple({"M": self._mel_bins}.get(axis) for axis in field.axes)
            # encoding="bytes": raw little-endian bytes; without it float16 would be stored as a list of float32.
            tensors[name] = tfds.features.Tensor(shape=shape, dtype=field.dtype.type, encoding="bytes")
        texts = {name: tfds.features.Text() for name in TEXTS}
        features = tfds.features.FeaturesDict(texts | tensors)
        return tfds.core.DatasetInfo(
            builder=self, description="Speech built by copycat.", features=features, disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {_SPLIT: self._generate_examples()}

    def _generate_examples(self):
        return self._examples

    def _get_filename_template(self, split_name: str):
        template = super()._get_filename_template(split_name)
        return template.replace(template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}")


def shard_name(number: int) -> str:
    """What shard `number` of a corpus is called."""
    return f"{SpeechCorpus.name}-{_SPLIT}.array_record-{number:05d}"


def write_shards(
    folder: Path,
    jobs: Sequence[Any],
    make: Callable[[Any], tuple[int, dict[str, Any]]],
    mel_bins: int,
    shards: int,
    beam_command: str = "",
) -> Path:
    """Writes the examples that `make` makes of the jobs into shards below `folder`; the folder that holds them.

    Args:
      folder: an empty one.
      jobs: what the examples are made of.
      make: (key, example) of a job; the keys order the examples.
      mel_bins: of the examples' mels.
      shards: how many.
      beam_command: the runner that does it; none without.
    """
    config: dict[str, Any] = {"num_shards": shards, "try_download_gcs": False}
    if beam_command:
        config["beam_options"] = beam.pipeline_options(beam_command)
    tfds.disable_progress_bar()  # ours is shown
    with contextlib.ExitStack() as stack:
        if beam_command:
            stack.enter_context(beam.failures_said(beam_command))
            examples = beam.mapped(stack.enter_context(beam.job_file(jobs, folder)), make)
        else:
            examples = map(make, console.progress(jobs, "shards", unit="utterance"))
        builder = SpeechCorpus(examples=examples, mel_bins=mel_bins, data_dir=str(folder), file_format="array_record")
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # it announces a temporary folder as the place
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**config))
    return Path(builder.data_dir)


def written_shards(folder: Path, first: int = 0) -> list[Shard]:
    """The shards that `write_shards` left in `folder`, named as if `first` others came before them."""
    lengths = tfds.builder_from_directory(folder).info.splits[_SPLIT].shard_lengths
    sizes = [(folder / shard_name(number)).stat().st_size for number in range(len(lengths))]
    numbered = enumerate(zip(lengths, sizes, strict=True), first)
    return [Shard(shard_name(number), int(records), size) for number, (records, size) in numbered]


def read_back(folder: Path) -> Iterator[Utterance]:
    """The utterances in the order of the shards, read by TFDS itself."""
    source = tfds.builder_from_directory(folder).as_data_source(_SPLIT)  # type: ignore[call-arg]
    for index in console.progress(range(len(source)), "check", unit="utterance"):
        example: dict[str, Any] = source[index]
        fields: dict[str, Any] = {n: example[n].decode() for n in TEXTS} | {n: np.asarray(example[n]) for n in ARRAYS}
        yield Utterance(**fields)


def read_records(folder: Path) -> list[int]:
    """Records of each shard, as TFDS's own description of the corpus says; empty where it says nothing."""
    try:
        return [int(records) for records in _split_of(_read_metadata(folder))["shardLengths"]]
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return []


def write_records(folder: Path, shards: Iterable[Shard]) -> None:
    """Makes TFDS's own description of the corpus that of `shards`."""
    metadata, shards = _read_metadata(folder), list(shards)
    _split_of(metadata).update(
        shardLengths=[str(shard.records) for shard in shards], numBytes=str(sum(shard.bytes for shard in shards))
    )
    write_json(folder / METADATA_FILE, metadata)


def _read_metadata(folder: Path) -> dict[str, Any]:
    return json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))


def _split_of(metadata: dict[str, Any]) -> dict[str, Any]:
    return next(split for split in metadata["splits"] if split["name"] == _SPLIT)
