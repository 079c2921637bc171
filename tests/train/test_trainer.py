"""What does not fit devices or task is refused before anything is compiled; what fits is told in one line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache
from toy_task import toy_batch, toy_config, toy_task

import copycat_jax
from copycat_jax.errors import UserError
from copycat_jax.train.trainer import Trainer

PAGES = Path(__file__).parents[2] / "configs"


def test_rows_and_frames_are_checked_before_anything_is_compiled(monkeypatch):
    trainer = Trainer(toy_task(), toy_config(), toy_batch(0))
    monkeypatch.setattr(trainer, "_compile", lambda *_: pytest.fail("compiled"))
    with pytest.raises(UserError, match="12 rows do not divide over 8 devices"):
        trainer.compile_ahead([(8, 12, 4), (12, 12, 4)])
    with pytest.raises(UserError, match="6 rows do not divide over 8 devices"):
        Trainer(toy_task(), toy_config(), toy_batch(0, rows=6))
    with pytest.raises(UserError, match=r"batches of 12 frames, 'toy' needs 32\. Raise data\.min_frames"):
        Trainer(toy_task(min_frames=32), toy_config(), toy_batch(0))
    with pytest.raises(UserError, match=r"12 frames, 'toy' needs a multiple of 8\. Set data\.multiple_of=8"):
        Trainer(toy_task(frames_multiple=8), toy_config(), toy_batch(0))


def test_mesh_rows_and_parameters_are_told():
    config = toy_config()
    config["mesh"]["fsdp"] = 2
    trainer = Trainer(toy_task(True), config, toy_batch(0))
    told = trainer.summary([(8, 12, 4), (16, 12, 4)])
    assert told == "mesh data 4 x fsdp 2, 1 to 2 rows a device, 280 parameters of 'model', 8 parameters of 'adversary'"
    assert "1 rows a device" in trainer.summary()


def train(page, devices, *flags):
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "PYTHONPATH": str(Path(copycat_jax.__file__).parents[1]),
    }
    flags = ["--config", f"{PAGES}/{page}", "--synthetic", "--max-steps", "1", "--no-tensorboard", *flags]
    command = [sys.executable, "-m", "copycat_jax.cli", "train", *flags]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [3, 16])
def test_any_number_of_devices_starts(devices, tmp_path):
    done = train("speaker.py:tiny", devices, "--run-dir", str(tmp_path), "--set", "data.buckets=1")
    assert done.returncode == 0, done.stderr
    rows = int(re.search(rf"mesh data {devices} x fsdp 1, (\d+) rows a device", done.stdout)[1])
    assert rows * devices == {3: 24, 16: 16}[devices]


@pytest.mark.slow
def test_a_window_longer_than_the_batches_is_one_line(tmp_path):
    flags = ["--run-dir", str(tmp_path), "--set", "model.window=4000"]
    done = train("copycat.py:tiny_adversarial", 1, *flags)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "needs 4000" in done.stderr


def test_a_second_start_compiles_nothing(tmp_path):
    """All buckets at once; then, of another trainer and with JAX's own memory emptied, from the folder alone."""
    told: list[str] = []

    def listen(event: str, **_: str | int) -> None:
        told.append(event.rpartition("/")[2])

    folder = getattr(jax.config, "jax_compilation_cache_dir")  # noqa: B009
    jax.monitoring.register_event_listener(listen)
    try:
        compilation_cache.reset_cache()
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        counts = []
        for _ in range(2):
            jax.clear_caches()
            told.clear()
            trainer = Trainer(toy_task(), toy_config(), toy_batch(0))
            trainer.compile_ahead([(8, 12, 4), (16, 8, 4)])
            counts.append((told.count("cache_misses"), told.count("cache_hits")))
    finally:
        jax.monitoring.unregister_event_listener(listen)
        compilation_cache.reset_cache()
        jax.config.update("jax_compilation_cache_dir", folder)
    (first, _), (second, hits) = counts
    assert first >= 2 and second == 0 and hits == first
