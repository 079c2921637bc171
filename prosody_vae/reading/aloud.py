"""Reading aloud: a text, the prosody of every sentence chosen from the space, one long recording (Tyagi section 3).

    ReadAloud(by="syntactic").read("book.txt", "book.wav")

Sentences are chosen paragraph by paragraph (`selection.continuity`) and spoken one at a time. Between the end of one
and the start of the next lies a pause by the mark that ends the first, or by what ends with it, whichever is longer
(PAUSES_S). The level is the model's own throughout: no sentence is normalised by its peak, so none jumps out; what
would exceed full scale is bent (`audio.loudness.limit`).

Chapters are the units of resumption: each is kept in OUT.parts/ under a key of its text and of everything that decides
how it sounds, and a run that finds it there goes on behind it. Beside OUT.wav, OUT.json says what was chosen and why.
A sentence without a word (a row of asterisks, emoji alone) is left out, and the JSON says so.
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from copycat_jax import __version__, console
from copycat_jax.audio.signal import WavWriter
from copycat_jax.bundle.bundle import Bundle
from copycat_jax.errors import UserError
from copycat_jax.files import check_file, write_json
from copycat_jax.text.normalize import spoken_words
from copycat_jax.vocoder.registry import DEFAULT_VOCODER
from prosody_vae.linguistics.document import (
    Chapter,
    Document,
    check_sentence,
    read_document,
    split_sentences,
    words_of_sentence,
)
from prosody_vae.reading.wav_parts import Part, Parts
from prosody_vae.selection.continuity import check_lsw
from prosody_vae.selection.opening import open_selector
from prosody_vae.selection.ways import way_named
from prosody_vae.space.table import ProsodySpace
from prosody_vae.tts.plan import EDGE_PAUSE_S, check_rate

if TYPE_CHECKING:
    from prosody_vae.selection.selector import Selector
    from prosody_vae.tts.voice import Voice

# Seconds from the last sound of a sentence to the first of the next, by what the sentence ends with.
PAUSES_S = {".": 0.5, "!": 0.5, "?": 0.6, "…": 0.7, ",": 0.25, ";": 0.35, ":": 0.4, "—": 0.3, "–": 0.3, "-": 0.3}
OTHER_S, PARAGRAPH_S, TITLE_S, CHAPTER_S = 0.5, 0.9, 1.2, 2.0
_CLOSING = "\"'”’»)]}*_ "


class SpokenText(NamedTuple):
    """A short text read aloud, in memory."""

    samples: np.ndarray  # float32 [N]
    sample_rate: int
    sentences: list[dict[str, Any]]  # as in the JSON of a reading


class Reading(NamedTuple):
    """What `ReadAloud.read` wrote."""

    path: Path
    about: Path  # the JSON beside it
    seconds: float
    sentences: int  # spoken
    skipped: int  # without anything to speak
    resumed: int  # chapters found finished


class ReadAloud:
    """Text in, long recording out.

    Args:
      bundle: the voice: a folder, a Bundle, or the one that ships.
      space: the prosody space, built with that bundle: a folder, a ProsodySpace, or the one that ships.
      by: how to choose, a name of `selection.ways.WAYS`.
      lsw: the weight of language against acoustic continuity, 0..1.
      exact: the best path over each paragraph instead of the paper's greedy one.
      scaled: acoustic distances in units of the space's mean pairwise distance.
      ties: which of several recordings that score alike is taken, a name of `selection.ties.TIES`; by default the one
        whose sentence vector is closest, where an encoder is installed, else as the way has it.
      rate: how many times faster than the model would speak.
      speaker: a voice of the bundle; by default the space's, where that is one of them, else the bundle's first.
      vocoder: a name of `vocoder.registry.VOCODERS`, or a HiFi-GAN checkpoint.
      voice: anything with `speak`, `sample_rate` and `fingerprint`, in place of the bundle's.
      selector: a Selector, or anything with `paragraph`, in place of one over `space`.

    Raises:
      UserError: unusable or unmatched bundle and space, unknown choice or speaker, a bad weight or rate, a missing
        parser or encoder.
    """

    def __init__(
        self,
        bundle: str | Path | Bundle | None = None,
        space: str | Path | ProsodySpace | None = None,
        by: str = "syntactic",
        *,
        lsw: float = 0.9,
        exact: bool = False,
        scaled: bool = False,
        ties: str | None = None,
        rate: float = 1.0,
        speaker: str | None = None,
        vocoder: str | Path = DEFAULT_VOCODER,
        voice: "Voice | Any" = None,
        selector: "Selector | Any" = None,
    ):
        check_lsw(lsw)
        check_rate(rate)
        if voice is None:
            from prosody_vae.tts.voice import open_voice

            voice = open_voice(bundle, vocoder)
        way_named(by)
        selector = open_selector(space) if selector is None else selector
        self.voice, self.by, self.rate = voice, by, rate
        table, chosen_with = getattr(selector, "space", None), "given"
        if table is not None:
            table.check_bundle(voice.bundle)
            speaker = home_speaker(table, voice.speakers) if speaker is None else speaker
            ties = selector.finest_ties(by) if ties is None else ties
            chosen_with = dataclasses.asdict(table.info) | {"used": selector.used(by, ties)}
        self._path = {"lsw": lsw, "scaled": scaled, "exact": exact, "ties": ties}
        self.selector = selector
        self.speaker = voice.check_speaker(speaker) if hasattr(voice, "check_speaker") else speaker
        self.settings: dict[str, Any] = {
            "bundle": voice.fingerprint,
            "space": chosen_with,
            "speaker": self.speaker,
            "by": by,
            **self._path,
            "rate": rate,
            "vocoder": str(vocoder),
            "version": __version__,
        }

    def say(self, text: str) -> SpokenText:
        """Reads a short text, one paragraph, into memory; raises UserError where it holds nothing to speak."""
        sentences = split_sentences(text)
        spoken = [sentence for sentence in sentences if _speakable(sentence)]
        for sentence in spoken or [text]:
            check_sentence(sentence)
        if not spoken:
            raise UserError(f"nothing in the text '{text[:40]}' can be spoken", remedy="Give words, not symbols.")
        memory = _Memory(self.voice.sample_rate)
        about = list(self._paragraph(sentences, memory, 0.0))
        return SpokenText(np.concatenate(memory.blocks), memory.rate, about)

    def read(self, document: str | Path | Document, out: str | Path) -> Reading:
        """Reads a document (a text or Markdown file, or one read already) into the wav file `out`.

        Raises:
          UserError: an unreadable or empty document, a sentence beyond all bounds, a missing parser or encoder, a place
            that cannot be written.
        """
        where = str(document) if not isinstance(document, Document) else document.title
        document = document if isinstance(document, Document) else read_document(document)
        if document.title:  # spoken first
            title = Chapter(document.title, ())
            document = document._replace(chapters=(title, *document.chapters))
        total = _checked(document, where)
        parts = Parts(check_file(out, ".wav"), self.voice.sample_rate)
        done, resumed = [], 0
        try:
            with console.progress_bar("reading", total=total, unit="sentence") as bar:
                for number, chapter in enumerate(document.chapters):
                    last = number == len(document.chapters) - 1
                    key = _key({"settings": self.settings, "chapter": _plain(chapter), "last": last})
                    part = parts.finished(number, key)
                    if part is not None:
                        resumed += 1
                        bar.update(len(part.about["sentences"]))
                    else:
                        bar.set_postfix_str(chapter.title[:24])
                        part = self._chapter(chapter, parts, number, key, last, bar)
                    done.append(part)
                parts.join(done)
        finally:
            parts.remove_empty()
        about, rate = Path(out).with_suffix(".json"), self.voice.sample_rate
        write_json(about, _account(document.title, self.settings, done, rate))
        parts.remove()
        rows = [row for part in done for row in part.about["sentences"]]
        skipped = sum("skipped" in row for row in rows)
        seconds = sum(part.samples for part in done) / rate
        return Reading(Path(out), about, seconds, len(rows) - skipped, skipped, resumed)

    def _chapter(self, chapter: Chapter, parts: Parts, number: int, key: str, last: bool, bar) -> Part:
        about: dict[str, Any] = {"title": chapter.title, "sentences": []}
        paragraphs = [([chapter.title], TITLE_S)] if chapter.title and _speakable(chapter.title) else []
        paragraphs += [(list(paragraph.sentences), PARAGRAPH_S) for paragraph in chapter.paragraphs]
        with parts.writing(number, key, about) as writer:
            for i, (sentences, pause) in enumerate(paragraphs):
                ends = i == len(paragraphs) - 1
                for row in self._paragraph(sentences, writer, (0.0 if last else CHAPTER_S) if ends else pause):
                    about["sentences"].append({"paragraph": i, **row})
                    bar.update()
        return parts.part(number, writer.samples, about)

    def _paragraph(self, sentences: Sequence[str], writer: "WavWriter | _Memory", pause_s: float) -> Iterator[dict]:
        """Speaks the sentences of a paragraph one by one into `writer`, each with its pause; yields their accounts."""
        spoken = [text for text in sentences if _speakable(text)]
        choices = iter(self.selector.paragraph(spoken, self.by, **self._path) if spoken else [])
        left = len(spoken)
        for text in sentences:
            if not _speakable(text):
                yield {"text": text, "skipped": "nothing in it can be spoken"}
                continue
            choice = next(choices)
            speech = self.voice.speak(text, choice.embedding, self.speaker, self.rate)
            start, left = writer.seconds, left - 1
            writer.write(speech.samples)
            end = writer.seconds
            writer.silence(pause_after(text, pause_s if left == 0 else 0.0) / self.rate - 2 * EDGE_PAUSE_S)
            why = {name: value for name, value in choice.to_dict().items() if name != "embedding"}
            yield {"start_s": round(start, 4), "end_s": round(end, 4), **why}


class _Memory:
    """Takes samples as a `audio.signal.WavWriter` does, and keeps them."""

    def __init__(self, rate: int):
        self.rate, self.blocks, self.samples = rate, [], 0

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    def write(self, samples: np.ndarray) -> None:
        self.blocks.append(samples)
        self.samples += len(samples)

    def silence(self, seconds: float) -> None:
        self.write(np.zeros(max(0, round(seconds * self.rate)), np.float32))


def pause_after(text: str, at_least_s: float = 0.0) -> float:
    """Seconds of silence after a sentence: by its last mark, closing quotes aside, but at least `at_least_s`."""
    bare = text.rstrip(_CLOSING)
    return max(PAUSES_S.get(bare[-1:], OTHER_S), at_least_s)


def home_speaker(space: ProsodySpace, known: Iterable[str]) -> str | None:
    """The voice that most of the space was spoken in, the first of equals; None where the bundle does not know it."""
    spoken, _ = Counter(space.speakers).most_common(1)[0]
    return spoken if spoken in known else None


def _speakable(text: str) -> bool:
    return bool(words_of_sentence(text)) and bool(spoken_words(text))


def _checked(document: Document, where: str) -> int:
    """The number of sentences; raises UserError, before any work, for one that is too long or if none can be spoken."""
    total, spoken = 0, 0
    for chapter in document.chapters:
        total += bool(chapter.title and _speakable(chapter.title))
        for text in (text for paragraph in chapter.paragraphs for text in paragraph.sentences):
            total += 1
            if _speakable(text):
                spoken += 1
                check_sentence(text)
    if not spoken:
        raise UserError("holds nothing that can be spoken", where, "Give a text in English.")
    return total


def _plain(chapter) -> dict[str, Any]:
    return {"title": chapter.title, "paragraphs": [list(paragraph.sentences) for paragraph in chapter.paragraphs]}


def _key(value: object) -> str:
    pauses = [PAUSES_S, OTHER_S, PARAGRAPH_S, TITLE_S, CHAPTER_S]
    return hashlib.sha256(json.dumps([value, pauses], sort_keys=True, default=str).encode()).hexdigest()


def _account(title: str, settings: dict[str, Any], parts: Sequence[Part], rate: int) -> dict[str, Any]:
    """The JSON of a reading; times of a part are moved to where it lies in the whole."""
    chapters, before = [], 0
    for part in parts:
        start = before / rate
        rows = []
        for row in part.about["sentences"]:
            moved = {name: round(row[name] + start, 4) for name in ("start_s", "end_s") if name in row}
            rows.append(row | moved)
        chapters.append({"title": part.about["title"], "start_s": round(start, 4), "sentences": rows})
        before += part.samples
    return {
        "comment": "synthetic speech",
        "title": title,
        "seconds": round(before / rate, 4),
        "sample_rate": rate,
        "settings": settings,
        "chapters": chapters,
    }
