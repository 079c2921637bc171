"""The demo: the paper's example sentences in four ways, from trees and vectors that were recorded.

A fresh machine has no parser and no encoder, so what they say of the three sentences lies in pretrained/demo/:
recorded.json, {text: {"tree", "parser"}}, and recorded.safetensors, whose "vectors" are in the same order and whose
metadata names the encoder. `record_demo` makes both.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.errors import UserError
from copycat_jax.files import write_json, write_text
from copycat_jax.page import shown
from copycat_jax.text.phonemes import SIL_ID, to_ids
from prosody_vae.demo.page import Card, Group, render_page
from prosody_vae.selection.ways import WAYS, way_named

if TYPE_CHECKING:
    from copycat_jax.mel_spec import MelSpec
    from prosody_vae.linguistics.protocols import Encoder, Parser
    from prosody_vae.selection.choice import Choice
    from prosody_vae.selection.selector import Selector
    from prosody_vae.space.table import ProsodySpace
    from prosody_vae.tts.voice import Speech, Voice

RECORDED = Path(__file__).parents[1] / "pretrained" / "demo"
DEMO_SENTENCES = (  # Tyagi et al., section 2: an or-question, a wh-question, compounds
    "Does he wear a black suit or a blue one?",
    "Who ate the rest of my pizza?",
    "Get scores, schedules, and listen to live audio streams.",
)
DEMO_BY = ("centroid", "syntactic", "bert", "both")
_AGAIN = "Install the package again."


class RecordedEncoder(NamedTuple):
    """Sentence vectors made elsewhere, in the place of the encoder that made them."""

    label: str
    fingerprint: str
    width: int
    vectors: Mapping[str, Float[np.ndarray, " V"]]

    def encode(
        self, sentences: Sequence[str], batch_size: int = 64, progress: bool = False
    ) -> Float[np.ndarray, "n V"]:
        """The recorded vectors, float32; raises UserError for a sentence that was not recorded."""
        del batch_size, progress
        for text in sentences:
            if text not in self.vectors:
                raise UserError(f"no vector was recorded for '{text[:40]}'", remedy="Use an encoder.")
        return np.stack([self.vectors[text] for text in sentences]).astype(np.float32)


class Recorded(NamedTuple):
    """Everything that was recorded of the demo's sentences."""

    trees: Mapping[str, str]
    parser: str
    encoder: RecordedEncoder

    def options(self) -> dict[str, Any]:
        """What makes a `Selector` know these sentences and no others."""
        return {"encoder": self.encoder, "parser": self.parser, "trees": self.trees}


class Take(NamedTuple):
    """One sentence as it was spoken by one choice."""

    choice: "Choice"
    speech: "Speech"
    f0_hz: Float[np.ndarray, " T"]  # tracked in the sound, 0 = unvoiced


def record_demo(
    space: "ProsodySpace",
    encoder: "Encoder",
    parser: "Parser",
    out: str | Path = RECORDED,
    sentences: Sequence[str] = DEMO_SENTENCES,
) -> None:
    """Writes what `encoder` and `parser` say of the sentences into the folder `out`.

    Raises:
      UserError: the space was built with another encoder or parser.
    """
    from safetensors.numpy import save

    from prosody_vae.linguistics.tree_distance import to_brackets

    for kind, mine, other in (
        ("encoder", encoder.fingerprint, space.info.encoder_fingerprint),
        ("parser", parser.label, space.info.parser),
    ):
        if mine != other:
            raise UserError(f"the space was built with another {kind} ({other or 'none'})", remedy="Use that one.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    trees = [to_brackets(tree) for tree in parser.parse(list(sentences))]
    rows = {text: {"tree": tree, "parser": parser.label} for text, tree in zip(sentences, trees, strict=True)}
    write_json(out / "recorded.json", rows)
    vectors = np.ascontiguousarray(encoder.encode(list(sentences)), np.float32)
    about = {"encoder": encoder.label, "fingerprint": encoder.fingerprint}
    (out / "recorded.safetensors").write_bytes(save({"vectors": vectors}, about))


def open_recorded(folder: str | Path | None = None) -> Recorded:
    """Reads what `record_demo` wrote; raises UserError where it is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    folder = Path(RECORDED if folder is None else folder)
    if not (folder / "recorded.json").is_file():
        what = "this installation carries no recorded trees and vectors"
        raise UserError(what, remedy='Give a text of your own: prosody demo "TEXT".')
    try:
        rows = json.loads((folder / "recorded.json").read_text(encoding="utf-8"))
        with safe_open(folder / "recorded.safetensors", "numpy") as file:
            vectors, about = file.get_tensor("vectors"), file.metadata()
        encoder = RecordedEncoder(
            about["encoder"], about["fingerprint"], vectors.shape[1], dict(zip(rows, vectors, strict=True))
        )
        parser = next(iter({row["parser"] for row in rows.values()}))
        return Recorded({text: row["tree"] for text, row in rows.items()}, parser, encoder)
    except (OSError, ValueError, KeyError, TypeError, IndexError, StopIteration, SafetensorError):
        raise UserError("the recorded trees and vectors are not readable", str(folder), _AGAIN) from None


def speak_takes(
    voice: "Voice",
    selector: "Selector",
    texts: Sequence[str],
    by: Sequence[str] = DEMO_BY,
    speaker: str | None = None,
    vocoder: str | Path | None = None,
) -> list[list[Take]]:
    """Every text by every way of choosing: [text][way]."""
    from copycat_jax.audio.pitch import track_f0

    choices = [selector.select(list(texts), by=name) for name in by]
    pairs = [(text, chosen[i]) for i, text in enumerate(texts) for chosen in choices]
    embeddings = np.stack([choice.embedding for _, choice in pairs])
    speeches = voice.speak_all([text for text, _ in pairs], embeddings, speaker, vocoder=vocoder, batch=len(by))
    hop_s = voice.spec.hop_s
    takes = [
        Take(choice, speech, track_f0(speech.samples, speech.sample_rate, len(speech.mel), hop_s))
        for (_, choice), speech in zip(pairs, speeches, strict=True)
    ]
    return [takes[i : i + len(by)] for i in range(0, len(takes), len(by))]


def write_demo(
    out: str | Path,
    takes: Sequence[Sequence[Take]],
    spec: "MelSpec",
    trees: Mapping[str, str],
    about: Mapping[str, str],
    encoder: str,
) -> list[Path]:
    """Writes wavs, pictures and index.html into the folder `out`.

    Args:
      out: the folder; made if it is not there.
      takes: of `speak_takes`.
      spec: the voice's mel convention.
      trees: bracketed trees by text, as far as they shall be shown.
      about: what made it all, for the foot of the page.
      encoder: label of the sentence encoder.

    Returns:
      The paths of the wavs.
    """
    from copycat_jax.audio.signal import write_wav
    from copycat_jax.plots import write_png
    from prosody_vae.plots import speech_figure

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    voiced = np.concatenate([take.f0_hz[take.f0_hz > 0] for row in takes for take in row])
    band = (float(voiced.min()) / 1.15, float(voiced.max()) * 1.15) if len(voiced) else (80.0, 400.0)
    paths, groups = [], []
    for number, row in enumerate(takes, start=1):
        seconds, cards = max(take.speech.seconds for take in row), []
        for take in row:
            stem = f"{number}_{_slug(take.choice.text)}_{take.choice.by}"
            paths.append(out / f"{stem}.wav")
            write_wav(paths[-1], take.speech.samples, take.speech.sample_rate)
            write_png(out / f"{stem}.png", speech_figure(take.speech.mel, take.f0_hz, spec, seconds, band))
            cards.append(_card(take, stem, spec, encoder))
        text = row[0].choice.text
        groups.append(Group(text, trees.get(text, ""), cards))
    write_text(out / "index.html", render_page(groups, about))
    return paths


def measured(take: Take, spec: "MelSpec") -> dict[str, float]:
    """`features.summarise` of a take's sound, whose phonemes lie where they were planned."""
    from copycat_jax.audio.pitch import frame_energy
    from prosody_vae.features import prosodic_features
    from prosody_vae.tts.plan import interleave

    phonemes, frames = interleave(to_ids(take.speech.phonemes), take.speech.durations, take.speech.pauses, SIL_ID)
    energy = frame_energy(take.speech.samples, spec)
    return prosodic_features(take.f0_hz, energy, phonemes, frames, spec.frame_rate_hz)


def _card(take: Take, stem: str, spec: "MelSpec", encoder: str) -> Card:
    values = measured(take, spec)
    features = {
        "length": shown(values["seconds"], ".2f", "s"),
        "mean F0": shown(values["f0_mean_hz"], ".0f", "Hz"),
        "F0 spread": shown(values["f0_spread_st"], ".1f", "semitones"),
        "final rise": shown(values["final_rise_st"], "+.1f", "semitones"),
    }
    entry, way = take.choice.entries[0] if take.choice.entries else None, way_named(take.choice.by)
    scores = {(WAYS[name].label or name): value for name, value in entry.scores.items()} if entry else {}
    return Card(
        title=way.title.format(encoder=encoder),
        about=way.about,
        wav=f"{stem}.wav",
        picture=f"{stem}.png",
        seconds=take.speech.seconds,
        features=features,
        chosen=entry.text if entry else "",
        source=entry.id if entry else "",
        scores={name.format(encoder=encoder): value for name, value in scores.items()},
        note=take.choice.note,
    )


def _slug(text: str) -> str:
    """A few words of a text as part of a file name."""
    return "_".join(re.findall(r"[a-z0-9]+", text.lower())[:4]) or "text"
