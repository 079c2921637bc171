"""An evaluation is one figure over all held-out rows: whatever the batches, what fills them up and who builds them."""

import importlib
import itertools
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_task import toy_batch, toy_config, toy_task

import copycat_jax
from copycat_jax.batch import Batch
from copycat_jax.cli.configuration import load_function
from copycat_jax.data.synthetic import synthetic_batch
from copycat_jax.records import allocate
from copycat_jax.task import Task, Term
from copycat_jax.train.loop import fit
from copycat_jax.train.step import evaluation_of, make_eval_step
from copycat_jax.train.writer import read_metrics

PAGES = Path(__file__).parents[2] / "configs"
SHAPES = {"mel_bins": 80, "speakers": 4, "embedding": 16, "sentence": 12, "distance": 64, "latent": 8}


def filled_up(batch, rows):
    """The batch with rows behind it that are there, and not real."""
    wide = jax.tree.map(lambda x: jnp.concatenate([x, jnp.repeat(x[:1], rows, axis=0)]), batch)
    blank = {n: getattr(wide, n).at[len(batch.mask) :].set(False) for n in ("mask", "phoneme_mask") if hasattr(wide, n)}
    return wide._replace(**blank)


def rows_of(task):
    """A batch of a task, of random content."""
    if task in ("copycat_jax.models.copycat", "copycat_jax.models.speaker", "prosody_vae.tts.model"):
        return jax.tree.map(jnp.asarray, synthetic_batch(3, 32, 6, embedding=16))
    rng = np.random.default_rng(0)
    if task == "copycat_jax.models.vocoder":
        from copycat_jax.data.audio import AudioWindows as kind

        sizes = {"B": 3, "T": 32, "N": 32 * 256, "M": 80}
    else:
        from prosody_vae.selection.learned_inputs import SelectorBatch as kind

        sizes = {"B": 3, "V": 12, "D": 64, "Z": 8}
    batch = allocate(kind, sizes, lambda shape, dtype: (50 * rng.standard_normal(shape)).astype(dtype))
    return jax.tree.map(jnp.asarray, batch._replace(mask=np.ones_like(batch.mask)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "copycat_jax.models.copycat",
        "copycat_jax.models.speaker",
        "copycat_jax.models.vocoder",
        "prosody_vae.tts.model",
        "prosody_vae.selection.learned",
    ],
)
def test_rows_that_fill_up_count_nowhere(module):
    from copycat_jax.mel_spec import HIFIGAN

    sizes = importlib.import_module(module).SIZES["tiny"] if module != "prosody_vae.selection.learned" else None
    fields = sizes.to_dict() if sizes else {"hidden": (8,)}
    task = load_function(f"{module}:make_task")(fields, {**SHAPES, "mel_spec": HIFIGAN.to_dict()})
    batch = rows_of(module)
    params = jax.jit(task.init)(jax.random.key(0), batch)
    evaluate = jax.jit(make_eval_step(task))
    alone, full = (jax.device_get(evaluate(params, b)) for b in (batch, filled_up(batch, 5)))
    assert alone[1] == full[1] == 3
    for name, term in alone[0].items():
        np.testing.assert_allclose(full[0][name], term, rtol=1e-4, atol=1e-4, err_msg=name)
    full = filled_up(batch, 5)
    masks = [name for name in ("mask", "phoneme_mask") if hasattr(full, name)]
    nothing = jax.device_get(
        evaluate(params, full._replace(**{name: jnp.zeros_like(getattr(full, name)) for name in masks}))
    )
    assert nothing[1] == 0 and all(t.sum == 0 == t.count for t in nothing[0].values())
    assert evaluation_of([alone, nothing]) == pytest.approx(evaluation_of([alone]))


def row_task() -> Task:
    """Its loss is a mean over rows, of two terms of which one is counted in frames."""

    def evaluate(params, batch):
        real = batch.mask.any(1)
        frames = batch.mask.sum(dtype=jnp.float32)
        by_row = jnp.where(real, batch.speaker.astype(jnp.float32), 0.0).sum()
        by_frame = jnp.where(batch.mask, batch.energy, 0.0).sum()
        return {"row": Term(by_row, real.sum(dtype=jnp.float32), 2.0), "frame": Term(by_frame, frames, 1.0)}

    return Task(name="rows", init=lambda rng, batch: {}, loss={}, evaluate=evaluate)


@pytest.mark.parametrize("size", [1, 3, 7, 16])
def test_the_figure_is_that_of_the_rows_however_they_are_batched(size):
    rng, task = np.random.default_rng(0), row_task()
    lengths, speaker = rng.integers(1, 9, 10), rng.integers(0, 5, 10).astype(np.int32)
    energy = rng.standard_normal((10, 8)).astype(np.float32)
    mask = np.arange(8)[None] < lengths[:, None]
    found = []
    for start in range(0, 10, size):
        rows = np.arange(start, min(start + size, 10))
        batch = allocate(
            Batch,
            {"B": len(rows), "T": 8, "P": 1, "M": 1, "E": 1},
            speaker=speaker[rows],
            energy=energy[rows],
            mask=mask[rows],
        )
        found.append(make_eval_step(task)({}, filled_up(jax.tree.map(jnp.asarray, batch), size - len(rows))))
    values = evaluation_of(jax.device_get(found))
    wanted = {"row": speaker.mean(), "frame": energy[mask].mean()}
    assert values == pytest.approx({**wanted, "loss": 2 * wanted["row"] + wanted["frame"], "rows": 10}, rel=1e-6)


def test_what_is_printed_is_what_is_recorded_and_holds_every_row_once(tmp_path, capsys):
    whole = toy_batch(100, rows=16)
    rest = np.arange(16) >= 11

    def part(start, stop):
        batch = Batch(*(x[start:stop] for x in whole))
        return batch._replace(mask=batch.mask & ~rest[start:stop, None])

    config = toy_config(steps=2, eval_every=2, save_every=0)
    for name, makers in (("one", [lambda: part(0, 16)]), ("two", [lambda: part(0, 8), lambda: part(8, 16)])):
        fit(toy_task(), config, toy_batch, run_dir=tmp_path / name, held_out=makers, tensorboard=False)
    records = [r for n in ("one", "two") for r in read_metrics(tmp_path / n / "metrics.jsonl") if r["kind"] == "eval"]
    assert [r["rows"] for r in records] == [11, 11] and records[0]["loss"] == pytest.approx(
        records[1]["loss"], rel=1e-6
    )
    printed = re.findall(r"held-out loss (\S+) over 11 rows", capsys.readouterr().out)
    assert printed == [f"{records[0]['loss']:.4g}"] * 2


def launch(arguments, count):
    """`copycat train` in `count` processes with eight devices together; what process 0 printed."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    shared = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(8 // count),
        "PYTHONPATH": str(Path(copycat_jax.__file__).parents[1]),
    }
    if count > 1:
        shared |= {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": str(count)}
    command = [sys.executable, "-m", "copycat_jax.cli", "train", *arguments]
    processes = [
        subprocess.Popen(
            command,
            env=shared | {"JAX_PROCESS_ID": str(i)} if count > 1 else shared,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    said = [(*p.communicate(timeout=600), p.returncode) for p in processes]
    assert all(code == 0 for _, _, code in said), said
    return said[0][0]


@pytest.mark.slow
def test_two_processes_print_the_figures_of_one(tmp_path):
    """Of the classifier: 14 of 48 clips are held out, in two buckets of which the last batches are not full."""
    settings = [
        "data.held_out=0.3",
        "train.eval_every=2",
        "train.save_every=0",
        "train.log_every=1",
        "data.max_seconds=3",
    ]
    flags = ["--config", f"{PAGES}/speaker.py:tiny", "--synthetic", "--max-steps", "2", "--no-tensorboard"]
    flags += list(itertools.chain.from_iterable(("--set", s) for s in settings))
    runs = {count: tmp_path / str(count) for count in (1, 2)}
    said = {count: launch([*flags, "--run-dir", str(run)], count) for count, run in runs.items()}
    lines = {count: re.findall(r"held-out loss \S+ over \d+ rows", text) for count, text in said.items()}
    assert len(lines[1]) == 1 and lines[1] == lines[2]
    one, two = (next(r for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "eval") for run in runs.values())
    for name in ("accuracy", "cross_entropy", "loss", "rows"):
        assert one[name] == pytest.approx(two[name], rel=1e-6)
    assert one["accuracy"] * one["rows"] == pytest.approx(round(one["accuracy"] * one["rows"]))  # a count of clips
