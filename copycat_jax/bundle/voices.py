"""What goes into a bundle beside weights: its voices, from a corpus, and the model card."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from copycat_jax.audio.pitch import TRACKERS, VOCODER
from copycat_jax.bundle.bundle import Speaker, flatten
from copycat_jax.corpus import corpus as corpora
from copycat_jax.corpus.corpus import Corpus
from copycat_jax.cosine import cosine
from copycat_jax.errors import UserError, nearest
from copycat_jax.mel_spec import MelSpec


def make_speaker(
    corpus: Corpus, name: str, registers: Mapping[str, float], heard: Mapping[str, tuple[float, float]]
) -> Speaker:
    """A voice from a corpus: the mean of its utterances' vectors, its register and spread.

    Args:
      corpus: a corpus with speaker vectors.
      name: one of its speakers.
      registers: Hz by name, where they are known better than by the corpus.
      heard: (register in Hz, spread in semitones) by name, where the vocoder measured them (`vocoder.hearing`).

    Raises:
      UserError: no such speaker, a corpus without speaker vectors, or a voice without a known register.
    """
    if name not in corpus.info.speakers:
        remedy = f"{nearest(name, corpus.speakers)} Known: {', '.join(corpus.speakers[:20])}."
        raise UserError(f"unknown speaker '{name}'", "--voices", remedy)
    if corpus.speaker_vectors is None:
        raise UserError("the corpus has no speaker vectors", "--corpus", "Run `copycat embed` on it.")
    own, statistics = corpus.speaker == corpus.speakers.index(name), corpus.info.speakers[name]
    register, spread = heard.get(name, (statistics.register_hz, statistics.spread_semitones))
    tracker = VOCODER if name in heard else corpus.info.options.get("f0", TRACKERS[0])
    if name in registers:
        register, tracker = registers[name], "none"
    if register is None or not math.isfinite(register):
        remedy = "Build the corpus with F0, or give --hear or --registers."
        raise UserError(f"the register of '{name}' is not known", "--corpus", remedy)
    return Speaker(
        centroid=tuple(corpus.speaker_vectors[np.flatnonzero(own)].mean(axis=0, dtype=np.float64).tolist()),
        register_hz=register,
        spread_semitones=float(np.nan_to_num(spread or 0.0)),
        utterances=statistics.utterances,
        seconds=statistics.seconds,
        tracker=tracker,
    )


def read_voices(
    path: str | Path,
    spec: MelSpec,
    names: Sequence[str] = (),
    registers: Mapping[str, float] | None = None,
    heard: Mapping[str, tuple[float, float]] | None = None,
    *,
    made_by: str = "",
    zeros: int = 0,
) -> dict[str, Speaker]:
    """The voices of a built corpus, by name.

    Args:
      path: the corpus.
      spec: the mel convention it must have.
      names: which of its speakers; all by default.
      registers, heard: as in `make_speaker`.
      made_by: fingerprint of the classifier that must have made its speaker vectors; empty: not known.
      zeros: above 0, a model hears no speaker vector: so many zeros stand in where the corpus has none.

    Raises:
      UserError: no such corpus, of another convention, with vectors of another classifier, or see `make_speaker`.
    """
    corpus = corpora.open_corpus(path)
    if corpus.spec != spec:
        remedy = "Give a corpus built with the run's --spec."
        raise UserError(f"mel convention '{corpus.spec.name}', the run's is '{spec.name}'", str(path), remedy)
    if made_by and corpus.vectors_hash and made_by != corpus.vectors_hash:
        remedy = "Give the one that `copycat embed` was given."
        raise UserError("its speaker vectors were made by another classifier", str(path), remedy)
    if zeros and corpus.speaker_vectors is None:
        corpus = dataclasses.replace(corpus, speaker_vectors=np.zeros((len(corpus), zeros), np.float32))
    return {name: make_speaker(corpus, name, registers or {}, heard or {}) for name in names or corpus.speakers}


def most_alike(name: str, speakers: Mapping[str, Speaker]) -> list[tuple[str, float]]:
    """The voices other than `name`, most alike first: (name, cosine of the centroids, rounded to three decimals)."""
    alike = cosine([speakers[name].centroid], [speaker.centroid for speaker in speakers.values()], np.float64)[0]
    others = [(other, round(float(c), 3)) for other, c in zip(speakers, alike, strict=True) if other != name]
    return sorted(others, key=lambda pair: -pair[1])


def make_card(
    title: str,
    groups: Mapping[str, Any],
    config: Mapping[str, Any],
    step: int,
    speakers: Mapping[str, Speaker],
    use: str = "",
) -> str:
    """The model card: what it is, what it was made of, how to use it, and what it must not be used for.

    Args:
      title: one line.
      groups: {group: parameters}.
      config: the run's resolved configuration.
      step: of the checkpoint.
      speakers: the voices, if any.
      use: a command that uses the bundle, if it has voices.
    """
    lines = [f"# {title}", ""]
    for name, tree in groups.items():
        count = sum(leaf.size for leaf in flatten(tree).values())
        lines.append(f"* `{name}.safetensors`: {count / 1e6:.2f} M parameters, float16")
    training = config.get("optimizer", {})
    lines += [
        f"* trained for {step} steps with {training.get('name', '?')}, learning rate {training.get('lr', '?')}",
        f"* mel convention `{config['mel_spec']['name']}`; {config['shapes']['speakers']} speakers in training",
        "* licence: not stated here; what may be done with it depends on the recordings it was trained on",
        "",
    ]
    if speakers:
        lines += ["| voice | register | spread | recordings |", "|---|---|---|---|"]
        for name, s in sorted(speakers.items()):
            recordings = f"{s.utterances}, {s.seconds / 60:.1f} min"
            lines.append(f"| {name} | {s.register_hz:.0f} Hz | {s.spread_semitones:.1f} semitones | {recordings} |")
        lines += ["", f"Use: `{use}`.", ""]
    lines += [
        "English read speech; other languages, singing and several speakers at once lie outside its training.",
        "What it makes is synthetic speech and marked so in its files. Do not present it as a person's own words.",
        "",
    ]
    return "\n".join(lines)


def read_text(path: str | Path) -> str:
    """The text of a file; raises UserError where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", str(path)) from None


def read_registers(path: str | Path) -> dict[str, float]:
    """Registers in Hz by voice, from a JSON file; raises UserError for anything else."""
    try:
        registers = {str(name): float(hertz) for name, hertz in json.loads(read_text(path)).items()}
        if not all(0.0 < hertz < math.inf for hertz in registers.values()):
            raise ValueError
        return registers
    except (ValueError, TypeError, AttributeError):
        raise UserError('not of the form {"voice": Hz}', str(path), "Write one number per voice.") from None
