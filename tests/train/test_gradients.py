"""A step in parts is the step of the whole batch."""

import dataclasses
import functools

import jax
import numpy as np
import optax
import pytest
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax.data.synthetic import synthetic_batch
from copycat_jax.errors import UserError
from copycat_jax.models import copycat
from copycat_jax.train.flops import count_flops
from copycat_jax.train.gradients import gradients, gradients_in_parts
from copycat_jax.train.loop import Trainer, fit
from copycat_jax.train.step import divide

ROWS = 32
batches = functools.partial(toy_batch, rows=ROWS)
near = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-6)


@functools.cache
def stepped(parts: int, fsdp: int = 1, steps: int = 2, poison: int = -1, sharded: bool = False):
    config = toy_config(accumulate=parts)
    config["mesh"]["fsdp"] = fsdp
    rules = (("kernel", ("fsdp",)),) if sharded else ()
    trainer = Trainer(toy_task(True, rules=rules), config, batches(0))
    with jax.set_mesh(trainer.mesh):
        state, metrics = trainer.init(), trainer.metrics()
        for step in range(steps):
            batch = trainer.put(batches(step, poison=poison))
            state, metrics = trainer.step_for(state, metrics, batch)[0](state, metrics, batch)
        return jax.device_get((state, metrics))


@pytest.mark.parametrize(("parts", "fsdp"), [pytest.param(4, 1, marks=pytest.mark.slow), (2, 2)])
def test_parts_add_up_to_the_whole_batch(parts, fsdp):
    """Losses of terms with unequal counts, dropout, sampling, adversary, clipping, moving average, metrics."""
    (whole, metrics), (apart, found) = stepped(1), stepped(parts, fsdp, sharded=fsdp > 1)
    jax.tree.map(near, whole, apart)
    near(metrics["peak"], found["peak"])
    wanted, values = divide(metrics["terms"]), divide(found["terms"])
    assert set(values) == set(wanted)
    near([values[name] for name in wanted], list(wanted.values()))


def test_a_part_that_is_not_finite_discards_the_whole_step():
    (state, metrics), (before, _) = stepped(2, steps=1, poison=0), stepped(2, steps=0)
    jax.tree.map(np.testing.assert_array_equal, state._replace(step=0), before._replace(step=0))
    assert int(metrics["bad"][0]) == 1 and all(count == 0 for _, count in metrics["terms"].values())


def test_it_resumes_to_the_bit_and_schedules_count_whole_steps(tmp_path):
    config = toy_config(accumulate=2, steps=6, save_every=3)
    config["optimizer"] |= {"schedule": "cosine", "warmup_steps": 2}
    run = functools.partial(fit, toy_task(), config, batches, tensorboard=False)
    unbroken = run(run_dir=tmp_path / "unbroken")
    run(run_dir=tmp_path / "broken", max_steps=3)
    jax.tree.map(np.testing.assert_array_equal, unbroken, run(run_dir=tmp_path / "broken"))
    counts = [int(x) for x in jax.tree.leaves(unbroken.opt_state) if x.ndim == 0]
    assert int(unbroken.step) == 6 and set(counts) == {6}


def test_rows_that_do_not_divide_into_parts_are_refused():
    with pytest.raises(UserError, match="32 rows do not divide over 8 devices in 3 parts"):
        Trainer(toy_task(), toy_config(accumulate=3), batches(0))


def functions_of(task, batch, parts):
    """The gradients at once and in parts, and what both are called with."""
    params = task.init(jax.random.key(0), batch)
    count = len(task.rng_names)
    keys = {g: dict(zip(task.rng_names, jax.random.split(jax.random.key(1), count), strict=True)) for g in task.groups}
    both = functools.partial(gradients, task), functools.partial(gradients_in_parts, task, parts=parts)
    return both, (params, batch, keys, np.int32(1500))


def test_counting_computes_no_network():
    (whole, apart), arguments = functions_of(toy_task(True), batches(0), 4)
    assert count_flops(apart, *arguments) == pytest.approx(count_flops(whole, *arguments))


@pytest.mark.slow
def test_parts_of_a_batch_of_copycat_draw_what_the_whole_batch_draws():
    config = {**dataclasses.asdict(copycat.SIZES["tiny"]), "adversarial": True, "embedding": 16}
    task = copycat.make_task(config, {"mel_bins": 80, "embedding": 16})
    (whole, apart), arguments = functions_of(task, synthetic_batch(8, 48, 10, embedding=16), 4)
    one, other = jax.jit(whole)(*arguments), jax.jit(apart)(*arguments)
    jax.tree.map(functools.partial(near, atol=1e-6), one.loss, other.loss)
    for group in task.groups:
        leaves = zip(*(jax.tree.leaves(found.grads[group]) for found in (one, other)), strict=True)
        square = sum(float(np.square(a - b).sum()) for a, b in leaves)
        assert square**0.5 < 1e-5 * float(optax.global_norm(one.grads[group]))
