"""`copycat export torch`: weights under PyTorch's names, and the module file that loads them.

The modules of `torch_model` are named as the parts of a bundle are, so that only leaves have to be renamed and turned:
kernels of dense layers and convolutions, gates of recurrences (PyTorch's are in our order, r z n and i f g o, and its
second bias of a GRU is zero but for the candidate's).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import save

from copycat_jax.bundle.bundle import Bundle, flatten
from copycat_jax.errors import UserError
from copycat_jax.export.onnx_folder import convention_files
from copycat_jax.export.prepared import Prepared, prepared_bytes
from copycat_jax.export.speaker import lifter
from copycat_jax.files import json_text
from copycat_jax.mel_spec import mel_edges_hz
from copycat_jax.models.copycat import CopyCatConfig
from copycat_jax.models.speaker import SpeakerConfig
from copycat_jax.models.vocoder import VocoderConfig, pseudo_inverse
from copycat_jax.nn.excitation import NOISE_PERIOD
from copycat_jax.nn.noise import normal

HERE = Path(__file__).parent
_UNUSED = ("reference_encoder/log_variance/", "head/")  # a draw and the training of the classifier need them

_README = """# CopyCat in PyTorch

`copycat_torch.py` holds the modules and `load`, `weights.safetensors` their weights (float16, as in the bundle). It
needs torch and safetensors, and nothing of the package that wrote it.

```python
import json, numpy as np, torch
from copycat_torch import load

models, voice = load("."), json.load(open("voices.json"))["{voice}"]
source = {{name: torch.from_numpy(value)[None] for name, value in np.load("source.npz").items()}}
mask = torch.ones(source["mel"].shape[:2], dtype=bool)
ratio = voice["register_hz"] / source["register_hz"]
target = torch.tensor([voice["centroid"]])
speaker = models.speaker(source["mel"], mask)
mel = models.copycat(source["mel"], ratio, source["phonemes"], source["durations"], mask, speaker, target)
samples = models.vocoder(mel, models.vocoder.read_f0(source["mel"]) * ratio[:, None])
```

`source.npz` is a recording made ready by `copycat export source`; phonemes are places in phonemes.txt, durations
frames.
"""


def torch_files(bundle: Bundle, voice_of: Bundle, prepared: Prepared) -> dict[str, bytes]:
    """The files of the folder by name; arguments as in `onnx_folder.onnx_files`."""
    config = CopyCatConfig.from_dict(bundle.config["copycat"])
    if config.bottleneck != "last":
        raise UserError(f"bottleneck '{config.bottleneck}' has no form here", "copycat.bottleneck", "Known: last.")
    heard, spec = SpeakerConfig.from_dict(bundle.config["speaker"]), bundle.spec
    extra = {
        "copycat.centres_hz": mel_edges_hz(spec)[1:-1],
        "speaker.lifter": lifter(spec.mel_bins, heard.cepstra) if heard.cepstra else np.eye(spec.mel_bins),
        **vocoder_constants(voice_of),
    }
    configs = {"copycat": config.to_dict(), "speaker": heard.to_dict(), "vocoder": vocoder_fields(voice_of)}
    return {
        **convention_files(bundle),
        "config.json": json_text(configs).encode(),
        "weights.safetensors": weights_file({**bundle.params, **voice_of.params}, extra),
        "copycat_torch.py": (HERE / "torch_model.py").read_bytes(),
        "source.npz": prepared_bytes(prepared),
        "README.md": _README.format(voice=next(iter(bundle.speakers), "VOICE")).encode(),
    }


def vocoder_constants(voice_of: Bundle) -> dict[str, np.ndarray]:
    """What the module of a vocoder holds beside its weights."""
    inverse, spectra = pseudo_inverse(voice_of.spec), vocoder_fields(voice_of)["spectra"]
    noise = normal(jax.random.key(0), (1, NOISE_PERIOD))[0]
    return {"vocoder.noise": np.asarray(noise), "vocoder.pseudo_inverse": np.asarray(inverse)[:, ::spectra]}


def vocoder_fields(voice_of: Bundle) -> dict[str, Any]:
    """The vocoder's configuration, complete."""
    return VocoderConfig.from_dict(voice_of.config["vocoder"]).to_dict()


def weights_file(groups: Mapping[str, Any], constants: Mapping[str, np.ndarray]) -> bytes:
    """Groups of a bundle in float16 and constants in float32 as safetensors, under PyTorch's names."""
    weights = {name: np.ascontiguousarray(value, np.float32) for name, value in constants.items()}
    for group, params in groups.items():
        named = torch_names(params).items()
        weights |= {f"{group}.{name}": np.ascontiguousarray(value, np.float16) for name, value in named}
    return save(weights)


def torch_names(params: Any) -> dict[str, np.ndarray]:
    """A group of a bundle as a state dictionary of PyTorch."""
    named = {}
    for path, value in flatten(params).items():
        if path.startswith(_UNUSED):
            continue
        *folders, leaf = path.split("/")
        within = ".".join(folders)
        renamed = _recurrent(leaf, value) if leaf.startswith(("input_", "recurrent_")) else _plain(folders, leaf, value)
        named |= {f"{within}.{name}": array for name, array in renamed.items()}
    return named


def _plain(folders: list[str], leaf: str, value: np.ndarray) -> dict[str, np.ndarray]:
    if leaf in ("scale", "embedding"):
        return {"weight": value}
    if leaf == "kernel" and folders[-1] != "mean":  # [in, out], [k, in, out] or [h, w, in, out]
        return {"weight": np.transpose(value, (value.ndim - 1, value.ndim - 2, *range(value.ndim - 2)))}
    return {leaf: value}


def _recurrent(leaf: str, value: np.ndarray) -> dict[str, np.ndarray]:
    name = {"input_kernel": "weight_ih", "recurrent_kernel": "weight_hh", "input_bias": "bias_ih"}.get(leaf, "bias_hh")
    if leaf == "recurrent_bias":  # of the candidate alone
        value = np.concatenate([np.zeros((len(value), 2 * value.shape[1]), value.dtype), value], axis=1)
    found = {}
    for row, end in zip(value, ("", "_reverse"), strict=False):
        found[f"{name}_l0{end}"] = row.T
        if leaf == "input_bias":  # an LSTM has no other; a GRU's replaces it
            found.setdefault(f"bias_hh_l0{end}", np.zeros_like(row))
    return found
