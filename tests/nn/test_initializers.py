import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.nn.initializers import initialise, kernel_limit
from copycat_jax.nn.recurrent import Recurrent


class Small(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.Dense(200, kernel_init=kernel_limit)(x)
        return Recurrent("lstm", 16)(x, jnp.ones(x.shape[:2], bool))


def test_one_draw_has_the_distribution_of_many():
    x = jnp.zeros((1, 2, 50))
    one, many = initialise(Small(), jax.random.key(0), x), Small().init(jax.random.key(0), x)["params"]
    assert jax.tree.structure(one) == jax.tree.structure(many)
    for (path, a), b in zip(jax.tree.leaves_with_path(one), jax.tree.leaves(many), strict=True):
        assert a.shape == b.shape
        if path[-1].key.endswith("kernel"):
            np.testing.assert_allclose(a.std(), b.std(), rtol=0.1)
            assert not np.array_equal(a, b) and abs(float(a.mean())) < 0.1 * float(a.std())
        else:
            np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(one["Dense_0"]["kernel"].std(), 50**-0.5, rtol=0.05)
