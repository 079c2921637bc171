"""What arrays the voice's configuration asks for; see `copycat_jax.bundle.shapes`."""

from copycat_jax.bundle.shapes import Shapes, conv_stack, decoder, dense, phoneme_encoder, recurrent, utterance_encoder
from copycat_jax.mel_spec import MelSpec
from copycat_jax.text.phrasing import BREAKS
from prosody_vae.tts.config import VaeConfig


def voice_shapes(config: VaeConfig, spec: MelSpec) -> Shapes:
    """`tts.model.VaeTts`."""
    c, encoding, voice = config, 2 * config.states, config.embedding if config.speaker else 0
    if c.mel_bins != spec.mel_bins:
        raise ValueError(f"{c.mel_bins} mel bins in a convention of {spec.mel_bins}")
    same, layout = c.latent + voice, {"pause_embedding": (1, encoding), "place": dense(3, encoding, bias=False)}
    return {
        "reference_encoder": utterance_encoder(c, c.reference_states, 2 * c.latent),
        "phoneme_encoder": phoneme_encoder(c.phonemes, c.width, c.states, c.kernel, marks=BREAKS),
        "predictor": {
            "convolutions": conv_stack(encoding + same, c.predictor_width, 2, 3, "layer"),
            "gru": recurrent("gru", c.predictor_width + same, c.predictor_states),
            "output": dense(2 * c.predictor_states, 5 if c.variance else 3),
        },
        **({"variance_embedding": dense(2, encoding)} if c.variance else {}),
        "layout": layout,
        "decoder": decoder(encoding + c.latent, voice, c.width, c.states, c.kernel, c.decoder_norm, c.mel_bins),
    }
