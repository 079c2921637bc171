"""The vocoder that ships: log-mels of any voice to sound.

Paper     none: a harmonic excitation shaped by a frame-rate ConvNeXt, trained as Vocos (Siuzdak 2024) and HiFi-GAN
          (Kong et al. 2020) are; see models/vocoder.py.
Command   copycat train --config configs/vocoder.py:shipped --corpus DATA --run-dir RUN
          where DATA comes from `copycat build --audio`.
Step 2    copycat train --config configs/vocoder.py:shipped_adversarial --corpus DATA --run-dir RUN2
              --set train.init_from=RUN
Step 3    copycat train --config configs/vocoder.py:finetune --corpus DATA --run-dir RUN3
              --set train.init_from=RUN2 --set data.bundles=BUNDLE
          on what the model of a bundle makes of the recordings of its own voices, for that is what it will be given;
          then copycat export --run RUN3 --out VOCODER, and copycat transfer --vocoder VOCODER ...
Variants  tiny (tests, seconds on a CPU), shipped (6.2 M parameters; in the package), large; of each the second
          training step, such as shipped_adversarial, and the third, such as shipped_finetune; finetune is the latter.
Data      The shipped bundle: 4,636 recordings, 6.0 h, of 360 speakers, see its MODEL_CARD.md.
Hardware  One H100, batches of 32 windows: steps on spectra alone take 6 ms after 15 to 21 s of compiling, against the
          discriminators 29.5 ms after 60 s, with --xla_gpu_enable_triton_gemm=false. On two H100 and 64 windows 32 ms.
Log       The shipped bundle: spectral distance in training 1.03 at the end of step 1; held out, after 1,000, 14,000 and
          38,000 steps of fine-tuning, 1.235, 1.232, 1.228. Scores of real and made sound at the end 0.58 and 0.42.
"""

import dataclasses

from copycat_jax.data.audio import AudioConfig
from copycat_jax.models.vocoder import SIZES
from copycat_jax.train import config
from copycat_jax.train.config import Experiment, OptimizerConfig, TrainConfig

STEPS = {"tiny": 40, "shipped": 8_000, "large": 20_000}
ADVERSARIAL_STEPS = {"tiny": 40, "shipped": 40_000, "large": 200_000}
FINETUNING_STEPS = {"tiny": 40, "shipped": 20_000, "large": 50_000}
VARIANTS = ("finetune", *(f"{size}{step}" for size in STEPS for step in ("", "_adversarial", "_finetune")))

FINETUNING_INPUTS = "copycat_jax.bundle.reconstruction:finetuning_inputs"


def get_config(variant: str = "shipped") -> Experiment:
    size, _, step = ("shipped_finetune" if variant == "finetune" else variant).partition("_")
    second, third = bool(step), step == "finetune"
    steps = (FINETUNING_STEPS if third else ADVERSARIAL_STEPS if second else STEPS)[size]
    data, train = AudioConfig(), TrainConfig(steps=steps, save_every=5000)
    if size == "tiny":
        data, train = AudioConfig(batch_size=8, window_frames=40, held_out=0.1), config.TINY_TRAINING
    return Experiment(
        task="copycat_jax.models.vocoder:make_task",
        model=dataclasses.replace(
            SIZES[size],
            adversarial=second,
            adversarial_ramp=0 if third else SIZES[size].adversarial_ramp,
            own_f0_after=0 if second else SIZES[size].own_f0_after,
        ),
        data=data,
        optimizer=OptimizerConfig(
            name="adamw",
            lr=5e-4,
            b1=0.8,
            b2=0.99,
            weight_decay=0.01,
            warmup_steps=min(500, steps // 10),
            final_lr_ratio=0.02,
        ),
        groups={"adversary": {"lr": 2e-4}},
        train=train,
        inputs=FINETUNING_INPUTS if third else "copycat_jax.data.audio:audio_inputs",
    )
