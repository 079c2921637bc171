"""The VAE text-to-speech model of the prosody space (after Tyagi et al., arXiv 1912.00955, section 4.1).

A reference encoder hears the whole utterance and gives one 64-D diagonal Gaussian; a sample of it, the text and the
speaker make the utterance again. At synthesis the sample is replaced by an embedding that someone chooses.

Deviations from the paper, whose layers, KL schedule and training are not given (stand-ins: VAE-Tacotron, 1812.04342):

* A decoder of all frames at once, driven by predicted durations and pauses, in place of attention and autoregression.
  Reason: throughput. A recursion over frames with a network in each step keeps an accelerator idle, in training and at
  synthesis; and without attention no word is skipped or repeated, whichever embedding meets whichever text. What the
  paper's attention does with the embedding, timing above all, the prosody predictor does here: it reads the embedding,
  and its losses reach the reference encoder.
* Pitch and energy of every phoneme are predicted too and given to the decoder (FastPitch, 2006.06873; FastSpeech 2,
  2006.04558), because a decoder of all frames trained with L1, where many melodies suit a text, otherwise speaks their
  average with blurred harmonics. `variance` = False leaves them out.
* A pause may follow any word, zero frames allowed; it is no token of the text (see `pauses`).
* Collapse, the embedding left unused because the decoder does without it, is prevented by free nats (Kingma et al.,
  1606.04934): the KL of an utterance costs only what exceeds `free_nats`. The weight of the rest is strong, so the KL
  settles near that number: a capacity, stated in nats, in place of a weight to be found by trial.
* One model of many voices: the speaker's centroid joins predictor and decoder (`speaker`).
* Someone listens (`heard`): the network by which the vocoder reads F0 from mels says what the F0 of a recording is, and
  what it hears in the mel that is made shall be that. One F0 a phoneme does not tell a question that rises within its
  last vowel, and for an L1 of mels so short and soft a movement counts for nothing.
* A second training step against CopyCat's adversary (`adversarial`), for the same reason as there: L1 alone blurs.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from copycat_jax import losses
from copycat_jax.batch import Batch
from copycat_jax.modules.decoder import Decoder
from copycat_jax.modules.discriminator import Discriminator, adversary_terms, generator_terms, matching_windows
from copycat_jax.modules.phoneme_encoder import PhonemeEncoder
from copycat_jax.modules.utterance_encoder import UtteranceEncoder
from copycat_jax.nn import gaussian
from copycat_jax.nn.initializers import initialise, kernel_limit
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.regulate import over_time
from copycat_jax.nn.scale import from_network, rms_normalize, to_network
from copycat_jax.task import Floor, Params, Task, Term, Terms
from copycat_jax.text.phonemes import SIL_ID
from copycat_jax.text.phrasing import BREAKS
from copycat_jax.vocoder.harmonic import open_listener
from prosody_vae.tts.config import SIZES, VaeConfig
from prosody_vae.tts.losses import Targets, ending_frames, latent_terms, prosody_terms, targets_of
from prosody_vae.tts.modules import LOG_FRAMES, Layout, ProsodyPredictor, scaled, unscaled
from prosody_vae.tts.pauses import Timeline, Tokens, make_timeline

__all__ = ["SIZES", "Prosody", "VaeConfig", "VaeTts", "encode", "make_task", "predict", "render_mel"]


class Prosody(NamedTuple):
    """What is predicted of each token: how long, whether and how long a pause follows, pitch, energy."""

    frames: Float[Array, "B P"]  # expected duration, at least 1; 0 on padding
    pause_probability: Float[Array, "B P"]  # 0 where no word ends
    pause_frames: Float[Array, "B P"]  # the pause's length if there is one, at least 1; 0 where no word ends
    log_f0: Float[Array, "B P"]  # natural log of Hz, a melody for unvoiced tokens too; NaN with variance=False
    energy: Float[Array, "B P"]  # log-RMS; NaN with variance=False


class VaeTts(nn.Module):
    """Reference encoder, phoneme encoder, prosody predictor and decoder."""

    config: VaeConfig

    def setup(self):  # noqa: D102
        c = self.config
        dtype = jnp.dtype(c.compute_dtype)
        runtime: dict[str, Any] = {"dtype": dtype, "recurrence": c.recurrence}
        self.reference_encoder = UtteranceEncoder(
            channels=c.channels,
            strides=tuple(zip(c.time_strides, c.bin_strides, strict=True)),
            states=c.reference_states,
            embedding=2 * c.latent,
            pooling=c.pooling,
            dropout=0.0,
            **runtime,
        )
        self.phoneme_encoder = PhonemeEncoder(
            phonemes=c.phonemes,
            width=c.width,
            states=c.states,
            kernel=c.kernel,
            dropout=c.phoneme_dropout,
            marks=BREAKS,
            **runtime,
        )
        self.predictor = ProsodyPredictor(
            outputs=5 if c.variance else 3,
            width=c.predictor_width,
            states=c.predictor_states,
            kernel=3,
            dropout=c.predictor_dropout,
            **runtime,
        )
        if c.variance:
            self.variance_embedding = nn.Dense(2 * c.states, dtype=dtype, kernel_init=kernel_limit)
        self.layout = Layout(dtype)
        self.decoder = Decoder(
            mel_bins=c.mel_bins, width=c.width, states=c.states, kernel=c.kernel, norm=c.decoder_norm, **runtime
        )

    def encode_reference(
        self, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"]
    ) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Mean and log-variance of q(z | utterance); `mel` in the network's units."""
        mean, log_variance = jnp.split(self.reference_encoder(mel, mask), 2, -1)
        return mean, log_variance

    def encode_phonemes(
        self,
        phonemes: Int[Array, "B P"],
        breaks: Int[Array, "B P"],
        mask: Bool[Array, "B P"],
        deterministic: bool = True,
    ) -> Float[Array, "B P D"]:
        """Encodings of the tokens: the encoder of frames with one frame for each token."""
        return self.phoneme_encoder(phonemes, mask.astype(jnp.int32), mask, None, deterministic, breaks)

    def predict_prosody(
        self,
        encodings: Float[Array, "B P D"],
        z: Float[Array, "B Z"],
        speaker: Float[Array, "B E"],
        mask: Bool[Array, "B P"],
        deterministic: bool = True,
    ) -> Float[Array, "B P K"]:
        """Scaled log duration, pause logit, scaled log pause, and with `variance` scaled pitch and energy."""
        return self.predictor(encodings, z, self._voice(speaker), mask, deterministic)

    def decode_mel(
        self,
        encodings: Float[Array, "B P D"],
        variance: Float[Array, "B P 2"] | None,
        timeline: Timeline,
        z: Float[Array, "B Z"],
        speaker: Float[Array, "B E"],
        mask: Bool[Array, "B P"],
    ) -> Float[Array, "B T M"]:
        """The mel-spectrogram in the network's units; `variance` is scaled pitch and energy."""
        tokens = encodings
        if variance is not None:
            tokens = tokens + self.variance_embedding(zero_padding(variance, mask)).astype(tokens.dtype)
        frames = self.layout(tokens, mask, timeline)
        return self.decoder(frames, over_time(z, frames.shape[1]), self._voice(speaker), timeline.mask)

    def _voice(self, speaker: Float[Array, "B E"]) -> Float[Array, "B e"]:
        return rms_normalize(speaker) if self.config.speaker else speaker[:, :0]

    def __call__(
        self,
        mel: Float[Array, "B T M"],
        mask: Bool[Array, "B T"],
        tokens: Tokens,
        variance: Float[Array, "B P 2"],
        known: Bool[Array, "B P 2"],
        speaker: Float[Array, "B E"],
        deterministic: bool = True,
    ) -> tuple[Float[Array, "B T M"], Float[Array, "B P K"], Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Mel in the network's units, the predictor's outputs, mean and log-variance.

        From a sample of the posterior (its mean if deterministic), with true timing, and with true pitch and energy
        where they are known.
        """
        mean, log_variance = self.encode_reference(mel, mask)
        z = mean if deterministic else gaussian.sample(self.make_rng("sample"), mean, log_variance)
        encodings = self.encode_phonemes(tokens.phonemes, tokens.breaks, tokens.mask, deterministic)
        planned = self.predict_prosody(encodings, z, speaker, tokens.mask, deterministic)
        given = None
        if self.config.variance:  # gradient stopped: a prediction shall mean pitch, not what else the decoder could use
            given = jnp.where(known, variance, jax.lax.stop_gradient(planned[..., 3:]))
        timeline = make_timeline(tokens.durations, tokens.pauses, mask.shape[1])
        return self.decode_mel(encodings, given, timeline, z, speaker, tokens.mask), planned, mean, log_variance


# --- Inference: pure functions of the parameters under group "model".


def encode(
    params: Params, config: VaeConfig, mel: Float[Array, "B T M"], mask: Bool[Array, "B T"]
) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
    """Posterior mean and log-variance of log-mel utterances."""
    out: Any = VaeTts(config).apply({"params": params}, to_network(mel, mask), mask, method="encode_reference")
    return out


def predict(
    params: Params,
    config: VaeConfig,
    phonemes: Int[Array, "B P"],
    breaks: Int[Array, "B P"],
    phoneme_mask: Bool[Array, "B P"],
    z: Float[Array, "B Z"],
    speaker: Float[Array, "B E"],
) -> Prosody:
    """The prosody of a text, without SIL but perhaps its first token, for an embedding and a speaker's centroid."""

    def run(model: VaeTts) -> Array:
        return model.predict_prosody(model.encode_phonemes(phonemes, breaks, phoneme_mask), z, speaker, phoneme_mask)

    planned = nn.apply(run, VaeTts(config))({"params": params})
    ending = phoneme_mask & (breaks > 0)
    frames, pause_frames = (jnp.maximum(jnp.exp(unscaled(planned[..., i], LOG_FRAMES)), 1.0) for i in (0, 2))
    unknown = jnp.where(phoneme_mask, jnp.nan, 0.0)
    return Prosody(
        zero_padding(frames, phoneme_mask),
        zero_padding(jax.nn.sigmoid(planned[..., 1]), ending),
        zero_padding(pause_frames, ending),
        zero_padding(unscaled(planned[..., 3], config.pitch), phoneme_mask) if config.variance else unknown,
        zero_padding(unscaled(planned[..., 4], config.energy), phoneme_mask) if config.variance else unknown,
    )


def render_mel(
    params: Params,
    config: VaeConfig,
    phonemes: Int[Array, "B P"],
    breaks: Int[Array, "B P"],
    durations: Int[Array, "B P"],
    pauses: Int[Array, "B P"],
    log_f0: Float[Array, "B P"],
    energy: Float[Array, "B P"],
    z: Float[Array, "B Z"],
    speaker: Float[Array, "B E"],
    frames: int,
) -> tuple[Float[Array, "B T M"], Bool[Array, "B T"]]:
    """Natural log-mel of a text with its prosody, and which of its `frames` (static) are real.

    A token of no frames is padding. Pitch and energy are not read with variance=False.
    """
    mask = durations > 0
    timeline = make_timeline(durations, jnp.where(mask, pauses, 0), frames)
    given = jnp.stack([scaled(log_f0, config.pitch), scaled(energy, config.energy)], -1) if config.variance else None

    def run(model: VaeTts) -> Array:
        return model.decode_mel(model.encode_phonemes(phonemes, breaks, mask), given, timeline, z, speaker, mask)

    return from_network(nn.apply(run, VaeTts(config))({"params": params}), timeline.mask), timeline.mask


# --- Training.


def make_task(model: dict, shapes: dict) -> Task:
    """The VAE text-to-speech model for the trainer.

    Args:
      model: fields of `VaeConfig`.
      shapes: of the data: "mel_bins", "embedding", and if someone listens "frame_rate_hz" (others are ignored).

    Raises:
      UserError: the listener hears other mels than the data's.
    """
    config = VaeConfig.from_dict(model).sized(shapes)
    network = VaeTts(config)
    adversary = Discriminator(config.adversary_channels, dtype=jnp.dtype(config.compute_dtype))
    listener = open_listener(config.mel_bins, shapes["frame_rate_hz"]) if config.heard else None

    def init(rng: Array, batch: Any) -> Params:
        del batch  # shapes depend on the configuration alone; a short row keeps this cheap
        one = jnp.ones((1, 2), jnp.int32)
        tokens = Tokens(one, 4 * one, 0 * one, one, one > 0)
        variance = jnp.zeros((1, 2, 2))
        row = (jnp.zeros((1, 8, config.mel_bins)), jnp.ones((1, 8), bool), tokens, variance, variance > 0)
        params = {"model": initialise(network, rng, *row, jnp.zeros((1, config.embedding)))}
        if config.adversarial:
            window = jnp.zeros((1, config.window, config.mel_bins))
            params["adversary"] = initialise(adversary, jax.random.fold_in(rng, 1), window)
        return params

    def measured(batch: Batch) -> Batch:
        return batch if listener is None else batch._replace(f0_hz=listener.f0_hz(batch.mel, batch.mask))

    def heard_terms(batch: Batch, targets: Targets, mel: Array, suffix: str = "") -> Terms:
        """What is heard in a mel that was made, against F0 as `measured`; at the end of sentences once more."""
        if listener is None:
            return {}
        tokens = targets.tokens
        ending = ending_frames(tokens, make_timeline(tokens.durations, tokens.pauses, batch.mask.shape[1]))
        weights = {"f0_octaves": config.heard_pitch_weight, "voicing": config.heard_voicing_weight}
        terms = listener.terms(mel, batch.mask, batch.f0_hz, ending)
        weights["f0_octaves_ending"] = config.ending * config.heard_pitch_weight
        return {f"heard_{name}{suffix}": term._replace(weight=weights.get(name, 0.0)) for name, term in terms.items()}

    def run(params: Params, batch: Batch, targets: Targets, rngs: Any = None) -> tuple[Array, Array, Array, Array]:
        mel = to_network(batch.mel, batch.mask)
        out: Any = network.apply(
            {"params": params["model"]}, mel, batch.mask, *targets, batch.centroid, rngs is None, rngs=rngs
        )
        return (from_network(out[0], batch.mask), *out[1:])

    def loss(params: Params, batch: Batch, rngs: Any, step: Array, carry: Any = None) -> tuple[Terms, Any]:
        batch = measured(batch)
        targets = targets_of(config, batch)
        mel, planned, mean, log_variance = run(params, batch, targets, rngs)
        first, last = config.kl_anneal_steps
        weight = losses.anneal(step, first, last, config.kl_weight)
        terms: Terms = {
            "l1": Term(*losses.masked_l1(mel, batch.mel, batch.mask), 1.0),
            **heard_terms(batch, targets, mel),
            **prosody_terms(config, planned, targets),
            **latent_terms(config, mean, log_variance, batch.mask.any(1), weight),
        }
        if not config.adversarial:
            return terms, None
        made, real = (to_network(x, batch.mask) for x in (mel, batch.mel))
        windows = matching_windows(rngs["window"], batch, made, real, config.window, SIL_ID)
        terms |= generator_terms(adversary, params["adversary"], windows, config.adversarial_weight)
        return terms, jax.lax.stop_gradient(windows)

    def loss_adversary(params: Params, batch: Batch, rngs: Any, step: Array, carry: Any) -> tuple[Terms, Any]:
        return adversary_terms(adversary, params["adversary"], carry), None

    def from_embedding(params: Params, batch: Batch, targets: Targets, z: Array) -> tuple[Array, Array]:
        """Mel and plan as at synthesis, the timing apart, which is the utterance's own."""

        def both(network: VaeTts) -> tuple[Array, Array]:
            tokens = targets.tokens
            encodings = network.encode_phonemes(tokens.phonemes, tokens.breaks, tokens.mask)
            planned = network.predict_prosody(encodings, z, batch.centroid, tokens.mask)
            timeline = make_timeline(tokens.durations, tokens.pauses, batch.mask.shape[1])
            given = planned[..., 3:] if config.variance else None
            return network.decode_mel(encodings, given, timeline, z, batch.centroid, tokens.mask), planned

        mel, planned = nn.apply(both, network)({"params": params["model"]})
        return from_network(mel, batch.mask), planned

    def evaluate(params: Params, batch: Batch) -> Terms:
        """As in training, but of the mean; then with nothing but the embedding given: its own, and the prior's mean."""
        batch = measured(batch)
        targets = targets_of(config, batch)
        mel, planned, mean, log_variance = run(params, batch, targets)
        terms: Terms = {
            "l1": Term(*losses.masked_l1(mel, batch.mel, batch.mask), 1.0),
            **heard_terms(batch, targets, mel),
            **prosody_terms(config, planned, targets),
            **latent_terms(config, mean, log_variance, batch.mask.any(1), config.kl_weight),
        }
        logged = {}
        for name, z in (("posterior", mean), ("prior", jnp.zeros_like(mean))):
            mel, planned = from_embedding(params, batch, targets, z)
            logged[f"l1_{name}"] = Term(*losses.masked_l1(mel, batch.mel, batch.mask))
            logged |= heard_terms(batch, targets, mel, f"_{name}")
        logged |= prosody_terms(config, planned, targets, "_prior")
        return terms | {name: term._replace(weight=0.0) for name, term in logged.items()}

    def synthesize(params: Params, batch: Batch) -> Array:
        batch = measured(batch)
        mean, _ = encode(params["model"], config, batch.mel, batch.mask)
        return from_embedding(params, batch, targets_of(config, batch), mean)[0]

    def reconstruct(params: Params, batch: Batch) -> Array:
        batch = measured(batch)
        return run(params, batch, targets_of(config, batch))[0]

    # The KL itself is held up by the free nats.
    meaning = "the embedding is collapsing. Raise model.free_nats, lower model.kl_weight or anneal longer"
    return Task(
        name="prosody_vae",
        init=init,
        loss={"model": loss} | ({"adversary": loss_adversary} if config.adversarial else {}),
        evaluate=evaluate,
        synthesize=synthesize,
        reconstruct=reconstruct,
        rng_names=("dropout", "sample") + (("window",) if config.adversarial else ()),
        min_frames=config.window if config.adversarial else 1,
        floors={"active_units": Floor(2.0, 3 * config.kl_anneal_steps[1] // 2, meaning)},
    )
