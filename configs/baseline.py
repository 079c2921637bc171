"""Baseline: what CopyCat was compared with, and plain text-to-speech, its floor.

Paper     Klimkov, Ronanki, Rohnke, Drugman: Fine-Grained Robust Prosody Transfer for Single-Speaker Neural
          Text-To-Speech, Interspeech 2019, arXiv 1907.02479: "agg" and "agg_vae". On a corpus of one speaker it is
          the single-speaker system of CopyCat's section 3.1 (SSAP), on one of many the multi-speaker one (MSAP).
          What differs: models/baseline.py.
Command   copycat train --config configs/baseline.py:shipped_agg --corpus DATA --run-dir RUN
          where DATA comes from `copycat build` with an F0 tracker (--f0 dio is quick) and has speaker vectors.
Log       Beside CopyCat, on unseen speakers: copycat_jax/evaluate/README.md. Training loss after 4,000 steps (L1 summed
          over 80 bins, nats): agg 27.1, agg_vae 29.2 (with 0.1 KL), plain 39.7; CopyCat 26.5.
Variants  sizes tiny, laptop, shipped, base, with as many steps and the same batches as CopyCat's; of each _agg (also
          without an ending), _agg_vae and _plain (durations alone).
"""

import dataclasses

from copycat_jax.data import inputs
from copycat_jax.models.baseline import SIZES
from copycat_jax.train import config
from copycat_jax.train.config import Experiment, OptimizerConfig, TrainConfig

STEPS = {"tiny": 40, "laptop": 3_000, "shipped": 12_000, "base": 40_000}
PROSODIES = {"": "aggregated", "agg": "aggregated", "agg_vae": "variational", "plain": "none"}
VARIANTS = tuple(f"{size}_{prosody}" if prosody else size for size in STEPS for prosody in PROSODIES)


def get_config(variant: str = "shipped_agg") -> Experiment:
    size, _, prosody = variant.partition("_")
    steps = STEPS[size]
    data, train, lr = inputs.DataConfig(), TrainConfig(steps=steps, render_every=4000), 1e-3
    if size == "tiny":
        data, train = inputs.TINY_DATA, config.TINY_TRAINING
    if size == "laptop":
        data = inputs.DataConfig(batch_frames=3200, rows_multiple=4, buckets=3, held_out=0.05)
        train, lr = TrainConfig(steps=steps, log_every=50, eval_every=500, save_every=250, threads=2), 2e-3
    return Experiment(
        task="copycat_jax.models.baseline:make_task",
        model=dataclasses.replace(SIZES[size], prosody=PROSODIES[prosody], kl_anneal_steps=(0, steps // 10)),
        data=dataclasses.replace(data, needs_speaker_vectors=True, needs_f0=True),
        optimizer=OptimizerConfig(lr=lr, warmup_steps=min(500, steps // 10), final_lr_ratio=0.02),
        train=train,
        inputs="copycat_jax.data.prosody_statistics:statistics_inputs",
    )
