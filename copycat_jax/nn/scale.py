"""Scaling of what the networks read and write: mels to about -3 to 3, speaker vectors to one length."""

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
    """Scales a speaker vector to length sqrt(E).

    A centroid is shorter than the vectors that it averages; scaled, it has the same magnitude as they for the network.
    """
    square = jnp.square(vector.astype(jnp.float32)).mean(-1, keepdims=True)
    return vector * jax.lax.rsqrt(jnp.maximum(square, 1e-12))
