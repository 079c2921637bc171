"""The adversary of a second training step (CopyCat section 2.4.2): SAGAN's discriminator on windows of mel frames.

Self-attention GAN (Zhang et al. 2019): strided 2-D convolutions under spectral norm with one self-attention block,
hinge loss. The window and the clip-wise random choice of it are the paper's; channels are ours.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from copycat_jax import losses
from copycat_jax.batch import Batch
from copycat_jax.nn.initializers import kernel_limit
from copycat_jax.nn.noise import uniform
from copycat_jax.task import Params, Term, Terms


def spectral_norm(matrix: Float[Array, "I O"], squarings: int = 6) -> Float[Array, ""]:
    """The largest singular value, by power iteration from a fixed start vector.

    Usually one iteration a step refines a stored vector, which is state. Squaring the Gram matrix six times amounts to
    64 iterations at once and needs none: the function stays pure, and a resumed run is the run never stopped. Gradients
    flow through the value alone, with the singular vectors held fixed (Miyato et al. 2018, equation 10).
    """
    wide = matrix.astype(jnp.float32)
    frozen = jax.lax.stop_gradient(wide)
    frozen = frozen if frozen.shape[0] >= frozen.shape[1] else frozen.T
    exact = jax.lax.Precision.HIGHEST
    gram = jnp.matmul(frozen.T, frozen, precision=exact)
    power = gram
    for _ in range(squarings):
        power = power / jnp.maximum(jnp.linalg.norm(power), 1e-30)
        power = jnp.matmul(power, power, precision=exact)
    start = np.random.default_rng(0).standard_normal(gram.shape[0]).astype(np.float32)
    right = jnp.matmul(power, start, precision=exact)
    right = right / jnp.maximum(jnp.linalg.norm(right), 1e-30)
    left = jnp.matmul(frozen, right, precision=exact)
    left = left / jnp.maximum(jnp.linalg.norm(left), 1e-30)
    if matrix.shape[0] < matrix.shape[1]:
        left, right = right, left
    return jnp.dot(left, jnp.matmul(wide, right, precision=exact), precision=exact)


def choose_windows(key: Array, batch: Batch, window: int, silence_id: int) -> tuple[Int[Array, "B"], Bool[Array, "B"]]:
    """Where each row's window starts, without padding and without the silence at either edge.

    Returns:
      The starts, uniform over what fits; and whether the row's speech is as long as a window.
    """
    quiet = ((batch.phonemes == silence_id) | (batch.durations == 0)).astype(jnp.int32)
    leading = (jnp.cumprod(quiet, axis=1) * batch.durations).sum(1)
    trailing = (jnp.cumprod(quiet[:, ::-1], axis=1)[:, ::-1] * batch.durations).sum(1)
    room = batch.durations.sum(1) - leading - trailing - window
    draw = uniform(key, room.shape)
    offset = jnp.floor(draw * (jnp.maximum(room, 0) + 1).astype(jnp.float32)).astype(jnp.int32)
    start = leading + jnp.minimum(offset, jnp.maximum(room, 0))
    return jnp.clip(start, 0, batch.mask.shape[1] - window), room >= 0


def cut_windows(x: Float[Array, "B T M"], start: Int[Array, "B"], window: int) -> Float[Array, "B W M"]:
    """`window` frames of each row from its start."""
    return jax.vmap(lambda row, at: jax.lax.dynamic_slice_in_dim(row, at, window, axis=0))(x, start)


class SpectralConv(nn.Module):
    """A 2-D convolution whose kernel, as a matrix [inputs, channels], has spectral norm 1."""

    features: int
    kernel: int = 3
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T F C"]) -> Float[Array, "B t f D"]:  # noqa: D102
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", kernel_limit, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        kernel = kernel / jnp.maximum(spectral_norm(kernel.reshape(-1, self.features)), 1e-12)
        strides = (self.stride, self.stride)
        dimensions = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype), kernel.astype(self.dtype), strides, "SAME", dimension_numbers=dimensions
        )
        return y + bias.astype(self.dtype)[None, None, None, :]


class SelfAttention(nn.Module):
    """SAGAN's attention over all positions of the map, added with a weight that starts at 0."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T F C"]) -> Float[Array, "B T F C"]:  # noqa: D102
        rows, times, bins, channels = x.shape
        narrow = max(channels // 8, 1)
        query = SpectralConv(narrow, 1, 1, self.dtype, name="query")(x).reshape(rows, times * bins, -1)
        pooled = {}
        for name, width in (("key", narrow), ("value", channels // 2)):
            y = SpectralConv(width, 1, 1, self.dtype, name=name)(x)
            pooled[name] = nn.max_pool(y, (2, 2), (2, 2), "SAME").reshape(rows, -1, width)
        scores = jnp.einsum("bqc,bkc->bqk", query, pooled["key"], preferred_element_type=jnp.float32)
        weights = jax.nn.softmax(scores).astype(self.dtype)
        seen = jnp.einsum("bqk,bkc->bqc", weights, pooled["value"]).reshape(rows, times, bins, -1)
        gamma = self.param("gamma", nn.initializers.zeros, ())
        return x + gamma.astype(self.dtype) * SpectralConv(channels, 1, 1, self.dtype, name="output")(seen)


class Discriminator(nn.Module):
    """Scores windows of a mel-spectrogram in the network's units: high for real ones.

    Attributes:
      channels: of the strided convolutions.
      attention_after: the self-attention block follows this many of them.
      dtype: compute type; scores are float32.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512)
    attention_after: int = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, windows: Float[Array, "B W M"]) -> Float[Array, "B"]:
        """One score per window."""
        x = windows[..., None]
        for layer, channels in enumerate(self.channels):
            x = nn.leaky_relu(SpectralConv(channels, 4, 2, self.dtype, name=f"conv_{layer}")(x), 0.1)
            if layer + 1 == self.attention_after:
                x = SelfAttention(self.dtype, name="attention")(x)
        pooled = x.astype(jnp.float32).sum((1, 2))
        kernel = self.param("kernel", kernel_limit, (pooled.shape[-1], 1))
        bias = self.param("bias", nn.initializers.zeros, ())
        return (pooled @ (kernel / jnp.maximum(spectral_norm(kernel), 1e-12)))[:, 0] + bias


# --- The game: the terms of both sides.


def matching_windows(
    key: Array, batch: Batch, made: Float[Array, "B T M"], real: Float[Array, "B T M"], window: int, silence_id: int
) -> dict[str, Array]:
    """The same window of what was made and of what is real, in the network's units, and which rows are long enough."""
    start, usable = choose_windows(key, batch, window, silence_id)
    return {"fake": cut_windows(made, start, window), "real": cut_windows(real, start, window), "usable": usable}


def generator_terms(adversary: Discriminator, params: Params, windows: dict[str, Array], weight: float) -> Terms:
    """What it costs the generator that the adversary, whose parameters stay as they are, is not fooled."""
    score: Any = adversary.apply({"params": jax.lax.stop_gradient(params)}, windows["fake"])
    return {"adversarial": Term(*losses.hinge_generator(score, windows["usable"]), weight)}


def adversary_terms(adversary: Discriminator, params: Params, windows: dict[str, Array]) -> Terms:
    """What it costs the adversary to be fooled, and its mean scores."""
    rows, usable = windows["real"].shape[0], windows["usable"]
    scores: Any = adversary.apply({"params": params}, jnp.concatenate([windows["real"], windows["fake"]]))
    real, fake = scores[:rows], scores[rows:]
    return {
        "discriminator": Term(*losses.hinge_discriminator(real, fake, usable), 1.0),
        "score_real": Term(*losses.over(real, usable)),
        "score_fake": Term(*losses.over(fake, usable)),
    }
