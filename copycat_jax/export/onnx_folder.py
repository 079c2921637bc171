"""`copycat export onnx`: the graphs of a CopyCat bundle and of its vocoder, and what a transfer needs beside."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from copycat_jax.bundle.bundle import Bundle, speakers_to_dict
from copycat_jax.export import copycat, speaker, vocoder
from copycat_jax.export.graph import describe
from copycat_jax.export.prepared import Prepared, prepared_bytes
from copycat_jax.files import json_text
from copycat_jax.text.phonemes import INVENTORY

HERE = Path(__file__).parent

_USE = """
    python example.py source.npz {voice} out.wav

speaks a prepared recording (`copycat export source RECORDING --text ... --out source.npz` makes one of any) in a voice
of voices.json; it needs NumPy and onnxruntime. What it does:

1. `speaker.onnx` hears the recording's mel and gives its speaker vector.
2. `transfer.onnx` takes the mel, ratio = register of the target / register of the source, phonemes (their places in
   phonemes.txt) with their durations in frames, both speaker vectors (the target's is its centroid), and gives the
   target's mel.
3. `pitch.onnx` hears the F0 of the recording's mel; times the ratio it is the melody of the result.
4. `vocoder.onnx` makes samples of the target's mel with that melody.

Mels are natural logarithms in the convention of mel.json. Several recordings may go at once: rows are padded at their
ends, `mask` says what is real, and what stands on padding changes nothing. For `pitch.onnx` and `vocoder.onnx`, which
have no mask, padding is {floor:.6f}, the logarithm of the floor: silence in, silence out. `durations` of a row sum up
to its frames.
"""


def onnx_files(bundle: Bundle, voice_of: Bundle, prepared: Prepared) -> dict[str, bytes]:
    """The files of the folder by name.

    Args:
      bundle: of kind "copycat".
      voice_of: the vocoder's, of the same mel convention.
      prepared: a recording for the example.

    Raises:
      UserError: the bundle's configuration has what cannot be exported.
    """
    models = {
        "transfer": copycat.transfer_graph(bundle),
        "speaker": speaker.speaker_graph(bundle),
        "pitch": vocoder.pitch_graph(voice_of),
        "vocoder": vocoder.vocoder_graph(voice_of),
    }
    use = _USE.format(voice=next(iter(bundle.speakers), "VOICE"), floor=math.log(bundle.spec.floor))
    return {
        **graph_files(models),
        **convention_files(bundle),
        "source.npz": prepared_bytes(prepared),
        "example.py": (HERE / "example_transfer.py").read_bytes(),
        "README.md": readme("CopyCat in ONNX", use, models).encode(),
    }


def graph_files(models: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of graphs by their names."""
    return {f"{name}.onnx": model.SerializeToString() for name, model in models.items()}


def convention_files(bundle: Bundle) -> dict[str, bytes]:
    """What a bundle's models presuppose: voices, mel convention, phonemes."""
    return {
        "voices.json": json_text(speakers_to_dict(bundle.speakers)).encode(),
        "mel.json": json_text(bundle.spec.to_dict()).encode(),
        "phonemes.txt": "".join(f"{symbol}\n" for symbol in INVENTORY).encode(),
    }


def readme(title: str, use: str, models: Mapping[str, Any]) -> str:
    """A folder's README: how it is used, and every graph with its inputs and outputs."""
    lines = [f"# {title}", use.rstrip(), "", "## Graphs", ""]
    lines += ["Opset 17, IR 8; weights are stored as float16, without loss, and computed with as float32.", ""]
    for name, model in models.items():
        size = len(model.SerializeToString()) / 1e6
        lines += [f"### {name}.onnx ({size:.1f} MB)", "", "| | name | type | shape |", "|---|---|---|---|"]
        lines += [f"| {way} | `{value}` | {kind} | {shape} |" for way, value, kind, shape in describe(model)]
        lines.append("")
    return "\n".join(lines)
