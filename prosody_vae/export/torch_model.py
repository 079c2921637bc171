"""The voice of a prosody space in PyTorch: this file, copycat_torch.py, weights.safetensors and config.json are all.

    voice, vocoder = load("FOLDER")
    mel, _ = voice(phonemes, breaks, mask, z, speaker)
    samples = vocoder(mel, vocoder.read_f0(mel))

Tensors are [B, P, ...] over phonemes and [B, T, ...] over frames; mels are natural logarithms in the convention of
mel.json, at its floor behind a row's end. A row's first phoneme is silence; `breaks` says what follows a phoneme in the
text: 0 inside a word, 1 a word's end, 2 a comma, 3 a sentence's end.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from copycat_jax.export.torch_model import (
    ConvStack,
    Decoder,
    PhonemeEncoder,
    UtteranceEncoder,
    Vocoder,
    fill,
    over_time,
    rms_normalize,
    run,
    zero_padding,
)


class Plan(NamedTuple):
    """How a text is said, per phoneme [B, P]; pitch and energy are None for a model that does not know them."""

    durations: Tensor  # frames, 0 on padding
    pauses: Tensor  # frames of silence behind the phoneme
    log_f0: Tensor | None  # natural logarithm of Hz
    energy: Tensor | None  # log-RMS


def unscaled(values: Tensor, by: list[float]) -> Tensor:
    """Predicted numbers, which are near 1, in their unit: `by` is centre and scale."""
    return values * by[1] + by[0]


def scaled(values: Tensor, by: list[float]) -> Tensor:
    """Inverts `unscaled`."""
    return (values - by[0]) / by[1]


class TextEncoder(PhonemeEncoder):
    """Phonemes and what follows them, convolutions, LSTM; one encoding a phoneme."""

    def __init__(self, c: dict):
        super().__init__(c | {"speaker_in_phoneme_encoder": False})
        self.mark_embedding = nn.Embedding(c["marks"], c["width"])

    def forward(self, phonemes: Tensor, breaks: Tensor, mask: Tensor) -> Tensor:
        """Encodings [B, P, 2 * states]."""
        both = zip((self.embedding, self.mark_embedding), (phonemes, breaks), strict=True)
        x = sum(table(torch.where(mask, ids, 0).long()) for table, ids in both)
        return run(self.lstm, self.convolutions(x, mask), mask)


class Predictor(nn.Module):
    """Encodings, embedding and speaker to duration, pause, its length, and with variance pitch and energy."""

    def __init__(self, c: dict):
        super().__init__()
        same, width, states = c["latent"] + c["embedding"], c["predictor_width"], c["predictor_states"]
        self.convolutions = ConvStack(2 * c["states"] + same, width, 3, "layer", 2)
        self.gru = nn.GRU(width + same, states, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * states, 5 if c["variance"] else 3)

    def forward(self, encodings: Tensor, z: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """The numbers [B, P, K], scaled."""
        same = over_time(torch.cat([z, speaker], -1), mask.shape[1])
        x = self.convolutions(torch.cat([encodings, same], -1), mask)
        return self.output(run(self.gru, torch.cat([x, same], -1), mask))


class Layout(nn.Module):
    """Vectors of phonemes over frames, with the frame's place in its phoneme or in the pause behind it."""

    def __init__(self, width: int, log_frames: list[float]):
        super().__init__()
        self.log_frames, self.place = log_frames, nn.Linear(3, width, bias=False)
        self.pause_embedding = nn.Parameter(torch.zeros(1, width))

    def forward(self, x: Tensor, durations: Tensor, pauses: Tensor) -> tuple[Tensor, Tensor]:
        """Frames [B, T, D], zero on padding, and which of them are real."""
        lengths = torch.stack([durations, pauses], -1).flatten(1)  # a phoneme, its pause, a phoneme, ...
        ends = lengths.cumsum(1)
        time = torch.arange(int(ends[:, -1].max()), device=x.device)
        mask = time < ends[:, -1:]
        index = (ends[:, None] <= time[:, None]).sum(-1).clamp_max(lengths.shape[1] - 1)
        length, start = lengths.gather(1, index).clamp_min(1), (ends - lengths).gather(1, index)
        paused = index % 2 == 1
        frames = x.gather(1, (index // 2)[..., None].expand(-1, -1, x.shape[-1]))
        frames = frames + paused[..., None] * self.pause_embedding
        place = (time - start + 0.5) / length, scaled(length.float().log(), self.log_frames), paused.float()
        return zero_padding(frames + self.place(torch.stack(place, -1)), mask), mask


class Voice(nn.Module):
    """A text and an embedding to a mel; `encode` hears the embedding of a recording's mel."""

    def __init__(self, c: dict, spec: dict):
        super().__init__()
        c = c | {"embedding": c["embedding"] if c["speaker"] else 0}
        heard = {"states": c["reference_states"], "embedding": 2 * c["latent"]}
        self.c, self.floor = c, math.log(spec["floor"])
        self.phoneme_encoder, self.predictor, self.decoder = TextEncoder(c), Predictor(c), Decoder(c)
        self.layout = Layout(2 * c["states"], c["log_frames"])
        self.reference_encoder = UtteranceEncoder(c | heard)
        if c["variance"]:
            self.variance_embedding = nn.Linear(2, 2 * c["states"])

    def forward(
        self, phonemes: Tensor, breaks: Tensor, mask: Tensor, z: Tensor, speaker: Tensor, rate: float = 1.0, last=True
    ) -> tuple[Tensor, Plan]:
        """The log-mel [B, T, M] of texts as the model plans them, and the plan.

        Args:
          phonemes, breaks: [B, P].
          mask: bool [B, P].
          z: [B, Z].
          speaker: centroid [B, E].
          rate: times the model's own speed.
          last: whether nothing follows; of a text in pieces it is true of the last.
        """
        plan = self.plan(phonemes, breaks, mask, z, speaker, rate, last)
        return self.render(phonemes, breaks, plan, z, speaker), plan

    def voiced(self, speaker: Tensor) -> Tensor:
        """The speaker's vector as the networks read it; of no width in a model of one voice."""
        return rms_normalize(speaker) if self.c["speaker"] else speaker[:, :0]

    def plan(
        self, phonemes: Tensor, breaks: Tensor, mask: Tensor, z: Tensor, speaker: Tensor, rate: float = 1.0, last=True
    ) -> Plan:
        """Durations and pauses in whole frames, pitch and energy; arguments as in `forward`."""
        c, encodings = self.c, self.phoneme_encoder(phonemes, breaks, mask)
        columns = zero_padding(self.predictor(encodings, z, self.voiced(speaker), mask), mask).unbind(-1)
        expected, pause = (unscaled(columns[i], c["log_frames"]).exp().clamp_min(1) / rate for i in (0, 2))
        place = torch.arange(mask.shape[1], device=mask.device)
        # No long silence before the first word; sums are rounded, so that nothing drifts.
        expected = torch.where(place == 0, expected.clamp_max(c["edge_frames"]), expected).clamp_min(1)
        ends = (expected.double().cumsum(1) + 0.5).floor().long()
        durations = zero_padding(ends.diff(dim=1, prepend=torch.zeros_like(ends[:, :1])), mask)
        paused = mask & (breaks > 0) & (columns[1].sigmoid() > 0.5)
        pauses = torch.where(paused, (pause + 0.5).floor().clamp_min(1).long(), 0)
        final = place == mask.sum(1, keepdim=True) - 1
        ending = torch.full_like(pauses, int(c["edge_frames"])) if last else pauses.clamp_min(c["cut_frames"])
        pauses = torch.where(final, ending, pauses)
        if not c["variance"]:
            return Plan(durations.int(), pauses.int(), None, None)
        known = (zero_padding(unscaled(columns[i], c[name]), mask) for i, name in ((3, "pitch"), (4, "energy")))
        return Plan(durations.int(), pauses.int(), *known)

    def render(self, phonemes: Tensor, breaks: Tensor, plan: Plan, z: Tensor, speaker: Tensor) -> Tensor:
        """The log-mel [B, T, M] of a plan, as `plan` makes it or changed."""
        mask = plan.durations > 0
        x = self.phoneme_encoder(phonemes, breaks, mask)
        if plan.log_f0 is not None and plan.energy is not None:
            both = scaled(plan.log_f0, self.c["pitch"]), scaled(plan.energy, self.c["energy"])
            x = x + self.variance_embedding(zero_padding(torch.stack(both, -1), mask))
        frames, real = self.layout(zero_padding(x, mask), plan.durations, torch.where(mask, plan.pauses, 0))
        mel = self.decoder(frames, over_time(z, frames.shape[1]), self.voiced(speaker), real) * 2 - 5
        return torch.where(real[..., None], mel, self.floor)

    def encode(self, mel: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance [B, Z] of the embedding of recordings' log-mels [B, T, M]."""
        mean, log_variance = self.reference_encoder(zero_padding((mel + 5) / 2, mask), mask).chunk(2, -1)
        return mean, log_variance


def load(folder: str | Path) -> tuple[Voice, Vocoder]:
    """The models of a folder of `prosody export torch`, on the CPU, in float32."""
    folder = Path(folder)
    c, spec = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "mel"))
    voice, vocoder = Voice(c["prosody_vae"], spec), Vocoder(c["vocoder"], spec)
    fill(folder, {"prosody_vae": voice, "vocoder": vocoder})
    return voice, vocoder
