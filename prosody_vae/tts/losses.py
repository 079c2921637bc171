"""The loss of the VAE text-to-speech model: targets per token, and the terms."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax import losses
from copycat_jax.batch import Batch
from copycat_jax.nn import gaussian
from copycat_jax.nn.masks import zero_padding
from copycat_jax.task import Term, Terms
from copycat_jax.text.phrasing import SENTENCE
from prosody_vae.tts.config import VaeConfig
from prosody_vae.tts.modules import LOG_FRAMES, membership, scaled, token_means
from prosody_vae.tts.pauses import Timeline, Tokens, drop_pauses, make_timeline

ENDING = 3  # phonemes, in which a sentence rises or falls at its end


class Targets(NamedTuple):
    """What an utterance teaches, per token."""

    tokens: Tokens
    variance: Float[Array, "B P 2"]  # scaled pitch and energy
    known: Bool[Array, "B P 2"]  # pitch: where the token has voiced frames


def targets_of(config: VaeConfig, batch: Batch) -> Targets:
    """Tokens with their pauses, and the mean log F0 over voiced frames and the mean energy of each."""
    tokens = drop_pauses(batch.phonemes, batch.durations, batch.breaks, batch.phoneme_mask)
    timeline, count = make_timeline(tokens.durations, tokens.pauses, batch.mask.shape[1]), tokens.mask.shape[1]
    voiced = batch.mask & (batch.f0_hz > 0)
    log_f0, heard = token_means(jnp.log(jnp.where(voiced, batch.f0_hz, 1.0)), voiced, timeline, count)
    energy, measured = token_means(batch.energy, batch.mask, timeline, count)
    variance = jnp.stack([scaled(log_f0, config.pitch), scaled(energy, config.energy)], -1)
    known = jnp.stack([heard, measured], -1)
    return Targets(tokens, jnp.where(known, variance, 0.0), known)


def ending_tokens(tokens: Tokens) -> Bool[Array, "B P"]:
    """The last `ENDING` tokens of every sentence."""
    ends = tokens.mask & (tokens.breaks == SENTENCE)
    ahead = jnp.pad(ends, ((0, 0), (0, ENDING - 1)))
    near = jnp.stack([ahead[:, k : k + ends.shape[1]] for k in range(ENDING)]).any(0)
    return near & tokens.mask


def ending_frames(tokens: Tokens, timeline: Timeline) -> Bool[Array, "B T"]:
    """The frames of `ending_tokens`, without pauses."""
    spread = membership(timeline, tokens.mask.shape[1])
    inside = jnp.einsum("btp,bp->bt", spread, ending_tokens(tokens).astype(spread.dtype)) > 0.5
    return inside & timeline.mask & ~timeline.paused


def prosody_terms(config: VaeConfig, planned: Float[Array, "B P K"], targets: Targets, suffix: str = "") -> Terms:
    """The predictor's losses: L1 of log durations, pauses, pitch and energy, cross-entropy of whether there is a pause.

    Terms are logged in units of the data (natural log of frames, of Hz, of RMS; nats) and weighted in scaled ones.
    """
    tokens = targets.tokens

    def l1(column: int, target: Array, mask: Array, unit: float, weight: float) -> Term:
        difference = planned[..., column, None] * unit, target[..., None] * unit
        return Term(*losses.masked_l1(*difference, mask), weight / unit)

    def log_frames(frames: Array) -> Array:
        return scaled(jnp.log(jnp.maximum(frames, 1).astype(jnp.float32)), LOG_FRAMES)

    ending, paused = tokens.mask & (tokens.breaks > 0), tokens.mask & (tokens.pauses > 0)
    logit, unit = planned[..., 1], LOG_FRAMES[1]
    surprise = jax.nn.softplus(jnp.where(paused, -logit, logit))[..., None]
    terms = {
        "duration": l1(0, log_frames(tokens.durations), tokens.mask, unit, config.duration_weight),
        "pause": Term(*losses.masked_l1(surprise, jnp.zeros_like(surprise), ending), config.pause_weight),
        "pause_length": l1(2, log_frames(tokens.pauses), paused, unit, config.pause_length_weight),
    }
    if config.variance:
        for column, name, unit in ((0, "pitch", config.pitch[1]), (1, "energy", config.energy[1])):
            target, known = targets.variance[..., column], targets.known[..., column]
            terms[name] = l1(3 + column, target, known, unit, getattr(config, f"{name}_weight"))
        target, known = targets.variance[..., 0], targets.known[..., 0] & ending_tokens(tokens)
        terms["ending_pitch"] = l1(3, target, known, config.pitch[1], config.ending * config.pitch_weight)
    return {name + suffix: term for name, term in terms.items()}


def latent_terms(
    config: VaeConfig,
    mean: Float[Array, "B Z"],
    log_variance: Float[Array, "B Z"],
    real: Bool[Array, "B"],
    weight: Array | float,
) -> Terms:
    """KL beyond the free nats with its weight, KL itself, and active units.

    A unit is active if its posterior mean varies by more than 0.01 over the batch (Burda et al. 2016); over several
    batches the number is the mean by rows.
    """
    divergence = gaussian.kl_to_standard(mean, log_variance).sum(-1)[:, None, None]
    excess = jax.nn.relu(divergence - config.free_nats)
    count = real.sum(dtype=jnp.float32)
    some = jnp.maximum(count, 1.0)
    held = zero_padding(mean[None], real[None])[0]
    centred = zero_padding((held - held.sum(0, keepdims=True) / some)[None], real[None])[0]
    active = (jnp.square(centred).sum(0) / some > 0.01).sum(dtype=jnp.float32)
    return {
        "kl_excess": Term(*losses.kl_standard(excess, real[:, None]), weight),
        "kl": Term(*losses.kl_standard(divergence, real[:, None])),
        "active_units": Term(count * active, count),
    }
