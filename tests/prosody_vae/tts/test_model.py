import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from copycat_jax.data.synthetic import Score, SyntheticVoice, make_score, mel_of, synthetic_batch
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.nn.masks import length_mask
from copycat_jax.nn.scale import from_network, to_network
from copycat_jax.task import total
from copycat_jax.text.phonemes import to_ids
from prosody_vae.tts import model
from prosody_vae.tts.losses import ENDING, ending_frames, ending_tokens, latent_terms, targets_of
from prosody_vae.tts.model import SIZES, VaeConfig, VaeTts, make_task
from prosody_vae.tts.modules import unscaled
from prosody_vae.tts.pauses import make_timeline

TINY = dataclasses.asdict(SIZES["tiny"])
SHAPES = {"mel_bins": 80, "embedding": 16}
CONFIG = VaeConfig.from_dict({**TINY, **SHAPES})
STEPS = 160
FAST, SLOW = 0, 1  # styles: low and hurried, high and slow


def styled_batch(texts=3, frames=64, phones=8):
    """Each text by the same voice in two styles; rows 2 k and 2 k + 1 say text k, FAST and SLOW."""
    rng, voice, rows = np.random.default_rng(0), SyntheticVoice("v", 150.0, 4.0, 1.0), []
    for _ in range(texts):
        score = make_score(rng, voice, phones, frames // 2)
        for times, raised in ((1, 0.8), (2, 1.3)):
            f0_hz = np.repeat(score.f0_hz, times) * raised
            styled = Score(score.symbols, score.durations * times, f0_hz)
            rows.append((styled, mel_of(styled, voice, HIFIGAN, rng)))

    def padded(parts, length):
        return jnp.stack([jnp.pad(p, [(0, length - len(p)), *([(0, 0)] * (p.ndim - 1))]) for p in parts])

    blank = synthetic_batch(len(rows), frames, phones, embedding=16)
    lengths = np.array([len(mel) for _, mel in rows])
    breaks = np.zeros((len(rows), phones), np.int32)
    breaks[:, 2::2], breaks[:, -2] = 1, 3
    return jax.tree.map(jnp.asarray, blank._replace(
        mel=padded([mel for _, mel in rows], frames),
        mask=np.arange(frames) < lengths[:, None],
        phonemes=np.stack([to_ids(score.symbols) for score, _ in rows]),
        phoneme_mask=np.ones((len(rows), phones), bool),
        durations=np.stack([score.durations for score, _ in rows]),
        breaks=breaks,
        f0_hz=padded([score.f0_hz.astype(np.float32) for score, _ in rows], frames),
        energy=padded([mel.mean(1) for _, mel in rows], frames),
        centroid=np.tile(blank.centroid[:1], (len(rows), 1)),
    ))  # fmt: skip


def rngs_of(task, seed):
    return dict(zip(task.rng_names, jax.random.split(jax.random.key(seed), len(task.rng_names)), strict=True))


@pytest.fixture(scope="module")
def batch():
    return styled_batch()


@pytest.fixture(scope="module")
def task():
    return make_task({**TINY, "kl_anneal_steps": (0, 10)}, SHAPES)


@pytest.fixture(scope="module")
def params(task):
    return task.init(jax.random.key(0), None)


@pytest.fixture(scope="module")
def gradient(task, batch):
    """(gradient, terms) at a step, of the whole loss or of the duration's term alone: compiled once for both."""

    @jax.jit
    def compiled(params, number, whole):
        rngs = {name: jax.random.fold_in(key, number) for name, key in rngs_of(task, 1).items()}

        def objective(own):
            terms, _ = task.loss["model"]({"model": own}, batch, rngs, number, None)
            means = {name: term.sum / term.count for name, term in terms.items()}
            return jnp.where(whole, total(terms), means["duration"]), means

        return jax.grad(objective, has_aux=True)(params["model"])

    return compiled


@pytest.fixture(scope="module")
def trained(params, gradient):
    """The tiny model after STEPS steps on the six rows, with the terms of every step."""
    optimizer = optax.adam(5e-3)

    @jax.jit
    def update(params, state, slope):
        with jax.numpy_dtype_promotion("standard"):  # optax mixes counts with floats
            updates, state = optimizer.update(slope, state)
        return {"model": optax.apply_updates(params["model"], updates)}, state

    state, history = optimizer.init(params["model"]), []
    for number in range(STEPS):
        slope, terms = gradient(params, number, True)
        params, state = update(params, state, slope)
        history.append(terms)
    return params, jax.tree.map(lambda *values: np.array(values), *jax.device_get(history))


@pytest.fixture(scope="module")
def encode():
    return jax.jit(lambda p, *a: model.encode(p["model"], CONFIG, *a))


@pytest.fixture(scope="module")
def predict():
    return jax.jit(lambda p, *a: model.predict(p["model"], CONFIG, *a))


@pytest.fixture(scope="module")
def render():
    return jax.jit(lambda p, *a: model.render_mel(p["model"], CONFIG, *a), static_argnums=9)


def test_padding_content_is_bitwise_nothing_and_the_bucket_next_to_nothing(batch, params, encode, predict, render):
    short = batch.phoneme_mask & (jnp.arange(8)[None] < jnp.array([8, 8, 6, 5, 8, 7])[:, None])
    tokens = targets_of(CONFIG, batch._replace(phoneme_mask=short)).tokens

    def run(mel, mask, phonemes, breaks, token_mask, frames):
        mean, log_variance = encode(params, mel, mask)
        pad = ((0, 0), (0, phonemes.shape[1] - 8))
        prosody = predict(params, phonemes, breaks, token_mask, mean, batch.centroid)
        timing = (jnp.pad(tokens.durations, pad), jnp.pad(tokens.pauses, pad))
        out, real = render(
            params, phonemes, breaks, *timing, prosody.log_f0, prosody.energy, mean, batch.centroid, frames
        )
        return (mean, log_variance), prosody, out, real

    clean = run(batch.mel, batch.mask, tokens.phonemes, tokens.breaks, tokens.mask, 64)
    assert clean[0][0].shape == (6, 8) and clean[1].frames.shape == (6, 8) and clean[2].shape == (6, 64, 80)
    assert not tokens.mask.all() and not clean[2][~np.asarray(clean[3])].any()
    np.testing.assert_array_equal(clean[3].sum(1), (tokens.durations + tokens.pauses).sum(1))
    assert not any(np.asarray(x)[~np.asarray(tokens.mask)].any() for x in clean[1])
    dirty = (jnp.where(tokens.mask, x, y) for x, y in ((tokens.phonemes, 7), (tokens.breaks, 2)))
    again = run(jnp.where(batch.mask[..., None], batch.mel, jnp.nan), batch.mask, *dirty, tokens.mask, 64)
    jax.tree.map(np.testing.assert_array_equal, again, clean)
    mel, mask = jnp.pad(batch.mel, ((0, 0), (0, 9), (0, 0)), constant_values=3.0), length_mask(batch.mask.sum(1), 73)
    wider = (jnp.pad(x, ((0, 0), (0, 3))) for x in (tokens.phonemes, tokens.breaks, tokens.mask))
    latent, prosody, out, real = run(mel, mask, *wider, 73)
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)  # noqa: E731
    jax.tree.map(close, latent, clean[0])
    jax.tree.map(close, jax.tree.map(lambda x: x[:, :8], prosody), clean[1])
    np.testing.assert_allclose(out[:, :64], clean[2], atol=2e-5)
    assert not real[:, 64:].any()


@pytest.mark.slow
def test_the_duration_loss_reaches_the_embedding_and_the_text(params, gradient):
    slope, _ = gradient(params, 5, False)
    for part in ("reference_encoder", "phoneme_encoder", "predictor"):
        assert all(float(jnp.abs(x).max()) > 0 for x in jax.tree.leaves(slope[part])), part
    assert not any(np.asarray(x).any() for x in jax.tree.leaves(slope["decoder"]))


def test_training_lowers_every_loss(trained):
    history = trained[1]
    assert all(np.isfinite(values).all() for values in history.values())
    for name in ("l1", "duration", "pitch", "energy", "pause"):
        assert history[name][-10:].mean() < 0.7 * history[name][:3].mean(), name


def test_swapping_embeddings_swaps_rate_and_register(trained, batch, encode, predict):
    """Every text by the embedding of *another* text: SLOW is told to last at least 1.5 times as long, and be higher."""
    mean, _ = encode(trained[0], batch.mel, batch.mask)
    tokens = targets_of(CONFIG, batch).tokens
    text = (tokens.phonemes, tokens.breaks, tokens.mask)

    def with_style(style):
        z = jnp.roll(mean[style::2], 1, axis=0).repeat(2, axis=0)  # row r speaks as text r // 2 - 1 was spoken
        out = predict(trained[0], *text, z, batch.centroid)
        return out.frames.sum(1), jnp.where(tokens.mask, out.log_f0, 0).sum(1) / tokens.mask.sum(1, dtype=jnp.float32)

    (fast, low), (slow, high) = with_style(FAST), with_style(SLOW)
    assert (np.asarray(slow / fast) > 1.5).all()  # 2 in the data
    assert (np.asarray(high - low) > 0.5 * np.log(1.3 / 0.8)).all()


def test_posterior_beats_prior_mean_and_its_sample_carries_the_capacity(task, trained, batch):
    terms = {name: float(t.sum / t.count) for name, t in jax.jit(task.evaluate)(trained[0], batch).items()}
    assert terms["l1_posterior"] < terms["l1_prior"]
    assert terms["duration"] < 0.7 * terms["duration_prior"] and terms["pitch"] < 0.7 * terms["pitch_prior"]
    assert terms["kl"] > 0.3 * CONFIG.free_nats and terms["active_units"] >= 2


def test_render_with_the_true_prosody_is_the_forward_pass_of_training(trained, batch, encode, predict, render):
    targets = targets_of(CONFIG, batch)
    tokens = targets.tokens
    mel, planned, mean, _ = jax.jit(lambda p: VaeTts(CONFIG).apply(
        {"params": p}, to_network(batch.mel, batch.mask), batch.mask, *targets, batch.centroid
    ))(trained[0]["model"])  # fmt: skip
    np.testing.assert_allclose(encode(trained[0], batch.mel, batch.mask)[0], mean, atol=1e-6)
    prosody = predict(trained[0], tokens.phonemes, tokens.breaks, tokens.mask, mean, batch.centroid)
    assert (prosody.frames[tokens.mask] >= 1).all() and not prosody.pause_probability[tokens.breaks == 0].any()
    np.testing.assert_allclose(
        prosody.frames, jnp.where(tokens.mask, jnp.exp(1.9 + 0.6 * planned[..., 0]), 0), rtol=1e-4
    )
    true = [unscaled(targets.variance[..., i], by) for i, by in enumerate((CONFIG.pitch, CONFIG.energy))]
    log_f0 = jnp.where(targets.known[..., 0], true[0], prosody.log_f0)
    energy = jnp.where(targets.known[..., 1], true[1], prosody.energy)
    rest = (log_f0, energy, mean, batch.centroid, 64)
    out, mask = render(trained[0], tokens.phonemes, tokens.breaks, tokens.durations, tokens.pauses, *rest)
    np.testing.assert_array_equal(mask, batch.mask)
    np.testing.assert_allclose(out, from_network(mel, batch.mask), atol=1e-4)
    none, mask = render(trained[0], tokens.phonemes, tokens.breaks, tokens.durations, 0 * tokens.pauses, *rest)
    assert np.isfinite(none).all()
    np.testing.assert_array_equal(mask.sum(1), tokens.durations.sum(1))
    raised, _ = render(
        trained[0], tokens.phonemes, tokens.breaks, tokens.durations, tokens.pauses, log_f0 + 0.3, *rest[1:]
    )
    assert float(jnp.abs(raised - out).max()) > 1e-2


def test_the_first_free_nats_cost_nothing_and_rows_without_frames_do_not_count():
    mean = jnp.zeros((3, 8)).at[0, 0].set(2.0).at[1, :].set(3.0).at[2].set(jnp.nan)
    compiled = jax.jit(lambda mean, real: latent_terms(CONFIG, mean, jnp.zeros((3, 8)), real, 0.5))
    terms = compiled(mean, jnp.array([True, True, False]))
    assert float(terms["kl"].sum) == 0.5 * (4 + 72) and float(terms["kl"].count) == 2
    assert float(terms["kl_excess"].sum) == 36 - 6 and terms["kl_excess"].weight == 0.5  # the first row has 2 nats
    assert float(terms["active_units"].sum / terms["active_units"].count) == 8


def test_the_end_of_a_sentence_is_its_last_phones_without_the_pause(batch):
    tokens = targets_of(CONFIG, batch).tokens
    found = np.asarray(ending_tokens(tokens))
    (last,) = {int(np.flatnonzero(row == 3)[0]) for row in np.asarray(tokens.breaks)}  # of eight phones, the seventh
    np.testing.assert_array_equal(np.flatnonzero(found[0]), np.arange(last - ENDING + 1, last + 1))
    frames = ending_frames(tokens, make_timeline(tokens.durations, tokens.pauses, 64))
    np.testing.assert_array_equal(frames.sum(1), jnp.where(found, tokens.durations, 0).sum(1))


def test_someone_listens_to_the_recording_and_to_what_is_made(batch):
    """F0 comes from the mel, and the decoder hears how far its own is from it."""
    shapes = {**SHAPES, "frame_rate_hz": HIFIGAN.frame_rate_hz}
    task = make_task({**TINY, "heard": True, "ending": 0.5}, shapes)
    params, deaf = task.init(jax.random.key(0), None), batch._replace(f0_hz=jnp.full_like(batch.f0_hz, jnp.nan))

    def octaves(own):
        terms, _ = task.loss["model"]({"model": own}, deaf, rngs_of(task, 0), jnp.int32(0))
        return terms["heard_f0_octaves"].sum, terms

    slope, terms = jax.jit(jax.grad(octaves, has_aux=True))(params["model"])
    assert all(np.isfinite(float(t.sum)) for t in terms.values())
    assert terms["heard_f0_octaves"].weight == 40 and terms["heard_f0_octaves_ending"].weight == 20
    assert 0 < terms["heard_f0_octaves_ending"].count < terms["heard_f0_octaves"].count
    assert terms["heard_voicing_error"].weight == 0
    assert float(jnp.abs(slope["decoder"]["output"]["kernel"]).max()) > 0
    logged = jax.eval_shape(task.evaluate, params, deaf)
    assert {"heard_f0_octaves_posterior", "heard_f0_octaves_prior"} < set(logged)
    with pytest.raises(UserError, match=r"set model\.heard=false"):
        make_task({**TINY, "heard": True, "mel_bins": 40}, {"frame_rate_hz": HIFIGAN.frame_rate_hz})


def test_the_second_step_plays_against_an_adversary(batch):
    task = make_task({**TINY, "adversarial": True, "window": 24}, SHAPES)
    params = task.init(jax.random.key(0), None)
    assert task.groups == ("model", "adversary") and task.min_frames == 24

    @jax.jit
    def both(params):
        terms, windows = task.loss["model"](params, batch, rngs_of(task, 0), jnp.int32(0))
        judged, _ = task.loss["adversary"](params, batch, rngs_of(task, 0), jnp.int32(0), windows)
        return terms, windows, judged

    terms, windows, judged = both(params)
    assert windows["real"].shape == windows["fake"].shape == (6, 24, 80)
    usable = np.asarray(windows["usable"])
    assert usable.any() and float(terms["adversarial"].count) == usable.sum()
    np.testing.assert_allclose(terms["adversarial"].sum, -judged["score_fake"].sum, rtol=1e-5)


def test_speaker_and_variance_can_be_left_out(batch):
    task = make_task({**TINY, "speaker": False, "variance": False}, SHAPES)
    params = jax.eval_shape(task.init, jax.random.key(0), None)
    kernel = params["model"]["predictor"]["convolutions"]["conv_0"]["kernel"]
    assert kernel.shape[1] == 2 * CONFIG.states + CONFIG.latent and "variance_embedding" not in params["model"]
    terms = jax.eval_shape(lambda p: task.loss["model"](p, batch, rngs_of(task, 0), jnp.int32(0))[0], params)
    assert {"l1", "duration", "pause"} < set(terms) and not {"pitch", "energy"} & set(terms)
    config = dataclasses.replace(CONFIG, speaker=False, variance=False)
    tokens, z = targets_of(config, batch).tokens, jnp.ones((6, 8))
    prosody = jax.eval_shape(
        lambda p: model.predict(p["model"], config, tokens.phonemes, tokens.breaks, tokens.mask, z, batch.centroid),
        params,
    )
    assert prosody.log_f0.shape == (6, 8)


@pytest.mark.slow
def test_stopped_and_resumed_equals_never_stopped_bitwise(tmp_path):
    from pathlib import Path

    from copycat_jax.cli.configuration import load_config
    from copycat_jax.train.loop import fit

    config = load_config(f"{Path(__file__).parents[3] / 'configs' / 'prosody_vae.py'}:tiny", ["train.save_every=2"])
    config = {**config, "train": {**config["train"], "steps": 4, "eval_every": 0}}

    def run(folder, **stop):
        task = make_task(dict(config["model"]), {"mel_bins": 80, "embedding": 16})
        batches = lambda step: synthetic_batch(8, 32, 8, seed=step, embedding=16)  # noqa: E731
        return fit(task, config, batches, run_dir=tmp_path / folder, tensorboard=False, **stop)

    whole = jax.device_get(run("whole"))
    assert int(jax.device_get(run("parts", max_steps=2)).step) == 2
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(run("parts")), whole)


def test_sizes_abstractly_and_config_mistakes():
    counts = {}
    for name, config in SIZES.items():
        tree = jax.eval_shape(make_task(dataclasses.asdict(config), {}).init, jax.random.key(0), None)
        counts[name] = sum(leaf.size for leaf in jax.tree.leaves(tree))
    assert counts["tiny"] < 60_000 and 5e6 < counts["shipped"] <= 6.2e6
    assert 13e6 < counts["base"] < 17e6 and 29e6 < counts["large"] < 40e6
    as_json = {k: list(v) if isinstance(v, tuple) else v for k, v in TINY.items()}
    assert VaeConfig.from_dict(as_json) == SIZES["tiny"]
    for wrong, match in (
        ({"latents": 64}, "latent"),
        ({"pooling": "max"}, "pooling"),
        ({"compute_dtype": "float16"}, "compute_dtype"),
        ({"channels": (4, 8)}, "lengths differ"),
        ({"pitch": (5.0, 0.0)}, "scale"),
        ({"free_nats": -1.0}, "free_nats: -1.0. Give at least 0"),
        ({"kl_anneal_steps": (0,)}, "last step"),
        ({"latent": 0}, "latent: 0. Give at least 1"),
    ):
        with pytest.raises(UserError, match=match):
            VaeConfig.from_dict(wrong)
