"""Loss terms in fixed units; each returns (sum, count), divided once, at the very end, over real frames only.

Units: reconstruction is summed over mel bins and averaged over real frames; KL is summed
over latents and averaged over real frames. Divergences arrive per dimension (`nn.gaussian`): no density is known here.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

SumCount = tuple[Float[Array, ""], Float[Array, ""]]


def _over(values: Float[Array, "*S"], mask: Bool[Array, "*S"]) -> SumCount:
    count = mask.sum(dtype=jnp.float32)
    return jnp.where(mask, values.astype(jnp.float32), 0.0).sum(), jnp.maximum(count, 1.0)


def masked_l1(predicted: Float[Array, "B T M"], target: Float[Array, "B T M"], mask: Bool[Array, "B T"]) -> SumCount:
    """Absolute error summed over bins, counted over real frames (L1 as in every descendant of CopyCat)."""
    return _over(jnp.abs(predicted.astype(jnp.float32) - target.astype(jnp.float32)).sum(-1), mask)


def kl_standard(divergence: Float[Array, "B T Z"], mask: Bool[Array, "B T"]) -> SumCount:
    """KL to the standard prior, summed over latents, counted over the frames of `mask` (CopyCat equation 4)."""
    return _over(divergence.sum(-1), mask)


def cross_entropy(logits: Float[Array, "B S"], label: Int[Array, "B"]) -> SumCount:
    """Softmax cross-entropy in nats, counted over rows."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits.astype(jnp.float32)), label[:, None], axis=1)[:, 0]
    return -chosen.sum(), jnp.asarray(label.shape[0], jnp.float32)


def hinge_discriminator(real: Float[Array, "B"], fake: Float[Array, "B"], usable: Bool[Array, "B"]) -> SumCount:
    """L_D of section 2.4.2: real scores below 1 and fake ones above -1 cost; unusable rows do not count."""
    return _over(jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake), usable)


def hinge_generator(fake: Float[Array, "B"], usable: Bool[Array, "B"]) -> SumCount:
    """L_G of section 2.4.2: minus the score of the fake windows."""
    return _over(-fake, usable)


def anneal(step: Int[Array, ""], start: int, end: int, final: float) -> Float[Array, ""]:
    """A weight that grows linearly from 0 at step `start` to `final` at step `end` and stays there."""
    share = (jnp.asarray(step, jnp.float32) - start) / max(end - start, 1)
    return final * jnp.clip(share, 0.0, 1.0)
