"""The persistent recurrence without its GPU: what it lowers to, and where it is chosen.

What it computes is checked at the first use on every machine (`persistent.proven`).
"""

import jax
import jax.numpy as jnp
import pytest

from copycat_jax.errors import UserError
from copycat_jax.nn.cells import GATES
from copycat_jax.nn.recurrent import Recurrent, uses_persistent
from copycat_jax.train.sharding import make_mesh

needs_mosaic = pytest.mark.skipif(
    jax.__version_info__ < (0, 11), reason=f"the kernels need jax 0.11 or later, this is {jax.__version__}"
)


def lowered(cell, width, rows, directions=2, frames=9):
    """The gradient of a recurrence, lowered for CUDA; within a mesh, the batch lies over all its devices."""
    from copycat_jax.nn import persistent

    count = GATES[cell]
    shapes = ((directions, count, width, frames, rows), jnp.bfloat16), ((directions, width, count * width), jnp.float32)
    arguments = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
    bias = jnp.zeros((directions, width)) if cell == "gru" else None

    def loss(gates, kernel):
        return jnp.square(persistent.recur(cell, gates, kernel, bias).astype(jnp.float32)).sum()

    return jax.jit(jax.grad(loss, (0, 1))).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()


@needs_mosaic
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(("width", "rows", "directions"), [(256, 32, 2), (64, 16, 2), (100, 5, 1)])
def test_both_passes_are_one_kernel_each(cell, width, rows, directions):
    program = lowered(cell, width, rows, directions=directions)
    assert program.count("stablehlo.custom_call @mosaic_gpu") == 2
    assert "stablehlo.while" not in program


@needs_mosaic
def test_over_a_mesh_every_device_runs_its_own_rows():
    with jax.set_mesh(make_mesh(fsdp=2)):
        program = lowered("gru", 128, 8 * 16)
    kernels = [line for line in program.splitlines() if "custom_call @mosaic_gpu" in line]
    assert len(kernels) == 2 and all(f"128x{9 * 16}xbf16" in line for line in kernels)
    assert "all_gather" not in program


@needs_mosaic
def test_rows_that_do_not_divide_over_a_mesh_run_whole():
    """The one row with which parameters are shaped, under the mesh of a training run."""
    with jax.set_mesh(make_mesh()):
        assert lowered("lstm", 64, 1).count("stablehlo.custom_call @mosaic_gpu") == 2


def test_it_is_never_on_by_accident():
    for implementation in ("auto", "fused", "plain"):
        assert not uses_persistent(implementation, "gru", 256, jnp.bfloat16)
    layer = Recurrent("gru", 8, implementation="persistent")
    with pytest.raises(UserError, match="recurrence: 'persistent' needs a Hopper GPU"):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 4, 3)), jnp.ones((1, 4), bool))
