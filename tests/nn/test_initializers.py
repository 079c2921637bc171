import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


class Table(nn.Module):
    initializer: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x):
        return (
            x
            + self.param("offsets", self.initializer, (300, 4)).sum()
            + self.param("bias", nn.initializers.ones, (2,))[0]
        )


def test_a_random_parameter_is_drawn_whatever_its_name():
    params = initialise(Table(kernel_limit), jax.random.key(0), jnp.zeros(()))
    assert len(np.unique(params["offsets"])) > 1000
    np.testing.assert_allclose(params["offsets"].std(), 300**-0.5, rtol=0.1)
    np.testing.assert_array_equal(params["bias"], 1)


def test_a_random_parameter_of_another_initializer_is_refused():
    with pytest.raises(ValueError, match=r"\['offsets'\]: drawn by an initializer that is not of"):
        initialise(Table(nn.initializers.normal()), jax.random.key(0), jnp.zeros(()))
