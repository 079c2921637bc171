import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from copycat_jax.data.synthetic import synthetic_batch
from copycat_jax.errors import UserError
from copycat_jax.models.speaker import SIZES, SpeakerConfig, embed, lifter, make_task, random_crop, scores
from copycat_jax.nn.augmentation import ChannelConfig, random_channel
from copycat_jax.nn.masks import length_mask
from copycat_jax.task import total

TINY = dataclasses.asdict(SIZES["tiny"])
SHAPES = {"mel_bins": 80, "speakers": 4, "embedding": 16}


@pytest.mark.slow
def test_a_few_steps_learn_the_voices_and_vectors_have_length_one():
    task = make_task({**TINY, "head": "margin", "margin_steps": 5}, SHAPES)
    batch = jax.tree.map(jnp.asarray, synthetic_batch(4, 40, 8))
    params = task.init(jax.random.key(0), batch)
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(params, state, number):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), number), len(task.rng_names))
        rngs = dict(zip(task.rng_names, keys, strict=True))
        loss, gradient = jax.value_and_grad(lambda p: total(task.loss["model"](p, batch, rngs, number, None)[0]))(
            params
        )
        with jax.numpy_dtype_promotion("standard"):  # optax mixes counts with floats
            updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    evaluate = jax.jit(task.evaluate)
    before, state = evaluate(params, batch)["cross_entropy"], optimizer.init(params)
    for number in range(80):  # at 40 most seeds have not learnt them
        params, state, loss = step(params, state, number)
        assert np.isfinite(loss)
    after = evaluate(params, batch)
    assert float(after["cross_entropy"].sum) < 0.5 * float(before.sum)
    assert float(after["accuracy"].sum / after["accuracy"].count) >= 0.75
    config = SpeakerConfig.from_dict({**TINY, "head": "margin", **SHAPES})
    vectors = embed(params["model"], config, batch.mel, batch.mask)
    np.testing.assert_allclose(jnp.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_crops_are_real_frames_of_their_row():
    mel = jnp.arange(20.0)[None, :, None] + jnp.array([0.0, 100.0])[:, None, None] + jnp.zeros((2, 20, 3))
    mask = length_mask(jnp.array([20, 5]), 20)
    crop = jax.vmap(lambda k: random_crop(k, mel, mask, 8))(jax.random.split(jax.random.key(0), 100))
    starts = np.asarray(crop[0])[:, 0, 0, 0]
    assert np.asarray(crop[1])[:, 0].all() and set(starts) == set(range(13))
    assert (np.asarray(crop[0])[:, 1, 0, 0] == 100).all() and (np.asarray(crop[1]).sum(-1)[:, 1] == 5).all()


def test_channel_is_constant_over_time_and_off_at_zero():
    mel = jnp.full((6, 10, 80), -4.0)
    mask = jnp.ones((6, 10), bool)
    quiet = ChannelConfig(probability=1.0, noise_probability=0.0)
    heard = random_channel(jax.random.key(0), mel, mask, quiet)
    np.testing.assert_allclose(heard, jnp.broadcast_to(heard[:, :1], heard.shape), atol=1e-5)
    assert float(jnp.abs(heard - mel).max()) > 0.5 and float(heard.min()) >= quiet.floor
    off = random_channel(jax.random.key(0), mel, mask, dataclasses.replace(quiet, probability=0.0))
    np.testing.assert_array_equal(off, mel)
    loud_padding = jnp.where(length_mask(jnp.full(6, 7), 10)[..., None], mel, 50.0)
    noisy = [
        random_channel(jax.random.key(0), x, length_mask(jnp.full(6, 7), 10), ChannelConfig())
        for x in (mel, loud_padding)
    ]
    np.testing.assert_array_equal(noisy[0][:, :7], noisy[1][:, :7])


def test_margin_only_lowers_the_true_speaker_and_lifter_projects():
    config = dataclasses.replace(SIZES["tiny"], head="margin", speakers=3)
    cosines, label = jnp.array([[0.9, 0.1, -0.2], [-0.99, 0.5, 0.3]]), jnp.array([0, 0])
    plain, moved = scores(config, cosines, label, 0.0), scores(config, cosines, label, 0.3)
    np.testing.assert_allclose(plain, config.margin_scale * cosines, rtol=1e-5)
    np.testing.assert_allclose(moved[:, 1:], plain[:, 1:], rtol=1e-6)
    assert (moved[:, 0] < plain[:, 0]).all()
    x = jax.random.normal(jax.random.key(0), (1, 2, 20))
    np.testing.assert_allclose(lifter(lifter(x, 7), 7), lifter(x, 7), atol=1e-5)
    np.testing.assert_allclose(lifter(x, 20), x, atol=1e-5)


def test_sizes_abstractly_and_config_mistakes():
    for name, config in SIZES.items():
        task = make_task(dataclasses.asdict(config), {"speakers": 300, "embedding": 128})
        params = jax.eval_shape(task.init, jax.random.key(0), None)
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        assert name != "shipped" or 5e5 < count < 1.5e6
    as_json = {k: list(v) if isinstance(v, tuple) else v for k, v in TINY.items()}
    assert SpeakerConfig.from_dict(as_json) == SIZES["tiny"]
    with pytest.raises(UserError, match="pooling"):
        SpeakerConfig.from_dict({"poolin": "mean"})
    with pytest.raises(UserError, match="probability"):
        SpeakerConfig.from_dict({"channel": {"probabilty": 0.5}})
