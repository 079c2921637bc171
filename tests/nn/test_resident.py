"""The TPU's recurrence without its TPU: in interpret mode beside the scan, and what it lowers to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.nn import resident
from copycat_jax.nn.cells import GATES
from copycat_jax.nn.recurrent import Recurrent, recur
from copycat_jax.train.sharding import make_mesh

try:
    from jax.experimental.pallas.tpu import InterpretParams
except ImportError:
    InterpretParams = None

needs_interpreter = pytest.mark.skipif(
    InterpretParams is None, reason=f"jax {jax.__version__} has no interpreter of TPU kernels"
)
T, K, B, H = 4, 2, 3, 8
CELLS = ["gru", "lstm"]


def case(cell, dtype=jnp.float32, rows=B, width=H):
    """Gates, weights, bias, and a mask as of two directions: padding last in the first, first in the second."""
    keys = jax.random.split(jax.random.key(0), 4)
    gates = jax.random.normal(keys[0], (T, K, rows, GATES[cell] * width)).astype(dtype)
    kernel = 0.5 * jax.random.normal(keys[1], (K, width, GATES[cell] * width))
    bias = jax.random.normal(keys[2], (K, width)) if cell == "gru" else None
    weight = jax.random.normal(keys[3], (T, K, rows, width))
    mask = jnp.ones((T, K, rows), bool).at[3:, 0, 1].set(False).at[:2, 1, 1].set(False)
    return gates, kernel, bias, mask, jnp.where(mask[..., None], weight, 0.0)


def values(cell, implementation, given):
    """Real states, and the gradients of all that is given."""

    gates, kernel, bias, mask, weight = given

    def objective(arguments):
        gates, kernel, bias = arguments
        states = recur(cell, gates, kernel, bias, mask, implementation).astype(jnp.float32)
        return (states * weight).sum(), jnp.where(mask[..., None], states, 0.0)

    (_, states), gradients = jax.value_and_grad(objective, has_aux=True)((gates, kernel, bias))
    return states, gradients


@needs_interpreter
@pytest.mark.parametrize(
    ("cell", "dtype", "tolerance"),
    [
        ("gru", "float32", 1e-5),
        ("lstm", "bfloat16", 3e-2),
        pytest.param("gru", "bfloat16", 3e-2, marks=pytest.mark.slow),
        pytest.param("lstm", "float32", 1e-5, marks=pytest.mark.slow),
    ],
)
def test_states_and_gradients_are_those_of_the_scan(cell, dtype, tolerance):
    given = case(cell, jnp.dtype(dtype))
    own, scan = (jax.jit(functools.partial(values, cell, name))(given) for name in ("persistent", "fused"))
    for a, b in zip(jax.tree.leaves(own), jax.tree.leaves(scan), strict=True):
        a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)
    assert not np.asarray(own[1][0], np.float32)[~np.asarray(given[3])].any()  # nothing flows into padding


@needs_interpreter
@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_over_a_mesh_every_device_runs_its_own_rows(cell):
    given = case(cell, rows=16)
    alone = jax.jit(functools.partial(values, cell, "fused"))(given)
    with jax.set_mesh(make_mesh(fsdp=2)):
        spread = jax.jit(functools.partial(values, cell, "persistent"))(given)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), spread, alone)


@pytest.mark.parametrize("cell", CELLS)
def test_both_passes_lower_for_a_tpu_as_one_kernel_each(cell, monkeypatch):
    monkeypatch.setattr(resident, "interpreted", lambda: False)
    given = case(cell, jnp.bfloat16, rows=20, width=256)
    gradient = jax.jit(functools.partial(values, cell, "persistent"))
    program = gradient.trace(given).lower(lowering_platforms=("tpu",)).as_text()
    assert program.count("stablehlo.custom_call @tpu_custom_call") == 2 and "stablehlo.while" not in program


def test_it_is_chosen_only_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    x, mask = jnp.zeros((1, 4, 3)), jnp.ones((1, 4), bool)

    def program(implementation):
        layer = Recurrent("gru", 128, implementation=implementation)
        return str(jax.make_jaxpr(lambda key: layer.init_with_output(key, x, mask)[0])(jax.random.key(0)))

    assert "pallas_call" in program("persistent") and "pallas_call" not in program("auto")
    with pytest.raises(UserError, match="a TPU and 128 states or a multiple, and cannot run a gru of 100"):
        jax.eval_shape(Recurrent("gru", 100, implementation="persistent").init, jax.random.key(0), x, mask)
