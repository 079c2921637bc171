import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from copycat_jax.batch import AlignedPhonemes
from copycat_jax.data.synthetic import synthetic_batch
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.models import copycat
from copycat_jax.models.copycat import SIZES, CopyCatConfig, make_task
from copycat_jax.nn.masks import length_mask
from copycat_jax.task import total

TINY = dataclasses.asdict(SIZES["tiny"])
SHAPES = {"mel_bins": 80, "embedding": 16}
CONFIG = CopyCatConfig.from_dict({**TINY, **SHAPES})


def rngs_of(task, seed=1):
    keys = jax.random.split(jax.random.key(seed), len(task.rng_names))
    return dict(zip(task.rng_names, keys, strict=True))


@pytest.fixture(scope="module")
def batch():
    return jax.tree.map(jnp.asarray, synthetic_batch(4, 56, 10, embedding=16))


@pytest.fixture(scope="module")
def params(batch):
    return make_task(TINY, SHAPES).init(jax.random.key(0), batch)


@pytest.fixture(scope="module")
def encode():
    return jax.jit(lambda p, *a: copycat.encode(p, CONFIG, *a))


@pytest.fixture(scope="module")
def decode():
    return jax.jit(lambda p, *a: copycat.decode(p, CONFIG, *a))


def test_padding_content_is_bitwise_nothing_and_the_bucket_next_to_nothing(batch, params, encode, decode):
    def run(mel, aligned):
        mean, _ = encode(params["model"], mel, aligned, batch.speaker_vector)
        return decode(params["model"], mean, aligned, batch.centroid)

    aligned = batch.aligned
    clean = run(batch.mel, aligned)
    assert not batch.mask.all() and not clean[~np.asarray(batch.mask)].any()
    dirty = jnp.where(batch.mask[..., None], batch.mel, jnp.nan)
    ids = jnp.where(batch.phoneme_mask, batch.phonemes, 7)
    np.testing.assert_array_equal(run(dirty, aligned._replace(phonemes=ids)), clean)
    mel = jnp.pad(batch.mel, ((0, 0), (0, 9), (0, 0)), constant_values=3.0)
    mask = length_mask(batch.mask.sum(1), 65)
    wider = (jnp.pad(x, ((0, 0), (0, 3))) for x in aligned[:2])
    longer = run(mel, AlignedPhonemes(*wider, mask))
    np.testing.assert_allclose(longer[:, :56], clean, atol=2e-5)


def test_encoder_hears_the_source_vector_and_decoder_the_target(batch, params, encode, decode):
    mean, _ = encode(params["model"], batch.mel, batch.aligned, batch.speaker_vector)
    other, _ = encode(params["model"], batch.mel, batch.aligned, -batch.speaker_vector)
    assert float(jnp.abs(mean - other)[0, 20:36].max()) > 1e-3
    voices = [decode(params["model"], mean, batch.aligned, sign * batch.centroid) for sign in (1, -1)]
    assert float(jnp.abs(voices[0] - voices[1])[0, 20:36].max()) > 1e-2
    shorter = decode(params["model"], mean, batch.aligned, 0.3 * batch.centroid)
    np.testing.assert_allclose(shorter, voices[0], atol=1e-4)  # a vector's direction counts, not its length


def test_transfer_with_ratio_one_is_encode_then_decode(batch, params, encode, decode):
    mean, _ = encode(params["model"], batch.mel, batch.aligned, batch.speaker_vector)
    expected = decode(params["model"], mean, batch.aligned, batch.centroid)
    moved = jax.jit(lambda ratio: copycat.transfer_mel(
        params["model"], CONFIG, batch.mel, ratio, batch.aligned, batch.speaker_vector, batch.centroid, HIFIGAN
    ))  # fmt: skip
    np.testing.assert_allclose(moved(jnp.ones(4)), expected, atol=1e-3)
    assert float(jnp.abs(moved(jnp.full(4, 1.5)) - expected).max()) > 1e-2


def test_decoder_vectors_come_in_the_asked_proportions(batch):
    marked = batch._replace(
        speaker_vector=jnp.full((4, 16), 1.0), other_vector=jnp.full((4, 16), 2.0), centroid=jnp.full((4, 16), 3.0)
    )
    draw = jax.jit(jax.vmap(lambda key: copycat.draw_vectors(key, (0.5, 0.25, 0.25), marked)))
    drawn = np.asarray(draw(jax.random.split(jax.random.key(0), 1000)))[..., 0]
    shares = [(drawn == value).mean() for value in (1, 2, 3)]
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.03)


def test_kl_is_over_all_frames_or_kept_ones_and_units_are_counted():
    mask = length_mask(jnp.array([12, 7]), 12)
    mean = jnp.zeros((2, 12, 8)).at[:, 3::4, 0].set(jnp.array([[1.0], [-1.0]]))  # forward unit 0, on kept frames
    mean = mean.at[:, 1, 5].set(9.0)  # a backward unit where nothing is kept
    for frames, count in (("all", 19), ("kept", 5)):
        config = dataclasses.replace(CONFIG, kl_frames=frames)
        terms = copycat.latent_terms(config, mean, jnp.zeros((2, 12, 8)), mask, 0.1)
        assert float(terms["kl"].count) == count and terms["kl"].weight == 0.1
        active = {name: float(terms[name].sum / terms[name].count) for name in ("active_forward", "active_backward")}
        assert active == {"active_forward": 1, "active_backward": 0}
        np.testing.assert_allclose(terms["kl_kept_forward"].sum, 0.5 * 4)
        assert float(terms["kl_kept_backward"].sum) == 0


@pytest.mark.slow
def test_adversarial_steps_learn_both_networks(batch):
    task = make_task({**TINY, "adversarial": True, "kl_anneal_steps": [0, 10]}, SHAPES)
    assert task.groups == ("model", "adversary")
    params = task.init(jax.random.key(0), batch)
    optimizer = optax.adam(5e-3)

    def of_group(group, params, rngs, number, carry):
        def objective(own):
            terms, out = task.loss[group]({**params, group: own}, batch, rngs, number, carry)
            return total(terms), (terms, out)

        return jax.value_and_grad(objective, has_aux=True)(params[group])

    @jax.jit
    def step(params, state, number):
        rngs = {name: jax.random.fold_in(key, number) for name, key in rngs_of(task).items()}
        carry, logged, new_params, new_state = None, {}, dict(params), {}
        for group in task.groups:
            (_, (terms, carry)), gradient = of_group(group, new_params, rngs, number, carry)
            with jax.numpy_dtype_promotion("standard"):  # optax mixes counts with floats
                updates, new_state[group] = optimizer.update(gradient, state[group])
            new_params[group] = optax.apply_updates(params[group], updates)
            logged |= {name: term.sum / term.count for name, term in terms.items()}
        return new_params, new_state, logged

    state = {group: optimizer.init(params[group]) for group in task.groups}
    history = []
    for number in range(25):
        params, state, logged = step(params, state, number)
        history.append({name: float(value) for name, value in logged.items()})
    assert all(np.isfinite(list(logged.values())).all() for logged in history)
    assert history[-1]["l1"] < 0.8 * history[0]["l1"]
    assert history[-1]["discriminator"] < history[0]["discriminator"]


def test_evaluation_is_deterministic_and_compares_own_with_centroid(batch, params):
    task = make_task(TINY, SHAPES)
    terms = jax.jit(task.evaluate)(params, batch)
    frames = float(batch.mask.sum())
    assert {name: float(terms[name].count) for name in ("l1", "l1_centroid", "kl")} == dict.fromkeys(
        ("l1", "l1_centroid", "kl"), frames
    )
    assert float(terms["l1"].sum) != float(terms["l1_centroid"].sum)


VARIANTS = [
    {"variational": False},
    {"instance_norm": False},
    {"speaker_in_phoneme_encoder": True},
    {"kl_frames": "kept"},
]


@pytest.mark.parametrize("change", [*VARIANTS, {"decoder_norm": "instance"}, {"tau": 8}, {"recurrence": "plain"}])
def test_every_ablation_traces(change, batch):
    task = make_task({**TINY, **change, "adversarial": True}, SHAPES)
    params = jax.eval_shape(task.init, jax.random.key(0), batch)
    terms, _ = jax.eval_shape(task.loss["model"], params, batch, rngs_of(task), jnp.int32(0), None)
    assert ("kl" in terms) == change.get("variational", True)


@pytest.mark.parametrize("name", ["shipped", "base", "large"])
def test_full_sizes_abstractly(name):
    config = SIZES[name]
    task = make_task(dataclasses.asdict(config), {})
    large = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), synthetic_batch(2, 160, 20))
    params = jax.eval_shape(task.init, jax.random.key(0), large)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert name != "shipped" or count * 2 < 15.5e6  # bytes in float16
    assert name != "base" or 14.0e6 < count < 14.6e6
    mel = jax.eval_shape(task.synthesize, params, large)
    assert (mel.shape, mel.dtype) == ((2, 160, 80), jnp.float32)


def test_config_survives_json_and_names_the_mistake():
    as_json = {k: list(v) if isinstance(v, tuple) else v for k, v in TINY.items()}
    assert CopyCatConfig.from_dict(as_json) == SIZES["tiny"]
    with pytest.raises(UserError, match="Did you mean 'kl_weight'"):
        CopyCatConfig.from_dict({"kl_weigth": 1.0})
    with pytest.raises(UserError, match="sum to 1"):
        CopyCatConfig(decoder_vector=(0.5, 0.5, 0.5))
    with pytest.raises(UserError, match="even"):
        CopyCatConfig(latent=7)


def test_no_gradient_of_a_lookup_adds_in_any_order(batch, params):
    """Where a scatter adds, two runs on a GPU may differ: lookups of frames are products or selections."""
    task = make_task(TINY, SHAPES)

    def objective(model):
        terms, _ = task.loss["model"]({**params, "model": model}, batch, rngs_of(task), jnp.int32(0), None)
        return total(terms)

    program = str(jax.make_jaxpr(jax.grad(objective))(params["model"]))
    assert "dot_general" in program and "scatter" not in program
