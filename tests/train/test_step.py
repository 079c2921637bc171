import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax.task import Task, Term, total
from copycat_jax.train.config import TrainConfig
from copycat_jax.train.loop import Trainer
from copycat_jax.train.state import stream_key
from copycat_jax.train.step import divide, empty_metrics, make_init, make_train_step


def run_step(task, config, step=0, state=None, batch=None):
    trainer = Trainer(task, config, toy_batch(0))
    with jax.set_mesh(trainer.mesh):
        state = trainer.init() if state is None else state
        compiled, _ = trainer.step_for(state, trainer.metrics(), trainer.put(batch or toy_batch(step)))
        return compiled(state, trainer.metrics(), trainer.put(batch or toy_batch(step)))


def test_a_step_equals_plain_adam_written_out():
    task, config = toy_task(dropout=0.0), toy_config()
    config["optimizer"] = {"lr": 0.01, "clip_norm": 0.5}
    step_config = TrainConfig(seed=0, ema_decay=0.9)
    optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.01))
    before = jax.jit(make_init(task, {"model": optimizer}, step_config))(toy_batch(0))
    batch = toy_batch(0)
    rngs = {n: stream_key(0, f"model/{n}", 0) for n in task.rng_names}

    def updated(params):
        """(Loss, gradients, parameters after the update)."""
        loss = lambda p: total(task.loss["model"]({"model": p}, batch, rngs, 0, None)[0])  # noqa: E731
        value, grads = jax.value_and_grad(loss)(params)
        updates, _ = optimizer.update(grads, optimizer.init(params))
        return value, grads, optax.apply_updates(params, updates)

    with jax.numpy_dtype_promotion("standard"):  # optax mixes counts with floats
        loss, grads, wanted = jax.jit(updated)(before.params["model"])

    state, metrics = run_step(task, config)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), state.params["model"], wanted)
    values = divide(jax.device_get(metrics)["terms"])
    assert values["loss/model"] == pytest.approx(float(loss), rel=1e-5)
    assert values["grad_norm/model"] == pytest.approx(float(optax.global_norm(grads)), rel=1e-5)
    assert values["frames"] == batch.mask.sum() and values["lr/model"] == pytest.approx(0.01)
    ema = jax.tree.map(
        lambda old, new: old + 0.9 * (new - old), before.params["model"], wanted
    )  # decay of step 0 is 0.1
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), state.ema, ema)
    assert int(state.step) == 1 and int(metrics["bad"][0]) == 0


def test_groups_are_updated_at_the_same_point_and_carry_has_no_gradient():
    """The adversary sees the generator's output of before the update, and each group follows its own loss alone."""

    def model_loss(params, batch, rngs, step, carry):
        out = params["model"]["w"] * 2.0
        return {"gen": Term(-(out * params["adversary"]["v"]).sum(), jnp.float32(1), 1.0)}, out

    def adversary_loss(params, batch, rngs, step, carry):
        return {"dis": Term((carry * params["adversary"]["v"]).sum(), jnp.float32(1), 1.0)}, None

    def init(rng, batch):
        return {"model": {"w": jnp.full((2,), 3.0)}, "adversary": {"v": jnp.full((2,), 5.0)}}

    losses = {"model": model_loss, "adversary": adversary_loss}
    task = Task(name="t", init=init, loss=losses, evaluate=lambda params, batch: {})
    sgd = {g: optax.sgd(0.1) for g in task.groups}
    config = TrainConfig(ema_decay=0.0)
    step = make_train_step(task, sgd, {g: lambda s: 0.1 for g in sgd}, config)
    names = (
        "frames",
        "loss/model",
        "loss/adversary",
        "grad_norm/model",
        "grad_norm/adversary",
        "lr/model",
        "lr/adversary",
        "gen",
        "dis",
    )
    metrics = empty_metrics(step, make_init(task, sgd, config)(toy_batch(0)), toy_batch(0), slots=1)
    assert set(metrics["terms"]) == set(names)
    state, _ = jax.jit(step)(make_init(task, sgd, config)(toy_batch(0)), metrics, toy_batch(0))
    np.testing.assert_allclose(state.params["model"]["w"], 3.0 + 0.1 * 2.0 * 5.0, rtol=1e-6)
    np.testing.assert_allclose(state.params["adversary"]["v"], 5.0 - 0.1 * 2.0 * 3.0, rtol=1e-6)
    assert state.ema == {}


def test_a_step_that_is_not_finite_changes_nothing_but_its_number():
    task, config = toy_task(True), toy_config()
    trainer = Trainer(task, config, toy_batch(0))
    with jax.set_mesh(trainer.mesh):
        state = trainer.init()
        kept = jax.device_get(state)
        batch = trainer.put(toy_batch(0, poison=0))
        compiled, _ = trainer.step_for(state, trainer.metrics(), batch)
        state, metrics = compiled(state, trainer.metrics(), batch)
        state, metrics = compiled(state, metrics, batch)
        after, metrics = jax.device_get((state, metrics))
        state, more = compiled(state, trainer.metrics(), trainer.put(toy_batch(2)))
    jax.tree.map(np.testing.assert_array_equal, after._replace(step=0), kept._replace(step=0))
    assert all(sum == count == 0 for sum, count in metrics["terms"].values())  # nor is it counted
    assert all(count > 0 for _, count in more["terms"].values())
    assert int(after.step) == 2 and (int(metrics["bad"][0]), metrics["bad"][1].tolist()) == (2, [0, 1, -1, -1])


def test_randomness_depends_on_seed_name_and_step_alone():
    keys = [
        stream_key(*a)
        for a in ((0, "model/dropout", 3), (0, "model/dropout", 4), (0, "model/sample", 3), (1, "model/dropout", 3))
    ]
    data = [tuple(np.asarray(jax.random.key_data(k)).tolist()) for k in keys]
    assert len(set(data)) == 4
    again = jax.jit(lambda s: jax.random.key_data(stream_key(0, "model/dropout", s)))(jnp.int32(3))
    np.testing.assert_array_equal(again, jax.random.key_data(keys[0]))


def test_rows_that_do_not_divide_are_refused():
    from copycat_jax.errors import UserError

    trainer = Trainer(toy_task(), toy_config(), toy_batch(0))
    with pytest.raises(UserError, match="6 rows do not divide over 8 devices"):
        trainer.put(toy_batch(0, rows=6))


def test_the_window_knows_its_highest_loss_and_where_it_was():
    trainer = Trainer(toy_task(), toy_config(), toy_batch(0))
    with jax.set_mesh(trainer.mesh):
        state, metrics, losses = trainer.init(), trainer.metrics(), []
        compiled, _ = trainer.step_for(state, metrics, trainer.put(toy_batch(0)))
        for step in range(4):
            before = float(metrics["terms"]["loss/model"][0])
            batch = toy_batch(step)
            batch = batch._replace(mel=batch.mel * (5.0 if step == 2 else 1.0))
            state, metrics = compiled(state, metrics, trainer.put(batch))
            losses.append(float(metrics["terms"]["loss/model"][0]) - before)
        state, metrics = compiled(state, metrics, trainer.put(toy_batch(0, poison=0)))
    highest, at, squares = (float(x) for x in metrics["peak"])
    assert at == 2 and highest == pytest.approx(max(losses), rel=1e-4)
    assert squares == pytest.approx(sum(x * x for x in losses), rel=1e-4)
