"""A vocoder that shapes a harmonic excitation: log-mels to samples at frame rate, trained here.

ConvNeXt blocks at frame rate (as in Vocos: Siuzdak 2024) see the mel and the short-time spectrum of an excitation, as
source-filter vocoders do (neural source-filter: Wang, Takaki, Yamagishi 2019): pulses at F0 and noise
(`nn.excitation`). They give the log-magnitude relative to what the mel says (its filters' pseudo-inverse) and the phase
relative to the excitation's; the inverse transform is one matrix product. F0 is given, or read from the mel by a small
network that is trained beside on F0 curves.

Training: spectra in seven resolutions alone first; then with `adversarial` the least-squares game against the
discriminators of `models.wave_discriminators` with feature matching (HiFi-GAN: Kong, Kim, Bae 2020, section 2.3).
"""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from copycat_jax import losses
from copycat_jax.config import Config, setting
from copycat_jax.mel_spec import HIFIGAN, MelSpec, mel_filters
from copycat_jax.models.vocoder_training import (
    MIDDLE_HZ,
    f0_terms,
    held_band,
    lead_astray,
    louder,
    soften,
    sounding,
    spectral_distance,
)
from copycat_jax.models.wave_discriminators import WaveDiscriminators
from copycat_jax.nn import fourier
from copycat_jax.nn.excitation import excitation
from copycat_jax.nn.initializers import initialise, kernel_limit
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.noise import uniform
from copycat_jax.task import Params, Task, Term, Terms

LOUDEST = 7.0  # log-magnitude of a bin, beyond any sound within [-1, 1]


@dataclasses.dataclass(frozen=True)
class VocoderConfig(Config, section="model"):
    """Plain fields of the vocoder and its training.

    Attributes:
      width, hidden, blocks, kernel: of the ConvNeXt blocks.
      spectra: short-time spectra in a frame of the mel, each as many times shorter than the mel's own: what begins
        within a frame is smeared over no more than one of their windows, and the excitation brings the harmonics.
      f0_width, f0_hidden, f0_blocks: of the network that reads F0 from a mel.
      edge_frames: at either end of a training window that no loss sees.
      spectral_weight: of the difference of the spectra.
      gain_nats: every row is made louder or softer by up to this, its mel with it.
      soften_share: of the rows whose mel is blurred in training as a network's mels are.
      astray_share: of the rows whose harmonics lie elsewhere in the mel than at the F0 that they are excited at.
      own_f0_share, own_f0_after: share of the rows excited at the F0 read from the mel, from this step on.
      adversarial: train against the discriminators too.
      adversarial_ramp: steps over which their weight grows from 0.
      matching_weight: of the features of the discriminators.
      compute_dtype: "bfloat16" or "float32", of products inside the networks.
    """

    # Layers.
    width: int = 320
    hidden: int = 960
    blocks: int = 8
    kernel: int = 7
    spectra: int = setting(2, at_least=1)
    f0_width: int = 96
    f0_hidden: int = 256
    f0_blocks: int = 3
    # Losses.
    edge_frames: int = 8
    spectral_weight: float = 15.0
    gain_nats: float = 0.7
    soften_share: float = 0.5
    astray_share: float = 0.35
    own_f0_share: float = 0.5
    own_f0_after: int = 2000
    adversarial: bool = False
    adversarial_ramp: int = 1500
    matching_weight: float = 2.0
    # Runtime.
    compute_dtype: str = setting("bfloat16", one_of=("bfloat16", "float32"))


SIZES = {
    "tiny": VocoderConfig(
        width=16, hidden=32, blocks=1, f0_width=8, f0_hidden=16, f0_blocks=1, edge_frames=2, compute_dtype="float32"
    ),
    "shipped": VocoderConfig(),
    "large": VocoderConfig(width=512, hidden=1536),
}


def fft_of(config: VocoderConfig, spec: MelSpec) -> int:
    """Samples of the spectra that the vocoder makes."""
    return spec.fft_samples // config.spectra


@functools.lru_cache
def pseudo_inverse(spec: MelSpec) -> Float[np.ndarray, "M F"]:
    """From mels to magnitudes: of all that the mel filters map to a mel, the least."""
    return np.linalg.pinv(mel_filters(spec)).astype(np.float32)


class ConvNextBlocks(nn.Module):
    """Residual blocks: depthwise convolution as shifted products, layer norm, two dense layers with GELU between."""

    width: int
    hidden: int
    blocks: int
    kernel: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"], mask: Bool[Array, "B T"]) -> Float[Array, "B T D"]:
        """What is masked stays zero and is not seen."""
        frames, reach = x.shape[1], self.kernel // 2
        for i in range(self.blocks):
            taps = self.param(f"taps_{i}", kernel_limit, (self.kernel, self.width)).astype(self.dtype)
            scale = self.param(f"scale_{i}", nn.initializers.constant(1.0 / self.blocks), (self.width,))
            padded = jnp.pad(x.astype(self.dtype), ((0, 0), (reach, reach), (0, 0)))
            y: Any = sum(padded[:, k : k + frames] * taps[k][None, None, :] for k in range(self.kernel))
            y = nn.LayerNorm(name=f"norm_{i}")(y.astype(jnp.float32)).astype(self.dtype)
            y = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=kernel_limit, name=f"widen_{i}")(y)
            y = nn.Dense(self.width, dtype=self.dtype, kernel_init=kernel_limit, name=f"narrow_{i}")(nn.gelu(y))
            x = zero_padding(x + y.astype(jnp.float32) * scale[None, None, :], mask)
        return x


class FramewiseNetwork(nn.Module):
    """A convolution over the mel, further inputs added, ConvNeXt blocks, a dense layer in float32."""

    width: int
    hidden: int
    blocks: int
    kernel: int
    outputs: int
    dtype: Any

    @nn.compact
    def __call__(
        self, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"], beside: Float[Array, "B T C"] | None = None
    ) -> Float[Array, "B T W"]:
        """`mel` in nats, of which masked frames are not seen."""
        frames, reach = mel.shape[1], self.kernel // 2
        x = zero_padding((mel + 5.0) / 2.0, mask)
        padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
        taps = jnp.concatenate([padded[:, k : k + frames] for k in range(self.kernel)], -1)
        x = nn.Dense(self.width, dtype=self.dtype, kernel_init=kernel_limit, name="mel")(taps)
        if beside is not None:
            dense = nn.Dense(self.width, use_bias=False, dtype=self.dtype, kernel_init=kernel_limit, name="beside")
            x = x + dense(beside)
        x = zero_padding(nn.LayerNorm(name="norm_in")(x.astype(jnp.float32)), mask)
        x = ConvNextBlocks(self.width, self.hidden, self.blocks, self.kernel, self.dtype, name="blocks")(x, mask)
        x = nn.LayerNorm(name="norm_out")(x)
        return nn.Dense(self.outputs, kernel_init=kernel_limit, name="out")(x)


class HarmonicVocoder(nn.Module):
    """The generator; mels of `spec`, whose hop divides its window."""

    config: VocoderConfig
    spec: MelSpec

    def setup(self):  # noqa: D102
        c, dtype = self.config, jnp.dtype(self.config.compute_dtype)
        self.size, self.hop = fft_of(c, self.spec), self.spec.hop_samples // c.spectra
        outputs = c.spectra * 2 * (self.size // 2 + 1)
        self.shape = FramewiseNetwork(c.width, c.hidden, c.blocks, c.kernel, outputs, dtype)
        self.pitch = FramewiseNetwork(c.f0_width, c.f0_hidden, c.f0_blocks, c.kernel, 2, dtype)

    def read_f0(self, mel: Float[Array, "B T M"]) -> tuple[Float[Array, "B T"], Float[Array, "B T"]]:
        """Logit of being voiced, and octaves above 160 Hz, of every frame."""
        out = self.pitch(mel, sounding(mel, self.spec))
        return out[..., 0], out[..., 1]

    def __call__(
        self, mel: Float[Array, "B T M"], f0_hz: Float[Array, "B T"], key: Array, band: Array | None = None
    ) -> Float[Array, "B N"]:
        """Samples of log-mels, N = T * hop, excited at `f0_hz`; `band` [B, F] (0 or 1) keeps only some bins."""
        size, hop, parts = self.size, self.hop, self.config.spectra
        mask, pad = sounding(mel, self.spec), (size - hop) // 2
        # Noise lies beyond either end, as it does where padding follows: what a row is padded with changes nothing.
        beyond = -(-pad // self.spec.hop_samples)
        f0_hz = jnp.pad(f0_hz, ((0, 0), (beyond, beyond)))
        pulses = excitation(f0_hz, key, self.spec.hop_samples, self.spec.sample_rate)
        surplus = beyond * self.spec.hop_samples - pad
        real, imaginary = fourier.spectrum(pulses[:, surplus : pulses.shape[1] - surplus], size, hop, 0)
        loud = jnp.sqrt(jnp.square(real) + jnp.square(imaginary)) + 1e-4
        real, imaginary = real / loud, imaginary / loud
        envelope = jnp.matmul(jnp.exp(mel), pseudo_inverse(self.spec)[:, ::parts], precision=fourier.EXACT)
        envelope = jnp.log(jnp.maximum(jnp.abs(envelope), self.spec.floor))
        seen = jnp.concatenate([jnp.log(loud) / 3.0, real, imaginary], -1).reshape(*mask.shape, -1)
        made = self.shape(mel, mask, jnp.concatenate([envelope / 3.0, seen], -1))
        level, turn = jnp.split(made.reshape(*real.shape[:2], -1), 2, axis=-1)
        envelope, mask = (jnp.repeat(x, parts, axis=1) for x in (envelope, mask))
        magnitude = zero_padding(jnp.exp(jnp.minimum(level + envelope, LOUDEST)), mask)
        if band is not None:
            magnitude = magnitude * band[:, None, :]
        cosine, sine = jnp.cos(turn), jnp.sin(turn)
        turned = real * cosine - imaginary * sine, real * sine + imaginary * cosine
        return fourier.waveform(magnitude * turned[0], magnitude * turned[1], size, hop)


def hertz(logit: Float[Array, "B T"], octaves: Float[Array, "B T"]) -> Float[Array, "B T"]:
    """F0 in Hz as `HarmonicVocoder.read_f0` gives it, 0 where it is unvoiced."""
    return jnp.where(logit > 0, MIDDLE_HZ * jnp.exp2(octaves), 0.0)


def hear(
    params: Params, config: VocoderConfig, mel: Float[Array, "B T M"], spec: MelSpec = HIFIGAN
) -> tuple[Float[Array, "B T"], Float[Array, "B T"]]:
    """`HarmonicVocoder.read_f0` of a natural log-mel."""
    out: Any = nn.apply(lambda m: m.read_f0(mel), HarmonicVocoder(config, spec))({"params": params})
    return out


def read_f0(
    params: Params, config: VocoderConfig, mel: Float[Array, "B T M"], spec: MelSpec = HIFIGAN
) -> Float[Array, "B T"]:
    """F0 in Hz, 0 where unvoiced, that the vocoder reads from a natural log-mel."""
    return hertz(*hear(params, config, mel, spec))


def synthesize(
    params: Params,
    config: VocoderConfig,
    mel: Float[Array, "B T M"],
    f0_hz: Float[Array, "B T"] | None = None,
    spec: MelSpec = HIFIGAN,
) -> Float[Array, "B N"]:
    """Samples of natural log-mels, N = T * hop; a row depends neither on the others nor on the padding behind it.

    Args:
      params: tree under group "model".
      config: of the vocoder.
      mel: padded with frames at the spec's floor.
      f0_hz: 0 where unvoiced; read from the mel if None.
      spec: the mel convention.
    """
    f0_hz = read_f0(params, config, mel, spec) if f0_hz is None else f0_hz
    # One noise for all rows.
    rows = jax.vmap(lambda m, f: _one(params, config, m, f, spec))
    return rows(mel, f0_hz)


def _one(params: Params, config: VocoderConfig, mel: Array, f0_hz: Array, spec: MelSpec) -> Array:
    out: Any = HarmonicVocoder(config, spec).apply({"params": params}, mel[None], f0_hz[None], jax.random.key(0))
    return out[0]


# --- Training.


def make_task(model: dict, shapes: dict) -> Task:
    """The vocoder for the trainer, on batches of `data.audio.AudioWindows`.

    Args:
      model: fields of `VocoderConfig`.
      shapes: of the data: "mel_spec", the fields of the mel convention.
    """
    config, spec = VocoderConfig.from_dict(model), MelSpec.from_dict(shapes["mel_spec"])
    network, judges = HarmonicVocoder(config, spec), WaveDiscriminators(jnp.dtype(config.compute_dtype))
    cut = config.edge_frames * spec.hop_samples

    def init(rng: Array, batch: Any) -> Params:
        del batch
        keys, frames = jax.random.split(rng), 2 * config.edge_frames + 8
        mel, f0_hz = jnp.zeros((1, frames, spec.mel_bins)), jnp.full((1, frames), 100.0)

        class Whole(HarmonicVocoder):  # one call that touches every parameter
            def __call__(self, mel, f0_hz, key):  # type: ignore[override]
                return self.read_f0(mel), super().__call__(mel, f0_hz, key)

        params = {"model": initialise(Whole(config, spec), keys[0], mel, f0_hz, jax.random.key(0))}
        if config.adversarial:
            params["adversary"] = initialise(judges, keys[1], jnp.zeros((1, 8192)))
        return params

    def made(params: Params, mel: Array, f0_hz: Array, real: Array, key: Array) -> Array:
        band = held_band(real, fft_of(config, spec))
        samples: Any = network.apply({"params": params["model"]}, mel, f0_hz, key, band)
        return samples[:, cut : samples.shape[1] - cut]

    def heard(batch: Any) -> Array:
        return batch.samples.astype(jnp.float32) / 32768.0

    def loss_model(params: Params, batch: Any, rngs: Any, step: Array, carry: Any = None) -> tuple[Terms, Any]:
        gain = config.gain_nats * (2.0 * uniform(rngs["gain"], (len(batch.mel), 1)) - 1.0)
        mel = soften(rngs["soften"], louder(batch.mel, gain, spec), config.soften_share)
        logit, octaves = hear(params["model"], config, mel, spec)
        mel, astray = lead_astray(rngs["astray"], mel, batch.f0_hz, config.astray_share, spec)
        own = ~astray & (uniform(rngs["own"], (len(mel), 1)) < config.own_f0_share)
        own &= step >= config.own_f0_after
        f0_hz = jnp.where(own, jax.lax.stop_gradient(hertz(logit, octaves)), batch.f0_hz)
        samples = heard(batch) * jnp.exp(gain)
        fake, real = made(params, mel, f0_hz, samples, rngs["noise"]), samples[:, cut : samples.shape[1] - cut]
        one = jnp.float32(1)
        distance = losses.over(spectral_distance(fake, real, spec.sample_rate), batch.mask.any(1))
        terms: Terms = {"spectra": Term(*distance, config.spectral_weight)}
        terms |= f0_terms(logit, octaves, batch.f0_hz, batch.mask)
        if not config.adversarial:
            return terms, None
        judge = {"params": jax.lax.stop_gradient(params["adversary"])}
        heard_fake: Any = judges.apply(judge, fake)
        heard_real: Any = judges.apply(judge, real)
        (scores, features), (_, wanted) = heard_fake, heard_real
        weight = losses.anneal(step, 0, config.adversarial_ramp, 1.0)
        fooling = sum(jnp.square(1.0 - s).mean() for s in scores)
        pairs = zip(features, wanted, strict=True)
        matching = sum(jnp.abs(_wide(a) - jax.lax.stop_gradient(_wide(b))).mean() for a, b in pairs)
        terms["adversarial"] = Term(jnp.asarray(fooling), one, weight)
        terms["matching"] = Term(jnp.asarray(matching), one, weight * config.matching_weight)
        return terms, jax.lax.stop_gradient({"fake": fake, "real": real})

    def loss_adversary(params: Params, batch: Any, rngs: Any, step: Array, carry: Any) -> tuple[Terms, Any]:
        judge = {"params": params["adversary"]}
        heard_fake: Any = judges.apply(judge, carry["fake"])
        heard_real: Any = judges.apply(judge, carry["real"])
        fake, real = heard_fake[0], heard_real[0]
        lost = sum(jnp.square(1.0 - r).mean() + jnp.square(f).mean() for r, f in zip(real, fake, strict=True))
        return {
            "discriminator": Term(jnp.asarray(lost), jnp.float32(1), 1.0),
            "score_real": Term(jnp.asarray(sum(r.mean() for r in real)), jnp.float32(len(real))),
            "score_fake": Term(jnp.asarray(sum(f.mean() for f in fake)), jnp.float32(len(fake))),
        }, None

    def evaluate(params: Params, batch: Any) -> Terms:
        logit, octaves = hear(params["model"], config, batch.mel, spec)
        samples = heard(batch)
        fake = made(params, batch.mel, hertz(logit, octaves), samples, jax.random.key(0))
        distance = spectral_distance(fake, samples[:, cut : samples.shape[1] - cut], spec.sample_rate)
        terms = f0_terms(logit, octaves, batch.f0_hz, batch.mask)
        logged = {name: term._replace(weight=0.0) for name, term in terms.items()}
        return {"spectra": Term(*losses.over(distance, batch.mask.any(1)), 1.0), **logged}

    return Task(
        name="vocoder",
        init=init,
        loss={"model": loss_model} | ({"adversary": loss_adversary} if config.adversarial else {}),
        evaluate=evaluate,
        rng_names=("gain", "soften", "astray", "own", "noise"),
        min_frames=2 * config.edge_frames + 8,
    )


def _wide(x: Array) -> Array:
    return x.astype(jnp.float32)
