"""CopyCat (Karlapati et al. 2020, arXiv 2004.14617): many-to-many fine-grained prosody transfer.

Section numbers are the paper's. Where it is silent, a config field says so. Deviations, each a field:

* The decoder sees another clip's embedding or the speaker's centroid half of the time, since the centroid is what it
  gets at synthesis (paper: always the utterance's own).
* The final KL weight is 0.1 rather than 1, at which nearly all latents die.
* At synthesis `transfer_mel` stretches the reference along frequency by target register / source register
  (`register_stretch`); the latent otherwise carries the source's register into the target's voice.

Not of the model: what is heard is spoken at the melody of the source, moved to the target's register (`synthesis`),
and the speaker classifier that ships heard the voices that it speaks as (`configs/speaker.py`), unlike the paper's.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax import losses
from copycat_jax.batch import AlignedPhonemes, Batch
from copycat_jax.config import Config, setting
from copycat_jax.mel_spec import MelSpec
from copycat_jax.modules.decoder import Decoder
from copycat_jax.modules.discriminator import Discriminator, adversary_terms, generator_terms, matching_windows
from copycat_jax.modules.phoneme_encoder import PhonemeEncoder
from copycat_jax.modules.reference_encoder import ReferenceEncoder
from copycat_jax.nn import gaussian, noise
from copycat_jax.nn.conv import NORMS
from copycat_jax.nn.initializers import initialise
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.recurrent import IMPLEMENTATIONS
from copycat_jax.nn.regulate import BOTTLENECKS
from copycat_jax.nn.scale import from_network, rms_normalize, to_network
from copycat_jax.nn.spectrum import stretch_mel
from copycat_jax.task import Floor, Params, Task, Term, Terms


@dataclasses.dataclass(frozen=True)
class CopyCatConfig(Config, section="model"):
    """Plain fields of the model and its losses.

    Attributes:
      phonemes, mel_bins, embedding: sizes of the inventory, the mel-spectrogram and the speaker vector.
      width, states, kernel: channels and kernel of all convolutions; recurrent states per direction of phoneme encoder
        and decoder.
      latent, tau: H, both directions together, and stride of the temporal bottleneck (section 2.2.2; values not given).
      bottleneck: how it narrows a block, of `nn.regulate.BOTTLENECKS`; "last" (paper) when a direction has read it.
      phoneme_dropout: after each convolution of the phoneme encoder.
      instance_norm: in the reference encoder; False for the ablation.
      decoder_norm: "layer", "instance" or "none" (not given).
      speaker_in_phoneme_encoder: the speaker vector also joins the phoneme encoder, before its LSTM (Huybrechts et al.
        2021 join it to the phonemes; lowers leakage).
      register_stretch: at synthesis the reference is stretched to the target's register; False for the paper's own.
      variational: False trains an autoencoder: Z is the mean, and there is no KL.
      kl_frames: "all" (paper) or "kept": the frames whose KL is counted.
      kl_weight, kl_anneal_steps: final weight, and the steps between which it grows linearly from 0 (section 2.4.1).
      decoder_vector: probabilities of own, other clip's and centroid embedding for the decoder in training.
      adversarial, adversarial_weight, window: the second training step (section 2.4.2); window in frames.
      adversary_channels: of the discriminator's convolutions (not given).
      silence_id: the phoneme whose first and last stretch the discriminator is not shown.
      compute_dtype: "bfloat16" or "float32"; parameters, norms, KL and losses are float32 always.
      recurrence: implementation of the recurrences, see `nn.recurrent.recur`.
    """

    # Layers.
    phonemes: int = 72
    mel_bins: int = setting(80, from_data=True)
    embedding: int = setting(128, from_data=True)
    width: int = 512
    states: int = 256
    kernel: int = 5
    latent: int = 64
    tau: int = 16
    bottleneck: str = setting("last", one_of=tuple(BOTTLENECKS))
    phoneme_dropout: float = 0.5
    instance_norm: bool = True
    decoder_norm: str = setting("layer", one_of=NORMS)
    speaker_in_phoneme_encoder: bool = False
    register_stretch: bool = True
    # Losses.
    variational: bool = True
    kl_frames: str = setting("all", one_of=("all", "kept"))
    kl_weight: float = 0.1
    kl_anneal_steps: tuple[int, int] = (0, 2000)
    decoder_vector: tuple[float, float, float] = (0.5, 0.25, 0.25)
    adversarial: bool = False
    adversarial_weight: float = 1.0
    window: int = 32
    adversary_channels: tuple[int, ...] = (64, 128, 256, 512)
    silence_id: int = 1
    # Runtime.
    compute_dtype: str = setting("bfloat16", one_of=("bfloat16", "float32"))
    recurrence: str = setting("auto", one_of=IMPLEMENTATIONS)

    def __post_init__(self):
        super().__post_init__()
        if self.latent % 2:
            raise self.wrong("latent", "Give an even number: half belongs to each direction.")
        if len(self.decoder_vector) != 3 or abs(sum(self.decoder_vector) - 1.0) > 1e-6:
            raise self.wrong("decoder_vector", "Give three probabilities that sum to 1.")


SIZES = {
    "tiny": CopyCatConfig(
        width=16, states=8, latent=8, tau=4, adversary_channels=(4, 8, 8, 8), compute_dtype="float32"
    ),
    "laptop": CopyCatConfig(width=128, states=64, latent=32, tau=8, compute_dtype="float32"),
    "shipped": CopyCatConfig(width=368, states=192, latent=32, tau=8),
    "base": CopyCatConfig(),
    "large": CopyCatConfig(width=768, states=384),
}


class CopyCat(nn.Module):
    """The three networks of Figure 1: phoneme encoder, reference encoder, parallel decoder."""

    config: CopyCatConfig

    def setup(self):  # noqa: D102
        c = self.config
        runtime: dict[str, Any] = {"dtype": jnp.dtype(c.compute_dtype), "recurrence": c.recurrence}
        self.phoneme_encoder = PhonemeEncoder(  # 2.2.1
            phonemes=c.phonemes, width=c.width, states=c.states, kernel=c.kernel, dropout=c.phoneme_dropout, **runtime
        )
        self.reference_encoder = ReferenceEncoder(  # 2.2.2
            latent=c.latent,
            width=c.width,
            kernel=c.kernel,
            norm="instance" if c.instance_norm else "none",
            **runtime,
        )
        self.decoder = Decoder(  # 2.2.3
            mel_bins=c.mel_bins, width=c.width, states=c.states, kernel=c.kernel, norm=c.decoder_norm, **runtime
        )

    def encode_phonemes(
        self,
        aligned: AlignedPhonemes,
        speaker: Float[Array, "B E"],
        deterministic: bool = True,
    ) -> Float[Array, "B T D"]:
        """2.2.1: phonemes repeated by their durations, then encoded: Y."""
        joined = rms_normalize(speaker) if self.config.speaker_in_phoneme_encoder else None
        return self.phoneme_encoder(*aligned, joined, deterministic)

    def encode_reference(
        self,
        mel: Float[Array, "B T M"],
        y: Float[Array, "B T D"],
        speaker: Float[Array, "B E"],
        mask: Bool[Array, "B T"],
    ) -> tuple[Float[Array, "B T Z"], Float[Array, "B T Z"]]:
        """2.2.2: mean and log-variance of q(Z | X, Y, E_s) at every frame; `mel` in the network's units."""
        return self.reference_encoder(mel, y, rms_normalize(speaker), mask)

    def decode_mel(
        self, y: Float[Array, "B T D"], z: Float[Array, "B T Z"], speaker: Float[Array, "B E"], mask: Bool[Array, "B T"]
    ) -> Float[Array, "B T M"]:
        """2.2.2 to 2.2.3: temporal bottleneck, then the parallel decoder; mel in the network's units."""
        repeated = BOTTLENECKS[self.config.bottleneck].narrow(z, mask, self.config.tau)
        return self.decoder(y, repeated, rms_normalize(speaker), mask)

    def __call__(
        self,
        mel: Float[Array, "B T M"],
        aligned: AlignedPhonemes,
        source_vector: Float[Array, "B E"],
        target_vector: Float[Array, "B E"],
        deterministic: bool = True,
    ) -> tuple[Float[Array, "B T M"], Float[Array, "B T Z"], Float[Array, "B T Z"]]:
        """2.4.1: reconstruction from a sample of the posterior (from its mean if deterministic), mean, log-variance."""
        mask = aligned.mask
        y = self.encode_phonemes(aligned, source_vector, deterministic)
        mean, log_variance = self.encode_reference(mel, y, source_vector, mask)
        z = mean
        if self.config.variational and not deterministic:
            z = gaussian.sample(self.make_rng("sample"), mean, log_variance)
        if self.config.speaker_in_phoneme_encoder:  # Y of the voice that speaks
            y = self.encode_phonemes(aligned, target_vector, deterministic)
        return self.decode_mel(y, z, target_vector, mask), mean, log_variance


# --- Inference: pure functions of the parameters under group "model".


def encode(
    params: Params,
    config: CopyCatConfig,
    mel: Float[Array, "B T M"],
    aligned: AlignedPhonemes,
    source_vector: Float[Array, "B E"],
) -> tuple[Float[Array, "B T Z"], Float[Array, "B T Z"]]:
    """Posterior mean and log-variance of a log-mel reference (2.3: source X, source-aligned Y, source E_s)."""

    def run(model: CopyCat):
        y = model.encode_phonemes(aligned, source_vector)
        return model.encode_reference(to_network(mel, aligned.mask), y, source_vector, aligned.mask)

    return nn.apply(run, CopyCat(config))({"params": params})


def decode(
    params: Params,
    config: CopyCatConfig,
    latents: Float[Array, "B T Z"],
    aligned: AlignedPhonemes,
    target_vector: Float[Array, "B E"],
) -> Float[Array, "B T M"]:
    """Log-mel of latents, before their bottleneck, in the target's voice (2.3: E is the target's centroid)."""

    def run(model: CopyCat):
        y = model.encode_phonemes(aligned, target_vector)
        return model.decode_mel(y, latents, target_vector, aligned.mask)

    return from_network(nn.apply(run, CopyCat(config))({"params": params}), aligned.mask)


def transfer_mel(
    params: Params,
    config: CopyCatConfig,
    mel: Float[Array, "B T M"],
    ref_ratio: Float[Array, "B"],
    aligned: AlignedPhonemes,
    source_vector: Float[Array, "B E"],
    target_vector: Float[Array, "B E"],
    spec: MelSpec,
    rng: Array | None = None,
) -> Float[Array, "B T M"]:
    """The source's prosody in the target's voice and register (2.3), from the posterior mean or a draw of it.

    Args:
      params: tree under group "model".
      config: of the model.
      mel: source log-mel.
      ref_ratio: target register / source register, by which the reference's frequency axis is stretched; 1 leaves it.
      aligned: the source's phonemes on its frames.
      source_vector: the source utterance's embedding; the reference encoder's.
      target_vector: the target's centroid; the decoder's.
      spec: the mel convention.
      rng: key of a draw from the posterior; None takes its mean.
    """
    reference = stretch_mel(mel, ref_ratio, spec) if config.register_stretch else mel
    mean, log_variance = encode(params, config, reference, aligned, source_vector)
    latents = mean if rng is None or not config.variational else gaussian.sample(rng, mean, log_variance)
    return decode(params, config, latents, aligned, target_vector)


# --- Training.


def draw_vectors(key: Array, probabilities: tuple[float, float, float], batch: Batch) -> Float[Array, "B E"]:
    """The decoder's speaker vector of each row: its own, another clip's, or the centroid."""
    draw = noise.uniform(key, batch.speaker.shape)[:, None]
    own, other, _ = probabilities
    rest = jnp.where(draw < own + other, batch.other_vector, batch.centroid)
    return jnp.where(draw < own, batch.speaker_vector, rest)


def latent_terms(config: CopyCatConfig, mean: Array, log_variance: Array, mask: Array, weight: Array | float) -> Terms:
    """KL with its weight, and per direction, on the frames that the bottleneck keeps: KL and active units.

    A unit is active if its posterior mean varies by more than 0.01 (variance over the kept frames of the batch; Burda
    et al. 2016); over several batches the number is the mean by kept frames.
    """
    divergence = gaussian.kl_to_standard(mean, log_variance)
    half = config.latent // 2
    forward, backward = BOTTLENECKS[config.bottleneck].kept(mask, config.tau)
    parts = {
        name: (kept, divergence[..., part], mean[..., part])
        for name, kept, part in (("forward", forward, slice(0, half)), ("backward", backward, slice(half, None)))
    }
    kept_kl = {name: losses.kl_standard(kl, kept) for name, (kept, kl, _) in parts.items()}
    terms: Terms = {}
    if config.variational:
        sums = losses.kl_standard(divergence, mask)
        if config.kl_frames == "kept":  # both directions keep one frame of a block: equal counts
            sums = kept_kl["forward"][0] + kept_kl["backward"][0], kept_kl["forward"][1]
        terms["kl"] = Term(*sums, weight)
    for name, (kept, _, mu) in parts.items():
        terms[f"kl_kept_{name}"] = Term(*kept_kl[name])
        count = kept.sum(dtype=jnp.float32)
        some = jnp.maximum(count, 1.0)
        centred = mu - (zero_padding(mu, kept).sum((0, 1)) / some)[None, None]
        variance = jnp.square(zero_padding(centred, kept)).sum((0, 1)) / some
        terms[f"active_{name}"] = Term(count * (variance > 0.01).sum(dtype=jnp.float32), count)
    return terms


def latent_floors(config: CopyCatConfig) -> dict[str, Floor]:
    """What `latent_terms` should not fall below, per direction: fewer active units or nats mean that little is carried.

    Twice the annealing must have passed: units that the growing KL weight makes inactive may become active again.
    """
    if not config.variational:
        return {}
    after, meaning = 2 * config.kl_anneal_steps[1], "the latent is collapsing. Lower model.kl_weight or anneal longer"
    minima = {"active": 2.0, "kl_kept": 0.1}
    return {f"{n}_{d}": Floor(low, after, meaning) for d in ("forward", "backward") for n, low in minima.items()}


def make_task(model: dict, shapes: dict) -> Task:
    """CopyCat for the trainer: step 1 (2.4.1) or, with `adversarial`, step 2 (2.4.2).

    Args:
      model: fields of `CopyCatConfig`.
      shapes: of the data: "mel_bins", "embedding" (others are ignored).
    """
    config = CopyCatConfig.from_dict(model).sized(shapes)
    network = CopyCat(config)
    adversary = Discriminator(config.adversary_channels, dtype=jnp.dtype(config.compute_dtype))

    def init(rng: Array, batch: Any) -> Params:
        del batch  # shapes depend on the configuration alone; a short row keeps this cheap
        frames = max(config.window, 2 * config.tau)
        model_key, adversary_key = jax.random.split(rng)
        mel, vector = jnp.zeros((1, frames, config.mel_bins)), jnp.zeros((1, config.embedding))
        one = jnp.ones((1, 1), jnp.int32)
        row = (mel, AlignedPhonemes(one, one * frames, jnp.ones((1, frames), bool)), vector, vector)
        params = {"model": initialise(network, model_key, *row)}
        if config.adversarial:
            params["adversary"] = initialise(adversary, adversary_key, mel[:, : config.window])
        return params

    def reconstruct(params: Params, batch: Batch, vector: Array, rngs: Any = None) -> tuple[Array, Array, Array]:
        mel = to_network(batch.mel, batch.mask)
        arguments = (mel, batch.aligned, batch.speaker_vector, vector, rngs is None)
        out: Any = network.apply({"params": params["model"]}, *arguments, rngs=rngs)
        return out

    def loss_model(params: Params, batch: Batch, rngs: Any, step: Array, carry: Any = None) -> tuple[Terms, Any]:
        vector = draw_vectors(rngs["vector"], config.decoder_vector, batch)
        streams = {name: rngs[name] for name in ("dropout", "sample")}
        mel, mean, log_variance = reconstruct(params, batch, vector, streams)
        target = to_network(batch.mel, batch.mask)
        terms: Terms = {"l1": Term(*losses.masked_l1(from_network(mel, batch.mask), batch.mel, batch.mask), 1.0)}
        weight = losses.anneal(step, *config.kl_anneal_steps, config.kl_weight)
        terms |= latent_terms(config, mean, log_variance, batch.mask, weight)
        if not config.adversarial:
            return terms, None
        windows = matching_windows(rngs["window"], batch, mel, target, config.window, config.silence_id)
        terms |= generator_terms(adversary, params["adversary"], windows, config.adversarial_weight)
        return terms, jax.lax.stop_gradient(windows)

    def loss_adversary(params: Params, batch: Batch, rngs: Any, step: Array, carry: Any) -> tuple[Terms, Any]:
        return adversary_terms(adversary, params["adversary"], carry), None

    def evaluate(params: Params, batch: Batch) -> Terms:
        mel, mean, log_variance = reconstruct(params, batch, batch.speaker_vector)
        central, _, _ = reconstruct(params, batch, batch.centroid)
        own, other = from_network(mel, batch.mask), from_network(central, batch.mask)
        return {
            "l1": Term(*losses.masked_l1(own, batch.mel, batch.mask), 1.0),
            "l1_centroid": Term(*losses.masked_l1(other, batch.mel, batch.mask)),
            **latent_terms(config, mean, log_variance, batch.mask, config.kl_weight),
        }

    def synthesize(params: Params, batch: Batch) -> Array:
        return from_network(reconstruct(params, batch, batch.speaker_vector)[0], batch.mask)

    def in_the_voice(params: Params, batch: Batch) -> Array:
        """As in a transfer to the row's own speaker."""
        return from_network(reconstruct(params, batch, batch.centroid)[0], batch.mask)

    losses_of = {"model": loss_model} | ({"adversary": loss_adversary} if config.adversarial else {})
    streams = ("dropout", "sample", "vector") + (("window",) if config.adversarial else ())
    return Task(
        name="copycat",
        init=init,
        loss=losses_of,
        evaluate=evaluate,
        synthesize=synthesize,
        reconstruct=in_the_voice,
        rng_names=streams,
        floors=latent_floors(config),
        frames_multiple=config.tau,
        min_frames=config.window if config.adversarial else 1,
    )
