"""`prosody export onnx`: the graphs of a voice and of its vocoder, with sentences and styles to speak beside them."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.errors import UserError, nearest
from copycat_jax.export import vocoder
from copycat_jax.export.onnx_folder import convention_files, graph_files, readme
from copycat_jax.files import json_text
from prosody_vae.export.voice import encoder_graph, voice_graph
from prosody_vae.space.table import ProsodySpace
from prosody_vae.tts.plan import cut_text

HERE = Path(__file__).parent
Styles = Mapping[str, Float32[np.ndarray, " Z"]]
# Entries that show what an embedding does: (name, feature, whether the largest).
_EXTREMES = (
    ("low", "f0_mean_hz", False),
    ("high", "f0_mean_hz", True),
    ("slow", "rate", False),
    ("fast", "rate", True),
    ("rising", "final_rise_st", True),
)

_USE = """
    python example.py 0 {style} out.wav

speaks the first sentence of sentences.json with a style of styles.json; it needs NumPy and onnxruntime. What it does:

1. `voice.onnx` takes phonemes (their places in phonemes.txt; the first is silence), what follows each of them in the
   text (`breaks`: 0 inside a word, 1 a word's end, 2 a comma, 3 a sentence's end), an embedding `z` and the speaker's
   vector, and gives the log-mel and the plan that it spoke. Of a text in several pieces, `last` is true of the last.
2. `pitch.onnx` hears the F0 of that mel, and `vocoder.onnx` makes samples of both.

What is known better than the model knows it is given, phoneme by phoneme: `durations` and `pauses` (behind a phoneme)
in frames, `log_f0` (natural logarithm of Hz), `energy` (log-RMS). Below 1 for durations, below 0 for pauses and NaN for
the other two mean "as predicted"; an array [1, 1] says so of all. `encoder.onnx` gives the embedding of a recording's
mel.
Mels are natural logarithms in the convention of mel.json. Texts of mixed length may go at once; behind a row's `frames`
the mel is {floor:.6f}, the logarithm of the floor, which the vocoder makes silence of.
"""


def onnx_files(bundle: Bundle, voice_of: Bundle, styles: Styles, texts: Sequence[str]) -> dict[str, bytes]:
    """The files of the folder by name.

    Args:
      bundle: of kind "prosody_vae".
      voice_of: the vocoder's, of the same mel convention.
      styles: embeddings by name.
      texts: sentences for the example.

    Raises:
      UserError: a text that cannot be spoken.
    """
    models = {
        "voice": voice_graph(bundle),
        "encoder": encoder_graph(bundle),
        "pitch": vocoder.pitch_graph(voice_of),
        "vocoder": vocoder.vocoder_graph(voice_of),
    }
    use = _USE.format(style=next(iter(styles)), floor=math.log(bundle.spec.floor))
    return {
        **graph_files(models),
        **convention_files(bundle),
        **spoken_files(styles, texts),
        "example.py": (HERE / "example_voice.py").read_bytes(),
        "README.md": readme("The voice of a prosody space in ONNX", use, models).encode(),
    }


def spoken_files(styles: Styles, texts: Sequence[str]) -> dict[str, bytes]:
    """The files of what an example speaks: styles, and sentences as phonemes."""
    return {
        "styles.json": json_text({name: vector.tolist() for name, vector in styles.items()}).encode(),
        "sentences.json": json_text([sentence_to_dict(text) for text in texts]).encode(),
    }


def sentence_to_dict(text: str) -> dict:
    """A text as sentences.json has it: its pieces, ids of their phonemes, and what follows each."""
    pieces = [{"phonemes": p.phonemes.tolist(), "breaks": p.breaks.tolist()} for p in cut_text(text)]
    return {"text": text, "pieces": pieces}


def styles_of(space: ProsodySpace, ids: Sequence[str] = ()) -> dict[str, Float32[np.ndarray, " Z"]]:
    """Embeddings of a space by name: its centroid, and the entries `ids`, or some that differ much from one another.

    Raises:
      UserError: an id that is not in the space.
    """
    mean = np.asarray(space.mean, np.float32)
    styles = {"centroid": mean.mean(0)}
    places = {name: i for i, name in enumerate(space.ids)}
    for name in ids:
        if name not in places:
            raise UserError(f"no entry '{name}' in the space", "--entries", nearest(name, places))
        styles[name] = mean[places[name]]
    for name, feature, largest in () if ids else _EXTREMES:
        values = np.asarray(space.features.get(feature, np.full(len(mean), np.nan)), np.float64)
        if np.isfinite(values).any():
            styles[name] = mean[np.nanargmax(values) if largest else np.nanargmin(values)]
    return styles
