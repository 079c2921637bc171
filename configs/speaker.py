"""The speaker classifier whose 128-D bottleneck is CopyCat's speaker embedding.

Paper     CopyCat (arXiv 2004.14617) section 2.1; sizes are ours, the paper gives none but the bottleneck's.
Command   copycat train --config configs/speaker.py:shipped --corpus DATA --run-dir RUN
          then copycat export --run RUN --out SPEAKER, and copycat embed --bundle SPEAKER --corpus DATA.
Variants  tiny (tests, seconds on a CPU), shipped (in the package's bundle), base, large.
Data      The shipped bundle: 3,874 training utterances of 360 speakers: CopyCat's own corpus and the first three
          quarters of one clip of each of 251 LibriSpeech train-clean-100 speakers; built with --audio-only --f0 none
          --max-seconds 14.
Hardware  shipped: one H200, 5,000 steps in 40 s (input-bound) after 72 s of compiling 3 shapes.
Log       training loss at steps 1k, 3k, 5k: 1.00, 0.080, 0.028.
"""

from copycat_jax.data import inputs
from copycat_jax.models.speaker import SIZES
from copycat_jax.train import config
from copycat_jax.train.config import Experiment, OptimizerConfig, TrainConfig

STEPS = {"tiny": 40, "shipped": 5_000, "base": 10_000, "large": 20_000}
VARIANTS = tuple(STEPS)


def get_config(variant: str = "shipped") -> Experiment:
    steps = STEPS[variant]
    data = inputs.DataConfig(batch_size=96, batch_frames=51_200, buckets=3, min_seconds=1.0, max_seconds=14.0)
    train = TrainConfig(steps=steps, save_every=2500)
    if variant == "tiny":
        data, train = inputs.TINY_DATA, config.TINY_TRAINING
    return Experiment(
        task="copycat_jax.models.speaker:make_task",
        model=SIZES[variant],
        data=data,
        optimizer=OptimizerConfig(name="adamw", weight_decay=0.01, warmup_steps=min(500, steps // 10)),
        train=train,
    )
