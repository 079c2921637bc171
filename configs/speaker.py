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

import dataclasses

from ml_collections import ConfigDict

from copycat_jax.models.speaker import SIZES

VARIANTS = ("tiny", "shipped", "base", "large")
STEPS = {"tiny": 40, "shipped": 5_000, "base": 10_000, "large": 20_000}


def get_config(variant: str = "shipped") -> ConfigDict:
    tiny, steps = variant == "tiny", STEPS[variant]
    return ConfigDict(
        {
            "task": "copycat_jax.models.speaker:make_task",
            "model": dataclasses.asdict(SIZES[variant]),
            "data": {
                "batch_size": 8 if tiny else 96,  # rows; 0 = fill batch_frames instead
                "batch_frames": 51_200,  # padded frames of a batch
                "rows_multiple": 8,  # rows of a batch are a multiple: any of 1, 2, 4, 8 devices sees the same batches
                "buckets": 2 if tiny else 3,
                "multiple_of": 8,
                "min_seconds": 0.3 if tiny else 1.0,
                "max_seconds": 1.0 if tiny else 14.0,
                "balance_speakers": 0.0 if tiny else 0.5,
                "held_out": 0.1 if tiny else 0.02,  # share of the texts
                "in_memory_gib": 4.0,  # a corpus up to this size is decoded once and kept in memory
                "needs_speaker_vectors": False,
            },
            "optimizer": {
                "name": "adamw",
                "lr": 1e-3,
                "schedule": "cosine",
                "warmup_steps": min(500, steps // 10),
                "final_lr_ratio": 0.01,
                "b1": 0.9,
                "b2": 0.999,
                "eps": 1e-8,
                "weight_decay": 0.01,
                "clip_norm": 1.0,
            },
            "train": {
                "steps": steps,
                "seed": 0,
                "prng": "threefry",
                "ema_decay": 0.999,
                "guard": True,
                "log_every": 10 if tiny else 100,
                "eval_every": 20 if tiny else 1000,
                "eval_batches": 1 if tiny else 8,
                "save_every": 20 if tiny else 2500,
                "render_every": 0,
                "keep": 3,
                "threads": 2 if tiny else 8,
                "init_from": "",
                "collapse_active": 0.0,
                "collapse_kl": 0.0,
                "collapse_after": 0,
            },
            "mesh": {"data": -1, "fsdp": 1},
        }
    )
