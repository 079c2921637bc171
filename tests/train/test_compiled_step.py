"""The training step as it is compiled for eight devices: what they exchange, and when."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from compiled import arrays_with, collectives

from copycat_jax.data.synthetic import synthetic_batch
from copycat_jax.models import copycat
from copycat_jax.nn.recurrent import Recurrent
from copycat_jax.train.sharding import batch_sharding, make_mesh, state_shardings
from copycat_jax.train.state import TrainState
from copycat_jax.train.trainer import Trainer

ROWS = 88  # a number that no other axis has
MESHES = [(8, 1), (4, 2), (1, 8)]


def check(text: str, fsdp: int) -> None:
    everywhere, in_loops = collectives(text)
    assert not in_loops, f"{in_loops} in every iteration of a loop"
    assert "all-reduce" in everywhere
    assert everywhere <= {"all-reduce"} | ({"all-gather", "reduce-scatter"} if fsdp > 1 else set())
    assert not arrays_with(text, ROWS), "a device holds the whole batch"


@pytest.mark.parametrize(("data", "fsdp"), MESHES)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_recurrence_exchanges_nothing_from_frame_to_frame(data, fsdp, cell):
    mesh, network = make_mesh(data, fsdp), Recurrent(cell, 64)
    x, mask = (jax.ShapeDtypeStruct(s, t) for s, t in (((ROWS, 12, 80), "float32"), ((ROWS, 12), "bool")))
    params = jax.eval_shape(network.init, jax.random.key(0), x, mask)
    state = TrainState(jax.ShapeDtypeStruct((), "int32"), {"model": params}, {"model": {}}, {})
    places, rows = state_shardings(state, (), mesh, min_elements=1024).params["model"], batch_sharding(mesh)

    def energy(params, x, mask):
        states: Any = network.apply(params, x, mask)
        return jnp.square(states).sum()

    with jax.set_mesh(mesh):
        step = jax.jit(jax.grad(energy), in_shardings=(places, rows, rows), out_shardings=places)
        check(step.lower(params, x, mask).compile().as_text(), fsdp)


@pytest.mark.slow
@pytest.mark.parametrize(("data", "fsdp"), MESHES)
def test_a_step_of_copycat_exchanges_gradients_and_weights_alone(data, fsdp):
    config = dataclasses.replace(copycat.SIZES["tiny"], width=64, states=64)
    task = copycat.make_task(dataclasses.asdict(config), {"mel_bins": 80, "embedding": 16})
    batch = synthetic_batch(ROWS, 48, 10, embedding=16)
    trainer = Trainer(task, {"optimizer": {}, "train": {}, "mesh": {"data": data, "fsdp": fsdp}}, batch)
    with jax.set_mesh(trainer.mesh):
        step, _ = trainer.step_for(trainer.init(), trainer.metrics(), trainer.put(batch))
    check(step.as_text(), fsdp)
