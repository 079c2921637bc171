"""Every page of configs/ is executed: tiny ones for real, the full-size ones abstractly."""

import runpy
from pathlib import Path

import jax
import numpy as np
import pytest

from copycat_jax.batch import Batch
from copycat_jax.cli.configuration import load_config, load_function
from copycat_jax.records import allocate
from copycat_jax.train.loop import Trainer

FOLDER = Path(__file__).parents[1] / "configs"
# Pages with `inputs` of their own train on other batches; their tests stand beside what makes them.
PAGES = [p for p in sorted(FOLDER.glob("*.py")) if load_config(f"{p}:tiny")["inputs"].endswith(":corpus_inputs")]
SHAPES = {"mel_bins": 80, "speakers": 5, "embedding": 128, "frame_rate_hz": 86.1}


def abstract_batch(rows=8, frames=64, phones=8, embedding=128) -> Batch:
    sizes = {"B": rows, "T": frames, "P": phones, "M": 80, "E": embedding}
    return allocate(Batch, sizes, jax.ShapeDtypeStruct)


def variants(pages):
    sizes = {p: [v for v in runpy.run_path(str(p))["VARIANTS"] if "_" not in v] for p in pages}
    assert all({"tiny", "shipped", "base", "large"} <= set(found) for found in sizes.values())
    return [(p, v) for p, found in sizes.items() for v in found]


@pytest.mark.parametrize("page,variant", variants(PAGES), ids=lambda x: getattr(x, "stem", x))
def test_config_makes_a_trainer(page, variant):
    config = load_config(f"{page}:{variant}")
    assert set(config) == {"task", "inputs", "model", "data", "optimizer", "train", "mesh"}
    assert config["data"]["multiple_of"] % config["model"].get("tau", 1) == 0
    task = load_function(config["task"])(dict(config["model"]), SHAPES)
    trainer = Trainer(task, {**config, "shapes": SHAPES}, abstract_batch())  # traces init and one whole step
    assert {f"loss/{g}" for g in task.groups} <= set(trainer.metrics()["terms"])
    parameters = sum(x.size for x in jax.tree.leaves(trainer.abstract.params["model"]))
    if page.stem == "copycat" and variant == "shipped":
        assert 6.5e6 < parameters < 8e6
    assert page.read_text().startswith('"""') and "Command" in page.read_text() and "Paper" in page.read_text()


STEP_TWO = """model.adversarial=true model.kl_anneal_steps=(-1,0) data.batch_size=32 data.buckets=1 data.max_seconds=6
    data.min_frames=32 data.held_out=0.0 optimizer.lr=1e-4 optimizer.warmup_steps=50
    train.steps=1200 train.eval_every=0"""


def test_copycat_step_two_is_a_variant():
    """What made the shipped bundle, field by field."""
    wanted = load_config(f"{FOLDER / 'copycat.py'}:shipped", STEP_TWO.split())
    assert load_config(f"{FOLDER / 'copycat.py'}:shipped_adversarial") == wanted


def test_copycat_step_two_adds_the_adversary():
    config = load_config(f"{FOLDER / 'copycat.py'}:tiny_adversarial")
    task = load_function(config["task"])(dict(config["model"]), SHAPES)
    trainer = Trainer(task, config, abstract_batch())
    assert task.groups == ("model", "adversary")
    assert (
        set(trainer.abstract.opt_state) == {"model", "adversary"}
        and "grad_norm/adversary" in trainer.metrics()["terms"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_tiny_config_takes_a_step(page):
    from copycat_jax.data.synthetic import synthetic_batch
    from copycat_jax.train.step import divide

    config = load_config(f"{page}:tiny", ["mesh.data=8"])
    task = load_function(config["task"])(dict(config["model"]), SHAPES)
    batch = synthetic_batch(8, 32, 6, speakers=SHAPES["speakers"])
    trainer = Trainer(task, config, batch)
    jax.config.update("jax_disable_most_optimizations", True)  # compiling is all that takes time here
    try:
        with jax.set_mesh(trainer.mesh):
            state, metrics, rows = trainer.init(), trainer.metrics(), trainer.put(batch)
            before = jax.device_get(state.params)
            step, _ = trainer.step_for(state, metrics, rows)
            state, metrics = jax.device_get(step(state, metrics, rows))
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
    assert int(state.step) == 1 and int(metrics["bad"][0]) == 0
    assert np.isfinite(list(divide(metrics["terms"]).values())).all()
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), before, state.params)
    assert all(jax.tree.leaves(moved["model"]))  # no parameter is out of reach of the loss


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_tiny_config_trains_from_the_command_line(page, tmp_path, capsys):
    from copycat_jax.cli import main
    from copycat_jax.train.writer import read_metrics

    flags = ["--synthetic", "--run-dir", str(tmp_path / "run"), "--max-steps", "2", "--set", "data.buckets=1"]
    assert main(["train", "--config", f"{page}:tiny", *flags, "--config.train.log_every=1"]) == 0, (
        capsys.readouterr().err
    )
    losses = [r["loss/model"] for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if r["kind"] == "train"]
    assert len(losses) == 2 and np.isfinite(losses).all()
