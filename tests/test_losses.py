import jax.numpy as jnp
import numpy as np

from copycat_jax import losses
from copycat_jax.nn.gaussian import kl_to_standard
from copycat_jax.nn.masks import length_mask
from copycat_jax.task import Term, total

MASK = length_mask(jnp.array([3, 1]), 4)


def test_l1_sums_bins_and_counts_real_frames():
    predicted = jnp.where(MASK[..., None], jnp.full((2, 4, 5), 0.5), jnp.nan)
    error, count = losses.masked_l1(predicted, jnp.zeros((2, 4, 5)), MASK)
    assert (float(error), float(count)) == (0.5 * 5 * 4, 4.0)


def test_kl_counts_every_real_frame():
    kl = kl_to_standard(jnp.ones((2, 4, 3)), jnp.zeros((2, 4, 3)))  # 1/2 in each dimension
    nats, count = losses.kl_standard(kl, MASK)
    assert (float(nats), float(count)) == (0.5 * 3 * 4, 4.0)


def test_hinge_losses_by_hand_and_without_unusable_rows():
    real, fake = jnp.array([2.0, 0.5, jnp.nan]), jnp.array([-3.0, 0.5, jnp.nan])
    usable = jnp.array([True, True, False])
    assert [float(x) for x in losses.hinge_discriminator(real, fake, usable)] == [0.5 + 1.5, 2.0]
    assert [float(x) for x in losses.hinge_generator(fake, usable)] == [2.5, 2.0]
    nothing = losses.hinge_generator(fake, jnp.zeros(3, bool))
    assert [float(x) for x in nothing] == [0.0, 0.0]
    lonely = {"none": Term(*nothing, 2.0), "some": Term(*losses.hinge_generator(fake, usable), 3.0)}
    assert float(total(lonely)) == 3.0 * 1.25  # never 0 / 0


def test_cross_entropy_of_even_odds():
    entropy, count = losses.cross_entropy(jnp.zeros((3, 4)), jnp.array([1, 3, 0]), jnp.array([True, True, False]))
    np.testing.assert_allclose([entropy, count], [2 * np.log(4), 2.0], rtol=1e-6)


def test_anneal_is_a_ramp():
    weights = [float(losses.anneal(jnp.int32(step), 100, 200, 0.1)) for step in (0, 100, 150, 200, 999)]
    np.testing.assert_allclose(weights, [0.0, 0.0, 0.05, 0.1, 0.1], rtol=1e-6)
