import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from copycat_jax.errors import UserError
from copycat_jax.train import sharding
from copycat_jax.train.state import TrainState


@pytest.fixture(scope="module")
def mesh():
    return sharding.make_mesh(data=2, fsdp=4)


def shapes(**leaves):
    return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in leaves.items()}


def test_mesh_takes_all_devices_and_is_auto():
    mesh = sharding.make_mesh(fsdp=4)
    assert dict(mesh.shape) == {"data": 2, "fsdp": 4}
    assert set(mesh.axis_types) == {jax.sharding.AxisType.Auto}
    with pytest.raises(UserError, match="does not fit 8 devices"):
        sharding.make_mesh(data=3)


def test_default_is_the_largest_divisible_dimension_of_large_arrays(mesh):
    assert sharding.default_spec((128, 512), 4) == P(None, "fsdp")
    assert sharding.default_spec((510, 128), 4) == P(None, "fsdp")  # 510 does not divide
    assert sharding.default_spec((129, 511), 4) == P()
    assert sharding.default_spec((8, 8), 4) == P()
    assert sharding.default_spec((512, 512), 1) == P()


def test_first_matching_pattern_wins(mesh):
    params = {"model": shapes(kernel=(512, 256), embedding=(72, 512))}
    specs = sharding.param_specs(params, [("embedding", ()), ("model/", ("fsdp",))], mesh)
    assert specs == {"model/kernel": P("fsdp"), "model/embedding": P()}


@pytest.mark.parametrize(
    "rule, message",
    [
        (("decoder/.*", ("fsdp",)), "matches no parameter"),
        (("kernel", ("model",)), "unknown mesh axis"),
        (("bias", ("fsdp",)), "Axes must divide"),
    ],
)
def test_wrong_patterns_are_errors(mesh, rule, message):
    with pytest.raises(UserError, match=message):
        sharding.param_specs({"model": shapes(kernel=(512, 256), bias=(7,))}, [rule], mesh)


def test_moments_and_averages_lie_where_their_parameter_lies(mesh):
    own = shapes(kernel=(512, 256), bias=(256,))
    moments = ({}, {"mu": own, "nu": own, "count": jax.ShapeDtypeStruct((), jnp.int32)})
    state = TrainState(jax.ShapeDtypeStruct((), jnp.int32), {"model": own}, {"model": moments}, own)
    placed = sharding.state_shardings(state, (), mesh)
    for place in (
        placed.params["model"],
        placed.opt_state["model"][1]["mu"],
        placed.opt_state["model"][1]["nu"],
        placed.ema,
    ):
        assert place["kernel"].spec == P("fsdp", None) and place["bias"].spec == P()
    assert placed.opt_state["model"][1]["count"].spec == placed.step.spec == P()
