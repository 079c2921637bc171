"""Corpora in their published layouts, as lists of raw utterances; only names and texts are read here, never audio.

plain         metadata.csv whose first line names the columns id, speaker and text (also normalized_text, which goes
              first) among any others; recordings audio/ID.*, wavs/ID.* or ID.*; an id may be written as its file's
              name. Without metadata.csv: every recording below the folder; the speaker is the name of its folder, or
              for recordings in the folder itself the file name up to the first "-". A text that no table gives is
              taken from the recording's .normalized.txt, .txt or .lab, if there is one.
ljspeech      LJSpeech-1.1: metadata.csv `id|text|normalised text`, wavs/ID.wav; a first line that names its columns
              is read as plain's, but that needs no speaker.
vctk          VCTK 0.92 (wav48_silence_trimmed/SPEAKER/ID_mic1.flac) or older (wav48/SPEAKER/ID.wav); txt/SPEAKER/
              ID.txt.
libritts      any depth of SPEAKER/CHAPTER/ID.wav with ID.normalized.txt beside it.
librispeech   any depth of SPEAKER/CHAPTER/ID.flac with SPEAKER-CHAPTER.trans.txt beside it.

In every layout alignments/ID.TextGrid below the root is taken where it exists; where ids have no folders, also
alignments/SPEAKER/ID.TextGrid, or the only one of that name at any depth. Ids are those of `corpus.ids`.
"""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from copycat_jax.corpus.ids import AUDIO_SUFFIXES, as_id, fault_of_id, files_by_id, is_irregular, printable
from copycat_jax.corpus.table import fields_of_lines, is_header, read_rows
from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError, nearest

_TEXTS_BESIDE = (".normalized.txt", ".txt", ".lab")


class Raw(NamedTuple):
    """An utterance as its publisher left it; the files it names may be missing or bad, which the builder finds out.

    `fault` says what is wrong with it as far as names and texts tell, or nothing.
    """

    id: str
    speaker: str
    text: str | None
    path: Path
    alignment_path: Path | None = None
    fault: str = ""


def read_corpus(layout: str, root: str | Path, alignments: str | Path | None = None) -> list[Raw]:
    """Lists the utterances of the corpus at `root`, sorted by id.

    Args:
      layout: one of LAYOUTS.
      root: the folder of the corpus.
      alignments: where their TextGrids are looked for, `root`/alignments by default.

    Raises:
      UserError: unknown layout, no such folder, not of this layout, or an id that occurs twice.
    """
    if layout not in LAYOUTS:
        raise UserError(
            f"unknown corpus layout '{layout}'", remedy=f"{nearest(layout, LAYOUTS)} Known: {', '.join(LAYOUTS)}."
        )
    root = Path(root)
    if not root.is_dir():
        raise UserError("no such folder", str(root), "Give the folder of the corpus.")
    raws = _with_alignments(Path(alignments or root / "alignments"), map(_checked, LAYOUTS[layout](root)))
    raws = sorted(raws, key=lambda raw: raw.id)
    if not raws:
        raise UserError(f"no utterances of layout '{layout}' found", str(root), "Is it the right folder and layout?")
    repeated = [name for name, count in Counter(raw.id for raw in raws).items() if count > 1]
    if repeated:
        raise UserError(f"the id '{repeated[0]}' occurs more than once", str(root), "Make ids unique.")
    return raws


def _checked(raw: Raw) -> Raw:
    """`raw`, with what is wrong with its id or its file; one whose id is at fault names only what can be shown."""
    fault = fault_of_id(raw.id)
    if not fault:
        irregular = f"{raw.path}: a pipe, socket or device, not a file. Put the recording itself there."
        return raw._replace(fault=raw.fault or irregular) if is_irregular(raw.path) else raw
    shown = Raw(printable(raw.id), printable(raw.speaker), raw.text, Path(printable(str(raw.path))))
    return shown._replace(fault=printable(fault))


def _with_alignments(folder: Path, raws: Iterable[Raw]) -> Iterator[Raw]:
    known, of_name = files_by_id(folder, (".textgrid",)), defaultdict(list)
    for name in known:
        of_name[PurePosixPath(name).name].append(name)
    for raw in raws:
        names = [name for name in (raw.id, f"{raw.speaker}/{raw.id}") if name in known][:1]
        if not names and "/" not in raw.id:
            names = of_name[raw.id]
        if len(names) > 1 and not raw.fault:
            what = f"{len(names)} alignments could be its own: {', '.join(sorted(names)[:3])}"
            yield raw._replace(fault=f"{what}. Keep one, or name it {raw.speaker}/{raw.id}.")
        else:
            yield raw._replace(alignment_path=known[names[0]] if names and not raw.fault else None)


def _plain(root: Path) -> Iterator[Raw]:
    table = root / "metadata.csv"
    if not table.is_file():
        yield from _untranscribed(root)
        return
    folders = [folder for folder in (root / "audio", root / "wavs") if folder.is_dir()]
    found = files_by_id(root, AUDIO_SUFFIXES)
    for folder in reversed(folders):  # earlier folders win
        found |= files_by_id(folder, AUDIO_SUFFIXES)
    for row in read_rows(table):
        name = _id_of_field(row.id, found)
        for folder in folders:
            name = name.removeprefix(f"{folder.name}/")
        path = found.get(name, (folders or [root])[0] / f"{name}.wav")
        text, fault = (row.text, row.fault) if row.text or row.fault else text_beside(path)
        yield Raw(name, row.speaker, text, path, fault=fault)


def _untranscribed(root: Path) -> Iterator[Raw]:
    for name, path in files_by_id(root, AUDIO_SUFFIXES).items():
        text, fault = text_beside(path)
        speaker = as_id(path.parent.name) if "/" in name else name.split("-")[0]
        yield Raw(name, speaker, text, path, fault=fault)


def _ljspeech(root: Path) -> Iterator[Raw]:
    found = files_by_id(_required(root / "wavs"), AUDIO_SUFFIXES)
    table = _required(root / "metadata.csv")
    first = next(fields_of_lines(table), (0, []))[1]
    if is_header(first) and _id_of_field(first[0], found) not in found:  # as some who publish again add it
        for row in read_rows(table, "LJ"):
            name = _id_of_field(row.id, found).removeprefix("wavs/")
            yield Raw(name, row.speaker, row.text, found.get(name, root / "wavs" / f"{name}.wav"), fault=row.fault)
        return
    for number, fields in fields_of_lines(table):
        if len(fields) < 2 or not fields[0]:
            raise UserError(f"line {number} has {len(fields)} fields", str(table), "Expected id|text|normalised.")
        name = _id_of_field(fields[0], found)
        text = next(filter(None, (*fields[2:3], fields[1])), None)
        yield Raw(name, "LJ", text, found.get(name, root / "wavs" / f"{name}.wav"))


def _vctk(root: Path) -> Iterator[Raw]:
    trimmed = root / "wav48_silence_trimmed"
    audio = trimmed if trimmed.is_dir() else _required(root / "wav48")
    texts = files_by_id(_required(root / "txt"), (".txt",))
    for file, path in files_by_id(audio, AUDIO_SUFFIXES).items():
        if "/" not in file or file.endswith("_mic2"):  # the second microphone heard the same utterance
            continue
        file = file.removesuffix("_mic1")
        text, fault = _text_of(texts[file]) if file in texts else (None, "")
        yield Raw(PurePosixPath(file).name, as_id(path.parent.name), text, path, fault=fault)


def _libritts(root: Path) -> Iterator[Raw]:
    for file, path in files_by_id(root, (".wav",)).items():
        name = PurePosixPath(file).name
        text, fault = text_beside(path, (".normalized.txt",))
        yield Raw(name, name.split("_")[0], text, path, fault=fault)


def _librispeech(root: Path) -> Iterator[Raw]:
    found = files_by_id(root, AUDIO_SUFFIXES)
    for chapter, transcript in files_by_id(root, (".trans.txt",)).items():
        for line in read_text(transcript).split("\n"):
            name, _, text = line.strip().partition(" ")
            if name := as_id(name):
                path = found.get(str(PurePosixPath(chapter).parent / name), transcript.parent / f"{name}.flac")
                # Transcripts are in capitals, which normalisers read as letters to spell.
                yield Raw(name, name.split("-")[0], text.strip().lower() or None, path)


LAYOUTS: dict[str, Callable[[Path], Iterator[Raw]]] = {
    "plain": _plain,
    "ljspeech": _ljspeech,
    "vctk": _vctk,
    "libritts": _libritts,
    "librispeech": _librispeech,
}


def _required(path: Path) -> Path:
    if not path.exists():
        raise UserError("not there", str(path), "Is it the right folder and layout?")
    return path


def _id_of_field(field: str, found: Mapping[str, Path]) -> str:
    """The id that a table's field means: the id itself, or the name of its recording with the suffix."""
    name = as_id(field)
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and name not in found and f"{dot}{suffix.lower()}" in AUDIO_SUFFIXES else name


def text_beside(path: Path, suffixes: tuple[str, ...] = _TEXTS_BESIDE) -> tuple[str | None, str]:
    """The text in a file of the recording's name, and why it cannot be read; neither where there is no such file."""
    for suffix in suffixes if path.name else ():
        beside = path.with_suffix(suffix)
        if os.path.isfile(beside):  # unlike Path.is_file, minds no name that is too long
            return _text_of(beside)
    return None, ""


def _text_of(path: Path) -> tuple[str | None, str]:
    try:
        return unicodedata.normalize("NFC", read_text(path)).strip() or None, ""
    except UserError as error:
        return None, str(error)
