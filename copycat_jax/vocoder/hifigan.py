"""The HiFi-GAN generator (Kong, Kim, Bae 2020) as pure functions over a tree of parameters; it learns nothing here."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from copycat_jax.errors import UserError, nearest

_SLOPE = 0.1
_LAST_SLOPE = 0.01  # the published code leaves PyTorch's default before the last convolution


@dataclasses.dataclass(frozen=True)
class HifiganConfig:
    """Sizes of a generator (paper, section 3.2 and appendix A.1).

    `residual_kernels` and `dilations` describe the multi-receptive-field fusion: block j of every level has kernel
    residual_kernels[j] and one stage per entry of dilations[j]; `paired` blocks (type 1) follow every dilated
    convolution by a plain one, others (type 2) do not.
    """

    channels: int
    rates: tuple[int, ...] = (8, 8, 2, 2)
    kernels: tuple[int, ...] = (16, 16, 4, 4)
    residual_kernels: tuple[int, ...] = (3, 7, 11)
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    paired: bool = True
    mel_bins: int = 80

    @property
    def hop_samples(self) -> int:
        """Samples made of every mel frame."""
        return int(np.prod(self.rates))


CONFIGS = {
    "v1": HifiganConfig(512),
    "v2": HifiganConfig(128),
    "v3": HifiganConfig(256, (8, 8, 4), (16, 16, 8), (3, 5, 7), ((1, 2), (2, 6), (3, 12)), paired=False),
}


def generator_config(name: str) -> HifiganConfig:
    """The sizes of the paper's "v1", "v2" or "v3"; raises UserError for another name."""
    if name not in CONFIGS:
        raise UserError(f"unknown HiFi-GAN '{name}'", remedy=f"{nearest(name, CONFIGS)} Known: {', '.join(CONFIGS)}.")
    return CONFIGS[name]


def layer_shapes(config: HifiganConfig) -> dict[str, tuple[int, int, int]]:
    """(kernel width, inputs, outputs) of every layer by its published name, such as resblocks.0.convs1.0."""
    shapes = {"conv_pre": (7, config.mel_bins, config.channels)}
    width = config.channels
    for level, kernel in enumerate(config.kernels):
        shapes[f"ups.{level}"] = (kernel, width, width // 2)
        width //= 2
        for j, (residual, dilations) in enumerate(zip(config.residual_kernels, config.dilations, strict=True)):
            block = f"resblocks.{level * len(config.residual_kernels) + j}"
            for stage in range(len(dilations)):
                for convs in ("convs1", "convs2") if config.paired else ("convs",):
                    shapes[f"{block}.{convs}.{stage}"] = (residual, width, width)
    shapes["conv_post"] = (7, width, 1)
    return shapes


def init(rng: Array, config: HifiganConfig) -> dict[str, dict[str, Array]]:
    """Random parameters, {layer: {"kernel" [K, in, out], "bias" [out]}}: for tests and benchmarks."""
    params = {}
    for key, (name, shape) in zip(
        jax.random.split(rng, len(layer_shapes(config))), layer_shapes(config).items(), strict=True
    ):
        scale = 1 / np.sqrt(shape[0] * shape[1])
        params[name] = {"kernel": scale * jax.random.normal(key, shape), "bias": jnp.zeros(shape[2])}
    return params


def _conv(layer: dict[str, Array], x: Float[Array, "B n C"], dilation: int = 1) -> Float[Array, "B n D"]:
    """Convolution over time that keeps the length."""
    reach = (layer["kernel"].shape[0] - 1) * dilation // 2
    y = jax.lax.conv_general_dilated(
        x, layer["kernel"], (1,), [(reach, reach)], rhs_dilation=(dilation,), dimension_numbers=("NWC", "WIO", "NWC")
    )
    return y + layer["bias"][None, None, :]


def _upsample(layer: dict[str, Array], x: Float[Array, "B n C"], rate: int) -> Float[Array, "B m D"]:
    """Transposed convolution with stride `rate`, cropped to n * rate samples.

    Every input adds `kernel` samples to the output; cut into pieces of `rate` samples these are matrix products whose
    results are shifted and added, so no zeros are multiplied.
    """
    kernel, _, outputs = layer["kernel"].shape
    pieces = kernel // rate
    products = jnp.einsum("bnc,kcd->bnkd", x, layer["kernel"])
    products = products.reshape(*x.shape[:2], pieces, rate * outputs)
    parts = [jnp.pad(products[:, :, p], ((0, 0), (p, pieces - 1 - p), (0, 0))) for p in range(pieces)]
    whole = sum(parts).reshape(len(x), -1, outputs)  # type: ignore[union-attr]
    crop = (kernel - rate) // 2
    return whole[:, crop : crop + x.shape[1] * rate] + layer["bias"][None, None, :]


def hifigan(params: dict[str, Any], mel: Float[Array, "B T M"], config: HifiganConfig) -> Float[Array, "B N"]:
    """Makes a waveform of log-mels in the `hifigan` convention; N = T * 256 in every published size.

    Args:
      params: {layer: {"kernel", "bias"}} of `vocoder.torch_weights.hifigan_params` or `init`.
      mel: natural log-mels.
      config: the generator's sizes.

    Returns:
      Samples within [-1, 1].
    """
    x = _conv(params["conv_pre"], mel)
    blocks = len(config.residual_kernels)
    for level, rate in enumerate(config.rates):
        x = _upsample(params[f"ups.{level}"], jax.nn.leaky_relu(x, _SLOPE), rate)
        total = jnp.zeros_like(x)
        for j, dilations in enumerate(config.dilations):
            total = total + _residual(params, f"resblocks.{level * blocks + j}", x, dilations, config.paired)
        x = total / blocks
    x = _conv(params["conv_post"], jax.nn.leaky_relu(x, _LAST_SLOPE))
    return jnp.tanh(x)[..., 0]


def _residual(
    params: dict[str, Any], block: str, x: Float[Array, "B n C"], dilations: tuple[int, ...], paired: bool
) -> Float[Array, "B n C"]:
    for stage, dilation in enumerate(dilations):
        first = f"{block}.convs1.{stage}" if paired else f"{block}.convs.{stage}"
        y = _conv(params[first], jax.nn.leaky_relu(x, _SLOPE), dilation)
        if paired:
            y = _conv(params[f"{block}.convs2.{stage}"], jax.nn.leaky_relu(y, _SLOPE))
        x = x + y
    return x
