"""Diagonal Gaussians: sampling, log density, divergence from the standard prior; always in float32."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from copycat_jax.nn import noise


def sample(key: Array, mean: Float[Array, "*S"], log_variance: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """A reparameterised sample: mean + exp(log_variance / 2) * standard normal noise."""
    return mean + jnp.exp(0.5 * log_variance) * noise.normal(key, mean.shape)


def log_density(
    x: Float[Array, "*S Z"], mean: Float[Array, "*S Z"], log_variance: Float[Array, "*S Z"]
) -> Float[Array, "*S"]:
    """log N(x; mean, exp(log_variance)), summed over the last axis, in nats."""
    terms = log_variance + jnp.square(x - mean) * jnp.exp(-log_variance) + math.log(2 * math.pi)
    return -0.5 * terms.sum(-1)


def kl_to_standard(mean: Float[Array, "*S"], log_variance: Float[Array, "*S"]) -> Float[Array, "*S"]:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of every dimension, in nats, not summed."""
    return 0.5 * (jnp.square(mean) + jnp.exp(log_variance) - 1.0 - log_variance)
