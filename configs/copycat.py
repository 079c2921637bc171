"""CopyCat: fine-grained prosody transfer between any voices.

Paper     Karlapati, Moinet, Joly, Klimkov, Saez-Trigueros, Drugman: CopyCat: Many-to-Many Fine-Grained Prosody
          Transfer for Neural Text-to-Speech, Interspeech 2020, arXiv 2004.14617. Deviations: models/copycat.py.
Command   copycat train --config configs/copycat.py:shipped --corpus DATA --run-dir RUN
          where DATA comes from `copycat build` and has speaker vectors (`copycat embed`).
Step 2    copycat train --config configs/copycat.py:shipped_adversarial --corpus DATA2 --run-dir RUN2
              --set train.init_from=RUN
          starts from step 1's parameters; the same for every size.
Variants  tiny (tests, seconds on a CPU), laptop (1.0 M parameters: two cores, minutes of speech), shipped (7.5 M; the
          bundle in the package), base (the paper-like sizes that `copycat bench train` compares), large; and of each
          the second training step, such as shipped_adversarial.
Data      The shipped bundle: 3,688 utterances, 4.3 h: eight rendered Kokoro voices (220 clips each), 100 blended ones
          (5 clips each), Kathleen (CMU ARCTIC prompts without arctic_b04xx and b05xx). Built with --f0 none and
          --exclude 'arctic_b0[45]'; 2 % of the texts held out. Step 2: 660 clips of the nine voices, 3 to 6 s long.
          Registers by `copycat export --hear`: the vocoder's F0 network, which one clip misleads less than pYIN.
Hardware  shipped: one H200, 12,000 steps in 379 s (31.6 ms a step, 0.71 M real frames/s) after 79 s of compiling;
          step 2: 1,200 steps of 26.9 ms after 20 s (with --xla_gpu_enable_triton_gemm=false). On two cores shipped
          would take 34 h. laptop: 3,000 steps and compiling in 980 CPU-seconds; on two idle cores 0.15 s a step.
Devices   Any number: rows of a batch are a multiple of them. The batch stays the same on 1, 2, 4 or 8, and grows with
          the devices where that is asked: --set data.per_device=true. The page states optimizer.lr for its own batch;
          of k times that, set it to the square root of k as much (Adam: Malladi et al. 2022), and train.steps to a k-th
          of what the corpus needs. Not measured.
Log       Training loss (L1 summed over 80 bins, nats, + 0.1 KL) at steps 100, 1k, 3k, 6k, 9k, 12k:
          102.5, 37.4, 28.9, 25.7, 24.1, 23.8. Step 2: L1 24.6 to 24.7 (23.3 without the adversary), scores of real and
          made windows 0.73 and -0.71 at its end. laptop, 14 minutes of 15 human voices: training loss 42.9 at its
          end, on held-out sentences 64.8, 53.5, 51.4, 51.3 at steps 250, 1,000, 2,000, 3,000. More steps do not make it
          clearer: of 18 minutes (data.max_seconds=20, data.batch_frames=6400, model.phoneme_dropout=0.2; 1,230
          CPU-seconds) 23 %, 22 %, 25 % of the words of 24 transfers are heard wrongly after 2,000, 3,000, 4,000
          steps, 4 % in the recordings, 25 % after the second step from step 3,000; the held-out loss is lowest at
          step 2,750.
"""

import dataclasses

from copycat_jax.data import inputs
from copycat_jax.models.copycat import SIZES
from copycat_jax.train import config
from copycat_jax.train.config import Experiment, OptimizerConfig, TrainConfig

STEPS = {"tiny": 40, "laptop": 3_000, "shipped": 12_000, "base": 40_000, "large": 80_000}
VARIANTS = (*STEPS, *(f"{size}_adversarial" for size in STEPS))


def get_config(variant: str = "shipped") -> Experiment:
    size, _, second = variant.partition("_")
    steps, model = STEPS[size], SIZES[size]
    data, train, lr = inputs.DataConfig(), TrainConfig(steps=steps, render_every=4000), 1e-3
    if size == "tiny":
        data, train = inputs.TINY_DATA, config.TINY_TRAINING
    if size == "laptop":
        data = inputs.DataConfig(batch_frames=3200, rows_multiple=4, buckets=3, held_out=0.05)
        train, lr = TrainConfig(steps=steps, log_every=50, eval_every=500, save_every=250, threads=2), 2e-3
    first = Experiment(
        task="copycat_jax.models.copycat:make_task",
        model=dataclasses.replace(model, kl_anneal_steps=(0, steps // 10)),
        data=dataclasses.replace(data, multiple_of=model.tau, needs_speaker_vectors=True),
        optimizer=OptimizerConfig(lr=lr, warmup_steps=min(500, steps // 10), final_lr_ratio=0.02),
        groups={"adversary": {"lr": 2e-4, "b1": 0.0, "warmup_steps": 0}},
        train=train,
    )
    return adversarial(first) if second else first


def adversarial(first: Experiment) -> Experiment:
    """The second training step (section 2.4.2): a tenth as long, slower, clips of at most 6 s, full KL weight."""
    data, steps = first.data, first.train.steps // 10
    rows = data.batch_size or data.batch_frames // 800
    return dataclasses.replace(
        first,
        model=dataclasses.replace(first.model, adversarial=True, kl_anneal_steps=(-1, 0)),
        data=dataclasses.replace(
            data,
            batch_size=rows,
            buckets=1,
            min_frames=first.model.window,
            max_seconds=min(6.0, data.max_seconds),
            held_out=0.0,
        ),
        optimizer=dataclasses.replace(first.optimizer, lr=1e-4, warmup_steps=min(50, steps // 10)),
        train=dataclasses.replace(first.train, steps=steps, eval_every=0),
    )
