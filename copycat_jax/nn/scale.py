"""The networks' own units: mels near -3 to 3, speaker vectors of one length."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.nn.masks import zero_padding


def to_network(mel: Float[Array, "B T M"], mask: Bool[Array, "B T"]) -> Float[Array, "B T M"]:
    """Natural log-mel to the network's units; zeros on padding."""
    return zero_padding((mel.astype(jnp.float32) + 5.0) / 2.0, mask)


def from_network(mel: Float[Array, "B T M"], mask: Bool[Array, "B T"]) -> Float[Array, "B T M"]:
    """The network's units to natural log-mel; zeros on padding."""
    return zero_padding(mel * 2.0 - 5.0, mask)


def rms_normalize(vector: Float[Array, "B E"]) -> Float[Array, "B E"]:
    """Scales a speaker vector to length sqrt(E): a centroid, shorter than what it averages, speaks as loudly."""
    square = jnp.square(vector.astype(jnp.float32)).mean(-1, keepdims=True)
    return vector * jax.lax.rsqrt(jnp.maximum(square, 1e-12))
