import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from toy_task import toy_batch, toy_config, toy_task

from copycat_jax.cli import main
from copycat_jax.train.collectives import Collectives, collectives_of
from copycat_jax.train.forecast import Forecast, forecast, page, step_seconds
from copycat_jax.train.topology import parse_topology

BASE = {32: 2.172e12, 128: 8.687e12}  # operations of a step of `base`, rows of 800 frames, by `flops.count_flops`
GRADIENTS = Collectives(1, 4 * 14_259_152, 0)  # its parameters in float32


@pytest.fixture(scope="module")
def mesh():
    return jax.make_mesh((8,), ("data",), (AxisType.Auto,))


def compiled(function, mesh, *specs_and_shapes):
    arguments = [
        jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, spec)) for spec, shape in specs_and_shapes
    ]
    return jax.jit(function, out_shardings=NamedSharding(mesh, P())).lower(*arguments).compile().as_text()


def test_a_sum_over_the_batch_is_one_reduction_of_its_size(mesh):
    text = compiled(lambda x: x.sum(axis=0), mesh, (P("data"), (16, 5, 3)))
    assert collectives_of(text) == Collectives(1, 4 * 5 * 3, 0)


def test_what_is_reduced_in_a_loop_counts_as_often_as_the_loop_turns(mesh):
    def gradient(w, x):
        def loss(w):
            return lax.scan(lambda c, _: (jnp.tanh(c @ w),) * 2, x, None, length=7)[0].sum()

        return jax.grad(loss)(w)

    found = collectives_of(compiled(gradient, mesh, (P(), (4, 4)), (P("data"), (8, 4))))
    assert found.in_loops in (0, 7)  # XLA may gather the sums behind the loop
    if found.in_loops:
        assert found.bytes >= 7 * 4 * 16
    whole = """
HloModule m
body.1 (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %a = f32[8]{0} all-reduce(%x), to_apply=%add
  ROOT %b = (f32[2]{0}, bf16[4]{0}) all-reduce(%y, %z), to_apply=%add
}

ENTRY main (p: f32[8]) -> f32[8] {
  %w = (s32[], f32[8]) while(%t), condition=%cond.1, body=%body.1, backend_config={"known_trip_count":{"n":"7"}}
  %s = (f32[3]{0}, f32[3]{0}) all-gather-start(%q), dimensions={0}
  %d = f32[3]{0} all-gather-done(%s)
  ROOT %f = f32[8]{0} fusion(%w), kind=kLoop, calls=%fused
}
"""
    assert collectives_of(whole) == Collectives(2 * 7 + 1, 7 * (32 + 8 + 8) + 24, 14)


def test_the_model_is_the_measured_step_of_one_card():
    one = parse_topology("h100:1x1")
    spent = step_seconds(one, BASE[128], 800, Collectives(0, 0, 0))
    assert spent["waiting"] == spent["reducing"] == 0 and spent["computing"] == pytest.approx(37.2e-3, rel=0.01)


@pytest.mark.parametrize("rows, step_s, measured", [(32, 34.4e-3, 1.88), (128, 65.6e-3, 1.94), (128, 37.2e-3, 1.89)])
def test_two_cards_are_as_many_times_one_as_was_measured(rows, step_s, measured):
    """The first of the three is what the constant was fitted to."""
    spent = step_seconds(parse_topology("h100:1x2"), 2 * BASE[rows], 800, GRADIENTS)
    speedup = 2 * step_s / (step_s + spent["waiting"] + spent["reducing"])
    assert speedup == pytest.approx(measured, abs=0.015)


def test_more_of_everything_takes_longer():
    def total(text, rows=128, frames=800, sent=GRADIENTS):
        topology = parse_topology(text)
        return sum(step_seconds(topology, BASE[rows] * topology.devices, frames, sent).values())

    assert total("h100:1x1") < total("h100:1x8") < total("h100:8x8") < total("h100:64x8") < total("a100:64x8")
    assert total("h100:1x8", rows=32) < total("h100:1x8")
    assert total("h100:8x8", sent=Collectives(100, 4 * 14_259_152, 0)) > total("h100:8x8")


def test_a_forecast_compiles_for_all_devices_and_counts_what_they_reduce(mesh):
    task, config = toy_task(), toy_config(steps=9)
    shapes, topology = ((8, 12, 4), (16, 12, 4)), parse_topology("h100:1x8")
    found = forecast(task, config, toy_batch(0), topology, shapes, epoch_steps=(3.0, 1.0))
    parameters = 8 * 16 + 16 + 16 * 8 + 8
    assert (found.rows, found.frames, found.parameters) == (16, 12, parameters)
    assert found.sent.bytes >= 4 * parameters and found.sent.in_loops == 0
    assert found.epoch_steps == 4.0 and found.steps == 9 and found.step_s["computing"] > 0
    # Parameters, their average, two moments of Adam: replicated.
    assert found.state_gib * 2**30 == pytest.approx(4 * 4 * parameters, rel=0.05)
    text = page(found)
    assert "8 x h100" in text and "2 a device" in text and text.count("estimated") >= 4


SPEAKER = f"{Path(__file__).parents[2]}/configs/speaker.py:tiny"


def test_what_belongs_to_a_dry_run_alone(capsys):
    command = ["train", "--config", SPEAKER, "--synthetic"]
    assert main([*command, "--devices", "8"]) == 2 and "--dry-run" in capsys.readouterr().err
    assert main([*command, "--dry-run"]) == 2 and "--topology" in capsys.readouterr().err
    assert main(command) == 2 and "no --run-dir" in capsys.readouterr().err


def test_a_dry_run_forecasts_the_batches_that_a_run_would_make(monkeypatch, capsys):
    asked = []

    def stub(task, config, batch, topology, shapes, epoch_steps):
        asked.append((task.name, topology.devices, batch.mask.shape[0], len(shapes), len(epoch_steps)))
        return Forecast(topology, 8, 40, 1000, 0.5, 0.25, 1.0, GRADIENTS, {"computing": 0.1}, sum(epoch_steps), 40)

    monkeypatch.setattr("copycat_jax.train.forecast.forecast", stub)
    assert main(["train", "--config", SPEAKER, "--synthetic", "--dry-run", "--topology", "h100:1x8"]) == 0
    assert asked == [("speaker", 8, 8, 2, 2)]
    assert "1.75 of 80 GiB" in capsys.readouterr().out


@pytest.mark.slow
def test_a_dry_run_needs_no_run_folder_and_leaves_none(tmp_path):
    command = ["train", "--config", SPEAKER, "--synthetic", "--dry-run", "--devices", "16", "--topology", "h100"]
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    done = subprocess.run(
        [sys.executable, "-m", "copycat_jax.cli", *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "16 x h100" in done.stdout and re.search(r"step \(estimated\) +\d+\.\d ms", done.stdout)
    assert not list(tmp_path.iterdir())
