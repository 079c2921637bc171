"""Suites: what every system is asked to say, and against what it is held; how the suites of this project are made.

A suite is a manifest that anyone can write for a corpus of theirs: JSON lines, paths relative to its folder. Fields:

  id            names the clip; a system's recording of it is ID.wav (required, each once)
  source        the recording to transfer (required)
  voice         the voice that it should have (required)
  text          what is said; without it no system that reads text can speak, and no words are counted
  source_voice  whose the source is; sources are resampled for intervals (default: every source its own)
  sentence      clips that say the same; sentences are resampled for intervals (default: every clip its own)
  truth         the same words and prosody spoken by `voice` itself, where that exists; an .npz of the same name with
                `f0_hz_12p5ms` beside it is its exact F0 curve
  other         another take of the same words by the source's speaker, for the system `other-take`
  group         a kind of sentence or corpus; tables and pictures have a part for each

NAME.voices.jsonl beside NAME.jsonl says what the voices sound like, sources' included: rows of `voice` and `path`.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from copycat_jax.corpus import table
from copycat_jax.corpus.utterance import text_key
from copycat_jax.errors import UserError, nearest
from copycat_jax.evaluate.metrics import Row
from copycat_jax.evaluate.report import PATHS, RECORDINGS, read_rows
from copycat_jax.files import write_text

NEEDS = ("id", "source", "voice")
VOICE_CLIPS = 20  # recordings that tell what a voice sounds like
HUMAN_TARGETS = 2  # voices that each human recording is given
HELD_OUT = ("arctic_b04", "arctic_b05")  # Kathleen's prompts that nothing was trained on
SELECTION = "The selectors are compared by `prosody evaluate`: by category with --test-labels."


class Suite(NamedTuple):
    """What is asked of systems: rows with the fields above, paths found, and the manifest of voices."""

    name: str
    rows: list[Row]
    voices: list[Row]


def read_suite(path: str | Path, voices: str | Path | None = None, root: str | Path | None = None) -> Suite:
    """Reads a suite and its voices.

    Args:
      path: the manifest.
      voices: the manifest of voices; by default what lies beside the suite under its name, if anything does.
      root: the folder that paths start from; by default each manifest's own.

    Raises:
      UserError: a file or field that is missing, an id that stands twice or is no file's name.
    """
    path = Path(path)
    rows = read_rows(path, NEEDS, root)
    check_ids(rows, str(path))
    beside = path.with_suffix(".voices.jsonl")
    voices = voices or (beside if beside.is_file() else None)
    return Suite(path.stem, rows, read_rows(voices, ("voice", "path"), root) if voices else [])


def check_ids(rows: Sequence[Row], where: str) -> None:
    """Raises UserError for an id that stands twice, or that could not name a file."""
    seen: set[str] = set()
    for row in rows:
        name = str(row["id"])
        if name in seen:
            raise UserError(f"the id '{name}' stands twice", where, "Give every clip its own.")
        if Path(name).name != name or name.startswith("."):
            raise UserError(f"the id '{name}' cannot name a file", where, "Use a name without slashes.")
        seen.add(name)


def suite_of_folder(folder: str | Path, role: str = "truth") -> Suite:
    """A suite of a folder of references: each recording is what a system's recording of its name is held against.

    Args:
      folder: of recordings.
      role: what they are: "truth" (the right voice with the right prosody) or "source" (what was transferred).

    Raises:
      UserError: no such folder, or no recording in it.
    """
    folder, recordings = Path(folder), recordings_of(folder)
    rows = [{"id": stem, role: path, "voice": "", "sentence": stem} for stem, path in recordings.items()]
    if not rows:
        raise UserError("no recordings", str(folder), f"Name a folder of {', '.join(RECORDINGS)}.")
    return Suite(folder.name or "references", rows, [])


def recordings_of(folder: str | Path) -> dict[str, Path]:
    """The recordings of a folder by their names without endings; UserError if there is none, or two share a name."""
    folder, found = Path(folder), {}
    if not folder.is_dir():
        raise UserError("no such folder", str(folder), "Name a folder of recordings.")
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in RECORDINGS:
            if path.stem in found:
                raise UserError(f"{path.name} and {found[path.stem].name} share a name", str(folder), "Keep one.")
            found[path.stem] = path
    return found


def write_suite(suite: Suite, path: str | Path) -> None:
    """Writes a suite and its voices, paths relative to their folder."""
    path = Path(path)
    base = path.absolute().parent

    def lines(rows: Iterable[Row]) -> str:
        def field(name: str, value: object) -> object:
            return os.path.relpath(str(value), base) if name in (*PATHS, "path") else value

        return "".join(json.dumps({n: field(n, v) for n, v in row.items()}, ensure_ascii=False) + "\n" for row in rows)

    write_text(path.with_suffix(".voices.jsonl"), lines(suite.voices))
    write_text(path, lines(suite.rows))


# --- The suites of this project.


def make_suite(name: str, corpora: str | Path) -> Suite:
    """One of `SUITES`, from a folder of corpora: kokoro, kathleen, librispeech_mini, vctk_mini, ljspeech_mini.

    Raises:
      UserError: an unknown name, or a corpus that is missing or incomplete.
    """
    if name == "selection":
        raise UserError("sentences and long form have no sources", "selection", SELECTION)
    if name not in SUITES:
        raise UserError(f"no suite '{name}'", remedy=nearest(name, SUITES) or f"Known: {', '.join(SUITES)}.")
    folder = Path(corpora)
    if not folder.is_dir():
        raise UserError("no such folder", f"--corpora {corpora}", "Name the folder that holds the corpora.")
    return SUITES[name](name, folder)


def _gold(corpus_set: str) -> Callable[[str, Path], Suite]:
    """Sentences of sources never heard, and their truth: the target's voice rendered with the source's prosody."""

    def make(name: str, corpora: Path) -> Suite:
        folder, rows, voices = corpora / "kokoro", [], _kokoro_voices(corpora)
        for clip in _rendered(corpora, corpus_set):
            sentence, timbre, prosody = clip["id"].split("__")[0], clip["timbre"], clip["prosody"]
            if timbre == prosody:
                voices.append({"voice": timbre, "path": _recording(folder / corpus_set, clip["id"])})
                continue
            source = _recording(folder / corpus_set, f"{sentence}__{prosody}")
            rows.append(
                {
                    "id": clip["id"],
                    "source": source,
                    "source_voice": prosody,
                    "voice": timbre,
                    "text": clip["text"],
                    "truth": _recording(folder / corpus_set, clip["id"]),
                    "sentence": sentence,
                    # cpe_wh_0: a question of the second paper's kinds; all others are read prose.
                    "group": sentence.split("_")[1] if sentence.startswith("cpe_") else "prose",
                }
            )
        return Suite(name, rows, voices)

    return make


def _human(name: str, corpora: Path) -> Suite:
    """Human recordings that nothing was trained on, each in `HUMAN_TARGETS` of the rendered voices, in turn."""
    voices = _kokoro_voices(corpora)
    targets, rows = sorted({str(row["voice"]) for row in voices}), []
    for corpus in ("librispeech", "vctk", "ljspeech"):
        folder = corpora / f"{corpus}_mini"
        for clip in _table(folder):
            source = _recording(folder / "audio", clip.id)
            voices.append({"voice": clip.speaker, "path": source})
            for step in range(HUMAN_TARGETS):
                # Half the voices apart, so that the two are of different kinds wherever the list is sorted by kind.
                place = len(rows) // HUMAN_TARGETS + step * (len(targets) // HUMAN_TARGETS)
                target = targets[place % len(targets)]
                rows.append(
                    {
                        "id": f"{clip.id}__{target}",
                        "source": source,
                        "source_voice": clip.speaker,
                        "voice": target,
                        "text": clip.text,
                        "sentence": text_key(clip.text or ""),
                        "group": corpus,
                    }
                )
    return Suite(name, rows, voices)


def _parallel_takes(name: str, corpora: Path) -> Suite:
    """Repeated takes of prompts held out: each take in its own speaker's voice, its truth itself, another take beside.

    Whoever follows the take comes nearer to it than the other take does; whoever reads the words alone does not.
    """
    folder, takes = corpora / "kathleen", defaultdict(list)
    rows, voices = [], _kokoro_voices(corpora)
    for clip in _table(folder):
        if clip.id.startswith(HELD_OUT):
            takes[clip.id.rsplit("_", 1)[0], text_key(clip.text or "")].append(clip)
        elif sum(row["voice"] == clip.speaker for row in voices) < VOICE_CLIPS:
            voices.append({"voice": clip.speaker, "path": _recording(folder / "audio", clip.id)})
    for (prompt, _), clips in takes.items():
        for place, clip in enumerate(clips if len(clips) > 1 else []):
            recording = _recording(folder / "audio", clip.id)
            rows.append(
                {
                    "id": clip.id,
                    "source": recording,
                    "source_voice": clip.speaker,
                    "voice": clip.speaker,
                    "text": clip.text,
                    "truth": recording,
                    "other": _recording(folder / "audio", clips[place - 1].id),
                    "sentence": prompt,
                }
            )
    return Suite(name, rows, voices)


SUITES: Mapping[str, Callable[[str, Path], Suite]] = {
    "gold": _gold("gold_public"),
    "gold-dev": _gold("gold_dev"),
    "human": _human,
    "parallel-takes": _parallel_takes,
}


def _rendered(corpora: Path, corpus_set: str) -> list[Row]:
    """The clips of one set of the rendered corpus."""
    path = corpora / "kokoro" / "metadata.jsonl"
    clips = [row for row in read_rows(path, ("set", "id", "timbre", "prosody", "text")) if row["set"] == corpus_set]
    if not clips:
        raise UserError(f"no clips of set '{corpus_set}'", str(path), "Name the folder that holds the whole corpus.")
    return clips


def _kokoro_voices(corpora: Path) -> list[Row]:
    """What the rendered target voices sound like."""
    found = defaultdict(list)
    for clip in _rendered(corpora, "voices"):
        if len(found[clip["timbre"]]) < VOICE_CLIPS:
            found[clip["timbre"]].append(_recording(corpora / "kokoro" / "voices", clip["id"]))
    return [{"voice": voice, "path": path} for voice, paths in found.items() for path in paths]


def _table(folder: Path) -> Iterator[table.Row]:
    """The rows of a corpus's metadata.csv."""
    if not (path := folder / "metadata.csv").is_file():
        raise UserError("no such file", str(path), "Name the folder that holds the corpora (--corpora).")
    return table.read_rows(path)


def _recording(folder: Path, name: str) -> Path:
    for ending in RECORDINGS:
        if (path := folder / f"{name}{ending}").is_file():
            return path
    raise UserError(f"no recording '{name}'", str(folder), "The corpus is incomplete.")
