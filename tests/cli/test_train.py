import signal

import pytest

from copycat_jax.cli import main
from copycat_jax.cli.train import _what_next
from copycat_jax.signals import Stopped
from copycat_jax.train import checkpoint, distributed, outcomes

CONFIG = {"task": "copycat_jax.models.copycat:make_task", "train": {"steps": 2000}}


@pytest.mark.parametrize(
    "step, task, best, wanted",
    [
        (
            2000,
            "copycat_jax.models.copycat:make_task",
            (1000, 23.456),
            ["step 1,000: 23.46", "copycat export --run RUN"],
        ),
        (2000, "prosody_vae.tts.model:make_task", (None, None), ["prosody export --run RUN"]),
        (500, "prosody_vae.tts.model:make_task", (None, None), ["go on to step 2,000 without --max-steps"]),
    ],
)
def test_a_run_that_ends_says_which_checkpoint_and_what_next(monkeypatch, step, task, best, wanted):
    monkeypatch.setattr(checkpoint, "best_step", lambda run_dir: best)
    said = _what_next(CONFIG | {"task": task}, "RUN", step)
    assert said.startswith(f"step {step:,} is saved in RUN") and all(words in said for words in wanted)
    assert ("lowest" in said) == (best[0] is not None)


@pytest.mark.parametrize(
    "number, second, code",
    [
        (signal.SIGTERM, False, outcomes.PREEMPTED),
        (signal.SIGTERM, True, 128 + signal.SIGTERM),
        (signal.SIGINT, False, 128 + signal.SIGINT),
    ],
)
def test_a_run_that_is_stopped_before_its_first_step_is_started_again(monkeypatch, tmp_path, number, second, code):
    """A scheduler's signal says nothing against the run; a user's, or a second one, does."""

    def joined():
        raise Stopped(number, second)

    monkeypatch.setattr(distributed, "joined", joined)
    assert main(["train", "--config", "configs/copycat.py:tiny", "--synthetic", "--run-dir", str(tmp_path)]) == code
