"""From published corpora to ArrayRecord shards: readers, the cache of features, then a TFDS builder.

TFDS is used without TensorFlow (its ArrayRecord writer, `encoding="bytes"` tensors, group_size:1) and writes into a
folder beside the target, which is renamed when everything in it is complete. The same examples run as a Beam pipeline
where asked: DirectRunner here, Dataflow, Spark or Flink where the cache is on storage that all workers see.
"""

import contextlib
import dataclasses
import functools
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from copycat_jax import console
from copycat_jax.corpus.cache import (
    FEATURE_VERSION,
    Cache,
    FeatureOptions,
    Limits,
    check_options,
    process_all,
    read_cached,
)
from copycat_jax.corpus.description import CORPUS_FILE, CorpusInfo, describe, write_description
from copycat_jax.corpus.readers import Raw, read_corpus
from copycat_jax.corpus.utterance import ARRAYS, TEXTS, Utterance, check_utterance, text_key
from copycat_jax.errors import UserError
from copycat_jax.files import refusals_of, write_text
from copycat_jax.mel_spec import MelSpec
from copycat_jax.records import fields_of

BAD_FILE = "bad.tsv"
_SHARD_BYTES = 128 * 2**20


@dataclasses.dataclass(frozen=True)
class Exclusions:
    """What must not enter a corpus, whatever the reason: checked on every raw utterance."""

    ids: frozenset[str] = frozenset()
    speakers: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()  # as given by record.text_key
    pattern: str = ""  # regular expression searched in the id

    def cover(self, raw: Raw) -> bool:
        """Whether `raw` is excluded."""
        if raw.id in self.ids or raw.speaker in self.speakers:
            return True
        if raw.text is not None and text_key(raw.text) in self.texts:
            return True
        return bool(self.pattern and re.search(self.pattern, raw.id))

    def __bool__(self) -> bool:
        return bool(self.ids or self.speakers or self.texts or self.pattern)


class BuildReport(NamedTuple):
    """What a build did; `bad` holds (id, path, "bad" or "length", reason)."""

    info: CorpusInfo
    computed: int
    cached: int
    excluded: int
    bad: list[tuple[str, str, str, str]]


class _Entry(NamedTuple):
    """All that an example is made of; small, because Beam sends it around."""

    index: int
    key: str
    id: str
    speaker: str
    text: str


def build_corpus(
    sources: Sequence[tuple[str, str | Path]],
    out: str | Path,
    options: FeatureOptions,
    *,
    limits: Limits = Limits(),  # noqa: B008 - immutable
    exclusions: Exclusions = Exclusions(),
    workers: int = 0,
    on_bad: str = "skip",
    cache: str | Path | None = None,
    shards: int | None = None,
    beam_runner: str | None = None,
    overwrite: bool = False,
) -> BuildReport:
    """Builds the corpus `out` from `sources`.

    Args:
      sources: (layout, folder) pairs for `readers.read_corpus`; ids must differ across them.
      out: the folder to make.
      options: what decides the features.
      limits: shortest and longest utterance; others are listed and left out.
      exclusions: what must not enter.
      workers: processes that compute features; 0 or 1 for this one.
      on_bad: "skip" lists bad recordings in bad.tsv, "fail" stops at the first.
      cache: folder of computed features; `out` + ".cache" by default, may be shared by builds.
      shards: number of shards; by default about one per 128 MB.
      beam_runner: name of a Beam runner that writes the shards; plain TFDS without.
      overwrite: replace a corpus that is already at `out`.

    Raises:
      UserError: nothing usable, bad input where it is to fail, `out` taken, or a wrong option.
    """
    out = Path(out).absolute()
    store = Cache(cache or out.with_name(out.name + ".cache"))
    _check_target(out, overwrite)
    check_options(options)
    raws, excluded = read_sources(sources, exclusions)
    entries, bad, counts = [], [], {"computed": 0, "cached": 0}
    results = process_all(raws, options, limits, store, workers)
    with contextlib.closing(results):
        for raw, outcome in console.progress(results, "features", total=len(raws), unit="utterance"):
            if outcome.status in counts:
                counts[outcome.status] += 1
                entries.append(_Entry(len(entries), outcome.key, raw.id, raw.speaker, raw.text or ""))
                continue
            if outcome.status == "bad" and on_bad == "fail":
                raise UserError(
                    f"'{raw.id}': {outcome.reason}", "bad recording", "Mend it, or build with --on-bad skip."
                )
            bad.append((raw.id, str(raw.path), outcome.status, outcome.reason))
    with refusals_of(store.folder):
        store.folder.mkdir(parents=True, exist_ok=True)
    _write_bad(store.folder / BAD_FILE, bad)
    if not entries:
        reason = f"; the first: {bad[0][3]}" if bad else ""
        raise UserError(
            f"none of {len(raws)} utterances is usable{reason}", "copycat build", f"See {store.folder / BAD_FILE}."
        )
    described = {
        "sources": [f"{layout}:{Path(path).name}" for layout, path in sources],
        "f0": options.f0,
        "audio": options.audio,
        "audio_only": options.audio_only,
        "min_seconds": limits.min_s,
        "max_seconds": limits.max_s,
        "feature_version": FEATURE_VERSION,
        "bad": len(bad),
        "excluded": excluded,
    }
    info = _write_corpus(out, entries, store, options.spec, described, bad, shards, beam_runner)
    return BuildReport(info, counts["computed"], counts["cached"], excluded, bad)


def read_sources(sources: Sequence[tuple[str, str | Path]], exclusions: Exclusions) -> tuple[list[Raw], int]:
    """Raw utterances of all sources that are not excluded, and how many are.

    Raises:
      UserError: no source, an id in two sources, or exclusions that exclude nothing (a list for another corpus).
    """
    if not sources:
        raise UserError("no source given", "copycat build", "Add --source LAYOUT:PATH.")
    try:
        re.compile(exclusions.pattern)
    except re.error as error:
        raise UserError(f"'{exclusions.pattern}' is no regular expression ({error})", "--exclude") from error
    seen, kept, excluded = {}, [], 0
    for layout, path in sources:
        for raw in read_corpus(layout, path):
            if raw.id in seen:
                raise UserError(
                    f"the id '{raw.id}' is in {seen[raw.id]} and in {path}", "copycat build", "Make ids unique."
                )
            seen[raw.id] = path
            if exclusions.cover(raw):
                excluded += 1
            else:
                kept.append(raw)
    if exclusions and not excluded:
        console.warn("the exclusion lists match no utterance of these sources")
    return kept, excluded


class SpeechCorpus(tfds.core.GeneratorBasedBuilder):
    """The TFDS side: one split, in the order of the entries, readable by `tfds.builder_from_directory`."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, make: Callable, entries: Sequence[_Entry], mel_bins: int, beam: bool = False, **tfds_options):
        self._make, self._entries, self._mel_bins, self._beam = make, entries, mel_bins, beam
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
        return {"train": self._generate_examples(self._entries)}

    def _generate_examples(self, entries: Sequence[_Entry]):
        if self._beam:
            import apache_beam

            return apache_beam.Create(entries) | apache_beam.Map(self._make)
        return map(self._make, console.progress(entries, "shards", unit="utterance"))


def make_example(entry: _Entry, cache: Cache, spec: MelSpec) -> tuple[int, dict[str, Any]]:
    """The (key, example) of an entry, checked; the key orders the shards."""
    utterance = read_cached(cache, entry.key, entry.id, entry.speaker, entry.text)
    check_utterance(utterance, spec)
    return entry.index, utterance._asdict()


def _write_corpus(
    out: Path,
    entries: Sequence[_Entry],
    cache: Cache,
    spec: MelSpec,
    described: dict[str, Any],
    bad: list,
    shards: int | None,
    beam_runner: str | None,
) -> CorpusInfo:
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    _remove_stale(out)
    try:
        partial.mkdir(parents=True)
        with refusals_of(out, *(() if beam_runner else (RuntimeError,))):  # which ArrayRecord's writer raises
            folder = _write_shards(partial, entries, cache, spec, shards, beam_runner)
        names = sorted(path.name for path in folder.glob("*.array_record*"))
        # Described from what was written, not from what should have been: the order is the shards' own.
        info, lengths = describe(_read_back(folder), spec, names, described)
        if sorted(lengths.ids.tolist()) != sorted(entry.id for entry in entries):
            raise UserError(
                "the shards do not hold what was written to them", str(folder), "Is the disk full or failing?"
            )
        _write_bad(folder / BAD_FILE, bad)
        write_description(folder, info, lengths)
        if out.exists():
            out.rename(partial / "replaced")
        folder.rename(out)
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror or error})", str(out), "Choose another folder.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return info


def _write_shards(
    folder: Path, entries: Sequence[_Entry], cache: Cache, spec: MelSpec, shards: int | None, beam_runner: str | None
) -> Path:
    """Writes the shards below `folder` through TFDS and returns the folder that holds them."""
    bytes_in_all = sum(cache.features_path(entry.key).stat().st_size for entry in entries)
    config: dict[str, Any] = {
        "num_shards": min(shards or 1 + bytes_in_all // _SHARD_BYTES, len(entries)),
        "try_download_gcs": False,
    }
    if beam_runner:
        config["beam_options"] = _beam_options(beam_runner)
    tfds.disable_progress_bar()  # ours is shown
    builder = SpeechCorpus(
        make=functools.partial(make_example, cache=cache, spec=spec),
        entries=entries,
        mel_bins=spec.mel_bins,
        beam=bool(beam_runner),
        data_dir=str(folder),
        file_format="array_record",
    )
    with contextlib.redirect_stdout(io.StringIO()):  # it announces the temporary folder as the dataset's place
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**config))
    return Path(builder.data_dir)


def _beam_options(runner: str):
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError(
            "Apache Beam is not installed", "--beam", "Install the extra 'beam', or leave --beam out."
        ) from error
    return PipelineOptions([f"--runner={runner}"])


def _read_back(folder: Path) -> Iterator[Utterance]:
    """The utterances in the order of the shards, read by TFDS itself."""
    source = tfds.builder_from_directory(folder).as_data_source("train")  # type: ignore[call-arg]
    for index in console.progress(range(len(source)), "check", unit="utterance"):
        example: dict[str, Any] = source[index]
        fields: dict[str, Any] = {n: example[n].decode() for n in TEXTS} | {n: np.asarray(example[n]) for n in ARRAYS}
        yield Utterance(**fields)


def _check_target(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / CORPUS_FILE).is_file()):
        raise UserError("exists and is not a built corpus", str(out), "Choose another folder.")
    if any(out.iterdir()) and not overwrite:
        raise UserError("a corpus is there already", str(out), "Choose another folder, or add --overwrite.")


def _remove_stale(out: Path) -> None:
    """Removes what builds of the same folder left behind that were killed."""
    for folder in out.parent.glob(f".{out.name}.partial-*"):
        pid = folder.name.rpartition("-")[2]
        if not (pid.isdigit() and _alive(int(pid))) or pid == str(os.getpid()):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks only
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _write_bad(path: Path, bad: list[tuple[str, str, str, str]]) -> None:
    rows = [("id", "path", "kind", "reason"), *bad]
    content = "".join("\t".join(" ".join(field.split()) for field in row) + "\n" for row in rows)
    write_text(path, content)
