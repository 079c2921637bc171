"""`prosody export onnx --for sherpa`: the voice as one graph that a stock sherpa-onnx loads as an offline "vits" voice.

sherpa-onnx looks words up in lexicon.txt and hands the places of their phonemes in tokens.txt over, with the places of
spaces and marks between them. The graph turns these into phonemes and what follows each of them, plans, renders, hears
F0 and makes samples. `sid` chooses the embedding among the styles; one speaker speaks.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from copycat_jax.bundle.bundle import Bundle, speakers_to_dict
from copycat_jax.errors import UserError, nearest
from copycat_jax.export import layers
from copycat_jax.export.graph import FLOAT, INT32, INT64, Graph, Tensor
from copycat_jax.export.vocoder import heard_f0, samples_of
from copycat_jax.files import json_text
from copycat_jax.text.phonemes import INVENTORY, SIL_ID
from copycat_jax.text.phrasing import PHRASE, SENTENCE, WORD
from prosody_vae.export.onnx_folder import Styles
from prosody_vae.export.voice import Text, speak
from prosody_vae.tts.plan import TextPiece

MARKS = {" ": WORD, ",": PHRASE, ";": PHRASE, ":": PHRASE, ".": SENTENCE, "!": SENTENCE, "?": SENTENCE}
TOKENS = (*INVENTORY, *MARKS)

_README = """# The voice of a prosody space for sherpa-onnx

```python
import sherpa_onnx

vits = sherpa_onnx.OfflineTtsVitsModelConfig(model="model.onnx", lexicon="lexicon.txt", tokens="tokens.txt")
voice = sherpa_onnx.OfflineTts(sherpa_onnx.OfflineTtsConfig(model=sherpa_onnx.OfflineTtsModelConfig(vits=vits)))
how = sherpa_onnx.GenerationConfig()
how.sid, how.speed, how.silence_scale = 0, 1.0, 1.0
audio = voice.generate("Who ate the rest of my pizza?", how)
```

`sid` is the place of a style in styles.json: {names}. `silence_scale` has to be 1.0: its default shortens the pauses
that the model plans. Only words of lexicon.txt are spoken, in their first pronunciation; write numbers out as words.
"""


def sherpa_graph(bundle: Bundle, voice_of: Bundle, styles: Styles, speaker: Iterable[float]) -> Any:
    """The model of `model.onnx`.

    Args:
      bundle: of kind "prosody_vae".
      voice_of: the vocoder's, of the same mel convention.
      styles: embeddings by name, in the order of `sid`.
      speaker: the speaker's centroid.
    """
    g, spec = Graph(), bundle.spec
    tokens = g.input("x", INT64, ["N", "L"])
    g.input("x_length", INT64, ["N"])
    g.input("noise_scale", FLOAT, [1])
    slower = g.input("length_scale", FLOAT, [1])
    g.input("noise_scale_w", FLOAT, [1])
    chosen = g.input("sid", INT64, [1])
    phonemes, breaks = _text(g, tokens.reshape(-1).cast(INT32))
    fields = bundle.config["prosody_vae"]
    voice = g.constant(np.array([list(speaker)], np.float32)) if fields["speaker"] else None
    z = g.op("Gather", np.stack(list(styles.values())), chosen, axis=0)
    mask = layers.mask_of(phonemes >= 0)
    yes = (slower > 0.0).widen(0).drop(0)
    text = Text(phonemes, breaks, mask, z, voice, g.constant(1.0, np.float32) / slower, yes)
    nothing = [g.constant([[0]], np.int32), g.constant([[-1]], np.int32)]
    if fields["variance"]:
        nothing += [g.constant([[np.nan]], np.float32)] * 2
    mel, _, _ = speak(g, bundle, text, nothing)
    samples = samples_of(g, mel, heard_f0(g, mel, voice_of), voice_of)
    g.output(samples.widen(1), "y", FLOAT, ["N", 1, "S"])
    # sherpa-onnx ends the process where one of these is missing; "piper", "coqui", "icefall" or "melo" in the comment
    # would select other front ends.
    notes = {
        "model_type": "vits",
        "comment": "copycat_jax prosody_vae",
        "language": "English",
        "voice": "",
        "sample_rate": spec.sample_rate,
        "n_speakers": len(styles),
        "add_blank": 0,
        "has_espeak": 0,
        "punctuation": " ".join(mark for mark in MARKS if mark != " "),
        "bundle": bundle.fingerprint,
        "vocoder": voice_of.fingerprint,
    }
    return g.model("prosody_vae", notes)


def _text(g: Graph, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Phonemes and breaks int32 [1, P], silence first, of tokens int32 [L]: a phoneme's break is what follows it."""
    kind = g.op("Gather", np.array([0] * len(INVENTORY) + list(MARKS.values()), np.int32), tokens, axis=0)
    padded = kind.pad(0, 2)
    after, later = padded.part(0, 1, -1), padded.part(0, 2)
    breaks = g.where(after > 0, g.op("Max", after, later), 0)
    spoken = tokens < len(INVENTORY)
    phonemes, breaks = (g.op("Compress", x, spoken, axis=0) for x in (tokens, breaks))
    last = g.count(phonemes.size(0)).equals(phonemes.size(0) - 1)
    breaks = g.where(last, SENTENCE, breaks)
    first = [g.constant([number], np.int32) for number in (SIL_ID, 0)]
    both = (g.concat(start, rest, axis=0).widen(0) for start, rest in zip(first, (phonemes, breaks), strict=True))
    return next(both), next(both)


def token_ids(piece: TextPiece) -> np.ndarray:
    """A piece of a text as the places of its tokens, int64 [L], as sherpa-onnx hands them over."""
    places, marks = [], {kind: len(INVENTORY) + list(MARKS.values()).index(kind) for kind in (WORD, PHRASE, SENTENCE)}
    for phoneme, kind in zip(piece.phonemes[1:].tolist(), piece.breaks[1:].tolist(), strict=True):
        places += [phoneme, marks[kind]] if kind else [phoneme]
    return np.array(places, np.int64)


def sherpa_files(
    bundle: Bundle, voice_of: Bundle, styles: Styles, words: Mapping[str, tuple[str, ...]], name: str | None = None
) -> dict[str, bytes]:
    """The files of the folder by name.

    Args:
      bundle, voice_of, styles: as in `sherpa_graph`.
      words: the pronunciation of each word that it can speak.
      name: of the speaker; the bundle's first if None.

    Raises:
      UserError: an unknown speaker.
    """
    name = name or next(iter(bundle.speakers))
    if name not in bundle.speakers:
        known = f"{nearest(name, bundle.speakers)} This bundle speaks as: {', '.join(bundle.speakers)}."
        raise UserError(f"unknown speaker '{name}'", remedy=known)
    speaker = bundle.speakers[name].centroid
    lexicon = "".join(f"{word} {' '.join(phones)}\n" for word, phones in words.items())
    names = ", ".join(f"{i} {name}" for i, name in enumerate(styles))
    return {
        "model.onnx": sherpa_graph(bundle, voice_of, styles, speaker).SerializeToString(),
        "tokens.txt": "".join(f"{token} {i}\n" for i, token in enumerate(TOKENS)).encode(),
        "lexicon.txt": lexicon.encode(),
        "voices.json": json_text(speakers_to_dict({name: bundle.speakers[name]})).encode(),
        "styles.json": json_text({name: vector.tolist() for name, vector in styles.items()}).encode(),
        "README.md": _README.format(names=names).encode(),
    }
