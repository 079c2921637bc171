"""Systems that are compared, and their recordings of a suite: rendered where they are not yet, or found in a folder.

A system is asked for as [NAME=]WHAT[:MELODY]. WHAT is a folder of recordings named by a suite's ids, a bundle that
transfers, `copycat` (the bundle that ships) or one of `BUILT_IN`, which learn nothing and are references, not rivals.
MELODY, of a bundle, is what its vocoder speaks at: `source`, the melody of the recording in the target's register, or
`mel`, the one in the mel that was made: only that tells what the model itself knows of melody.

A rendered recording is kept beside a key of everything that decides it: the system, the source, the voice, the words.
What is there is not rendered again, so that a run that was interrupted goes on.
"""

import hashlib
import json
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from copycat_jax import __version__, console
from copycat_jax.audio.pitch import register_hz
from copycat_jax.audio.signal import Audio, read_audio, write_wav
from copycat_jax.bundle.bundle import shipped
from copycat_jax.errors import UserError, nearest
from copycat_jax.evaluate import judges, report, trivial
from copycat_jax.evaluate.metrics import Row
from copycat_jax.evaluate.suites import recordings_of
from copycat_jax.files import file_hash

MELODIES = ("source", "mel")
JOURNAL = "made.jsonl"  # in a system's folder: what each recording was made from
UNEQUAL_S = 0.05  # from a result's length to its reference's; more is named


def _truth(row: Row, register: float) -> Audio:
    """The truth as it is, or the source where there is none: what a system could be at best."""
    return read_audio(row.get("truth") or row["source"])


def _other_take(row: Row, register: float) -> Audio:
    """Another take of the same words: what a system is that knows speaker and words, and nothing of this take."""
    if not row.get("other"):
        raise UserError("no other take", str(row["id"]), "Use a suite whose rows have the field `other`.")
    return read_audio(row["other"])


BUILT_IN: Mapping[str, Callable[[Row, float], Audio]] = trivial.TRIVIAL | {"truth": _truth, "other-take": _other_take}
VOCODED = ("copy-synthesis",)  # of these, those that compute on an accelerator: it is one process's
Rendered = Iterator[tuple[Row, "Audio | UserError"]]


class System(NamedTuple):
    """A system that is compared.

    Attributes:
      name: in tables, and of its folder.
      reference: it is what others are held against, and no member of the family of tests.
      melody: one of MELODIES, or "" where there is no such choice.
      key: names what renders; "" for recordings that are given.
      folder: of these.
      render: speaks rows; one that it cannot is the UserError that says why.
    """

    name: str
    reference: bool = False
    melody: str = ""
    key: str = ""
    folder: Path | None = None
    render: Callable[[Sequence[Row]], Rendered] | None = None


def open_system(
    asked: str, register_of: Callable[[str], float], references: Sequence[str] = (), jobs: int = 1
) -> System:
    """The system that [NAME=]WHAT[:MELODY] means.

    Args:
      asked: what the user wrote.
      register_of: voice -> its register in Hz, for the built-in systems.
      references: further names that are references.
      jobs: processes in which a built-in system that needs no accelerator speaks.

    Raises:
      UserError: there is no such system, or a melody where there is no choice.
    """
    name, equals, what = asked.partition("=")
    what = what if equals else name
    base, colon, melody = what.rpartition(":")
    what, melody = (base, melody) if colon and melody in MELODIES else (what, "")
    name = name if equals else Path(what).name + f"-{melody}" * bool(melody)
    where, reference = f"--system {asked}", name in references
    if not name or Path(name).name != name or name.startswith("."):
        raise UserError(f"'{name}' cannot name a folder", where, "Write NAME=FOLDER.")
    if what in BUILT_IN and not Path(what).is_dir():
        if melody:
            raise UserError("this system has no choice of melody", where, "Leave out what follows the colon.")
        return System(name, True, "", _built_in_key(what), render=_renderer(what, register_of, jobs))
    folder = shipped() if what == "copycat" else Path(what)
    if not folder.is_dir():
        known = ("copycat", *BUILT_IN)
        raise UserError("no such folder or system", where, nearest(what, known) or f"Known: {', '.join(known)}.")
    if not (folder / "manifest.json").is_file():
        if melody:
            raise UserError(
                "a folder of recordings has no choice of melody", where, "Leave out what follows the colon."
            )
        return System(name, reference, folder=folder)
    from copycat_jax.programs import read_transferring

    kind = read_transferring(folder).kind
    melody = melody or ("source" if kind == "copycat" else "mel")
    key = f"{file_hash(folder / 'manifest.json')} {melody} {_vocoder_hash()} {__version__}"
    return System(name, reference, melody, key, render=lambda rows: _transferred(folder, melody, rows))


def voice_registers(voices: Sequence[Row], memory: judges.Memory) -> Callable[[str], float]:
    """voice -> its register in Hz, as the judge of melody hears it in its recordings, found when first asked for."""

    @cache
    def register_of(voice: str) -> float:
        curves = [memory.recall("f0", row["path"]).f0_hz for row in voices if str(row["voice"]) == voice]
        if not curves:
            raise UserError(f"no recording of voice '{voice}'", "voices manifest", "Add rows for it.")
        return register_hz(np.concatenate(curves))

    return register_of


class Recorded(NamedTuple):
    """A system's recordings of a suite.

    Attributes:
      rows: the suite's, in order, each with its `system` and its `result`, or with `missing`: why there is none.
      extra: recordings in the system's folder that the suite does not ask for.
      unequal: ids of results that are not as long as their reference, {id: by how many seconds}.
    """

    rows: list[Row]
    extra: list[str]
    unequal: dict[str, float]

    @property
    def missing(self) -> dict[str, str]:
        """{id: why} of what is not there."""
        return {str(row["id"]): str(row["missing"]) for row in self.rows if "missing" in row}


def record(system: System, rows: Sequence[Row], out: Path) -> Recorded:
    """Renders what is not rendered yet into `out`/NAME, or looks into the system's own folder.

    Raises:
      UserError: no row could be spoken, none is there, or a file cannot be written.
    """
    failed = _render(system, rows, out / system.name) if system.render else {}
    found = recordings_of(system.folder or out / system.name)
    recorded, unequal = [], {}
    for row in console.progress(rows, f"reading: {system.name}", len(rows), "clip"):
        name = str(row["id"])
        entry = dict(row) | {"system": system.name}
        if name in failed or name not in found:
            recorded.append(entry | {"missing": failed.get(name, "no such recording")})
            continue
        try:
            seconds = read_audio(found[name]).seconds
        except UserError as error:
            recorded.append(entry | {"missing": f"unreadable: {error}"})
            continue
        longer = seconds - _seconds(row.get("source") or row["truth"])
        if abs(longer) > UNEQUAL_S:
            unequal[name] = round(longer, 3)
        recorded.append(entry | {"result": found[name]})
    if all("missing" in row for row in recorded):
        what = f"none of {len(rows)} clips is there; the first is {rows[0]['id']}: {recorded[0]['missing']}"
        raise UserError(what, str(system.folder or out / system.name), "Name recordings as the references are named.")
    extra = sorted(set(found) - {str(row["id"]) for row in rows}) if system.folder else []
    return Recorded(recorded, extra, unequal)


def score(
    recorded: Mapping[str, Recorded],
    voices: Sequence[Row],
    asked: Sequence[str],
    memory: judges.Memory,
    jobs: int = 1,
) -> dict[str, list[Row]]:
    """Every system's rows with all metrics; what a judge could not hear is missing, too.

    Raises:
      UserError: a reference or a voice cannot be judged.
    """
    there = [row for found in recorded.values() for row in found.rows if "missing" not in row]
    failed = {path: why for path, why in report.judged(there, voices, asked, memory, jobs) if why}
    results = {str(row["result"]) for row in there}
    for path, why in failed.items():
        if path not in results:
            raise UserError(why, path)
    centroids = report.voice_centroids(voices, memory) if "voice" in asked else {}
    scored = {}
    for name, found in recorded.items():
        scored[name] = []
        for row in console.progress(found.rows, f"scoring: {name}", len(found.rows), "clip"):
            if why := row.get("missing") or failed.get(str(row["result"])):
                plain = {field: str(value) if field in report.PATHS else value for field, value in row.items()}
                scored[name].append(plain | {"missing": why})
            else:
                scored[name].append(report.score_row(row, memory, centroids, asked))
    return scored


def _render(system: System, rows: Sequence[Row], folder: Path) -> dict[str, str]:
    """Renders what `folder` lacks; {id: why} of what could not be."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / JOURNAL
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else []
    made = dict(json.loads(line) for line in lines if line.endswith("]"))
    keys = {str(row["id"]): _key(system, row) for row in rows}
    pending = [r for r in rows if made.get(i := str(r["id"])) != keys[i] or not (folder / f"{i}.wav").is_file()]
    failed: dict[str, str] = {}
    assert system.render is not None
    spoken = console.progress(system.render(pending), f"rendering: {system.name}", len(pending), "clip")
    with journal.open("a", encoding="utf-8") as file:
        for row, audio in spoken:
            name = str(row["id"])
            if isinstance(audio, UserError):
                failed[name] = str(audio)
                (folder / f"{name}.wav").unlink(missing_ok=True)
                continue
            write_wav(folder / f"{name}.wav", audio.samples, audio.sample_rate)
            file.write(json.dumps([name, keys[name]]) + "\n")
            file.flush()
    if failed and len(failed) == len(rows):
        raise UserError(f"could speak none of {len(rows)} clips; the first: {next(iter(failed.values()))}", system.name)
    return failed


def suite_fingerprint(rows: Sequence[Row]) -> str:
    """SHA-256 over what a suite asks for, in any order: ids, recordings by their content, voices, words."""
    lines = sorted(f"{row['id']} {_key(System(''), row)}" for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _key(system: System, row: Row) -> str:
    recordings = [_hash(row[role]) if row.get(role) else "" for role in ("source", "truth", "other")]
    parts = [system.key, *recordings, str(row["voice"]), str(row.get("text", ""))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@cache
def _seconds(path: Path) -> float:
    return read_audio(path).seconds


@cache
def _hash(path: Path) -> str:
    return file_hash(path)


def _built_in_key(what: str) -> str:
    """Names a built-in system: its code and the vocoder."""
    return f"{what} {file_hash(trivial.__file__)} {_vocoder_hash()}"


def _vocoder_hash() -> str:
    from copycat_jax.vocoder.harmonic import SHIPPED_VOCODER

    return file_hash(SHIPPED_VOCODER / "manifest.json")


def _renderer(what: str, register_of: Callable[[str], float], jobs: int) -> Callable[[Sequence[Row]], Rendered]:
    """A built-in system's function of one row as a system's `render`."""

    def render(rows: Sequence[Row]) -> Rendered:
        tasks = ((what, row, register_of(str(row["voice"]))) for row in rows)
        if jobs <= 1 or what in VOCODED or len(rows) < 2:
            yield from map(_speak, tasks)
            return
        with multiprocessing.get_context("spawn").Pool(min(jobs, len(rows))) as pool:
            yield from pool.imap(_speak, tasks)

    return render


def _speak(task: tuple[str, Row, float]) -> "tuple[Row, Audio | UserError]":
    what, row, register = task
    try:
        return row, BUILT_IN[what](row, register)
    except UserError as error:
        return row, error


def _transferred(folder: Path, melody: str, rows: Sequence[Row]) -> Rendered:
    """A bundle's transfers; every source is analysed once for all its voices."""
    if not rows:
        return
    from copycat_jax.synthesis import load

    synthesizer = load(folder, melody)
    of_source: dict[tuple[Path, str], list[Row]] = defaultdict(list)
    for row in rows:
        of_source[row["source"], str(row.get("text", ""))].append(row)
    for (source, text), asked in of_source.items():
        spoken = [row for row in asked if str(row["voice"]) in synthesizer.voices]
        for row in asked:
            if row not in spoken:
                yield row, UserError(f"the bundle does not speak as '{row['voice']}'", str(folder))
        if not spoken:
            continue
        try:
            prepared = synthesizer.prepare(source, text or None)
            transfers = synthesizer.convert(prepared, [str(row["voice"]) for row in spoken])
        except UserError as error:
            yield from ((row, error) for row in spoken)
            continue
        for row, transfer in zip(spoken, transfers, strict=True):
            yield row, Audio(transfer.samples, transfer.sample_rate)
