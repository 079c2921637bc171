"""What the learned selector is fed: the rows of a prosody space in standardised coordinates.

KL does not change under these coordinates. Inputs: each vector is brought to unit length (as for the cosine of the
other selectors), then centred by the training rows and divided by *one* number, so that its dimensions have variance 1
on average and the geometry of the cosines stays. Outputs: each latent is centred and scaled so that the best Gaussian
that ignores the text, N(mean of the means, mean variance + variance of the means), is the standard one.

A batch is a pure function of (seed, step), as in `copycat_jax.data.plan`, whose streams and held-out rule these are.
"""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, Real

from copycat_jax.batch import Array
from copycat_jax.config import Config, setting
from copycat_jax.cosine import unit
from copycat_jax.data.inputs import Inputs, batch_of
from copycat_jax.data.plan import Share
from copycat_jax.errors import UserError

DISTANCE_WIDTH = 64  # words of a distance vector that are read; shorter ones are padded with zeros
VECTORS = ("both", "sentence", "distance", "any")
STATISTICS_ROWS = 65_536  # of a larger bank so many rows, evenly spread, tell mean and scale


@dataclasses.dataclass(frozen=True)
class SelectorDataConfig(Config, section="data"):
    """What of a prosody space is read.

    Attributes:
      batch_size: rows of a batch.
      rows_multiple: rows of a batch are a multiple: any of 1, 2, 4, 8 devices sees the same batches.
      vectors: "both", "sentence", "distance", or "any": what the space has.
      held_out: share of the texts that is not trained on; all takes of a text stay together.
      evaluated: so many of the held-out entries make an evaluation; 0 = all.
      ids: only entries in whose id this regular expression is found, as for `prosody evaluate --bank-ids`; what says
        the same as another entry is left out, too. Neither training nor the choice of a checkpoint hears of the others.
    """

    batch_size: int = 128
    rows_multiple: int = 8
    vectors: str = setting("any", one_of=VECTORS)
    held_out: float = 0.1
    evaluated: int = 4096
    ids: str = ""


class SelectorBatch(NamedTuple):
    """One batch of sentences in standardised coordinates (see the module); V or D is 0 where it is not read."""

    index: Int32[Array, "B"]  # position in the space
    sentence: Float32[Array, "B V"]
    distance: Float32[Array, "B D"]
    mean: Float32[Array, "B Z"]  # of the encoder's posterior
    log_variance: Float32[Array, "B Z"]
    mask: Bool[Array, "B 1"]  # False = a row that fills up the batch


class Scaling(NamedTuple):
    """What standardised coordinates are: fitted on the training rows, stored with the selector."""

    sentence_mean: np.ndarray  # float32 [V], of unit vectors
    sentence_scale: np.ndarray  # float32 []
    distance_mean: np.ndarray  # float32 [64], of unit vectors
    distance_scale: np.ndarray  # float32 []
    latent_mean: np.ndarray  # float32 [Z]
    latent_scale: np.ndarray  # float32 [Z], standard deviation of the Gaussian that ignores the text


def fit_scaling(
    sentence: Float[np.ndarray, "n V"],
    distance: Real[np.ndarray, "n D"],
    mean: Float[np.ndarray, "n Z"],
    variance: Float[np.ndarray, "n Z"],
) -> Scaling:
    """The standardised coordinates of these rows; `sentence` and `distance` are raw, and may have no columns."""

    def centre(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = unit(vectors).astype(np.float64)
        middle = rows.mean(axis=0)
        scale = np.sqrt(np.square(rows - middle).mean()) if rows.size else 1.0
        return middle.astype(np.float32), np.asarray(max(scale, 1e-6), np.float32)

    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    spread = np.sqrt(np.maximum(variance.mean(axis=0) + mean.var(axis=0), 1e-8))
    return Scaling(
        *centre(sentence), *centre(distance), mean.mean(axis=0).astype(np.float32), spread.astype(np.float32)
    )


class SelectorTable(NamedTuple):
    """The columns of a space that the selector reads, and the rows it learns from."""

    sentence: np.ndarray | None  # [n, V] or None where it is not read
    distances: Any  # space.Distances, or None
    mean: np.ndarray  # [n, Z]
    variance: np.ndarray  # [n, Z]
    training: np.ndarray  # bool [n]
    held_out: np.ndarray  # bool [n]: evaluated in training, so that they choose the checkpoint

    def raw(self, rows: Int[np.ndarray, " b"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Sentence vectors, padded distances, means and variances of these rows; nothing else is read from disk."""
        sentence, distance = np.zeros((len(rows), 0), np.float32), np.zeros((len(rows), 0), np.float32)
        if self.sentence is not None:
            sentence = np.asarray(self.sentence[rows], np.float32)
        if self.distances is not None:
            distance = np.zeros((len(rows), DISTANCE_WIDTH), np.float32)
            for place, row in enumerate(rows):
                values = np.asarray(self.distances.row(int(row)))[:DISTANCE_WIDTH]
                distance[place, : len(values)] = values
        return sentence, distance, np.asarray(self.mean[rows], np.float32), np.asarray(self.variance[rows], np.float32)

    def scaling(self) -> Scaling:
        """Fitted on the training rows."""
        rows = np.flatnonzero(self.training)
        return fit_scaling(*self.raw(rows[:: max(1, len(rows) // STATISTICS_ROWS)]))

    def batch(self, rows: Int[np.ndarray, " b"], real: Bool[np.ndarray, " b"], scaling: Scaling) -> SelectorBatch:
        """These rows as a batch."""
        sentence, distance, mean, variance = self.raw(rows)
        sentence, distance = standardise(scaling, sentence, distance)
        return SelectorBatch(
            index=np.asarray(rows, np.int32),
            sentence=sentence,
            distance=distance,
            mean=(mean - scaling.latent_mean) / scaling.latent_scale,
            log_variance=np.log(np.maximum(variance, 1e-12)) - 2.0 * np.log(scaling.latent_scale),
            mask=np.asarray(real, bool)[:, None],
        )


def standardise(
    scaling: Scaling, sentence: Float[np.ndarray, "b V"], distance: Float[np.ndarray, "b D"]
) -> tuple[Float32[np.ndarray, "b V"], Float32[np.ndarray, "b D"]]:
    """Raw vectors in the coordinates that the network reads."""
    return (
        (unit(sentence) - scaling.sentence_mean) / scaling.sentence_scale,
        (unit(distance) - scaling.distance_mean) / scaling.distance_scale,
    )


def heard_entries(ids: Sequence[str], texts: Sequence[str], pattern: str) -> Bool[np.ndarray, " n"]:
    """Which entries training may hear of: found by `pattern`, and saying nothing that an entry not found says.

    Raises:
      UserError: not a regular expression.
    """
    from copycat_jax.corpus.utterance import text_hash

    try:
        found = np.array([re.search(pattern, name) is not None for name in ids], bool)
    except re.error as error:
        raise UserError(
            f"not a regular expression ({error})", f"data.ids={pattern!r}", "Quote special signs."
        ) from None
    said = np.array([text_hash(i, t) for i, t in zip(ids, texts, strict=True)], np.uint64)
    return found & ~np.isin(said, said[~found])


def make_table(space: Any, vectors: str, share: float, where: str, ids: str = "") -> SelectorTable:
    """The table of a space.

    Args:
      space: a `ProsodySpace`.
      vectors: what to read: one of VECTORS; "any" takes what the space has.
      share: of the texts, held out by their hash: takes of a sentence stay together.
      where: its place, for errors.
      ids: which entries training may hear of; see `heard_entries`.

    Raises:
      UserError: the space does not have these vectors, or nothing is left to learn from.
    """
    from copycat_jax.corpus.utterance import text_hash
    from copycat_jax.data.plan import held_out

    sentence = space.sentence_vectors if vectors != "distance" else None
    distances = space.distances if vectors != "sentence" else None
    for name, column, wanted in (
        ("sentence vectors", sentence, ("both", "sentence")),
        ("syntactic distances", distances, ("both", "distance")),
    ):
        if column is None and (vectors in wanted or (sentence is None and distances is None)):
            remedy = "Build it again with an encoder and a parser, or set data.vectors."
            raise UserError(f"the space has no {name}", where, remedy)
    hashes = np.array([text_hash(i, t) for i, t in zip(space.ids, space.texts, strict=True)], np.uint64)
    heard, out = heard_entries(space.ids, space.texts, ids), held_out(hashes, share)
    if not (training := heard & ~out).any():
        remedy = "Lower data.held_out, or widen data.ids."
        raise UserError(f"no entry of {len(hashes)} is left to learn from", where, remedy)
    return SelectorTable(sentence, distances, space.mean, space.variance, training, heard & out)


def space_fingerprint(space_path: str | Path) -> str:
    """SHA-256 of the space's manifest: names this very space; raises UserError where there is none."""
    try:
        return hashlib.sha256((Path(space_path) / "manifest.json").read_bytes()).hexdigest()
    except OSError:
        raise UserError("not a prosody space", str(space_path), "Make one with `prosody build-space`.") from None


def make_inputs(path: str | None, config: dict[str, Any], share: Share) -> Inputs:
    """The hook `inputs` of a configuration: batches over the space at `path`.

    Args:
      path: a folder made by `prosody build-space`.
      config: whose section `data` holds fields of `SelectorDataConfig`.
      share: this process's part of every batch.

    Raises:
      UserError: no space there, or one without the vectors to be read.
    """
    from copycat_jax.data.plan import batch_at, evaluation_batches, make_batch_plan, make_evaluation_plan, rows_on
    from prosody_vae.space.files import open_space

    if path is None:
        raise UserError("no --corpus", "copycat train", "Give the folder that `prosody build-space` wrote.")
    space, data, seed = open_space(path), SelectorDataConfig.from_dict(config["data"]), config["train"]["seed"]
    table = make_table(space, data.vectors, data.held_out, str(path), data.ids)
    scaling, ones = table.scaling(), np.ones(len(table.training), np.int32)
    rows = rows_on(share.devices, batch_size=data.batch_size, rows_multiple=data.rows_multiple)
    sizes: dict[str, Any] = {"buckets": 1, "multiple_of": 1, **rows}
    plan = make_batch_plan(ones, ones, indices=np.flatnonzero(table.training), **sizes)

    def batches(step: int) -> SelectorBatch:
        mine = share.of(batch_at(plan, seed, step).indices)
        return table.batch(mine, np.ones(len(mine), bool), scaling)

    out = np.flatnonzero(table.held_out)
    evaluated = len(out) and config["train"]["eval_every"]
    chunks = evaluation_batches(make_evaluation_plan(ones, ones, out, data.evaluated, **sizes)) if evaluated else []
    held_out = [
        functools.partial(table.batch, share.of(batch.indices), share.of(real), scaling) for batch, real in chunks
    ]

    shapes = {
        "sentence": 0 if table.sentence is None else int(table.sentence.shape[1]),
        "distance": 0 if table.distances is None else DISTANCE_WIDTH,
        "latent": int(table.mean.shape[1]),
    }
    fingerprint = space_fingerprint(path)
    made_with = {"fingerprint": fingerprint, "encoder": space.info.encoder, "parser": space.info.parser}
    resolved = {**config, "shapes": shapes, "speakers": sorted(set(space.speakers)), "space": made_with}
    resolved["rows"] = batch_of(rows)
    read = [f"sentence vectors of {shapes['sentence']}"] * bool(shapes["sentence"])
    read += ["syntactic distances"] * bool(shapes["distance"])
    summary = f"{plan.utterances} entries to learn from, {len(out)} held out, reading {' and '.join(read)}"
    return Inputs(resolved, batches, held_out, None, fingerprint, summary, plan.epoch_steps, space.ids)
