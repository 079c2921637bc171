"""The VAE text-to-speech model whose utterance embeddings make up the prosody space.

Paper     Tyagi, Nicolis, Rohnke, Drugman, Lorenzo-Trueba: Dynamic Prosody Generation for Speech Synthesis using
          Linguistics-Driven Acoustic Embedding Selection, Interspeech 2020, arXiv 1912.00955, section 4.1. Deviations:
          prosody_vae/model.py.
Command   copycat train --config configs/prosody_vae.py:shipped --corpus DATA --run-dir RUN
          where DATA comes from `copycat build` with F0 (--f0 pyin) and has speaker vectors (`copycat embed`).
Variants  tiny (tests, seconds on a CPU), shipped (6.0 M parameters; the bundle in the package), base (14 M),
          large (31 M).
Data      The shipped bundle: 4,326 utterances, 5.1 h: one rendered voice in seven styles (1,137), eight rendered
          Kokoro voices (220 each), Kathleen (CMU ARCTIC prompts without arctic_b04xx and b05xx). Built with --f0 dio
          --max-seconds 12 --exclude 'arctic_b0[45]'; speaker vectors by the shipped CopyCat bundle; 3 % of the texts
          held out.
Hardware  One H200: 9,000 steps of 46 ms (0.32 M real frames/s) after 20 s of compiling, with
          --xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=1. Since then, embedding the word ends has become
          a matrix product, which is quicker on a GPU; by how much was not measured.
Log       Training loss at steps 800, 1,800, 5,000, 9,000: 67.1, 56.2, 44.8, 40.8. On held-out texts, from nothing but
          text and embedding, its own and the prior's mean: L1 summed over 80 bins 43.7 and 46.2 nats, pitch 0.083 and
          0.098 (log F0), durations 0.186 and 0.193 (log frames); KL 21.6 nats, all 64 units active. Of one voice alone
          (8,000 steps): pitch 0.079 and 0.101, and the pauses are learnt by heart (0.46 nats held out against 0.21).
"""

import dataclasses

from ml_collections import ConfigDict

from prosody_vae.tts.model import SIZES

VARIANTS = ("tiny", "shipped", "base", "large")
STEPS = {"tiny": 40, "shipped": 9_000, "base": 40_000, "large": 80_000}


def get_config(variant: str = "shipped") -> ConfigDict:
    tiny, steps = variant == "tiny", STEPS[variant]
    size = dataclasses.replace(SIZES[variant], kl_anneal_steps=(0, 2 * steps // 15))
    return ConfigDict(
        {
            "task": "prosody_vae.tts.model:make_task",
            "model": dataclasses.asdict(size),
            "data": {
                "batch_size": 8 if tiny else 0,  # rows; 0 = fill batch_frames instead
                "batch_frames": 25_600,  # padded frames of a batch
                "rows_multiple": 8,  # rows of a batch are a multiple: any of 1, 2, 4, 8 devices sees the same batches
                "buckets": 2,
                "multiple_of": 8,
                "min_seconds": 0.3,
                "max_seconds": 1.0 if tiny else 12.0,
                "balance_speakers": 0.0 if tiny else 0.5,
                "held_out": 0.1 if tiny else 0.03,  # share of the texts
                "in_memory_gib": 4.0,  # a corpus up to this size is decoded once and kept in memory
                "needs_speaker_vectors": True,
                "needs_f0": True,
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
                "render_every": 0 if tiny else 3000,
                "keep": 3,
                "threads": 2 if tiny else 8,
                "init_from": "",
                "collapse_active": 2.0,  # of latent units; the KL itself is held up by model.free_nats
                "collapse_kl": 0.0,
                "collapse_after": steps // 5,
            },
            "mesh": {"data": -1, "fsdp": 1},
        }
    )
