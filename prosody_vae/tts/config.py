"""Plain fields of the VAE text-to-speech model, and its sizes."""

import dataclasses

from copycat_jax.config import Config, setting
from copycat_jax.errors import UserError
from copycat_jax.nn.conv import NORMS
from copycat_jax.nn.recurrent import IMPLEMENTATIONS


@dataclasses.dataclass(frozen=True)
class VaeConfig(Config, section="model"):
    """Plain fields of the model and its losses.

    Attributes:
      phonemes, mel_bins, embedding: sizes of the inventory, the mel-spectrogram and the speaker vector.
      latent: Z, width of the utterance embedding (64 in the paper).
      width, states, kernel: channels and kernel of the convolutions of phoneme encoder and decoder, and their recurrent
        states per direction.
      predictor_width, predictor_states: of the prosody predictor.
      channels, time_strides, bin_strides, reference_states: 2-D convolutions and GRU of the reference encoder.
      pooling: how its GRU is summarised: "mean" over frames, or the "last" state.
      phoneme_dropout, predictor_dropout: after each convolution.
      decoder_norm: "layer", "instance" or "none".
      speaker: the speaker vector joins predictor and decoder; False for a model of one voice.
      variance: pitch and energy are predicted, and the decoder is given them.
      pitch, energy: (centre, scale) of log F0 in Hz and of log-RMS, which only bring numbers near 1.
      kl_weight, free_nats, kl_anneal_steps: see the module; the weight grows linearly between the two steps.
      duration_weight, pause_weight, pause_length_weight, pitch_weight, energy_weight: of the predictor's losses, beside
        an L1 of mels summed over bins.
      heard: F0 is what the vocoder that ships hears in a mel, and what it hears in the mel that is made shall be what
        it hears in the recording's; False takes the corpus's F0, and no one listens.
      heard_pitch_weight, heard_voicing_weight: of the difference of the two, in octaves, and of the cross-entropy.
      ending: how much F0 at the end of a sentence counts beside F0 everywhere. It tells a question from a statement,
        but among all frames it is so little that an embedding would not spend its nats on it.
      adversarial, adversarial_weight, window, adversary_channels: as in CopyCat's second training step.
      compute_dtype: "bfloat16" or "float32"; parameters, norms, KL and losses are float32 always.
      recurrence: implementation of the recurrences, see `nn.recurrent.recur`.
    """

    # Layers.
    phonemes: int = 72
    mel_bins: int = setting(80, from_data=True)
    embedding: int = setting(128, from_data=True)
    latent: int = setting(64, at_least=1)
    width: int = setting(512, at_least=1)
    states: int = setting(256, at_least=1)
    kernel: int = 5
    predictor_width: int = setting(384, at_least=1)
    predictor_states: int = setting(192, at_least=1)
    channels: tuple[int, ...] = (32, 32, 64, 64, 128)
    time_strides: tuple[int, ...] = (2, 2, 2, 1, 1)
    bin_strides: tuple[int, ...] = (2, 2, 2, 2, 1)
    reference_states: int = setting(256, at_least=1)
    pooling: str = setting("mean", one_of=("last", "mean"))
    phoneme_dropout: float = 0.2
    predictor_dropout: float = 0.2
    decoder_norm: str = setting("layer", one_of=NORMS)
    speaker: bool = True
    variance: bool = True
    pitch: tuple[float, float] = (5.1, 0.35)
    energy: tuple[float, float] = (-4.0, 1.5)
    # Losses.
    kl_weight: float = setting(0.5, at_least=0)
    free_nats: float = setting(24.0, at_least=0)
    kl_anneal_steps: tuple[int, ...] = (0, 1000)
    duration_weight: float = setting(20.0, at_least=0)
    pause_weight: float = setting(10.0, at_least=0)
    pause_length_weight: float = setting(5.0, at_least=0)
    pitch_weight: float = setting(20.0, at_least=0)
    energy_weight: float = setting(10.0, at_least=0)
    heard: bool = False
    heard_pitch_weight: float = setting(40.0, at_least=0)
    heard_voicing_weight: float = setting(2.0, at_least=0)
    ending: float = setting(0.0, at_least=0)
    adversarial: bool = False
    adversarial_weight: float = setting(1.0, at_least=0)
    window: int = setting(32, at_least=1)
    adversary_channels: tuple[int, ...] = (64, 128, 256, 512)
    # Runtime.
    compute_dtype: str = setting("bfloat16", one_of=("bfloat16", "float32"))
    recurrence: str = setting("auto", one_of=IMPLEMENTATIONS)

    def __post_init__(self):
        super().__post_init__()
        if not len(self.channels) == len(self.time_strides) == len(self.bin_strides):
            raise UserError("lengths differ", "model.channels, time_strides, bin_strides", "Give one each per layer.")
        for name in ("pitch", "energy"):
            pair = getattr(self, name)
            if len(pair) != 2 or not pair[1] > 0:
                raise self.wrong(name, "Give a centre and a scale above 0.")
        if len(self.kl_anneal_steps) != 2:
            raise self.wrong("kl_anneal_steps", "Give the first and the last step.")


SIZES = {
    "tiny": VaeConfig(
        latent=8, width=16, states=8, predictor_width=16, predictor_states=8, reference_states=16,
        channels=(4, 8), time_strides=(2, 2), bin_strides=(4, 4),
        phoneme_dropout=0.0, predictor_dropout=0.0, free_nats=6.0, adversary_channels=(4, 8, 8, 8),
        compute_dtype="float32",
    ),
    "laptop": VaeConfig(
        width=128, states=64, predictor_width=96, predictor_states=48, reference_states=64, compute_dtype="float32",
    ),
    "shipped": VaeConfig(width=320, states=160, predictor_width=256, predictor_states=128, reference_states=128),
    "base": VaeConfig(),
    "large": VaeConfig(
        width=768, states=384, predictor_width=576, predictor_states=288, reference_states=384,
        channels=(32, 64, 64, 128, 192),
    ),
}  # fmt: skip
