"""Plain fields of the VAE text-to-speech model, and its sizes."""

import dataclasses
from typing import Any

from copycat_jax.errors import UserError, refuse_unknown
from copycat_jax.nn.conv import NORMS
from copycat_jax.nn.recurrent import IMPLEMENTATIONS


@dataclasses.dataclass(frozen=True)
class VaeConfig:
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
      compute_dtype: "bfloat16" or "float32"; parameters, norms, KL and losses are float32 always.
      recurrence: implementation of the recurrences, see `nn.recurrent.recur`.
    """

    phonemes: int = 72
    mel_bins: int = 80
    embedding: int = 128
    latent: int = 64
    width: int = 512
    states: int = 256
    kernel: int = 5
    predictor_width: int = 384
    predictor_states: int = 192
    channels: tuple[int, ...] = (32, 32, 64, 64, 128)
    time_strides: tuple[int, ...] = (2, 2, 2, 1, 1)
    bin_strides: tuple[int, ...] = (2, 2, 2, 2, 1)
    reference_states: int = 256
    pooling: str = "mean"
    phoneme_dropout: float = 0.2
    predictor_dropout: float = 0.2
    decoder_norm: str = "layer"
    speaker: bool = True
    variance: bool = True
    pitch: tuple[float, float] = (5.1, 0.35)
    energy: tuple[float, float] = (-4.0, 1.5)
    kl_weight: float = 0.5
    free_nats: float = 24.0
    kl_anneal_steps: tuple[int, int] = (0, 1000)
    duration_weight: float = 20.0
    pause_weight: float = 10.0
    pause_length_weight: float = 5.0
    pitch_weight: float = 20.0
    energy_weight: float = 10.0
    compute_dtype: str = "bfloat16"
    recurrence: str = "auto"

    def __post_init__(self):
        for field, allowed in (
            ("pooling", ("last", "mean")),
            ("decoder_norm", NORMS),
            ("compute_dtype", ("bfloat16", "float32")),
            ("recurrence", IMPLEMENTATIONS),
        ):
            if getattr(self, field) not in allowed:
                raise UserError(f"'{getattr(self, field)}'", f"model.{field}", f"Choose one of {', '.join(allowed)}.")
        if not len(self.channels) == len(self.time_strides) == len(self.bin_strides):
            raise UserError("lengths differ", "model.channels, time_strides, bin_strides", "Give one each per layer.")
        for field in ("pitch", "energy"):
            pair = getattr(self, field)
            if len(pair) != 2 or not pair[1] > 0:
                raise UserError(f"{pair}", f"model.{field}", "Give a centre and a scale above 0.")
        if len(self.kl_anneal_steps) != 2:
            raise UserError(f"{self.kl_anneal_steps}", "model.kl_anneal_steps", "Give the first and the last step.")
        for field in ("latent", "width", "states", "predictor_width", "predictor_states", "reference_states"):
            if getattr(self, field) < 1:
                raise UserError(f"{getattr(self, field)}", f"model.{field}", "Give a positive number.")
        weights = ("duration", "pause", "pause_length", "pitch", "energy", "kl")
        for field in (*(f"{name}_weight" for name in weights), "free_nats"):
            if not getattr(self, field) >= 0:
                raise UserError(f"{getattr(self, field)}", f"model.{field}", "Give a number that is not negative.")

    @classmethod
    def from_dict(cls, fields: dict) -> "VaeConfig":
        """Builds the config from plain fields (lists for tuples, as JSON has them); UserError for an unknown one."""
        refuse_unknown(fields, (f.name for f in dataclasses.fields(cls)), "model")
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in fields.items()}
        return cls(**plain)


SIZES = {
    "tiny": VaeConfig(
        latent=8, width=16, states=8, predictor_width=16, predictor_states=8, reference_states=16,
        channels=(4, 8), time_strides=(2, 2), bin_strides=(4, 4),
        phoneme_dropout=0.0, predictor_dropout=0.0, free_nats=6.0, compute_dtype="float32",
    ),
    "shipped": VaeConfig(width=320, states=160, predictor_width=256, predictor_states=128, reference_states=128),
    "base": VaeConfig(),
    "large": VaeConfig(
        width=768, states=384, predictor_width=576, predictor_states=288, reference_states=384,
        channels=(32, 64, 64, 128, 192),
    ),
}  # fmt: skip
