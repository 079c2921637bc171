import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.nn.conv import ConvStack, instance_norm
from copycat_jax.nn.masks import length_mask

LENGTHS = jnp.array([9, 6])


def test_instance_norm_is_standard_over_real_frames():
    x = 3.0 + 5.0 * jax.random.normal(jax.random.key(0), (2, 9, 4))
    mask = length_mask(LENGTHS, 9)
    y = np.asarray(instance_norm(jnp.where(mask[..., None], x, jnp.inf), mask))
    for row, length in enumerate([9, 6]):
        np.testing.assert_allclose(y[row, :length].mean(0), 0.0, atol=1e-5)
        np.testing.assert_allclose(y[row, :length].std(0), 1.0, atol=1e-4)
    assert not y[1, 6:].any()


def test_instance_norm_cancels_a_constant():
    x, mask = jax.random.normal(jax.random.key(0), (2, 9, 4)), length_mask(LENGTHS, 9)
    np.testing.assert_allclose(instance_norm(x + 2.0, mask), instance_norm(x, mask), atol=1e-5)


@pytest.mark.parametrize("norm", ["instance", "layer", "none"])
def test_padding_and_bucket_leave_no_trace(norm):
    stack = ConvStack(6, layers=2, norm=norm)
    x, mask = jax.random.normal(jax.random.key(1), (2, 9, 4)), length_mask(LENGTHS, 9)
    params = stack.init(jax.random.key(2), x, mask)
    apply = jax.jit(stack.apply)
    clean = apply(params, x, mask)
    np.testing.assert_array_equal(clean, apply(params, jnp.where(mask[..., None], x, jnp.nan), mask))
    longer = apply(params, jnp.pad(x, ((0, 0), (0, 5), (0, 0)), constant_values=9.0), length_mask(LENGTHS, 14))
    np.testing.assert_allclose(longer[:, :9], clean, atol=1e-5)
