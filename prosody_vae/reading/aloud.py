"""Reading aloud: a text, the prosody of every sentence chosen from the space, one long recording (Tyagi section 3).

    ReadAloud(by="syntactic").read("book.txt", "book.wav")

First every sentence is chosen for, paragraph by paragraph (`selection.continuity`), so that whatever can be refused is
refused before a word is spoken. Then the sentences are spoken one at a time, with pauses between them (`passages`). The
level is the model's own throughout: no sentence is normalised by its peak, so none jumps out; what would exceed full
scale is bent (`audio.loudness.limit`).

Titles and paragraphs are the units of resumption: each is kept in OUT.parts (`wav_parts`) under a key of its text, of
what was chosen for it and of everything else that decides how it sounds, and a run that finds it there speaks the next.
Beside the recording, OUT.json says what was chosen and why (`account`).
"""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from copycat_jax import __version__, console
from copycat_jax.audio.encoding import check_sound_file
from copycat_jax.audio.signal import WavWriter
from copycat_jax.bundle.bundle import Bundle
from copycat_jax.errors import UserError
from copycat_jax.files import plain, write_json
from copycat_jax.prosody.timestamps import check_timestamps, write_timestamps
from copycat_jax.prosody.values import Prosody, Sentence, SentenceTimes, sentence_times
from copycat_jax.text.lexicon import Lexicon
from copycat_jax.vocoder.registry import DEFAULT_VOCODER
from prosody_vae.linguistics.document import Document, check_sentence, read_document, split_sentences
from prosody_vae.reading.account import account, check_account, rows_of, times_in
from prosody_vae.reading.passages import Passage, chapter_titles, check_passages, passages_of, pause_after
from prosody_vae.reading.wav_parts import Part, Parts
from prosody_vae.selection.choice import Choice
from prosody_vae.selection.continuity import check_lsw
from prosody_vae.selection.opening import open_selector
from prosody_vae.selection.ways import way_named
from prosody_vae.space.table import ProsodySpace
from prosody_vae.tts.plan import EDGE_PAUSE_S, SpeechPlan, check_rate
from prosody_vae.tts.prosody import to_plan, to_sentence

if TYPE_CHECKING:
    from prosody_vae.selection.selector import Selector
    from prosody_vae.tts.voice import Voice


PART_VERSION = 2  # of what is noted of a part: times of words since 2


class SpokenText(NamedTuple):
    """A short text read aloud, in memory."""

    samples: np.ndarray  # float32 [N]
    sample_rate: int
    sentences: list[dict[str, Any]]  # as in the JSON of a reading
    prosody: Prosody  # as it was spoken; its times are those of the samples


class Reading(NamedTuple):
    """What `ReadAloud.read` wrote."""

    path: Path
    about: Path  # the JSON beside it
    seconds: float
    sentences: int  # spoken
    skipped: int  # without anything to speak
    resumed: int  # titles and paragraphs found finished


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
      lock: the id of the utterance that every sentence is spoken like, whatever `by`; or {number of a sentence among
        all that are spoken, from 1: id}.
      exclude: ids never to choose.
      lexicon: pronunciations that go before all others.
      rate: how many times faster than the model would speak.
      speaker: a voice of the bundle; by default the space's, where that is one of them, else the bundle's first.
      vocoder: a name of `vocoder.registry.VOCODERS`, or a HiFi-GAN checkpoint.
      voice: anything with what `Voice` has and is used here, in place of the bundle's.
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
        lock: str | Mapping[int, str] | None = None,
        exclude: Sequence[str] = (),
        lexicon: Lexicon | None = None,
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
        self.voice, self.by, self.rate, self.lexicon = voice, by, rate, lexicon
        table, chosen_with = getattr(selector, "space", None), "given"
        if table is not None:
            table.check_bundle(voice.bundle)
            speaker = home_speaker(table, voice.speakers) if speaker is None else speaker
            ties = selector.finest_ties(by) if ties is None else ties
            chosen_with = dataclasses.asdict(table.info) | {"used": selector.used(by, ties)}
        self._path: dict[str, Any] = {"lsw": lsw, "scaled": scaled, "exact": exact, "ties": ties}
        self._path |= {"exclude": list(exclude)} if exclude else {}
        self.lock, self.selector = lock, selector
        self.speaker = voice.check_speaker(speaker) if hasattr(voice, "check_speaker") else speaker
        self.settings: dict[str, Any] = {
            "bundle": voice.fingerprint,
            "space": chosen_with,
            "speaker": self.speaker,
            "by": by,
            **self._path,
            "lock": lock,
            "lexicon": None if lexicon is None else _hash(lexicon.entries),
            "rate": rate,
            "vocoder": str(vocoder),
            "version": __version__,
        }

    def say(self, text: str, edit: Callable[[Prosody], Prosody] = lambda prosody: prosody) -> SpokenText:
        """Reads a short text, one paragraph, into memory, its prosody changed by `edit`.

        Raises:
          UserError: it holds nothing to speak, or `edit` refuses.
        """
        passage, choices = self._chosen(text)
        said = self.speak(edit(self._planned(passage, choices)))
        spans_s = [(row["start_s"], row["end_s"]) for row in said.sentences]
        return said._replace(sentences=list(rows_of(passage, choices, spans_s, 1)))

    def plan(self, text: str) -> Prosody:
        """The prosody that `say` would speak a text with; raises UserError where it holds nothing to speak."""
        return self._planned(*self._chosen(text))

    def speak(self, prosody: Prosody) -> SpokenText:
        """Speaks a prosody: of `plan`, of a file, or of a recording; samples of `plan` are those of `say` to the bit.

        A sentence without an embedding is given one that is chosen for its text. The speaker is the reader's own.

        Raises:
          UserError: embeddings of another bundle, or a phone without F0 or energy.
        """
        if prosody.bundle and prosody.bundle != self.voice.fingerprint and any(s.embedding for s in prosody.sentences):
            remedy = "Name that bundle (--bundle), or empty its embeddings to have others chosen."
            raise UserError("its embeddings are of another bundle", "prosody", remedy)
        bare = [i for i, sentence in enumerate(prosody.sentences) if not sentence.embedding]
        sentences = list(prosody.sentences)
        if bare:
            passage = Passage(0, 0, tuple(sentences[i].text for i in bare), 0.0)
            (choices,) = self._choose([passage])
            for i, choice in zip(bare, choices, strict=True):
                sentences[i] = with_choice(sentences[i], choice)
        prosody = prosody._replace(
            sentences=tuple(sentences), bundle=self.voice.fingerprint, speaker=self.speaker or ""
        )
        memory, rows = _Memory(self.voice.sample_rate), []
        for number, sentence in enumerate(prosody.sentences, 1):
            (speech,) = self.voice.render(
                [to_plan(sentence, prosody.frame_s)], [np.array(sentence.embedding, np.float32)], self.speaker, batch=1
            )
            start_s = memory.seconds
            memory.write(speech.samples)
            rows.append({"sentence": number, "text": sentence.text, "start_s": start_s, "end_s": memory.seconds})
            memory.silence(sentence.silence_s)
        return SpokenText(np.concatenate(memory.blocks), memory.rate, rows, prosody)

    def read(
        self,
        document: str | Path | Document,
        out: str | Path,
        inputs: Sequence[str | Path] = (),
        timestamps: str | Path | None = None,
    ) -> Reading:
        """Reads a document (a file, see `read_document`, or one read already) into the recording `out`.

        Args:
          document: what is read.
          out: where it is written, in the format of its ending, a key of `audio.encoding.ENCODINGS`.
          inputs: other files that must not be replaced.
          timestamps: where to write when words and phones are spoken, see `prosody.timestamps`.

        Raises:
          UserError: an unreadable or empty document, something that cannot be spoken, a missing parser or encoder, a
            place that cannot be written, holds what is not ours, or is being written by another run. All but a full
            disk is raised before any work.
        """
        where = document.title if isinstance(document, Document) else str(document)
        inputs = (*inputs, *(() if isinstance(document, Document) else (document,)))
        out = check_sound_file(out, inputs)
        about, parts = check_account(out, inputs), Parts(out, self.voice.sample_rate)
        timestamps = None if timestamps is None else check_timestamps(timestamps, inputs, (about,))
        document = document if isinstance(document, Document) else read_document(document)
        with parts.held():
            passages, choices = self.choose(document, where)
            titles, done, resumed = chapter_titles(document), [], 0
            with console.progress_bar("reading", total=sum(map(len, choices)), unit="sentence") as bar:
                for passage, chosen in zip(passages, choices, strict=True):
                    key = self._key(passage, chosen)
                    part = parts.finished(key)
                    resumed += part is not None
                    if part is None:
                        bar.set_postfix_str(titles[passage.chapter][:24])
                        part = self._part(passage, chosen, parts, key)
                    bar.update(len(chosen))
                    done.append(part)
                parts.join(done)
            rate = self.voice.sample_rate
            of_it = {"title": document.title, "unread": [part._asdict() for part in document.unread]}
            write_json(about, of_it | account(titles, self.settings, passages, choices, done, rate))
            if timestamps is not None:
                write_timestamps(timestamps, times_in(done, rate), sum(part.samples for part in done) / rate)
            parts.remove()
        spoken = sum(map(len, choices))
        skipped = sum(len(passage.sentences) for passage in passages) - spoken
        return Reading(out, about, sum(part.samples for part in done) / rate, spoken, skipped, resumed)

    def choose(self, document: Document, where: str = "") -> tuple[list[Passage], list[list[Choice]]]:
        """What a document is spoken as, and what is chosen for the spoken sentences of every passage.

        Raises:
          UserError: whatever `read` refuses, but for the files.
        """
        passages = passages_of(document)
        check_passages(passages, where or document.title, self.lexicon)
        return passages, self._choose(passages)

    def _chosen(self, text: str) -> tuple[Passage, list[Choice]]:
        """A short text as one paragraph, and what is chosen for its sentences."""
        passage = Passage(0, 0, tuple(split_sentences(text)), 0.0)
        for sentence in passage.spoken or [text]:
            check_sentence(sentence)
        if not passage.spoken:
            raise UserError(f"nothing in the text '{text[:40]}' can be spoken", remedy="Give words, not symbols.")
        check_passages([passage], "", self.lexicon)
        (choices,) = self._choose([passage])
        return passage, choices

    def _planned(self, passage: Passage, choices: Sequence[Choice]) -> Prosody:
        """The prosody of a passage, sentence by sentence."""
        sentences = tuple(sentence for sentence, _ in self._sentences(passage, choices))
        return Prosody(sentences, self.voice.spec.hop_s, self.voice.fingerprint, self.speaker or "")

    def _sentences(self, passage: Passage, choices: Sequence[Choice]) -> Iterator[tuple[Sentence, SpeechPlan]]:
        """Every sentence of a passage with its prosody, and the same as a plan."""
        texts, frame_s, rate = passage.spoken, self.voice.spec.hop_s, self.voice.sample_rate
        for i, (text, choice) in enumerate(zip(texts, choices, strict=True), 1):
            (plan,) = self.voice.predict([text], [choice.embedding], self.speaker, self.rate, self.lexicon)
            pause_s = pause_after(text, passage.pause_s if i == len(texts) else 0.0) / self.rate - 2 * EDGE_PAUSE_S
            sentence = to_sentence(plan, text, frame_s, self.lexicon)
            silence_s = max(0, round(pause_s * rate)) / rate
            yield with_choice(sentence._replace(silence_s=silence_s), choice), plan

    def _choose(self, passages: Sequence[Passage]) -> list[list[Choice]]:
        spoken = [passage.spoken for passage in passages]
        total = sum(map(len, spoken))
        locks = {} if self.lock is None else self.lock
        locks = dict.fromkeys(range(1, total + 1), locks) if isinstance(locks, str) else locks
        for number in locks:
            if not 1 <= number <= total:
                raise UserError(f"there is no sentence {number}", "lock", f"Sentences are numbered 1 to {total}.")
        if hasattr(self.selector, "analyse"):
            self.selector.analyse([text for texts in spoken for text in texts], self.by, self._path["ties"])
        choices, first = [], 1
        for texts in console.progress(spoken, "choosing", total=len(spoken), unit="paragraph"):
            lock = {i: locks[first + i] for i in range(len(texts)) if first + i in locks}
            options: dict[str, Any] = self._path | ({"lock": lock} if lock else {})
            choices.append(list(self.selector.paragraph(texts, self.by, **options)) if texts else [])
            first += len(texts)
        return choices

    def _part(self, passage: Passage, choices: Sequence[Choice], parts: Parts, key: str) -> Part:
        about: dict[str, Any] = {}
        with parts.writing(key, about) as writer:
            about["spans_s"], times = self._speak(passage, choices, writer)
            about["times"] = plain(times)
        return parts.part(key, writer.samples, about)

    def _speak(
        self, passage: Passage, choices: Sequence[Choice], writer: "WavWriter | _Memory"
    ) -> tuple[list[tuple[float, float]], list[SentenceTimes]]:
        """Speaks a passage sentence by sentence into `writer`, each with its pause; returns where each sounds."""
        spans_s, times = [], []
        for (sentence, plan), choice in zip(self._sentences(passage, choices), choices, strict=True):
            (speech,) = self.voice.render([plan], [choice.embedding], self.speaker, batch=1)
            start = writer.seconds
            writer.write(speech.samples)
            spans_s.append((start, writer.seconds))
            times.append(sentence_times(sentence).moved(start))
            writer.silence(sentence.silence_s)
        return spans_s, times

    def _key(self, passage: Passage, choices: Sequence[Choice]) -> str:
        """Of all that decides how a passage sounds: how the pauses come out, what was chosen, and by what."""
        pauses_s = [pause_after(text) for text in passage.spoken]
        chosen = [np.asarray(choice.embedding, np.float64).round(6).tolist() for choice in choices]
        return _hash([PART_VERSION, self.settings, passage.spoken, passage.pause_s, pauses_s, chosen])[:32]


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


def with_choice(sentence: Sentence, choice: Choice) -> Sentence:
    """A sentence that is spoken as was chosen."""
    embedding = tuple(np.asarray(choice.embedding, np.float32).tolist())
    return sentence._replace(embedding=embedding, like=choice.entries[0].id if choice.entries else "")


def home_speaker(space: ProsodySpace, known: Iterable[str]) -> str | None:
    """The voice that most of the space was spoken in, the first of equals; None where the bundle does not know it."""
    spoken, _ = Counter(space.speakers).most_common(1)[0]
    return spoken if spoken in known else None


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
