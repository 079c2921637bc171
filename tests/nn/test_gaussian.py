import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.nn.gaussian import kl_to_standard, log_density, sample


def test_kl_is_the_integral_of_the_log_ratio():
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    for mean, log_variance in ((0.0, 0.0), (1.5, -1.0), (-0.3, 0.7)):
        x = jnp.asarray(mean + np.exp(log_variance / 2) * nodes, jnp.float32)[:, None]
        m, v = jnp.full((40, 1), mean), jnp.full((40, 1), log_variance)
        ratio = log_density(x, m, v) - log_density(x, jnp.zeros((40, 1)), jnp.zeros((40, 1)))
        integral = float((np.asarray(ratio) * weights).sum() / weights.sum())
        np.testing.assert_allclose(kl_to_standard(m, v)[0, 0], integral, atol=1e-5)


def test_samples_have_the_asked_mean_and_variance():
    z = sample(jax.random.key(0), jnp.full((20000,), 2.0), jnp.full((20000,), -1.0))
    np.testing.assert_allclose([z.mean(), z.var()], [2.0, np.exp(-1.0)], atol=0.02)
