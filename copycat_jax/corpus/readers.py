"""Corpora in their published layouts, as lists of raw utterances; only names and texts are read here, never audio.

plain         metadata.csv with header `id|speaker|text`, recordings audio/ID.*, wavs/ID.* or ID.*, optionally
              alignments/ID.TextGrid. Without metadata.csv: every recording below the folder, no text; the speaker is
              the name of its folder, or for recordings in the folder itself the file name up to the first "-".
ljspeech      LJSpeech-1.1: metadata.csv `id|text|normalised text` without header, wavs/ID.wav.
vctk          VCTK 0.92 (wav48_silence_trimmed/SPEAKER/ID_mic1.flac) or older (wav48/SPEAKER/ID.wav); txt/SPEAKER/
              ID.txt.
libritts      any depth of SPEAKER/CHAPTER/ID.wav with ID.normalized.txt beside it.
librispeech   any depth of SPEAKER/CHAPTER/ID.flac with SPEAKER-CHAPTER.trans.txt beside it.

In every layout alignments/ID.TextGrid below the root is taken where it exists.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from copycat_jax.errors import UserError, nearest

AUDIO_SUFFIXES = (".wav", ".flac", ".opus", ".ogg", ".mp3")
_SUFFIX_ORDER = {suffix: order for order, suffix in enumerate(AUDIO_SUFFIXES)}


class Raw(NamedTuple):
    """An utterance as its publisher left it; the files it names may be missing or bad, which the builder finds out."""

    id: str
    speaker: str
    text: str | None
    path: Path
    alignment_path: Path | None


def read_corpus(layout: str, root: str | Path) -> list[Raw]:
    """Lists the utterances of the corpus at `root`, sorted by id.

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
    raws = sorted(_with_alignments(root, LAYOUTS[layout](root)), key=lambda raw: raw.id)
    if not raws:
        raise UserError(f"no utterances of layout '{layout}' found", str(root), "Is it the right folder and layout?")
    repeated = [name for name, count in Counter(raw.id for raw in raws).items() if count > 1]
    if repeated:
        raise UserError(f"the id '{repeated[0]}' occurs more than once", str(root), "Make ids unique.")
    return raws


def _with_alignments(root: Path, raws: Iterable[Raw]) -> Iterator[Raw]:
    folder = root / "alignments"
    known = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.TextGrid")}
    known |= {Path(name).name: path for name, path in known.items()}
    for raw in raws:
        yield raw._replace(alignment_path=known.get(raw.id, known.get(Path(raw.id).name)))


def _plain(root: Path) -> Iterator[Raw]:
    if not (root / "metadata.csv").is_file():
        yield from _untranscribed(root)
        return
    folders = [folder for folder in (root / "audio", root / "wavs", root) if folder.is_dir()]
    found = {}
    for folder in reversed(folders):  # earlier folders win
        found |= _recordings(folder, recursive=folder != root)
    table = _table(root / "metadata.csv")
    header = next(table, (0, []))[1]
    if header[:3] != ["id", "speaker", "text"]:
        raise UserError(
            f"the first line is {'|'.join(header)!r}", str(root / "metadata.csv"), "Expected id|speaker|text."
        )
    for number, row in table:
        if len(row) < 3:
            raise UserError(
                f"line {number} has {len(row)} fields", str(root / "metadata.csv"), "Expected id|speaker|text."
            )
        name, speaker, text = row[0].strip(), row[1].strip(), "|".join(row[2:]).strip()
        if not name or not speaker:
            raise UserError(f"line {number} has no id or no speaker", str(root / "metadata.csv"), "Fill them in.")
        yield Raw(name, speaker, text or None, found.get(name, folders[0] / f"{name}.wav"), None)


def _untranscribed(root: Path) -> Iterator[Raw]:
    for name, path in _recordings(root, recursive=True).items():
        inside = path.parent != root
        yield Raw(name, path.parent.name if inside else path.stem.split("-")[0], None, path, None)


def _ljspeech(root: Path) -> Iterator[Raw]:
    found = _recordings(_required(root / "wavs"))
    for number, row in _table(_required(root / "metadata.csv")):
        if len(row) < 2:
            raise UserError(
                f"line {number} has {len(row)} fields", str(root / "metadata.csv"), "Expected id|text|normalised."
            )
        text = (row[2] if len(row) > 2 and row[2].strip() else row[1]).strip()
        yield Raw(row[0], "LJ", text or None, found.get(row[0], root / "wavs" / f"{row[0]}.wav"), None)


def _vctk(root: Path) -> Iterator[Raw]:
    trimmed = root / "wav48_silence_trimmed"
    audio = trimmed if trimmed.is_dir() else _required(root / "wav48")
    texts = {path.stem: path for path in _required(root / "txt").glob("*/*.txt")}
    for folder in sorted(path for path in audio.iterdir() if path.is_dir()):
        for name, path in _recordings(folder).items():
            if name.endswith("_mic2"):  # the second microphone heard the same utterance
                continue
            name = name.removesuffix("_mic1")
            text = _text(texts[name]).strip() if name in texts else None
            yield Raw(name, folder.name, text or None, path, None)


def _libritts(root: Path) -> Iterator[Raw]:
    for path in sorted(root.rglob("*.wav")):
        beside = path.with_suffix(".normalized.txt")
        text = _text(beside).strip() if beside.is_file() else None
        yield Raw(path.stem, path.stem.split("_")[0], text or None, path, None)


def _librispeech(root: Path) -> Iterator[Raw]:
    for transcript in sorted(root.rglob("*.trans.txt")):
        found = _recordings(transcript.parent)
        for line in _text(transcript).splitlines():
            name, _, text = line.strip().partition(" ")
            if name:
                path = found.get(name, transcript.parent / f"{name}.flac")
                # Transcripts are in capitals, which normalisers read as letters to spell.
                yield Raw(name, name.split("-")[0], text.strip().lower() or None, path, None)


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


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", str(path), "Save it as UTF-8 text.") from error


def _recordings(folder: Path, recursive: bool = False) -> dict[str, Path]:
    """{path below `folder` without suffix: path} of all recordings; of a name in two formats the lossless one wins."""
    paths = [
        path for path in (folder.rglob("*") if recursive else folder.glob("*")) if path.suffix.lower() in _SUFFIX_ORDER
    ]
    paths.sort(key=lambda path: -_SUFFIX_ORDER[path.suffix.lower()])
    return dict(sorted((path.relative_to(folder).with_suffix("").as_posix(), path) for path in paths))


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of a table separated by "|", in which quotes have no meaning; empty lines are left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE), 1):
                if any(field.strip() for field in row):
                    yield number, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read ({error})", str(path), "Save it as UTF-8 text.") from error
