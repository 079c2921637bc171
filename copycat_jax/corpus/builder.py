"""From published corpora to ArrayRecord shards: readers, the cache of features, then the shards and their description.

A corpus is written into a folder beside the target, which is renamed when everything in it is complete. One that is
there already can be added to: what is new goes into further shards. Features and shards are made in this process and
its workers, or both by a Beam pipeline where asked.
"""

import contextlib
import functools
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copycat_jax import console
from copycat_jax.corpus import beam
from copycat_jax.corpus.cache import (
    FEATURE_VERSION,
    Cache,
    FeatureOptions,
    Limits,
    check_options,
    process_all,
    read_cached,
)
from copycat_jax.corpus.corpus import Corpus, open_corpus
from copycat_jax.corpus.description import (
    CORPUS_FILE,
    CorpusInfo,
    describe,
    read_description,
    remove_unlisted,
    write_description,
)
from copycat_jax.corpus.readers import Raw
from copycat_jax.corpus.sources import Exclusions, read_sources
from copycat_jax.corpus.utterance import Utterance, check_utterance, content_hash
from copycat_jax.corpus.writing import read_back, read_records, shard_name, write_records, write_shards, written_shards
from copycat_jax.errors import UserError
from copycat_jax.files import check_local, followed, locked_file, refusals_of, write_text
from copycat_jax.mel_spec import MelSpec

BAD_FILE = "bad.tsv"
_SHARD_BYTES = 128 * 2**20


class Bad(NamedTuple):
    """An utterance that was left out; `kind` is "bad" or "length"."""

    id: str
    path: str
    kind: str
    reason: str


class BuildReport(NamedTuple):
    """What a build did; `written` counts the utterances that went into shards."""

    info: CorpusInfo
    written: int
    computed: int
    cached: int
    excluded: int
    bad: list[Bad]


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
    exclusions: Exclusions = Exclusions(),  # noqa: B008 - immutable
    workers: int = 0,
    on_bad: str = "skip",
    cache: str | Path | None = None,
    shards: int | None = None,
    beam_command: str = "",
    overwrite: bool = False,
    append: bool = False,
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
      beam_command: a Beam runner, with options if it needs any, that computes features and writes shards; none without.
      overwrite: replace a corpus that is already at `out`.
      append: add to the corpus at `out` what it does not hold; its shards are not touched.

    Raises:
      UserError: nothing usable, bad input where it is to fail, `out` taken, a wrong option, or what is in the corpus
        that is to be added to would be another now.
    """
    out = check_local(out).absolute()
    store = Cache(check_local(cache or out.with_name(out.name + ".cache")))
    with refusals_of(out):
        out = followed(out)
    check_options(options)
    if beam_command:
        beam.pipeline_options(beam_command)
    described = {
        "f0": options.f0,
        "audio": options.audio,
        "audio_only": options.audio_only,
        "min_seconds": limits.min_s,
        "max_seconds": limits.max_s,
        "feature_version": FEATURE_VERSION,
    }
    if append:
        _check_alike(out, options.spec, described)
    else:
        _check_target(out, overwrite)
    raws, excluded = read_sources(sources, exclusions)
    entries, bad, counts = [], [], {"computed": 0, "cached": 0}
    results = process_all(raws, options, limits, store, workers, beam_command)
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
            bad.append(Bad(raw.id, str(raw.path), outcome.status, outcome.reason))
    with refusals_of(store.folder):
        store.folder.mkdir(parents=True, exist_ok=True)
    _write_bad(store.folder / BAD_FILE, bad)
    if not entries:
        reason = f"; the first: {bad[0].reason}" if bad else ""
        raise UserError(
            f"none of {len(raws)} utterances is usable{reason}", "copycat build", f"See {store.folder / BAD_FILE}."
        )
    described |= {
        "sources": [f"{layout}:{Path(path).name}" for layout, path in sources],
        "bad": len(bad),
        "excluded": excluded,
    }
    writer = _Writer(store, options.spec, shards, beam_command)
    if append:
        info, written = _append(out, entries, writer, described, bad, exclusions)
    else:
        info, written = _write_corpus(out, entries, writer, described, bad, overwrite), len(entries)
    return BuildReport(info, written, **counts, excluded=excluded, bad=bad)


def make_example(entry: _Entry, cache: Cache, spec: MelSpec) -> tuple[int, dict[str, Any]]:
    """The (key, example) of an entry, checked; the key orders the shards."""
    utterance = _read(entry, cache)
    check_utterance(utterance, spec)
    return entry.index, utterance._asdict()


def _read(entry: _Entry, cache: Cache) -> Utterance:
    return read_cached(cache, entry.key, entry.id, entry.speaker, entry.text)


class _Writer(NamedTuple):
    """What shards are made with."""

    cache: Cache
    spec: MelSpec
    shards: int | None
    beam_command: str

    def write(self, folder: Path, entries: Sequence[_Entry]) -> Path:
        """Writes the entries into shards below `folder` and returns the folder that holds them."""
        bytes_in_all = sum(self.cache.features_path(entry.key).stat().st_size for entry in entries)
        count = min(self.shards or 1 + bytes_in_all // _SHARD_BYTES, len(entries))
        make = functools.partial(make_example, cache=self.cache, spec=self.spec)
        return write_shards(folder, entries, make, self.spec.mel_bins, count, self.beam_command)


@contextlib.contextmanager
def _partial(out: Path) -> Iterator[Path]:
    """A folder beside `out` that is gone afterwards; what killed builds of `out` left there goes first."""
    partial = out.with_name(f".{out.name}.partial-{os.getpid()}")
    _remove_stale(out)
    with refusals_of(out, RuntimeError):  # which ArrayRecord's writer raises
        try:
            partial.mkdir(parents=True)
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _write_corpus(
    out: Path, entries: Sequence[_Entry], writer: _Writer, described: dict[str, Any], bad: list[Bad], overwrite: bool
) -> CorpusInfo:
    with _partial(out) as partial:
        folder = writer.write(partial, entries)
        # Described from what was written, not from what should have been: the order is the shards' own.
        info, lengths = describe(read_back(folder), writer.spec, written_shards(folder), described)
        _check_written(lengths.ids, entries, folder)
        _write_bad(folder / BAD_FILE, bad)
        write_description(folder, info, lengths)
        _check_target(out, overwrite)  # another build may have been quicker
        if out.exists():
            out.rename(partial / "replaced")
        folder.rename(out)
    return info


def _append(
    out: Path,
    entries: Sequence[_Entry],
    writer: _Writer,
    described: dict[str, Any],
    bad: list[Bad],
    exclusions: Exclusions,
) -> tuple[CorpusInfo, int]:
    """Adds the entries that the corpus `out` does not hold, in shards of their own; the description and their number.

    Its shards are not touched. `corpus.json`, which says what belongs to it, is written last: until then it is what
    it was.
    """
    with _alone(out), _partial(out) as partial:
        before = open_corpus(out, with_vectors=False)
        _tidy(out, before.info)
        new = _new_entries(before, entries, writer.cache, bad)
        if not new:
            return before.info, 0
        folder = writer.write(partial, new)
        added = written_shards(folder, first=len(before.info.shards))
        utterances = itertools.chain(_still_wanted(before, exclusions), read_back(folder))
        bad = _bad_of_both(out / BAD_FILE, new, bad)
        options = _options_of_both(before.info.options, described, bad)
        info, lengths = describe(utterances, writer.spec, [*before.info.shards, *added], options)
        _check_written(lengths.ids[len(before) :], new, folder)
        try:
            for number, shard in enumerate(added):
                os.replace(folder / shard_name(number), out / shard.name)
            write_description(out, info, lengths)
        finally:
            _tidy(out, read_description(out)[0])
        _write_bad(out / BAD_FILE, bad)
    return info, len(new)


def _tidy(out: Path, info: CorpusInfo) -> None:
    """Undoes what a build left that was killed while it added to `out`."""
    remove_unlisted(out, info)
    if read_records(out) != [shard.records for shard in info.shards]:
        write_records(out, info.shards)


def _new_entries(before: Corpus, entries: Sequence[_Entry], cache: Cache, bad: list[Bad]) -> list[_Entry]:
    """The entries that `before` does not hold; UserError if what it holds would be another now."""
    known = {name: index for index, name in enumerate(before.ids.tolist())}
    new, changed = [], [row.id for row in bad if row.id in known]
    for entry in console.progress(entries, "compare", unit="utterance"):
        if entry.id not in known:
            new.append(entry._replace(index=len(new)))
        elif content_hash(_read(entry, cache)) != before.table.hashes[known[entry.id]].tobytes():
            changed.append(entry.id)
    if changed:
        what = f"{len(changed)} of its utterances would be others now, such as '{changed[0]}'"
        raise UserError(what, "--append", "Append only what is new, or build all of it with --overwrite.")
    return new


def _still_wanted(before: Corpus, exclusions: Exclusions) -> Iterator[Utterance]:
    """The utterances of `before`; UserError for one that must not be in it now."""
    for utterance in console.progress(before.source, "old shards", unit="utterance"):
        if exclusions.cover(Raw(utterance.id, utterance.speaker, utterance.text, Path())):
            what = f"it holds '{utterance.id}', which is excluded now"
            raise UserError(what, "--append", "Build all of it with --overwrite.")
        yield utterance


def _check_alike(out: Path, spec: MelSpec, described: dict[str, Any]) -> None:
    """Raises UserError unless what is added to the corpus `out` is made as it was made."""
    info, _ = read_description(out)
    for name, value in {"spec": spec.name, **described}.items():
        before = info.spec.name if name == "spec" else info.options.get(name)
        if before != value:
            what = f"it was built with {name} {before}, not {value}"
            raise UserError(what, str(out), "Give the same options, or build another corpus.")


def _options_of_both(before: dict[str, Any], now: dict[str, Any], bad: list[Bad]) -> dict[str, Any]:
    sources = list(dict.fromkeys([*before["sources"], *now["sources"]]))
    return now | {"sources": sources, "bad": len(bad), "excluded": before["excluded"] + now["excluded"]}


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    try:
        with locked_file(out / ".lock", wait=False):
            yield
    except BlockingIOError as error:
        raise UserError("another build is adding to it", str(out), "Wait until that one has ended.") from error


def _check_written(ids: np.ndarray, entries: Sequence[_Entry], folder: Path) -> None:
    if sorted(ids.tolist()) != sorted(entry.id for entry in entries):
        raise UserError("the shards do not hold what was written to them", str(folder), "Is the disk full or failing?")


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
            if (folder / "replaced").exists() and not out.exists():  # killed between the two renamings
                (folder / "replaced").rename(out)
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # asks only
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _write_bad(path: Path, bad: Iterable[Bad]) -> None:
    rows = [Bad._fields, *bad]
    content = "".join("\t".join(" ".join(field.split()) for field in row) + "\n" for row in rows)
    write_text(path, content)


def _bad_of_both(path: Path, new: Sequence[_Entry], bad: list[Bad]) -> list[Bad]:
    """What was left out before, as the file says, less what is known better now, and what is left out now."""
    known = {entry.id for entry in new} | {row.id for row in bad}
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.is_file() else []
    before = [Bad(*line.split("\t")) for line in lines]
    return [row for row in before if row.id not in known] + bad
