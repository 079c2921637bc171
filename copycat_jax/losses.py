"""Loss terms in fixed units; each returns (sum, count), divided once, at the very end, over what is real only.

A count is what was counted, 0 where nothing was: sums and counts of batches add up to those of all of them.

Units: reconstruction is summed over mel bins and averaged over real frames; KL is summed
over latents and averaged over real frames. Divergences arrive per dimension (`nn.gaussian`): no density is known here.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

SumCount = tuple[Float[Array, ""], Float[Array, ""]]


def over(values: Shaped[Array, "*S"], mask: Bool[Array, "*S"]) -> SumCount:
    """The values where `mask` is True, and how many these are."""
    return jnp.where(mask, values.astype(jnp.float32), 0.0).sum(), mask.sum(dtype=jnp.float32)


def masked_l1(predicted: Float[Array, "B T M"], target: Float[Array, "B T M"], mask: Bool[Array, "B T"]) -> SumCount:
    """Absolute error summed over bins, counted over real frames (L1 as in every descendant of CopyCat)."""
    return over(jnp.abs(predicted.astype(jnp.float32) - target.astype(jnp.float32)).sum(-1), mask)


def kl_standard(divergence: Float[Array, "B T Z"], mask: Bool[Array, "B T"]) -> SumCount:
    """KL to the standard prior, summed over latents, counted over the frames of `mask` (CopyCat equation 4)."""
    return over(divergence.sum(-1), mask)


def cross_entropy(logits: Float[Array, "B S"], label: Int[Array, "B"], real: Bool[Array, "B"]) -> SumCount:
    """Softmax cross-entropy in nats, counted over real rows."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits.astype(jnp.float32)), label[:, None], axis=1)[:, 0]
    return over(-chosen, real)


def hinge_discriminator(real: Float[Array, "B"], fake: Float[Array, "B"], usable: Bool[Array, "B"]) -> SumCount:
    """L_D of section 2.4.2: real scores below 1 and fake ones above -1 cost; unusable rows do not count."""
    return over(jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake), usable)


def hinge_generator(fake: Float[Array, "B"], usable: Bool[Array, "B"]) -> SumCount:
    """L_G of section 2.4.2: minus the score of the fake windows."""
    return over(-fake, usable)


def anneal(step: Int[Array, ""], start: int, end: int, final: float) -> Float[Array, ""]:
    """A weight that grows linearly from 0 at step `start` to `final` at step `end` and stays there."""
    share = (jnp.asarray(step, jnp.float32) - start) / max(end - start, 1)
    return final * jnp.clip(share, 0.0, 1.0)
