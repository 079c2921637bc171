"""The learned selector: linguistic vectors to a diagonal Gaussian in the prosody space.

The learned counterpart of choosing by nearest neighbour, after the sampler of Kathaka (Karlapati et al., ICASSP 2021,
arXiv 2011.02252): a network reads what the other selectors read (sentence vector, syntactic distances) and predicts
where the encoder of speech would put the sentence. It is then used in two ways: the entry of the bank that is most
likely under the prediction (`LearnedSelector.scores`), or the predicted mean itself, which is no one's recording.

The loss is KL(posterior || predicted), summed over latents, averaged over sentences. In this direction the prediction
covers every way in which sentences like this one were said: it grows wide where the text does not decide, and its mean
stays an average. The other direction would reward picking one of them, and matching the narrow variance of a single
recording, which the text cannot know. It equals the expected negative log-likelihood of the posterior's samples up to a
constant, which is the very score that ranks the bank.

The network works in standardised coordinates (`learned_inputs`), under which KL does not change, and where the best
Gaussian that ignores the text is the standard one. So a network that says nothing predicts the centroid, and `kl_prior`
in the log is what that scores. A bank holds about 1,000 sentences and a sentence vector 384 numbers: the network is
small, dropout and weight decay are strong, and the checkpoint of the lowest held-out loss is the one that is exported.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from copycat_jax import losses
from copycat_jax.config import Config, setting
from copycat_jax.errors import UserError
from copycat_jax.nn.gaussian import kl_to_standard
from copycat_jax.nn.initializers import initialise, kernel_limit
from copycat_jax.task import Params, Task, Term, Terms
from prosody_vae.selection.learned_inputs import (
    DISTANCE_WIDTH,
    Scaling,
    SelectorBatch,
    heard_entries,
    make_inputs,
    make_table,
    space_fingerprint,
    standardise,
)
from prosody_vae.selection.scores import pad_distances

__all__ = [
    "LearnedSelector",
    "SelectorBatch",
    "SelectorConfig",
    "export_learned",
    "make_inputs",
    "make_task",
    "open_learned",
]

TASK = "selector"
FOLDER, FORMAT = "learned", 1
WEIGHTS, FACTS, MANIFEST = "selector.safetensors", "selector.json", "manifest.json"
HOW = (
    "Run `copycat train --config configs/selector.py --corpus SPACE --run-dir RUN`, then "
    "`prosody export --run RUN --space SPACE`."
)


@dataclasses.dataclass(frozen=True)
class SelectorConfig(Config, section="model"):
    """Plain fields of the network.

    Attributes:
      sentence, distance, latent: widths of the inputs and of the space; from the data.
      hidden: widths of the hidden layers.
      input_dropout, dropout: of the vectors read, and after every hidden layer.
      limit: predicted log-variances stay within +-limit of the text-blind Gaussian's; 1,000 sentences do not support
        the certainty that training rows suggest.
    """

    sentence: int = setting(384, from_data=True)
    distance: int = setting(DISTANCE_WIDTH, from_data=True)
    latent: int = setting(64, from_data=True)
    hidden: tuple[int, ...] = (128,)
    input_dropout: float = 0.5
    dropout: float = 0.5
    limit: float = 3.0


SIZES = {
    "tiny": SelectorConfig(hidden=(16,)),
    "shipped": SelectorConfig(),
    "base": SelectorConfig(hidden=(256, 256), input_dropout=0.2),
    "large": SelectorConfig(hidden=(1024, 1024), input_dropout=0.1, dropout=0.3),
}


def small_kernel(key: Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
    """A tenth of `kernel_limit`: the untrained network predicts nearly the text-blind Gaussian."""
    return 0.1 * kernel_limit(key, shape, dtype)


class SelectorNetwork(nn.Module):
    """Dense layers with dropout, then mean and log-variance."""

    config: SelectorConfig

    @nn.compact
    def __call__(
        self, sentence: Float[Array, "B V"], distance: Float[Array, "B D"], deterministic: bool = True
    ) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
        """The predicted Gaussian in standardised coordinates."""
        c = self.config
        x = jnp.concatenate([sentence, distance], axis=-1)
        x = nn.Dropout(c.input_dropout)(x, deterministic=deterministic)
        for width in c.hidden:
            x = nn.gelu(nn.Dense(width, kernel_init=kernel_limit)(x))
            x = nn.Dropout(c.dropout)(x, deterministic=deterministic)
        mean, spread = jnp.split(nn.Dense(2 * c.latent, kernel_init=small_kernel, name="gaussian")(x), 2, axis=-1)
        return mean, c.limit * jnp.tanh(spread / c.limit)


def kl_between(
    mean: Float[Array, "B Z"],
    log_variance: Float[Array, "B Z"],
    predicted_mean: Float[Array, "B Z"],
    predicted_log_variance: Float[Array, "B Z"],
) -> Float[Array, "B Z"]:
    """KL(N(mean, exp(log_variance)) || predicted) of every dimension, in nats, not summed; exactly 0 where equal."""
    ratio = log_variance - predicted_log_variance
    distance = jnp.square(mean - predicted_mean) * jnp.exp(-predicted_log_variance)
    return 0.5 * (jnp.exp(ratio) - 1.0 - ratio + distance)


def make_task(model: dict, shapes: dict) -> Task:
    """The selector for the trainer, whose batches are `SelectorBatch`.

    Terms: `kl` (the loss), `kl_prior` (the same of the Gaussian that ignores the text), `residual` (squared distance of
    the predicted mean from the encoder's over that of the centroid: 1 = no better than the centroid).

    Args:
      model: fields of `SelectorConfig`.
      shapes: of the data: "sentence", "distance", "latent".
    """
    config = SelectorConfig.from_dict(model).sized(shapes)
    network = SelectorNetwork(config)

    def init(rng: Array, batch: Any) -> Params:
        del batch
        return {"model": initialise(network, rng, jnp.zeros((1, config.sentence)), jnp.zeros((1, config.distance)))}

    def terms_of(batch: SelectorBatch, mean: Array, log_variance: Array) -> Terms:
        def over_rows(values: Array) -> tuple[Array, Array]:
            return losses.over(values.sum(-1), batch.mask[:, 0])

        distance, spread = (over_rows(jnp.square(x))[0] for x in (mean - batch.mean, batch.mean))
        return {
            "kl": Term(*over_rows(kl_between(batch.mean, batch.log_variance, mean, log_variance)), 1.0),
            "kl_prior": Term(*over_rows(kl_to_standard(batch.mean, batch.log_variance))),
            "residual": Term(distance, spread),
        }

    def loss(params: Params, batch: Any, rngs: Any, step: Array, carry: Any = None) -> tuple[Terms, Any]:
        del step, carry
        streams = {"dropout": rngs["dropout"]}
        out: Any = network.apply({"params": params["model"]}, batch.sentence, batch.distance, False, rngs=streams)
        return terms_of(batch, *out), None

    def evaluate(params: Params, batch: Any) -> Terms:
        out: Any = network.apply({"params": params["model"]}, batch.sentence, batch.distance)
        return terms_of(batch, *out)

    return Task(name=TASK, init=init, loss={"model": loss}, evaluate=evaluate, rng_names=("dropout",))


class LikelihoodQueries(NamedTuple):
    """A prediction as the queries of an inner-product search over `likelihood_rows`."""

    vectors: Float[Array, "q 2*Z"]
    constant: Float[Array, " q"]  # added to every inner product of a query, it gives the log-likelihood in nats


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedSelector:
    """A trained selector, ready for use.

    Attributes:
      params: tree under group "model".
      config: of the network.
      scaling: its coordinates.
      facts: what it was made with, JSON-ready: "space" (fingerprint, encoder, parser), "ids" (which entries training
        heard of; not there = of all), "step", "loss".
    """

    params: Params
    config: SelectorConfig
    scaling: Scaling
    facts: dict[str, Any]

    @property
    def reads(self) -> tuple[str, ...]:
        """Which vectors it needs: "sentence", "distance" or both."""
        return tuple(name for name in ("sentence", "distance") if getattr(self.config, name))

    def heard(self, ids: Sequence[str], texts: Sequence[str]) -> Bool[np.ndarray, " n"]:
        """Which entries of its space, given whole, took part in training or in the choice of the checkpoint."""
        return heard_entries(ids, texts, self.facts.get("ids", ""))

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides a prediction."""
        from copycat_jax.bundle.bundle import flatten

        digest = hashlib.sha256(repr(self.config).encode())
        for name, value in sorted(flatten({"model": self.params, "scaling": self.scaling._asdict()}).items()):
            digest.update(name.encode() + np.ascontiguousarray(value, "<f4").tobytes())
        return digest.hexdigest()

    def distribution(
        self, sentence_vectors: Float[np.ndarray, "q V"] | None, distances: Real[np.ndarray, "q w"] | None
    ) -> tuple[Float[Array, "q Z"], Float[Array, "q Z"]]:
        """Predicted mean and log-variance of every sentence in the space's own coordinates, float32.

        Args:
          sentence_vectors: as the encoder gives them; None (or anything) where they are not read.
          distances: syntactic distances padded with zeros, of any width; likewise.

        Raises:
          UserError: a vector that is read is missing, or has another width than in training.
        """
        mean, log_variance = _predict(self.config, self.params, *self._inputs(sentence_vectors, distances))
        scale = jnp.asarray(self.scaling.latent_scale)[None, :]
        return mean * scale + self.scaling.latent_mean[None, :], log_variance + 2.0 * jnp.log(scale)

    def queries(
        self, sentence_vectors: Float[np.ndarray, "q V"] | None, distances: Real[np.ndarray, "q w"] | None
    ) -> LikelihoodQueries:
        """The predictions as queries for an index over `likelihood_rows(means)` (normalise=False)."""
        mean, log_variance = _predict(self.config, self.params, *self._inputs(sentence_vectors, distances))
        precision = jnp.exp(-log_variance)
        spread = log_variance.sum(-1) + 2.0 * np.log(self.scaling.latent_scale).sum() + self.config.latent * _LOG_2PI
        constant = -0.5 * (spread + (precision * jnp.square(mean)).sum(-1))
        return LikelihoodQueries(jnp.concatenate([-0.5 * precision, precision * mean], axis=1), constant)

    def likelihood_rows(self, means: Float[np.ndarray, "n Z"]) -> Float[Array, "n 2*Z"]:
        """The bank for `queries`: squares and values of the standardised means, float32."""
        x = (jnp.asarray(means, jnp.float32) - self.scaling.latent_mean[None, :]) / self.scaling.latent_scale[None, :]
        return jnp.concatenate([jnp.square(x), x], axis=1)

    def scores(
        self,
        sentence_vectors: Float[np.ndarray, "q V"] | None,
        distances: Real[np.ndarray, "q w"] | None,
        means: Float[np.ndarray, "n Z"],
    ) -> Float[Array, "q n"]:
        """Log-likelihood, in nats, of every entry's mean under every sentence's prediction; one matrix product."""
        vectors, constant = self.queries(sentence_vectors, distances)
        rows = self.likelihood_rows(means)
        return jnp.matmul(vectors, rows.T, precision=jax.lax.Precision.HIGHEST) + constant[:, None]

    def _inputs(self, sentence: np.ndarray | None, distance: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        given = {"sentence": sentence, "distance": distance}
        for name in self.reads:
            if given[name] is None:
                what = {
                    "sentence": "sentence vectors: open an encoder",
                    "distance": "syntactic distances: open a parser",
                }
                raise UserError(f"the learned selector reads {what[name]}", "selector")
        rows = len(given[self.reads[0]])  # type: ignore[arg-type]
        none = np.zeros((rows, 0), np.float32)
        vectors = np.asarray(sentence, np.float32) if self.config.sentence else none
        if vectors.shape[1] != self.config.sentence:
            raise UserError(
                f"sentence vectors of width {vectors.shape[1]}, it was trained on {self.config.sentence}",
                "learned selector",
                f"Use the encoder of the space ({self.facts.get('space', {}).get('encoder', 'see selector.json')}).",
            )
        distances = none
        if self.config.distance and distance is not None:
            distances = pad_distances(list(distance), DISTANCE_WIDTH)
        return standardise(self.scaling, vectors, distances)


_LOG_2PI = math.log(2.0 * math.pi)


@functools.partial(jax.jit, static_argnums=0)
def _predict(config: SelectorConfig, params: Params, sentence: Array, distance: Array) -> tuple[Array, Array]:
    out: Any = SelectorNetwork(config).apply({"params": params}, sentence, distance)
    return out


def save_learned(space_path: str | Path, learned: LearnedSelector) -> Path:
    """Writes the selector into SPACE/learned, whole or not at all; an older one is replaced, the space untouched.

    The folder has a manifest of its own, with the hashes of its files and the fingerprint of the space it is for.
    """
    from safetensors.numpy import save

    from copycat_jax.bundle.bundle import flatten
    from copycat_jax.files import json_text, replacing_folder

    space_path = Path(space_path)
    arrays = {"model": learned.params, "scaling": learned.scaling._asdict()}
    flat = {name: np.ascontiguousarray(value, np.float32) for name, value in flatten(arrays).items()}
    facts = {"format": FORMAT, "config": dataclasses.asdict(learned.config), **learned.facts}
    files = {WEIGHTS: save(flat), FACTS: json_text(facts).encode()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files[MANIFEST] = json_text({"space": space_fingerprint(space_path), "files": hashes}).encode()
    with replacing_folder(space_path / FOLDER) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return space_path / FOLDER


def open_learned(space_path: str | Path) -> LearnedSelector:
    """The selector of a space, verified.

    Raises:
      UserError: the space has none (naming the commands that make one), a file is damaged, or it was trained on another
        space.
    """
    from safetensors.numpy import load

    from copycat_jax.bundle.bundle import unflatten

    folder, fingerprint = Path(space_path) / FOLDER, space_fingerprint(space_path)
    if not (folder / MANIFEST).is_file():
        raise UserError("has no learned selector", str(space_path), HOW)
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {name: (folder / name).read_bytes() for name in (WEIGHTS, FACTS)}
        sound = all(hashlib.sha256(files[name]).hexdigest() == manifest["files"][name] for name in files)
        facts = json.loads(files[FACTS])
    except (OSError, ValueError, KeyError, TypeError):
        sound, manifest, files, facts = False, {}, {}, {}
    if not sound or facts.get("format") != FORMAT:
        raise UserError("the learned selector is damaged, or of another format", str(folder), HOW)
    if manifest.get("space") != fingerprint:
        raise UserError("its learned selector was trained on another space", str(space_path), HOW)
    tree = unflatten({name: np.asarray(value) for name, value in load(files[WEIGHTS]).items()})
    config = SelectorConfig.from_dict(facts.pop("config"))
    return LearnedSelector(
        tree["model"], config, Scaling(**tree["scaling"]), {k: v for k, v in facts.items() if k != "format"}
    )


def export_learned(
    run_dir: str | Path, space_path: str | Path, step: int | None = None, ema: bool = True
) -> LearnedSelector:
    """Attaches the selector of a run to the space it was trained on: `prosody export --run RUN --space SPACE`.

    Args:
      run_dir: of `copycat train --config configs/selector.py`.
      space_path: the space.
      step: the checkpoint; by default the one of lowest held-out loss (early stopping), or the last.
      ema: take the moving average of the weights.

    Raises:
      UserError: no such run, one of another task, or of another space.
    """
    from copycat_jax.train.checkpoint import best_step, read_task_name, restore_params
    from prosody_vae.space.files import open_space

    best, loss = best_step(run_dir)
    task = read_task_name(run_dir)
    if task != TASK:
        raise UserError(f"a run of '{task}', not of the selector", str(run_dir), HOW)
    params, config, step = restore_params(run_dir, ema, best if step is None else step)
    if config["space"]["fingerprint"] != space_fingerprint(space_path):
        raise UserError("this run was trained on another space", str(run_dir), "Give the space of its --corpus.")
    data = config["data"]
    ids = data.get("ids", "")  # runs of older versions heard of all
    table = make_table(open_space(space_path), data["vectors"], data["held_out"], str(space_path), ids)
    network = SelectorConfig.from_dict(config["model"]).sized(config["shapes"])
    facts = {"space": config["space"], "ids": ids, "step": step, "loss": loss if step == best else None}
    learned = LearnedSelector(params["model"], network, table.scaling(), facts)
    save_learned(space_path, learned)
    return learned
