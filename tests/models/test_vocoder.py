"""The vocoder's sound follows mel and F0, depends on neither batch nor padding, and everything in it learns."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.data.audio import AudioConfig, make_windows, window_draw
from copycat_jax.data.inputs import synthetic_corpus
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.models import vocoder
from copycat_jax.task import total

CONFIG = dataclasses.replace(vocoder.SIZES["tiny"], own_f0_after=0)
FLOOR = math.log(HIFIGAN.floor)


@pytest.fixture(scope="module")
def batch():
    corpus = synthetic_corpus(1.5, audio=True)
    data = AudioConfig(batch_size=2, window_frames=40)
    windows = make_windows(corpus, window_draw(corpus, np.flatnonzero(corpus.lengths >= 40), data), data, seed=0)(0)
    return type(windows)(*map(jnp.asarray, windows))


def task(**fields):
    return vocoder.make_task(dataclasses.replace(CONFIG, **fields).to_dict(), {"mel_spec": HIFIGAN.to_dict()})


@pytest.fixture(scope="module")
def params(batch):
    return jax.jit(task().init)(jax.random.key(0), batch)["model"]


def test_a_row_depends_neither_on_others_nor_on_padding(params, batch):
    make = jax.jit(lambda mel, f0_hz: vocoder.synthesize(params, CONFIG, mel, f0_hz))
    both = make(batch.mel, batch.f0_hz)
    assert both.shape == (2, 40 * 256)
    padded = jnp.pad(batch.mel[1:], ((0, 0), (0, 24), (0, 0)), constant_values=FLOOR)
    alone = make(padded, jnp.pad(batch.f0_hz[1:], ((0, 0), (0, 24))))
    np.testing.assert_allclose(alone[0, : 40 * 256 - 640], both[1, :-640], atol=1e-4)
    assert np.abs(alone[0, 41 * 256 + 640 :]).max() == 0  # silence in, silence out


def test_f0_is_read_where_none_is_given(params, batch):
    read = vocoder.read_f0(params, CONFIG, batch.mel)
    assert read.shape == (2, 40) and bool(jnp.all((read == 0) | (read > 0)))
    np.testing.assert_array_equal(
        vocoder.synthesize(params, CONFIG, batch.mel), vocoder.synthesize(params, CONFIG, batch.mel, read)
    )


def test_the_loss_reaches_every_parameter(params, batch):
    learner = task()
    rngs = {name: jax.random.key(i) for i, name in enumerate(learner.rng_names)}

    def loss(own):
        return total(learner.loss["model"]({"model": own}, batch, rngs, jnp.int32(1), None)[0])

    value, slopes = jax.jit(jax.value_and_grad(loss))(params)
    assert np.isfinite(value)
    assert all(float(jnp.abs(slope).max()) > 0 for slope in jax.tree.leaves(slopes))


@pytest.mark.slow
def test_the_adversary_learns_and_teaches(batch):
    learner = task(adversarial=True, adversarial_ramp=1)
    params = jax.jit(learner.init)(jax.random.key(0), batch)
    rngs = {name: jax.random.key(i) for i, name in enumerate(learner.rng_names)}

    def generator(own):
        terms, carry = learner.loss["model"]({**params, "model": own}, batch, rngs, jnp.int32(9), None)
        return terms["adversarial"].sum + terms["matching"].sum, carry

    slopes, carry = jax.jit(jax.grad(generator, has_aux=True))(params["model"])
    assert float(jnp.abs(slopes["shape"]["out"]["kernel"]).max()) > 0

    def adversary(own):
        return total(learner.loss["adversary"]({**params, "adversary": own}, batch, rngs, jnp.int32(9), carry)[0])

    slopes = jax.jit(jax.grad(adversary))(params["adversary"])
    assert all(float(jnp.abs(slope).max()) > 0 for slope in jax.tree.leaves(slopes))
