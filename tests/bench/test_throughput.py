import jax
import jax.numpy as jnp
import pytest
from jax import lax

from copycat_jax.batch import Batch
from copycat_jax.bench.throughput import (
    BARE,
    full_batch,
    measure_corpus,
    measure_input,
    measure_synthesis,
    merged,
    works,
)
from copycat_jax.train.flops import count_flops


def zeros(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def test_flops_of_products_loops_and_gradients():
    assert count_flops(lambda a, b: a @ b, zeros(3, 5), zeros(5, 7)) == 2 * 3 * 5 * 7
    assert (
        count_flops(lambda a, b: jnp.einsum("bij,bjk->bik", a, b), zeros(4, 3, 5), zeros(4, 5, 7)) == 2 * 4 * 3 * 5 * 7
    )

    def recurrence(x, w):
        return lax.scan(lambda h, _: (jnp.tanh(h @ w), None), x, None, length=11)[0].sum()

    forward = 11 * 2 * 2 * 6 * 6
    assert count_flops(recurrence, zeros(2, 6), zeros(6, 6)) == forward
    assert count_flops(jax.grad(recurrence, argnums=(0, 1)), zeros(2, 6), zeros(6, 6)) == 3 * forward
    assert count_flops(jax.jit(recurrence), zeros(2, 6), zeros(6, 6)) == forward


def test_flops_of_a_convolution_and_its_gradients():
    def conv(x, k):
        return lax.conv_general_dilated(x, k, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))

    one = 2 * (2 * 20) * 5 * 6 * 7  # rows x frames, kernel, in, out
    assert count_flops(conv, zeros(2, 20, 6), zeros(5, 6, 7)) == one
    both = count_flops(
        jax.grad(lambda x, k: jnp.square(conv(x, k)).sum(), argnums=(0, 1)), zeros(2, 20, 6), zeros(5, 6, 7)
    )
    assert both == pytest.approx(3 * one)


def test_full_batch_has_no_padding():
    batch = full_batch(4, 30, 7)
    assert batch.mask.all() and batch.phoneme_mask.all() and (batch.durations.sum(1) == 30).all()
    assert {x.shape[0] for x in batch} == {4}


def test_bare_changes_named_fields_only():
    config = {"optimizer": {"lr": 1.0, "clip_norm": 1.0}, "train": {"ema_decay": 0.9}, "mesh": {}}
    bare = merged(config, BARE)
    assert (
        bare["optimizer"]["lr"] == 1.0 and bare["optimizer"]["clip_norm"] == 0.0 and bare["train"]["ema_decay"] == 0.0
    )
    assert config["optimizer"]["clip_norm"] == 1.0


def test_rates_are_real_frames_over_time():
    batch: Batch = full_batch(2, 10, 2)
    half = batch._replace(mask=batch.mask & (jnp.arange(10)[None] < 5))
    figures = measure_input(lambda: iter(lambda: half, None), seconds=0.05)
    assert figures["padding_efficiency"] == 0.5 and figures["input_frames_per_s"] > 0
    speech = measure_synthesis(lambda: ([0.0] * 22050, 22050), repeats=2)
    assert speech["audio_s"] == 1.0 and speech["audio_per_s"] > 0


def test_works_are_changes_by_name():
    assert works(False, False) == {"full": ()} and list(works(True, False)) == ["bare"]
    assert list(works(False, True)) == ["bare", "clipping", "ema", "guard", "full"]


def test_the_input_of_a_corpus_is_measured_as_it_trains(monkeypatch):
    from copycat_jax.data import inputs
    from copycat_jax.data.inputs import TINY_DATA, synthetic_corpus

    monkeypatch.setattr(inputs, "open_corpus", lambda path: synthetic_corpus(0.5))
    config = {"data": TINY_DATA.to_dict(), "train": {"seed": 0, "eval_every": 0}}
    first, figures = measure_corpus("data", config, [0, 2], seconds=0.1)
    assert [first["threads"], figures["threads"]] == [0, 2] and figures["in_memory"]
    assert figures["input_frames_per_s"] > 0
    assert 0 < figures["padding_efficiency"] <= 1 and 0 < figures["plan_padding_efficiency"] <= 1


@pytest.mark.slow
def test_bench_train_prints_its_figures(capsys):
    import json

    from copycat_jax.cli import main

    page = __file__.split("tests")[0] + "configs/copycat.py:tiny"
    flags = ["--batch", "8", "--frames", "16", "--phones", "4", "--steps", "2", "--bare", "--json"]
    assert main(["bench", "train", "--config", page, *flags]) == 0, capsys.readouterr().err
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (
        record["work"] == "bare"
        and record["frames_per_s"] > 0
        and record["model_gflop"] > 0
        and record["compile_s"] > 0
    )
