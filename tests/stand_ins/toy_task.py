"""A task that trains in milliseconds, with all that the trainer must get right: dropout, sampling, an adversary."""

import jax
import jax.numpy as jnp
import numpy as np

from copycat_jax.batch import Batch
from copycat_jax.nn import noise
from copycat_jax.records import allocate
from copycat_jax.task import Task, Term

M, H = 8, 16


def toy_batch(
    step: int, rows: int = 8, frames: int = 12, process: int = 0, processes: int = 1, poison: int = -1
) -> Batch:
    rng = np.random.default_rng(1000 + step)
    mel = rng.standard_normal((rows, frames, M)).astype(np.float32)
    if step == poison:
        mel[0, 0, 0] = np.nan
    lengths = rng.integers(frames // 2, frames + 1, rows)
    whole = allocate(
        Batch,
        {"B": rows, "T": frames, "P": 4, "M": M, "E": 4},
        index=np.arange(rows, dtype=np.int32),
        mel=mel,
        mask=np.arange(frames)[None] < lengths[:, None],
        phonemes=rng.integers(1, 20, (rows, 4)).astype(np.int32),
        phoneme_mask=np.ones((rows, 4), bool),
        durations=np.full((rows, 4), frames // 4, np.int32),
    )
    part = rows // processes
    return Batch(*(x[process * part : (process + 1) * part] for x in whole))


def toy_task(
    adversary: bool = False,
    dropout: float = 0.3,
    rules: tuple = (),
    kept_active: float | None = None,
    floors: dict | None = None,
    **asks: int,
) -> Task:
    def init(rng, batch):
        keys = jax.random.split(rng, 3)
        params = {
            "model": {
                "up": {"kernel": jax.random.normal(keys[0], (M, H)) * 0.3, "bias": jnp.zeros((H,))},
                "down": {"kernel": jax.random.normal(keys[1], (H, M)) * 0.3, "bias": jnp.zeros((M,))},
            }
        }
        if adversary:
            params["adversary"] = {"kernel": jax.random.normal(keys[2], (M,)) * 0.3}
        return params

    def forward(p, mel, rngs=None):
        h = jnp.tanh(mel @ p["up"]["kernel"] + p["up"]["bias"][None, None])
        if rngs is not None and dropout:
            h = noise.dropout(rngs["dropout"], h, dropout)
        if rngs is not None:
            h = h + 0.1 * noise.normal(rngs["sample"], h.shape)
        return h @ p["down"]["kernel"] + p["down"]["bias"][None, None]

    def l1(out, batch):
        frame = jnp.abs(out - batch.mel).sum(-1)
        return Term(jnp.where(batch.mask, frame, 0.0).sum(), batch.mask.sum(dtype=jnp.float32), 1.0)

    def model_loss(params, batch, rngs, step, carry):
        out = forward(params["model"], batch.mel, rngs)
        terms = {"l1": l1(out, batch)}
        if adversary:
            terms["fool"] = Term(-(out @ params["adversary"]["kernel"]).mean(), jnp.float32(1), 0.1)
        if kept_active is not None:
            terms["active_forward"] = Term(jnp.float32(kept_active), jnp.float32(1))
        return terms, out

    def adversary_loss(params, batch, rngs, step, carry):
        k = params["adversary"]["kernel"]
        hinge = jax.nn.relu(1 - batch.mel @ k).mean() + jax.nn.relu(1 + carry @ k).mean()
        return {"hinge": Term(hinge, jnp.float32(1), 1.0)}, None

    def synthesize(params, batch):
        return forward(params["model"], batch.mel)

    return Task(
        name="toy",
        init=init,
        loss={"model": model_loss, "adversary": adversary_loss} if adversary else {"model": model_loss},
        evaluate=lambda params, batch: {"l1": l1(synthesize(params, batch), batch)},
        synthesize=synthesize,
        sharding_rules=rules,
        floors=floors or {},
        **asks,
    )


def toy_config(**train) -> dict:
    fields = {"steps": 12, "log_every": 1, "save_every": 4, "ema_decay": 0.9, "keep": 2, **train}
    return {
        "task": "toy",
        "model": {},
        "data": {},
        "mesh": {"data": -1, "fsdp": 1},
        "train": fields,
        "optimizer": {"name": "adam", "lr": 0.01, "adversary": {"lr": 0.02, "b1": 0.0}},
    }
