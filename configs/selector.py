"""The learned selector: linguistic vectors to a Gaussian in a prosody space.

Paper     The sampler of Kathaka (arXiv 2011.02252), reading the vectors of Tyagi et al. (arXiv 1912.00955); sizes ours.
Command   copycat train --config configs/selector.py:shipped --corpus SPACE --run-dir RUN, SPACE from
          `prosody build-space`; then prosody export --run RUN --space SPACE attaches the best checkpoint to the space.
Variants  tiny (tests, seconds on a CPU), shipped (a bank of about 1,000 sentences), base and large (10^5 and 10^6).
Data      All entries of the space but the held-out texts; data.vectors names what is read: both, sentence, distance, or
          any (what the space has).
Hardware  shipped: 20 s on two cores of a CPU.
Expect    `kl` on held-out texts falls below `kl_prior` (the Gaussian that ignores the text) within a few hundred steps
          and may rise again; `residual` below 1 is what beats the centroid.
"""

import dataclasses

from ml_collections import ConfigDict

from prosody_vae.selection.learned import SIZES

VARIANTS = ("tiny", "shipped", "base", "large")
STEPS = {"tiny": 40, "shipped": 1_000, "base": 10_000, "large": 50_000}


def get_config(variant: str = "shipped") -> ConfigDict:
    tiny, steps = variant == "tiny", STEPS[variant]
    return ConfigDict(
        {
            "task": "prosody_vae.selection.learned:make_task",
            "inputs": "prosody_vae.selection.learned:make_inputs",
            "model": dataclasses.asdict(SIZES[variant]),
            "data": {
                "batch_size": {"tiny": 8, "shipped": 128, "base": 512, "large": 4096}[variant],
                "rows_multiple": 8,  # any of 1, 2, 4, 8 devices sees the same batches
                "vectors": "any",
                "held_out": 0.1,  # share of the texts; all takes of a text stay together
            },
            "optimizer": {
                "name": "adamw",
                "lr": 3e-3 if tiny else 1e-3,
                "schedule": "cosine",
                "warmup_steps": min(500, steps // 10),
                "final_lr_ratio": 0.01,
                "b1": 0.9,
                "b2": 0.999,
                "eps": 1e-8,
                "weight_decay": 0.1,
                "clip_norm": 1.0,
            },
            "train": {
                "steps": steps,
                "seed": 0,
                "prng": "threefry",
                "ema_decay": 0.99,
                "guard": True,
                "log_every": 10 if tiny else 100,
                "eval_every": 20 if tiny else 50,  # saved as often: the best checkpoint is the one exported
                "eval_batches": {"tiny": 1, "shipped": 1, "base": 16, "large": 16}[variant],
                "save_every": 20 if tiny else 50,
                "render_every": 0,
                "keep": 1,
                "threads": 2,
                "init_from": "",
                "collapse_active": 0.0,
                "collapse_kl": 0.0,
                "collapse_after": 0,
            },
            "mesh": {"data": -1, "fsdp": 1},
        }
    )
