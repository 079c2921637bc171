import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.train.config import OptimizerConfig
from copycat_jax.train.optimizer import make_optimizer, make_schedule, optimizer_configs


def test_warmup_then_cosine():
    schedule = make_schedule(OptimizerConfig(lr=1.0, schedule="cosine", warmup_steps=4, final_lr_ratio=0.1), steps=104)
    values = [float(schedule(s)) for s in range(110)]
    np.testing.assert_allclose(values[:5], [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-6)
    assert values[54] == pytest.approx(0.1 + 0.9 * 0.5, abs=1e-6)  # half-way down the cosine
    assert values[104] == pytest.approx(0.1, abs=1e-6) and max(values) == 1.0


def test_first_step_of_adam_is_the_sign_of_the_gradient_times_lr():
    chain = make_optimizer(OptimizerConfig(lr=0.1, clip_norm=0.0), 10)
    params = {"w": jnp.zeros((2, 2)), "b": jnp.zeros((2,))}
    updates, _ = chain.update({"w": jnp.full((2, 2), 3.0), "b": jnp.full((2,), -7.0)}, chain.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.1, rtol=1e-5)
    np.testing.assert_allclose(updates["b"], 0.1, rtol=1e-5)


def test_decay_touches_matrices_only():
    chain = make_optimizer(OptimizerConfig(name="adamw", lr=0.1, weight_decay=0.5), 10)
    params = {"w": jnp.ones((2, 2)), "b": jnp.ones((2,))}
    updates, _ = chain.update({"w": jnp.zeros((2, 2)), "b": jnp.zeros((2,))}, chain.init(params), params)
    np.testing.assert_allclose(updates["w"], -0.05, rtol=1e-6)
    np.testing.assert_allclose(updates["b"], 0.0)


def test_groups_override_shared_fields():
    configs = optimizer_configs({"lr": 1e-3, "b1": 0.9, "adversary": {"lr": 2e-4, "b1": 0.0}}, ("model", "adversary"))
    assert (configs["model"].lr, configs["model"].b1) == (1e-3, 0.9)
    assert (configs["adversary"].lr, configs["adversary"].b1) == (2e-4, 0.0)


@pytest.mark.parametrize(
    "fields, message",
    [({"lrr": 1}, "Did you mean 'lr'"), ({"name": "sgdd"}, "adam, adamw"), ({"schedule": "x"}, "cosine")],
)
def test_mistakes_are_named(fields, message):
    with pytest.raises(UserError, match=message):
        optimizer_configs(fields, ("model",))
