"""The VAE text-to-speech model whose utterance embeddings make up the prosody space.

Paper     Tyagi, Nicolis, Rohnke, Drugman, Lorenzo-Trueba: Dynamic Prosody Generation for Speech Synthesis using
          Linguistics-Driven Acoustic Embedding Selection, Interspeech 2020, arXiv 1912.00955, section 4.1. Deviations:
          prosody_vae/tts/model.py.
Command   copycat train --config configs/prosody_vae.py:shipped --corpus DATA --run-dir RUN
          where DATA comes from `copycat build` and has speaker vectors (`copycat embed`); F0 is what the vocoder that
          ships hears, but for tiny and laptop, which take that of the corpus (--f0 pyin).
Step 2    copycat train --config configs/prosody_vae.py:shipped_adversarial --corpus DATA --run-dir RUN2
              --set train.init_from=RUN
Variants  tiny (tests, seconds on a CPU), laptop (1.3 M parameters: two cores, minutes of speech), shipped (6.0 M; the
          bundle in the package), base (14 M), large (31 M); and of each the second training step, such as
          shipped_adversarial.
Data      The shipped bundle: 4,305 utterances, 5.1 h: one rendered voice in seven styles (1,137), eight rendered
          Kokoro voices (220 each), Kathleen (CMU ARCTIC prompts without arctic_b04xx and b05xx). Built with --f0 none
          --max-seconds 12; speaker vectors by the shipped CopyCat bundle; 3 % of the texts held out.
Hardware  One H100: 9,000 steps of 11 to 15 ms (1.2 M real frames/s) after 49 s of compiling, then 1,500 of 9 to 10 ms
          after 44 s, with --xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=1. laptop: 3,000 steps and
          compiling in 790 CPU-seconds; held-out loss 111.6, 91.6, 85.2 at steps 250, 1,000, 3,000 on 14 minutes of 15
          voices.
Log       Training loss at steps 800, 1,800, 5,000, 9,000: 76.1, 63.9, 50.9, 45.5. On held-out texts, from nothing but
          text and embedding, its own and the prior's mean: L1 summed over 80 bins 44.6 and 46.8 nats, what is heard
          0.128 and 0.152 octaves of F0 (0.150 and 0.192 at the end of sentences), durations 0.186 and 0.193 (log
          frames); KL 21.5 nats, all 64 units active. Without `ending` the end is not learnt: where yes/no questions
          rise by 1.6 semitones on average the voice said -0.7, with it 1.8; with four times its weight 2.3, and
          DistillMOS lower by 0.15. Step 2: L1 31.1 to 32.6; scores of real and made windows 1.22 and -1.32 at its end.
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
