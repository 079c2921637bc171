"""What CopyCat was compared with (CopyCat section 3.1): prosody as hand-made features of every phone.

Klimkov et al. 2019, arXiv 1907.02479: F0 and energy in three parts of each phone and its duration, every feature
standardised per speaker, the duration per phoneme too (section 3.1, "Agg"); or the same through a VAE with a latent per
phone (section 3.2, "Agg_VAE"). Trained on one speaker it is the paper's SSAP, on many with a speaker vector its MSAP.
`prosody="none"` hears nothing of the reference but its durations: plain text-to-speech, the floor of a comparison.

Decoder, phoneme encoder and everything around them are CopyCat's own, so that systems differ by how they hold prosody
alone. Klimkov's decoder is Tacotron 2's; its failures of attention are thereby gone. Where the paper is silent: F0 is
log F0, interpolated through what is unvoiced; energy is log-RMS in the place of the 0th mel-cepstral coefficient; the
reference encoder is three convolutions and a bidirectional GRU over phones.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax import losses
from copycat_jax.batch import AlignedPhonemes, Batch
from copycat_jax.config import Config, setting
from copycat_jax.mel_spec import MelSpec
from copycat_jax.models.copycat import draw_vectors
from copycat_jax.modules.decoder import Decoder
from copycat_jax.modules.phone_prosody import FEATURES, Statistics, phone_features, standardised, statistics_of
from copycat_jax.modules.phoneme_encoder import PhonemeEncoder
from copycat_jax.nn import gaussian
from copycat_jax.nn.conv import NORMS, ConvStack
from copycat_jax.nn.initializers import initialise, kernel_limit
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.recurrent import IMPLEMENTATIONS, Recurrent
from copycat_jax.nn.regulate import membership
from copycat_jax.nn.scale import from_network, rms_normalize
from copycat_jax.task import Params, Task, Term, Terms

PROSODIES = ("aggregated", "variational", "none")


@dataclasses.dataclass(frozen=True)
class BaselineConfig(Config, section="model"):
    """Plain fields of the model and its losses.

    Attributes:
      phonemes, mel_bins, embedding, width, states, kernel, phoneme_dropout, decoder_norm: as in `CopyCatConfig`.
      prosody: "aggregated" (Agg), "variational" (Agg_VAE) or "none" (durations alone).
      latent: channels of what is known of a phone's prosody (not given).
      speaker_statistics: mean and deviation of log F0, energy and duration of every speaker of the corpus, in the order
        of its speakers; six numbers each (`data.prosody_statistics`).
      phoneme_durations: mean and deviation of the log duration of every phoneme of the inventory.
      silence_id: the phoneme that is not counted where a clip is standardised by itself.
      kl_weight, kl_anneal_steps: "variational": final weight, and the steps between which it grows linearly from 0.
      decoder_vector: probabilities of own, other clip's and centroid embedding for the decoder in training.
      compute_dtype, recurrence: as in `CopyCatConfig`.
    """

    # Layers.
    phonemes: int = 72
    mel_bins: int = setting(80, from_data=True)
    embedding: int = setting(128, from_data=True)
    width: int = 512
    states: int = 256
    kernel: int = 5
    phoneme_dropout: float = 0.5
    decoder_norm: str = setting("layer", one_of=NORMS)
    prosody: str = setting("aggregated", one_of=PROSODIES)
    latent: int = 64
    # What the features are standardised by.
    speaker_statistics: tuple[tuple[float, ...], ...] = setting((), from_data=True)
    phoneme_durations: tuple[tuple[float, float], ...] = setting((), from_data=True)
    silence_id: int = 1
    # Losses.
    kl_weight: float = 0.1
    kl_anneal_steps: tuple[int, int] = (0, 2000)
    decoder_vector: tuple[float, float, float] = (0.5, 0.25, 0.25)
    # Runtime.
    compute_dtype: str = setting("bfloat16", one_of=("bfloat16", "float32"))
    recurrence: str = setting("auto", one_of=IMPLEMENTATIONS)

    def __post_init__(self):
        super().__post_init__()
        if len(self.decoder_vector) != 3 or abs(sum(self.decoder_vector) - 1.0) > 1e-6:
            raise self.wrong("decoder_vector", "Give three probabilities that sum to 1.")


SIZES = {
    "tiny": BaselineConfig(width=16, states=8, latent=4, compute_dtype="float32"),
    "laptop": BaselineConfig(width=128, states=64, latent=32, compute_dtype="float32"),
    "shipped": BaselineConfig(width=368, states=192, latent=32),
    "base": BaselineConfig(),
}


class PhoneProsody(nn.Module):
    """Klimkov et al. section 3: features of each phone to a vector of each, or to the posterior of one."""

    config: BaselineConfig

    @nn.compact
    def __call__(
        self, features: Float[Array, "B P F"], mask: Bool[Array, "B P"]
    ) -> tuple[Float[Array, "B P Z"], Float[Array, "B P Z"]]:
        """Mean and log-variance of every phone's vector (zeros where there is no VAE); zeros on padding."""
        c, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        x = ConvStack(c.width, 3, 3, "layer", 0.0, dtype, name="convolutions")(features, mask)
        x = Recurrent("gru", c.latent, 2, dtype, c.recurrence, name="gru")(x, mask)
        outputs = 2 * c.latent if c.prosody == "variational" else c.latent
        out = nn.Dense(outputs, dtype=jnp.float32, kernel_init=kernel_limit, name="output")(x)
        out = zero_padding(out, mask)
        if c.prosody == "variational":
            return out[..., : c.latent], out[..., c.latent :]
        return out, jnp.zeros_like(out)


class Baseline(nn.Module):
    """CopyCat's phoneme encoder and decoder, with `PhoneProsody` between them."""

    config: BaselineConfig

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "B P F"],
        aligned: AlignedPhonemes,
        target_vector: Float[Array, "B E"],
        deterministic: bool = True,
    ) -> tuple[Float[Array, "B T M"], Float[Array, "B P Z"], Float[Array, "B P Z"]]:
        """Mel in the network's units, posterior mean and log-variance; from a sample unless deterministic."""
        c, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        runtime: dict[str, Any] = {"dtype": dtype, "recurrence": c.recurrence}
        encode = PhonemeEncoder(
            c.phonemes, c.width, c.states, c.kernel, c.phoneme_dropout, **runtime, name="phoneme_encoder"
        )
        y = encode(*aligned, None, deterministic)
        phones = aligned.durations > 0
        if c.prosody == "none":
            mean = log_variance = jnp.zeros((*phones.shape, 0))
        else:
            mean, log_variance = PhoneProsody(c, name="prosody_encoder")(features, phones)
        z = mean
        if c.prosody == "variational" and not deterministic:
            z = gaussian.sample(self.make_rng("sample"), mean, log_variance)
        # By a product: the gradient of a lookup adds up in any order on an accelerator.
        spread = membership(aligned.durations, aligned.mask.shape[1], dtype)
        over_frames = jnp.einsum("btp,bpz->btz", spread, zero_padding(z, phones).astype(dtype))
        decode = Decoder(c.mel_bins, c.width, c.states, c.kernel, c.decoder_norm, **runtime, name="decoder")
        return decode(y, over_frames, rms_normalize(target_vector), aligned.mask), mean, log_variance


def features_of(
    config: BaselineConfig,
    f0_hz: Float[Array, "B T"],
    energy: Float[Array, "B T"],
    aligned: AlignedPhonemes,
    statistics: Statistics | None = None,
) -> Float[Array, "B P F"]:
    """Standardised features of every phone, by the rows' own statistics where none of their speakers are given."""
    raw = phone_features(f0_hz, energy, aligned, config.phoneme_durations)
    found = statistics_of(raw, aligned, config.silence_id) if statistics is None else statistics
    return standardised(raw, aligned, found)


# --- Inference.


def transfer_mel(
    params: Params,
    config: BaselineConfig,
    curves: Float[Array, "B T 2"],
    ref_ratio: Float[Array, "B"],
    aligned: AlignedPhonemes,
    source_vector: Float[Array, "B E"],
    target_vector: Float[Array, "B E"],
    spec: MelSpec,
    rng: Array | None = None,
) -> Float[Array, "B T M"]:
    """The source's prosody in the target's voice; called as `models.copycat.transfer_mel` is.

    Args:
      params: tree under group "model".
      config: of the model.
      curves: F0 in Hz (0 = unvoiced) and log-RMS of the source's frames. They are standardised by this clip alone:
        nothing else of an unseen speaker is known.
      ref_ratio, source_vector, spec: not needed: the features have no register.
      aligned: the source's phonemes on its frames.
      target_vector: the target's centroid.
      rng: key of a draw from the posterior ("variational"); None takes its mean.
    """
    del ref_ratio, source_vector, spec
    features = features_of(config, curves[..., 0], curves[..., 1], aligned)
    streams = None if rng is None else {"sample": rng}
    # A draw is taken of the posterior alone: nothing is dropped.
    quiet = dataclasses.replace(config, phoneme_dropout=0.0)
    arguments = (features, aligned, target_vector, rng is None)
    mel: Any = Baseline(quiet).apply({"params": params}, *arguments, rngs=streams)
    return from_network(mel[0], aligned.mask)


# --- Training.


def make_task(model: dict, shapes: dict) -> Task:
    """The baseline for the trainer.

    Args:
      model: fields of `BaselineConfig`.
      shapes: of the data: "mel_bins", "embedding", "speaker_statistics", "phoneme_durations" (others are ignored).
    """
    config = BaselineConfig.from_dict(model).sized(shapes)
    network = Baseline(config)

    def init(rng: Array, batch: Any) -> Params:
        del batch  # shapes depend on the configuration alone
        one = jnp.ones((1, 1), jnp.int32)
        aligned = AlignedPhonemes(one, one * 8, jnp.ones((1, 8), bool))
        row = (jnp.zeros((1, 1, FEATURES)), aligned, jnp.zeros((1, config.embedding)))
        return {"model": initialise(network, rng, *row)}

    def reconstruct(params: Params, batch: Batch, vector: Array, rngs: Any = None) -> tuple[Array, Array, Array]:
        statistics = Statistics.of_rows(config.speaker_statistics, batch.speaker)
        features = features_of(config, batch.f0_hz, batch.energy, batch.aligned, statistics)
        out: Any = network.apply({"params": params["model"]}, features, batch.aligned, vector, rngs is None, rngs=rngs)
        return from_network(out[0], batch.mask), out[1], out[2]

    def terms_of(batch: Batch, mel: Array, mean: Array, log_variance: Array, weight: Any) -> Terms:
        terms: Terms = {"l1": Term(*losses.masked_l1(mel, batch.mel, batch.mask), 1.0)}
        if config.prosody == "variational":
            divergence = gaussian.kl_to_standard(mean, log_variance)
            terms["kl"] = Term(*losses.kl_standard(divergence, batch.durations > 0), weight)
        return terms

    def loss(params: Params, batch: Batch, rngs: Any, step: Array, carry: Any = None) -> tuple[Terms, Any]:
        vector = draw_vectors(rngs["vector"], config.decoder_vector, batch)
        out = reconstruct(params, batch, vector, {name: rngs[name] for name in ("dropout", "sample")})
        return terms_of(batch, *out, losses.anneal(step, *config.kl_anneal_steps, config.kl_weight)), None

    def evaluate(params: Params, batch: Batch) -> Terms:
        own = reconstruct(params, batch, batch.speaker_vector)
        central, _, _ = reconstruct(params, batch, batch.centroid)
        terms = terms_of(batch, *own, config.kl_weight)
        return terms | {"l1_centroid": Term(*losses.masked_l1(central, batch.mel, batch.mask))}

    return Task(
        name="baseline",
        init=init,
        loss={"model": loss},
        evaluate=evaluate,
        synthesize=lambda params, batch: reconstruct(params, batch, batch.speaker_vector)[0],
        reconstruct=lambda params, batch: reconstruct(params, batch, batch.centroid)[0],
        rng_names=("dropout", "sample", "vector"),
    )
