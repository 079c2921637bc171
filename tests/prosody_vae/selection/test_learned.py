"""The learned selector: its loss, what it learns, its scores, its inputs, and the space it is bound to."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.cosine import unit
from copycat_jax.data.plan import Share
from copycat_jax.errors import UserError
from copycat_jax.nn.gaussian import kl_to_standard, log_density
from copycat_jax.records import allocate
from copycat_jax.train.loop import Trainer, fit
from copycat_jax.train.writer import read_metrics
from prosody_vae.selection import learned as selector
from prosody_vae.selection.learned import LearnedSelector, SelectorConfig, kl_between, make_inputs, make_task
from prosody_vae.selection.learned_inputs import fit_scaling, make_table, standardise
from prosody_vae.space.files import write_space
from prosody_vae.space.table import Distances, ProsodySpace, SpaceInfo

ENTRIES, WIDTH, LATENT, TAKES = 320, 10, 4, 40
PAGE = Path(__file__).parents[3] / "configs" / "selector.py"


def planted_space(seed: int = 0, **changes) -> ProsodySpace:
    """Means that are a linear function of unit sentence vectors plus noise; the last TAKES repeat texts."""
    rng = np.random.default_rng(seed)
    texts = [f"sentence number {i}" for i in range(ENTRIES - TAKES)]
    vectors = rng.standard_normal((ENTRIES, WIDTH)).astype(np.float32)
    vectors[-TAKES:] = vectors[:TAKES]
    mean = 3.0 + 5.0 * unit(vectors) @ rng.standard_normal((WIDTH, LATENT)) * np.array([1.0, 0.1, 10.0, 1.0])
    mean += 0.1 * mean.std(axis=0) * rng.standard_normal(mean.shape)
    space = ProsodySpace(
        info=SpaceInfo(encoder="toy encoder", parser="toy parser"),
        ids=tuple(f"utt{i}" for i in range(ENTRIES)),
        texts=tuple(texts + texts[:TAKES]),
        speakers=("one",) * ENTRIES,
        mean=mean.astype(np.float32),
        variance=(0.01 * mean.var(axis=0) * rng.uniform(0.5, 2.0, mean.shape)).astype(np.float32),
        features={"seconds": np.full(ENTRIES, 2.0, np.float32)},
        sentence_vectors=vectors,
        distances=Distances.from_rows([rng.integers(0, 9, rng.integers(1, 80)) for _ in range(ENTRIES)]),
    )
    return dataclasses.replace(space, **changes)


def on_device(batch):
    return jax.tree.map(jnp.asarray, batch)


def config(**train) -> dict:
    return {
        "task": "prosody_vae.selection.learned:make_task",
        "model": {"hidden": (32,), "input_dropout": 0.0, "dropout": 0.1},
        "data": {"batch_size": 64, "rows_multiple": 8, "vectors": "both", "held_out": 0.2},
        "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.01},
        "train": {
            "steps": 160,
            "seed": 0,
            "log_every": 80,
            "eval_every": 80,
            "save_every": 80,
            "keep": 1,
            "ema_decay": 0.9,
            **train,
        },
        "mesh": {"data": -1, "fsdp": 1},
    }


def train(space_path, run_dir, max_steps=None, **fields):
    inputs = make_inputs(str(space_path), config(**fields), Share())
    task = make_task(dict(inputs.config["model"]), inputs.config["shapes"])
    return fit(
        task,
        inputs.config,
        inputs.batches,
        run_dir=run_dir,
        fingerprint=inputs.fingerprint,
        held_out=inputs.held_out,
        max_steps=max_steps,
        tensorboard=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A planted space on disk, a run that was never stopped, its last state, and the exported selector."""
    folder = tmp_path_factory.mktemp("learned")
    space = planted_space()
    path = write_space(folder / "space", space)
    state = jax.device_get(train(path, folder / "run"))
    return space, path, folder / "run", state, selector.export_learned(folder / "run", path)


def random_learned(sentence=WIDTH, distance=64, latent=LATENT) -> LearnedSelector:
    settings = SelectorConfig(sentence, distance, latent, hidden=(8,))
    shapes = {"sentence": sentence, "distance": distance, "latent": latent}
    params = make_task({"hidden": (8,)}, shapes).init(jax.random.key(0), None)["model"]
    params = jax.tree.map(lambda x: x + 0.3 * np.random.default_rng(1).standard_normal(x.shape, np.float32), params)
    rng = np.random.default_rng(2)
    scaling = fit_scaling(
        rng.standard_normal((9, sentence)),
        rng.integers(0, 5, (9, distance)),
        2 + 3 * rng.standard_normal((9, latent)),
        rng.uniform(0.1, 1, (9, latent)),
    )
    return LearnedSelector(params, settings, scaling, {})


def test_kl_is_zero_where_equal_and_agrees_with_the_standard_prior():
    keys = jax.random.split(jax.random.key(0), 4)
    mean, log_variance, other, other_log_variance = (jax.random.normal(k, (5, 7)) for k in keys)
    assert (kl_between(mean, log_variance, mean, log_variance) == 0).all()
    assert (kl_between(mean, log_variance, other, other_log_variance) > 0).all()
    zero = jnp.zeros_like(mean)
    np.testing.assert_allclose(kl_between(mean, log_variance, zero, zero), kl_to_standard(mean, log_variance), 1e-5)
    # The definition: the expected difference of log densities under the first Gaussian.
    first, second = (mean, log_variance), (0.3 * other, 0.3 * other_log_variance)
    wide = [[jnp.broadcast_to(v[None], (20_000, 5, 7)) for v in pair] for pair in (first, second)]
    x = wide[0][0] + jnp.exp(0.5 * wide[0][1]) * jax.random.normal(jax.random.key(9), (20_000, 5, 7))
    gap = (log_density(x, *wide[0]) - log_density(x, *wide[1])).mean(0)
    np.testing.assert_allclose(gap, kl_between(*first, *second).sum(-1), rtol=0.05)


def test_standardised_coordinates_keep_cosines_and_divergence():
    space = planted_space()
    table = make_table(space, "both", 0.2, "here")
    scaling, rows = table.scaling(), np.flatnonzero(table.training)
    batch = on_device(table.batch(rows, np.ones(len(rows), bool), scaling))
    # The Gaussian that ignores the text is the standard one, and predicts the centroid.
    np.testing.assert_allclose(batch.mean.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose((np.exp(batch.log_variance) + batch.mean**2).mean(0), 1, rtol=1e-4)
    np.testing.assert_allclose(np.square(batch.sentence).mean(), 1, rtol=1e-4)
    raw, own = jnp.asarray(space.mean[rows]), jnp.log(space.variance[rows])
    wide = [jnp.broadcast_to(v, raw.shape) for v in (scaling.latent_mean, 2 * np.log(scaling.latent_scale))]
    zero = jnp.zeros_like(raw)
    np.testing.assert_allclose(
        kl_between(batch.mean, batch.log_variance, zero, zero), kl_between(raw, own, *wide), rtol=1e-3, atol=1e-3
    )
    # One number divides all dimensions of a vector: differences of unit vectors keep their proportions.
    apart = unit(space.sentence_vectors[rows[:5]]) - unit(space.sentence_vectors[rows[5:10]])
    np.testing.assert_allclose(
        (batch.sentence[:5] - batch.sentence[5:10]) * scaling.sentence_scale, apart, rtol=1e-3, atol=1e-5
    )
    assert not standardise(scaling, np.ones((2, WIDTH)), np.zeros((2, 64)))[1].any() or batch.distance.shape[1] == 64


def test_untrained_predicts_nearly_the_centroid():
    task = make_task({"hidden": (8,)}, {"sentence": WIDTH, "distance": 64, "latent": LATENT})
    table = make_table(planted_space(), "both", 0.2, "here")
    batch = table.batch(np.flatnonzero(table.training), np.ones(table.training.sum(), bool), table.scaling())
    terms = task.evaluate(task.init(jax.random.key(0), None), on_device(batch))
    assert float(terms["kl"].sum) == pytest.approx(float(terms["kl_prior"].sum), rel=0.1)


def test_learns_a_planted_mapping_better_than_the_centroid(trained):
    space, _, run, _, learned = trained
    record = [r for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "eval"][-1]
    assert record["kl"] < record["kl_prior"] - 1.0 and record["residual"] < 0.5
    table = make_table(space, "both", 0.2, "here")
    out, bank = np.flatnonzero(~table.training), np.flatnonzero(table.training)
    inputs = space.sentence_vectors[out], space.distances.padded()[out]
    scale = space.mean.std(axis=0)

    def error(chosen):
        return np.square((chosen - space.mean[out]) / scale).mean()

    centroid = error(np.broadcast_to(space.mean[bank].mean(0), (len(out), LATENT)))
    assert error(np.asarray(learned.distribution(*inputs)[0])) < 0.5 * centroid
    picked = np.asarray(learned.scores(*inputs, space.mean[bank])).argmax(1)
    assert error(space.mean[bank][picked]) < centroid < error(space.mean[bank][np.roll(picked, 1)])


def test_scores_are_log_densities_and_rank_like_them():
    learned, rng = random_learned(), np.random.default_rng(3)
    sentence, distance = rng.standard_normal((6, WIDTH)), rng.integers(0, 9, (6, 30))
    means = (2 + 3 * rng.standard_normal((50, LATENT))).astype(np.float32)
    mean, log_variance = (np.asarray(v, np.float64) for v in learned.distribution(sentence, distance))
    slow = np.zeros((6, 50))
    for q in range(6):
        for n in range(50):
            for z in range(LATENT):
                variance = np.exp(log_variance[q, z])
                slow[q, n] += -0.5 * np.log(2 * np.pi * variance) - (means[n, z] - mean[q, z]) ** 2 / (2 * variance)
    scores = np.asarray(learned.scores(sentence, distance, means))
    np.testing.assert_allclose(scores, slow, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(scores.argsort(1), slow.argsort(1))
    # As an inner product: what an index searches.
    vectors, constant = learned.queries(sentence, distance)
    product = vectors @ learned.likelihood_rows(means).T
    np.testing.assert_allclose(product + constant[:, None], slow, rtol=1e-3, atol=1e-3)


def test_what_it_reads():
    learned = random_learned(distance=0)
    assert learned.reads == ("sentence",) and random_learned(sentence=0).reads == ("distance",)
    vectors = np.ones((2, WIDTH), np.float32)
    np.testing.assert_array_equal(learned.distribution(vectors, None)[0], learned.distribution(vectors, vectors)[0])
    wide = random_learned(sentence=0)
    long = np.random.default_rng(0).integers(1, 9, (2, 90))
    np.testing.assert_array_equal(wide.distribution(None, long)[0], wide.distribution(None, long[:, :64])[0])
    np.testing.assert_array_equal(
        wide.distribution(None, long[:, :5])[0], wide.distribution(None, np.pad(long[:, :5], ((0, 0), (0, 3))))[0]
    )
    with pytest.raises(UserError, match="encoder"):
        learned.distribution(None, long)
    with pytest.raises(UserError, match="parser"):
        wide.distribution(vectors, None)
    with pytest.raises(UserError, match="width 3"):
        learned.distribution(vectors[:, :3], None)


def test_stopped_and_resumed_equals_never_stopped_bitwise(trained, tmp_path):
    _, path, run, state, _ = trained
    train(path, tmp_path / "run", max_steps=70)
    resumed = train(path, tmp_path / "run")
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(resumed), state)

    def evaluations(folder):
        records = [r for r in read_metrics(folder / "metrics.jsonl") if r["kind"] == "eval"]
        return {r["step"]: r["loss"] for r in records}

    assert evaluations(tmp_path / "run") == evaluations(run)


def test_batches_are_functions_of_seed_and_step_shared_by_processes(tmp_path):
    space = planted_space()
    path = write_space(tmp_path / "space", space)
    whole = make_inputs(str(path), config(), Share())
    halves = [make_inputs(str(path), config(), Share(process, 2)) for process in (0, 1)]
    for step in (0, 7, 1000):
        both = [half.batches(step) for half in halves]
        for field, one, two in zip(whole.batches(step), *both, strict=True):
            np.testing.assert_array_equal(field, np.concatenate([one, two]))
    assert not np.array_equal(whole.batches(0).index, whole.batches(1).index)
    table = make_table(space, "both", 0.2, "here")
    trained_on = {int(i) for step in range(30) for i in whole.batches(step).index}
    assert trained_on == set(np.flatnonzero(table.training))  # nothing left out, nothing held out
    side = {}
    for text, inside in zip(space.texts, table.training, strict=True):
        assert side.setdefault(text, inside) == inside  # takes of a sentence stay together
    chunks = [make() for make in whole.held_out]
    seen = np.concatenate([chunk.index[chunk.mask[:, 0]] for chunk in chunks])
    assert sorted(seen) == list(np.flatnonzero(~table.training))
    assert whole.config["shapes"] == {"sentence": WIDTH, "distance": 64, "latent": LATENT}


def test_only_what_the_space_has_is_read(tmp_path):
    bare = planted_space(distances=None)
    path = write_space(tmp_path / "space", bare)
    fields = config()
    with pytest.raises(UserError, match="syntactic distances"):
        make_inputs(str(path), fields, Share())
    fields["data"]["vectors"] = "any"
    inputs = make_inputs(str(path), fields, Share())
    assert inputs.config["shapes"]["distance"] == 0 and inputs.batches(0).distance.shape == (64, 0)
    state = jax.eval_shape(make_task(fields["model"], inputs.config["shapes"]).init, jax.random.key(0), None)
    assert state["model"]["Dense_0"]["kernel"].shape == (WIDTH, 32)
    fields["data"]["vectors"] = "all"
    with pytest.raises(UserError, match=r"data\.vectors"):
        make_inputs(str(path), fields, Share())
    neither = dataclasses.replace(bare, sentence_vectors=None)
    with pytest.raises(UserError, match="sentence vectors"):
        make_table(neither, "any", 0.1, "here")


def test_training_hears_nothing_of_sentences_kept_for_a_test(tmp_path):
    space = planted_space()
    path = write_space(tmp_path / "space", space)
    fields = config()
    fields["data"]["ids"] = pattern = r"^utt(?!1\d\d$)"  # all but 100 to 199; 280 and later repeat the first texts
    inputs = make_inputs(str(path), fields, Share())
    rows = [inputs.batches(step).index for step in range(12)] + [batch().index for batch in inputs.held_out]
    heard = {space.ids[i] for row in rows for i in row.tolist()}
    assert "utt99" in heard and "utt200" in heard and not {f"utt{i}" for i in range(100, 200)} & heard
    # A take of a kept sentence is not heard either: of the first texts, said twice, both go.
    mask = selector.heard_entries(space.ids, space.texts, r"^utt(?!5$)")
    assert sorted(np.flatnonzero(~mask)) == [5, ENTRIES - TAKES + 5]
    learned = dataclasses.replace(random_learned(), facts={"ids": pattern})
    assert not learned.heard(space.ids, space.texts)[100:200].any()
    assert random_learned().heard(space.ids, space.texts).all()  # one that does not say heard of all
    with pytest.raises(UserError, match="not a regular expression"):
        make_table(space, "any", 0.1, "here", "(")
    with pytest.raises(UserError, match="no entry"):
        make_table(space, "any", 0.1, "here", "nobody")


def test_the_best_checkpoint_is_exported_and_bound_to_its_space(trained, tmp_path):
    space, path, run, _, learned = trained
    losses = {r["step"]: r["loss"] for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "eval"}
    assert learned.facts["step"] == min(losses, key=losses.__getitem__)
    again = selector.open_learned(path)
    vectors, distances = space.sentence_vectors[:5], space.distances.padded()[:5]
    for one, two in zip(again.distribution(vectors, distances), learned.distribution(vectors, distances), strict=True):
        np.testing.assert_array_equal(one, two)
    assert again.facts == learned.facts and again.facts["space"]["encoder"] == "toy encoder"
    assert again.facts["ids"] == "" and again.heard(space.ids, space.texts).all()
    # Another space: it has none, does not take this run's, and refuses a copy of the files.
    other = write_space(tmp_path / "other", planted_space(seed=1))
    with pytest.raises(UserError, match=r"copycat train --config configs/selector.py.*prosody export"):
        selector.open_learned(other)
    with pytest.raises(UserError, match="another space"):
        selector.export_learned(run, other)
    (other / "learned").mkdir()
    for file in (path / "learned").iterdir():
        (other / "learned" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="another space"):
        selector.open_learned(other)
    with pytest.raises(UserError, match="not a prosody space"):
        selector.open_learned(tmp_path)


def test_damage_is_seen(tmp_path):
    path = write_space(tmp_path / "space", planted_space())
    selector.save_learned(path, random_learned())
    selector.save_learned(path, random_learned())  # replaces
    assert sorted(p.name for p in path.iterdir() if p.name.startswith(".")) == []
    file = path / "learned" / "selector.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        selector.open_learned(path)
    file.unlink()
    with pytest.raises(UserError, match="damaged"):
        selector.open_learned(path)


def test_sizes_abstractly_and_config_mistakes():
    for name, settings in selector.SIZES.items():
        task = make_task(dataclasses.asdict(settings), {})
        count = sum(x.size for x in jax.tree.leaves(jax.eval_shape(task.init, jax.random.key(0), None)))
        assert name != "shipped" or 5e4 < count < 2e5
    with pytest.raises(UserError, match="dropout"):
        SelectorConfig.from_dict({"dropuot": 0.1})


@pytest.mark.parametrize("variant", ["tiny", "shipped", "base", "large"])
def test_every_variant_of_the_page_makes_a_trainer(variant):
    from copycat_jax.cli.configuration import load_config, load_function

    page = load_config(f"{PAGE}:{variant}")
    assert load_function(page["inputs"]) is make_inputs and page["train"]["eval_every"] == page["train"]["save_every"]
    task = load_function(page["task"])(dict(page["model"]), {"sentence": 384, "distance": 64, "latent": 64})
    sizes = {"B": page["data"]["batch_size"], "V": 384, "D": 64, "Z": 64}
    trainer = Trainer(task, page, allocate(selector.SelectorBatch, sizes, jax.ShapeDtypeStruct))  # traces a whole step
    assert {"loss/model", "kl", "kl_prior", "residual"} <= set(trainer.metrics()["terms"])
    assert "Paper" in PAGE.read_text() and "Command" in PAGE.read_text()


@pytest.mark.slow
def test_the_page_trains_from_the_command_line(tmp_path, capsys):
    from copycat_jax.cli import main

    path = write_space(tmp_path / "space", planted_space())
    flags = ["--config", f"{PAGE}:tiny", "--corpus", str(path), "--run-dir", str(tmp_path / "run")]
    assert main(["train", *flags, "--no-tensorboard"]) == 0, capsys.readouterr().err
    assert selector.export_learned(tmp_path / "run", path).facts["step"] in (20, 40)
