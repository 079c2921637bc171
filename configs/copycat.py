"""CopyCat: fine-grained prosody transfer between any voices.

Paper     Karlapati, Moinet, Joly, Klimkov, Saez-Trigueros, Drugman: CopyCat: Many-to-Many Fine-Grained Prosody
          Transfer for Neural Text-to-Speech, Interspeech 2020, arXiv 2004.14617. Deviations: models/copycat.py.
Command   copycat train --config configs/copycat.py:shipped --corpus DATA --run-dir RUN
          where DATA comes from `copycat build` and has speaker vectors (`copycat embed`).
Step 2    copycat train --config configs/copycat.py:shipped --corpus DATA2 --run-dir RUN2 --set train.init_from=RUN
              --set model.adversarial=true --set "model.kl_anneal_steps=(-1,0)" --set data.batch_size=32
              --set data.buckets=1 --set data.max_seconds=6 --set data.held_out=0.0 --set optimizer.lr=1e-4
              --set optimizer.warmup_steps=50 --set train.steps=1200 --set train.eval_every=0
Variants  tiny (tests, seconds on a CPU), shipped (7.5 M parameters; the bundle in the package), base (the paper-like
          sizes that `copycat bench train` compares), large.
Data      The shipped bundle: 3,688 utterances, 4.3 h: eight rendered Kokoro voices (220 clips each), 100 blended ones
          (5 clips each), Kathleen (CMU ARCTIC prompts without arctic_b04xx and b05xx). Built with --f0 none and
          --exclude 'arctic_b0[45]'; 2 % of the texts held out. Step 2: 660 clips of the nine voices, 3 to 6 s long.
Hardware  shipped: one H200, 12,000 steps in 379 s (31.6 ms a step, 0.71 M real frames/s) after 79 s of compiling;
          step 2: 1,200 steps of 26.9 ms after 20 s (with --xla_gpu_enable_triton_gemm=false).
Log       Training loss (L1 summed over 80 bins, nats, + 0.1 KL) at steps 100, 1k, 3k, 6k, 9k, 12k:
          102.5, 37.4, 28.9, 25.7, 24.1, 23.8. Step 2: L1 24.6 to 24.7 (23.3 without the adversary), scores of real and
          made windows 0.73 and -0.71 at its end.
"""

import dataclasses

from ml_collections import ConfigDict

from copycat_jax.models.copycat import SIZES

VARIANTS = ("tiny", "shipped", "base", "large")
STEPS = {"tiny": 40, "shipped": 12_000, "base": 40_000, "large": 80_000}


def get_config(variant: str = "shipped") -> ConfigDict:
    tiny, steps = variant == "tiny", STEPS[variant]
    size = dataclasses.replace(SIZES[variant], kl_anneal_steps=(0, steps // 10))
    return ConfigDict(
        {
            "task": "copycat_jax.models.copycat:make_task",
            "model": dataclasses.asdict(size),
            "data": {
                "batch_size": 8 if tiny else 0,  # rows; 0 = fill batch_frames instead
                "batch_frames": 25_600,  # padded frames of a batch
                "rows_multiple": 8,  # rows of a batch are a multiple: any of 1, 2, 4, 8 devices sees the same batches
                "buckets": 2 if tiny else 5,
                "multiple_of": size.tau,
                "min_seconds": 0.3,
                "max_seconds": 1.0 if tiny else 10.0,
                "balance_speakers": 0.0 if tiny else 0.5,
                "held_out": 0.1 if tiny else 0.02,  # share of the texts
                "in_memory_gib": 4.0,  # a corpus up to this size is decoded once and kept in memory
                "needs_speaker_vectors": True,
            },
            "optimizer": {
                "name": "adam",
                "lr": 1e-3,
                "schedule": "cosine",
                "warmup_steps": min(500, steps // 10),
                "final_lr_ratio": 0.02,
                "b1": 0.9,
                "b2": 0.999,
                "eps": 1e-8,
                "weight_decay": 0.0,
                "clip_norm": 1.0,
                "adversary": {"lr": 2e-4, "b1": 0.0, "warmup_steps": 0},
            },
            "train": {
                "steps": steps,
                "seed": 0,
                "prng": "threefry" if tiny else "rbg",  # rbg: several times faster on GPU; see train/state.py
                "ema_decay": 0.999,
                "guard": True,
                "log_every": 10 if tiny else 100,
                "eval_every": 20 if tiny else 1000,
                "eval_batches": 1 if tiny else 8,
                "save_every": 20 if tiny else 1000,
                "render_every": 0 if tiny else 4000,
                "keep": 3,
                "threads": 2 if tiny else 8,
                "init_from": "",
                "collapse_active": 2.0,
                "collapse_kl": 0.1,
                "collapse_after": steps // 5,
            },
            "mesh": {"data": -1, "fsdp": 1},
        }
    )
