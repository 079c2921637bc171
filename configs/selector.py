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

from copycat_jax.train.config import Experiment, OptimizerConfig, TrainConfig
from prosody_vae.selection.learned import SIZES
from prosody_vae.selection.learned_inputs import SelectorDataConfig

STEPS = {"tiny": 40, "shipped": 1_000, "base": 10_000, "large": 50_000}
ROWS = {"tiny": 8, "shipped": 128, "base": 512, "large": 4096}
VARIANTS = tuple(STEPS)


def get_config(variant: str = "shipped") -> Experiment:
    tiny, steps = variant == "tiny", STEPS[variant]
    every = 20 if tiny else 50  # evaluated and saved as often: the best checkpoint is the one exported
    return Experiment(
        task="prosody_vae.selection.learned:make_task",
        inputs="prosody_vae.selection.learned:make_inputs",
        model=SIZES[variant],
        data=SelectorDataConfig(batch_size=ROWS[variant]),
        optimizer=OptimizerConfig(
            name="adamw", lr=3e-3 if tiny else 1e-3, weight_decay=0.1, warmup_steps=min(500, steps // 10)
        ),
        train=TrainConfig(
            steps=steps,
            ema_decay=0.99,
            log_every=10 if tiny else 100,
            eval_every=every,
            save_every=every,
            keep=1,
            threads=2,
        ),
    )
