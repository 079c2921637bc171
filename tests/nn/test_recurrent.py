import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.nn.cells import GATES
from copycat_jax.nn.masks import length_mask
from copycat_jax.nn.recurrent import Recurrent, recur

T, K, B, H = 7, 2, 3, 4
CELLS = ["gru", "lstm"]


def random_case(cell):
    keys = jax.random.split(jax.random.key(0), 4)
    gates = jax.random.normal(keys[0], (T, K, B, GATES[cell] * H))
    kernel = 0.5 * jax.random.normal(keys[1], (K, H, GATES[cell] * H))
    bias = jax.random.normal(keys[2], (K, H)) if cell == "gru" else None
    weight = jax.random.normal(keys[3], (T, K, B, H))
    mask = jnp.ones((T, K, B), bool).at[5:, 0, 1].set(False).at[:2, 1, 1].set(False)
    return gates, kernel, bias, mask, jnp.where(mask[..., None], weight, 0.0)


def slow(cell, gates, kernel, bias):
    """One row, one direction, one frame at a time, in float64."""
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h, c, out = np.zeros(H), np.zeros(H), []
    for x in gates:
        if cell == "gru":
            u = h @ kernel
            r, z = sigmoid(x[:H] + u[:H]), sigmoid(x[H : 2 * H] + u[H : 2 * H])
            h = (1 - z) * np.tanh(x[2 * H :] + r * (u[2 * H :] + bias)) + z * h
        else:
            i, f, g, o = np.split(x + h @ kernel, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.array(out)


@pytest.mark.parametrize("cell", CELLS)
def test_states_are_the_slow_ones_and_gradients_plain_autodiff(cell):
    gates, kernel, bias, mask, weight = random_case(cell)

    @functools.partial(jax.jit, static_argnums=3)
    def run(gates, kernel, bias, implementation):
        def objective(arguments):
            states = recur(cell, *arguments, mask, implementation)
            return (states * weight).sum(), states

        (_, states), gradient = jax.value_and_grad(objective, has_aux=True)((gates, kernel, bias))
        return states, gradient

    fused, plain = run(gates, kernel, bias, "fused"), run(gates, kernel, bias, "plain")
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5, rtol=1e-5), fused, plain)
    assert not np.asarray(fused[1][0])[~np.asarray(mask)].any()  # nothing flows into padding
    for direction in range(K):
        arrays = [
            np.asarray(x, np.float64) for x in (kernel[direction], jnp.zeros(H) if bias is None else bias[direction])
        ]
        for row in range(B):
            real = np.asarray(mask[:, direction, row])
            expected = slow(cell, np.asarray(gates[real, direction, row], np.float64), *arrays)
            np.testing.assert_allclose(fused[0][real, direction, row], expected, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_bfloat16_gradients_are_near_and_of_float32_weights(cell):
    gates, kernel, bias, mask, weight = random_case(cell)

    @jax.jit
    def both(kernel):
        def gradient(dtype):
            def objective(kernel):
                return (
                    recur(cell, gates.astype(dtype), kernel, bias, mask, "fused").astype(jnp.float32) * weight
                ).sum()

            return jax.grad(objective)(kernel)

        return gradient(jnp.bfloat16), gradient(jnp.float32)

    near, true = both(kernel)
    assert near.dtype == jnp.float32
    assert jnp.linalg.norm(near - true) < 0.05 * jnp.linalg.norm(true)


@pytest.mark.parametrize("cell", CELLS)
def test_each_row_as_if_alone_whatever_its_padding_and_bucket(cell):
    lengths = jnp.array([7, 4])
    layer = Recurrent(cell, H)
    x, mask = jax.random.normal(jax.random.key(3), (2, 7, 5)), length_mask(lengths, 7)
    params = layer.init(jax.random.key(4), x, mask)
    apply = jax.jit(layer.apply)
    clean = apply(params, x, mask)
    assert clean.shape == (2, 7, 2 * H) and not clean[1, 4:].any()
    np.testing.assert_array_equal(clean, apply(params, jnp.where(mask[..., None], x, jnp.nan), mask))
    alone = apply(params, x[1:, :4], jnp.ones((1, 4), bool))  # the backward direction starts at the row's real end
    np.testing.assert_allclose(clean[1, :4], alone[0], atol=1e-6)
    plain = Recurrent(cell, H, implementation="plain")
    np.testing.assert_allclose(jax.jit(plain.apply)(params, x, mask), clean, atol=1e-6)


def test_plain_forward_has_no_reverse_scan_and_no_custom_rule():
    layer = Recurrent("gru", H, implementation="plain")
    x, mask = jnp.zeros((1, 3, 2)), jnp.ones((1, 3), bool)
    params = layer.init(jax.random.key(0), x, mask)
    program = str(jax.make_jaxpr(layer.apply)(params, x, mask))
    assert "reverse=True" not in program and "custom_vjp" not in program
