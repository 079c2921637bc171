"""The VAE text-to-speech model whose utterance embeddings make up the prosody space.

Paper     Tyagi, Nicolis, Rohnke, Drugman, Lorenzo-Trueba: Dynamic Prosody Generation for Speech Synthesis using
          Linguistics-Driven Acoustic Embedding Selection, Interspeech 2020, arXiv 1912.00955, section 4.1. Deviations:
          prosody_vae/tts/model.py.
Command   copycat train --config configs/prosody_vae.py:shipped --corpus DATA --run-dir RUN
          where DATA comes from `copycat build` with F0 (--f0 pyin) and has speaker vectors (`copycat embed`).
Variants  tiny (tests, seconds on a CPU), laptop (1.3 M parameters: two cores, minutes of speech), shipped (6.0 M; the
          bundle in the package), base (14 M), large (31 M).
Data      The shipped bundle: 4,326 utterances, 5.1 h: one rendered voice in seven styles (1,137), eight rendered
          Kokoro voices (220 each), Kathleen (CMU ARCTIC prompts without arctic_b04xx and b05xx). Built with --f0 dio
          --max-seconds 12 --exclude 'arctic_b0[45]'; speaker vectors by the shipped CopyCat bundle; 3 % of the texts
          held out.
Hardware  One H200: 9,000 steps of 46 ms (0.32 M real frames/s) after 20 s of compiling, with
          --xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=1. Since then, embedding the word ends has become
          a matrix product, which is quicker on a GPU; by how much was not measured. laptop: 3,000 steps and compiling
          in 790 CPU-seconds; held-out loss 111.6, 91.6, 85.2 at steps 250, 1,000, 3,000 on 14 minutes of 15 voices.
Log       Training loss at steps 800, 1,800, 5,000, 9,000: 67.1, 56.2, 44.8, 40.8. On held-out texts, from nothing but
          text and embedding, its own and the prior's mean: L1 summed over 80 bins 43.7 and 46.2 nats, pitch 0.083 and
          0.098 (log F0), durations 0.186 and 0.193 (log frames); KL 21.6 nats, all 64 units active. Of one voice alone
          (8,000 steps): pitch 0.079 and 0.101, and the pauses are learnt by heart (0.46 nats held out against 0.21).
"""

import dataclasses

from copycat_jax.data import inputs
from copycat_jax.train import config
from copycat_jax.train.config import Experiment, OptimizerConfig, TrainConfig
from prosody_vae.tts.model import SIZES

STEPS = {"tiny": 40, "laptop": 3_000, "shipped": 9_000, "base": 40_000, "large": 80_000}
VARIANTS = (*STEPS, *(f"{size}_adversarial" for size in STEPS))


def get_config(variant: str = "shipped") -> Experiment:
    size, _, second = variant.partition("_")
    steps, heard = STEPS[size], size not in ("tiny", "laptop")
    ears = {"heard": True, "ending": 0.5} if heard else {}
    data, train = inputs.DataConfig(buckets=2, max_seconds=12.0, held_out=0.03), TrainConfig(steps=steps)
    train = dataclasses.replace(train, render_every=3000)
    if size == "tiny":
        data, train = inputs.TINY_DATA, config.TINY_TRAINING
    if size == "laptop":
        data = dataclasses.replace(data, batch_frames=3200, rows_multiple=4, held_out=0.05)
        train = TrainConfig(steps=steps, log_every=50, eval_every=500, save_every=250, threads=2)
    first = Experiment(
        task="prosody_vae.tts.model:make_task",
        model=dataclasses.replace(SIZES[size], **ears, kl_anneal_steps=(0, 2 * steps // 15)),
        data=dataclasses.replace(data, needs_speaker_vectors=True, needs_f0=not heard),
        optimizer=OptimizerConfig(warmup_steps=min(500, steps // 10), final_lr_ratio=0.02),
        groups={"adversary": {"lr": 2e-4, "b1": 0.0, "warmup_steps": 0}},
        train=train,
    )
    return adversarial(first) if second else first


def adversarial(first: Experiment) -> Experiment:
    """The second training step: a sixth as long, slower, full KL weight."""
    steps = first.train.steps // 6
    return dataclasses.replace(
        first,
        model=dataclasses.replace(first.model, adversarial=True, kl_anneal_steps=(-1, 0)),
        data=dataclasses.replace(first.data, buckets=1, min_frames=first.model.window, held_out=0.0),
        optimizer=dataclasses.replace(first.optimizer, lr=1e-4, warmup_steps=min(50, steps // 10)),
        train=dataclasses.replace(first.train, steps=steps, eval_every=0, render_every=0),
    )
