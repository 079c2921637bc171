"""Masked convolution stacks and the normalisations that need no running statistics."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.nn.initializers import kernel_limit
from copycat_jax.nn.masks import masked_mean, zero_padding
from copycat_jax.nn.noise import dropout

NORMS = ("instance", "layer", "none")


def instance_norm(x: Float[Array, "B T D"], mask: Bool[Array, "B T"], epsilon: float = 1e-5) -> Float[Array, "B T D"]:
    """Zero mean and unit variance of each channel over the real frames of its row, without learned scale or shift.

    CopyCat section 2.2.2; `epsilon` under the root as in its source (Chou et al. 2019). Computed in float32, in two
    passes: a channel's mean may be large beside its deviation. Zeros on padding.
    """
    wide = x.astype(jnp.float32)
    centred = wide - masked_mean(wide, mask)[:, None, :]
    variance = masked_mean(jnp.square(centred), mask)
    return zero_padding(centred * jax.lax.rsqrt(variance + epsilon)[:, None, :], mask).astype(x.dtype)


class ConvStack(nn.Module):
    """Convolutions along time, each followed by normalisation, ReLU and dropout.

    Frames beyond a row's end are set to zero before every convolution, which is also what "SAME" padding puts beyond
    the bucket: the output on real frames therefore does not depend on the bucket.

    Attributes:
      features: channels of every layer.
      layers: number of convolutions.
      kernel: width in frames, odd.
      norm: "instance" (over time, no affine), "layer" (over channels, with affine) or "none".
      dropout: rate, applied unless deterministic; draws from the rng "dropout".
      dtype: compute type; parameters are float32.
    """

    features: int
    layers: int = 3
    kernel: int = 5
    norm: str = "instance"
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "B T C"], mask: Bool[Array, "B T"], deterministic: bool = True
    ) -> Float[Array, "B T D"]:
        """Applies the stack; zeros on padding."""
        for layer in range(self.layers):
            x = zero_padding(x.astype(self.dtype), mask)
            x = nn.Conv(
                self.features,
                (self.kernel,),
                padding="SAME",
                dtype=self.dtype,
                kernel_init=kernel_limit,
                name=f"conv_{layer}",
            )(x)
            if self.norm == "instance":
                x = instance_norm(x, mask)
            elif self.norm == "layer":
                x = nn.LayerNorm(name=f"norm_{layer}")(x.astype(jnp.float32)).astype(self.dtype)
            x = nn.relu(x)
            if not deterministic and self.dropout > 0.0:
                x = dropout(self.make_rng("dropout"), x, self.dropout)
        return zero_padding(x, mask)
