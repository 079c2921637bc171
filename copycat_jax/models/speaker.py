"""The speaker classifier whose bottleneck is the speaker embedding (CopyCat section 2.1).

Trained to tell many speakers apart from a short window of mel-spectrogram, heard through a random channel, so that the
bottleneck holds the voice and neither the words, nor the melody of a sentence, nor the microphone. The paper gives no
sizes; its bottleneck is 128 wide according to EmoCat, section 3.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from copycat_jax import losses
from copycat_jax.batch import Batch
from copycat_jax.config import Config, setting
from copycat_jax.errors import UserError
from copycat_jax.modules.utterance_encoder import UtteranceEncoder
from copycat_jax.nn.augmentation import ChannelConfig, random_channel
from copycat_jax.nn.initializers import initialise, kernel_limit
from copycat_jax.nn.masks import lengths_of
from copycat_jax.nn.noise import uniform
from copycat_jax.nn.recurrent import IMPLEMENTATIONS
from copycat_jax.nn.scale import to_network
from copycat_jax.task import Params, Task, Term, Terms


@dataclasses.dataclass(frozen=True)
class SpeakerConfig(Config, section="model"):
    """Plain fields of the classifier and its training.

    Attributes:
      mel_bins, embedding, speakers: sizes of the input, the bottleneck and the softmax.
      channels, time_strides, bin_strides: of the 2-D convolutions.
      states: of the GRU.
      pooling: "last" (paper: the last state) or "mean" (over frames).
      dropout: before the bottleneck.
      cepstra: where above 0, the input is smoothed to so many cosine coefficients over the bins: harmonics go, formants
        stay, and with the harmonics most of the pitch.
      head: "softmax" (paper) or "margin": softmax over scaled cosines with an additive angular margin (ArcFace, Deng et
        al. 2019), which spreads speakers never seen further apart.
      margin, margin_scale, margin_steps: of that head; radians, inverse temperature, steps over which the margin grows.
      crop_frames: window of training, drawn from each utterance at every step.
      channel: strength of the random channel, see `nn.augmentation.ChannelConfig`.
      compute_dtype: "bfloat16" or "float32".
      recurrence: implementation of the recurrence, see `nn.recurrent.recur`.
    """

    # Layers.
    mel_bins: int = setting(80, from_data=True)
    embedding: int = setting(128, from_data=True)
    speakers: int = setting(2, from_data=True)
    channels: tuple[int, ...] = (32, 64, 96, 128)
    time_strides: tuple[int, ...] = (1, 2, 2, 1)
    bin_strides: tuple[int, ...] = (2, 2, 2, 2)
    states: int = 256
    pooling: str = setting("last", one_of=("last", "mean"))
    dropout: float = 0.0
    cepstra: int = 0
    # Losses, and what is heard in training.
    head: str = setting("softmax", one_of=("softmax", "margin"))
    margin: float = 0.2
    margin_scale: float = 24.0
    margin_steps: int = 1000
    crop_frames: int = 160
    channel: ChannelConfig = dataclasses.field(default_factory=ChannelConfig)
    # Runtime.
    compute_dtype: str = setting("bfloat16", one_of=("bfloat16", "float32"))
    recurrence: str = setting("auto", one_of=IMPLEMENTATIONS)

    def __post_init__(self):
        super().__post_init__()
        if not len(self.channels) == len(self.time_strides) == len(self.bin_strides):
            raise UserError("lengths differ", "model.channels, time_strides, bin_strides", "Give one each per layer.")


SIZES = {
    "tiny": SpeakerConfig(
        channels=(4, 8), time_strides=(1, 2), bin_strides=(4, 4), states=16, crop_frames=24, compute_dtype="float32"
    ),
    "shipped": SpeakerConfig(pooling="mean", head="margin"),
    "base": SpeakerConfig(),
    "large": SpeakerConfig(channels=(64, 128, 192, 256), states=512),
}


def lifter(mel: Float[Array, "B T M"], keep: int) -> Float[Array, "B T M"]:
    """The spectral envelope: `mel` from its first `keep` cosine coefficients over the bins."""
    bins = mel.shape[-1]
    order = jnp.arange(keep, dtype=jnp.float32)
    angle = jnp.pi / bins * (jnp.arange(bins, dtype=jnp.float32)[:, None] + 0.5) * order[None, :]
    basis = jnp.cos(angle) * jnp.where(order == 0, jnp.sqrt(1 / bins), jnp.sqrt(2 / bins))[None, :]
    return jnp.einsum("btm,mk,nk->btn", mel, basis, basis)


class SpeakerClassifier(nn.Module):
    """Convolutions, GRU, bottleneck (the embedding), dense layer to speakers."""

    config: SpeakerConfig

    def setup(self):  # noqa: D102
        c = self.config
        self.encoder = UtteranceEncoder(
            channels=c.channels,
            strides=tuple(zip(c.time_strides, c.bin_strides, strict=True)),
            states=c.states,
            embedding=c.embedding,
            pooling=c.pooling,
            dropout=c.dropout,
            dtype=jnp.dtype(c.compute_dtype),
            recurrence=c.recurrence,
        )
        self.head = nn.Dense(c.speakers, use_bias=c.head == "softmax", kernel_init=kernel_limit)

    def vector(
        self, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"], deterministic: bool = True
    ) -> Float[Array, "B E"]:
        """The bottleneck of a log-mel, not normalised."""
        x = to_network(mel, mask)
        if self.config.cepstra:
            x = lifter(x, self.config.cepstra)
        return self.encoder(x, mask, deterministic)

    def __call__(
        self, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"], deterministic: bool = True
    ) -> Float[Array, "B S"]:
        """Logits of the speakers; with the margin head, cosines."""
        vector = self.vector(mel, mask, deterministic)
        logits = self.head(scale_to_unit(vector) if self.config.head == "margin" else vector)
        if self.config.head == "margin":
            kernel = self.head.variables["params"]["kernel"]
            logits = logits / jnp.maximum(jnp.linalg.norm(kernel, axis=0), 1e-6)[None, :]
        return logits


def scale_to_unit(vector: Float[Array, "B E"]) -> Float[Array, "B E"]:
    """Scales to length 1; zero stays zero."""
    square = jnp.square(vector).sum(-1, keepdims=True)
    return vector * jax.lax.rsqrt(jnp.maximum(square, 1e-12))


def embed(
    params: Params, config: SpeakerConfig, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"]
) -> Float[Array, "B E"]:
    """The speaker vector of each whole utterance, of length 1.

    Args:
      params: tree under group "model".
      config: of the classifier.
      mel: natural log-mel, padded at the end.
      mask: real frames.
    """
    return scale_to_unit(nn.apply(lambda m: m.vector(mel, mask), SpeakerClassifier(config))({"params": params}))


def random_crop(
    key: Array, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"], frames: int
) -> tuple[Float[Array, "B C M"], Bool[Array, "B C"]]:
    """A window of `frames` real frames at random from each row; a shorter row comes whole, with its padding."""
    frames = min(frames, mel.shape[1])
    room = jnp.maximum(lengths_of(mask) - frames, 0)
    start = jnp.floor(uniform(key, room.shape) * (room + 1).astype(jnp.float32)).astype(jnp.int32)
    start = jnp.minimum(start, room)

    def cut(row: Array, at: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(row, at, frames, axis=0)

    return jax.vmap(cut)(mel, start), jax.vmap(cut)(mask, start)


def scores(config: SpeakerConfig, logits: Float[Array, "B S"], label: Int[Array, "B"], margin: Array | float) -> Array:
    """What enters the softmax: the logits, or scaled cosines with the margin added to the true speaker's angle."""
    if config.head == "softmax":
        return logits
    cosine = jnp.clip(logits, -1.0 + 1e-6, 1.0 - 1e-6)
    # cos(angle + margin), and beyond pi - margin, where that would rise again, a straight line that keeps falling.
    moved = cosine * jnp.cos(margin) - jnp.sqrt(1.0 - jnp.square(cosine)) * jnp.sin(margin)
    moved = jnp.where(cosine > -jnp.cos(margin), moved, cosine - margin * jnp.sin(margin))
    true = jax.nn.one_hot(label, config.speakers, dtype=bool)
    return config.margin_scale * jnp.where(true, moved, cosine)


def make_task(model: dict, shapes: dict) -> Task:
    """The speaker classifier for the trainer.

    Args:
      model: fields of `SpeakerConfig`.
      shapes: of the data: "mel_bins", "speakers", "embedding".
    """
    config = SpeakerConfig.from_dict(model).sized(shapes)
    network = SpeakerClassifier(config)

    def init(rng: Array, batch: Any) -> Params:
        del batch
        shape = (1, config.crop_frames, config.mel_bins)
        return {"model": initialise(network, rng, jnp.zeros(shape), jnp.ones(shape[:2], bool))}

    def terms_of(logits: Array, label: Array, real: Array, margin: Array | float) -> Terms:
        entropy = losses.cross_entropy(scores(config, logits, label, margin), label, real)
        right = losses.over(logits.argmax(-1) == label, real)
        return {"cross_entropy": Term(*entropy, 1.0), "accuracy": Term(*right)}

    def loss(params: Params, batch: Batch, rngs: Any, step: Array, carry: Any = None) -> tuple[Terms, Any]:
        del carry
        mel, mask = random_crop(rngs["crop"], batch.mel, batch.mask, config.crop_frames)
        mel = random_channel(rngs["channel"], mel, mask, config.channel)
        streams = {"dropout": rngs["dropout"]}
        logits: Any = network.apply({"params": params["model"]}, mel, mask, False, rngs=streams)
        margin = losses.anneal(step, 0, config.margin_steps, config.margin)
        return terms_of(logits, batch.speaker, mask.any(1), margin), None

    def evaluate(params: Params, batch: Batch) -> Terms:
        logits: Any = network.apply({"params": params["model"]}, batch.mel, batch.mask)
        return terms_of(logits, batch.speaker, batch.mask.any(1), 0.0)

    return Task(
        name="speaker", init=init, loss={"model": loss}, evaluate=evaluate, rng_names=("dropout", "crop", "channel")
    )
