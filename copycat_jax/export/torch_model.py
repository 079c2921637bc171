"""CopyCat, its speaker classifier and its vocoder in PyTorch: this file, weights.safetensors and config.json are all.

    models = load("FOLDER")
    mel = models.copycat(source_mel, ratio, phonemes, durations, mask, models.speaker(source_mel, mask), centroid)
    samples = models.vocoder(mel, models.vocoder.read_f0(source_mel) * ratio[:, None])

Tensors are [B, T, ...], mels natural logarithms in the convention of mel.json, masks bool [B, T], durations frames. The
modules have the names that the bundle has for its parts. A transfer takes the posterior's mean; ratio is the target's
register over the source's; mels for the vocoder are at the logarithm of the convention's floor where nothing sounds.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    """Zeros where the mask [B, T] is false, whatever stood there."""
    return torch.where(mask.reshape(mask.shape + (1,) * (x.ndim - 2)), x, 0.0)


def rms_normalize(vector: Tensor) -> Tensor:
    """A speaker vector scaled to length sqrt(E)."""
    return vector * torch.rsqrt(vector.square().mean(-1, keepdim=True).clamp_min(1e-12))


def over_time(vector: Tensor, frames: int) -> Tensor:
    """The same vector at every frame."""
    return vector[:, None].expand(-1, frames, -1)


def even_padding(x: Tensor, kernel: int) -> Tensor:
    """[B, C, T] with room for a kernel at either end, an even one's surplus behind."""
    return F.pad(x, ((kernel - 1) // 2, kernel // 2))


class ConvStack(nn.Module):
    """Masked convolutions along time, each with a norm and ReLU."""

    def __init__(self, inputs: int, width: int, kernel: int, norm: str, count: int = 3):
        super().__init__()
        self.norm, self.kernel, self.count = norm, kernel, count
        for i in range(count):
            self.add_module(f"conv_{i}", nn.Conv1d(width if i else inputs, width, kernel))
            if norm == "layer":
                self.add_module(f"norm_{i}", nn.LayerNorm(width, eps=1e-6))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The stack's output [B, T, width]; zeros on padding."""
        for i in range(self.count):
            padded = even_padding(zero_padding(x, mask).mT, self.kernel)
            x = self.get_submodule(f"conv_{i}")(padded).mT
            if self.norm == "layer":
                x = self.get_submodule(f"norm_{i}")(x)
            elif self.norm == "instance":
                count = mask.sum(1).clamp_min(1)[:, None, None]
                x = x - zero_padding(x, mask).sum(1, keepdim=True) / count
                x = x * torch.rsqrt(zero_padding(x.square(), mask).sum(1, keepdim=True) / count + 1e-5)
            x = F.relu(x)
        return zero_padding(x, mask)


def run(cell: nn.RNNBase, x: Tensor, mask: Tensor) -> Tensor:
    """A recurrence over the real frames of each row; zeros on padding."""
    lengths = mask.sum(1).cpu().clamp_min(1)
    packed = pack_padded_sequence(zero_padding(x, mask), lengths, batch_first=True, enforce_sorted=False)
    return zero_padding(pad_packed_sequence(cell(packed)[0], batch_first=True, total_length=x.shape[1])[0], mask)


class PhonemeEncoder(nn.Module):
    """Phonemes repeated by their durations, convolutions, LSTM."""

    def __init__(self, c: dict):
        super().__init__()
        width, joined = c["width"], c["embedding"] if c["speaker_in_phoneme_encoder"] else 0
        self.embedding = nn.Embedding(c["phonemes"], width)
        self.convolutions = ConvStack(width, width, c["kernel"], "layer")
        self.lstm = nn.LSTM(width + joined, c["states"], batch_first=True, bidirectional=True)

    def forward(self, phonemes: Tensor, durations: Tensor, mask: Tensor, speaker: Tensor | None) -> Tensor:
        """Encodings [B, T, 2 * states] of phonemes repeated by their durations."""
        time = torch.arange(mask.shape[1], device=mask.device)
        place = (durations.cumsum(1)[:, None, :] <= time[None, :, None]).sum(-1).clamp_max(durations.shape[1] - 1)
        x = self.convolutions(self.embedding(phonemes.long().gather(1, place)), mask)
        return run(self.lstm, x if speaker is None else torch.cat([x, over_time(speaker, x.shape[1])], -1), mask)


class PerDirection(nn.Module):
    """A square dense layer for each direction of its own."""

    def __init__(self, width: int):
        super().__init__()
        self.kernel, self.bias = nn.Parameter(torch.zeros(2, width, width)), nn.Parameter(torch.zeros(2, width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, 2 * width] to the same, forward half first."""
        return (torch.einsum("btkh,khg->btkg", x.unflatten(-1, (2, -1)), self.kernel) + self.bias).flatten(2)


class ReferenceEncoder(nn.Module):
    """Convolutions over the mel, then a GRU that also reads encodings and speaker."""

    def __init__(self, c: dict):
        super().__init__()
        width, half = c["width"], c["latent"] // 2
        self.convolutions = ConvStack(c["mel_bins"], width, c["kernel"], "instance" if c["instance_norm"] else "none")
        inputs = width + 2 * c["states"] + c["embedding"]
        self.gru = nn.GRU(inputs, half, batch_first=True, bidirectional=True)
        self.mean = PerDirection(half)

    def forward(self, mel: Tensor, encodings: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """The posterior's mean [B, T, Z]; `mel` in the network's units."""
        x = torch.cat([self.convolutions(mel, mask), encodings, over_time(speaker, mel.shape[1])], -1)
        return self.mean(run(self.gru, x, mask))


class Decoder(nn.Module):
    """Encodings, latents and speaker to a mel, all frames at once."""

    def __init__(self, c: dict):
        super().__init__()
        width, voice, self.again = c["width"], c["embedding"], c["decoder_norm"] == "instance"
        self.convolutions = ConvStack(2 * c["states"] + c["latent"] + voice, width, c["kernel"], c["decoder_norm"])
        self.gru = nn.GRU(width + voice * self.again, c["states"], batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * c["states"], c["mel_bins"])

    def forward(self, encodings: Tensor, latents: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """The mel in the network's units."""
        voice = over_time(speaker, mask.shape[1])
        x = self.convolutions(torch.cat([encodings, latents, voice], -1), mask)
        return zero_padding(self.output(run(self.gru, torch.cat([x, voice], -1) if self.again else x, mask)), mask)


class CopyCat(nn.Module):
    """A source's mel with its phonemes to the same in another voice (`source` and `target` are speaker vectors)."""

    centres_hz: Tensor

    def __init__(self, c: dict):
        super().__init__()
        self.c = c
        self.phoneme_encoder, self.reference_encoder, self.decoder = PhonemeEncoder(c), ReferenceEncoder(c), Decoder(c)
        self.register_buffer("centres_hz", torch.zeros(c["mel_bins"]))

    def forward(
        self,
        mel: Tensor,
        ratio: Tensor,
        phonemes: Tensor,
        durations: Tensor,
        mask: Tensor,
        source: Tensor,
        target: Tensor,
    ) -> Tensor:
        """The log-mel [B, T, M] in the target's voice; zeros on padding."""
        source, target, join = rms_normalize(source), rms_normalize(target), self.c["speaker_in_phoneme_encoder"]
        encodings = self.phoneme_encoder(phonemes, durations, mask, source if join else None)
        heard = zero_padding(mel, mask)
        if self.c["register_stretch"]:
            heard = self.stretched(heard, ratio)
        heard = zero_padding((heard + 5) / 2, mask)
        latents = self.narrowed(self.reference_encoder(heard, encodings, source, mask), mask)
        if join:
            encodings = self.phoneme_encoder(phonemes, durations, mask, target)
        return zero_padding(self.decoder(encodings, latents, target, mask) * 2 - 5, mask)

    def stretched(self, mel: Tensor, ratio: Tensor) -> Tensor:
        """The mel with its frequency axis multiplied by the ratio."""
        centres = self.centres_hz
        ramps = (centres / ratio[:, None])[..., None] - centres[:-1]
        place = (ramps / centres.diff()).clamp(0, 1).sum(-1)
        bins = torch.arange(len(centres), dtype=mel.dtype, device=mel.device)[:, None]
        return mel @ F.relu(1 - (bins - place[:, None, :]).abs())

    def narrowed(self, latents: Tensor, mask: Tensor) -> Tensor:
        """One latent of each block of tau frames: of its end in the forward half, of its start in the backward half."""
        tau, half = self.c["tau"], self.c["latent"] // 2
        start = (torch.arange(mask.shape[1], device=mask.device) // tau * tau)[None]
        last = (mask.sum(1) - 1).clamp_min(0)[:, None]
        ends = [torch.minimum(at, last)[..., None].expand(-1, -1, half) for at in (start + tau - 1, start)]
        kept = [latents[..., :half].gather(1, ends[0]), latents[..., half:].gather(1, ends[1])]
        return zero_padding(torch.cat(kept, -1), mask)


class FrameNorm(nn.Module):
    """Layer norm of a frame's map over channels and bins, with one scale and bias a channel; [B, C, T, M]."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The same, each frame of zero mean and unit variance before scale and bias."""
        x = F.layer_norm(x.transpose(1, 2), (x.shape[1], x.shape[3]), eps=1e-6).transpose(1, 2)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class UtteranceEncoder(nn.Module):
    """2-D convolutions that shrink time and frequency, a GRU, one vector."""

    def __init__(self, c: dict):
        super().__init__()
        self.strides = list(zip(c["time_strides"], c["bin_strides"], strict=True))
        self.pooling, inputs, bins = c["pooling"], 1, c["mel_bins"]
        for i, (channels, stride) in enumerate(zip(c["channels"], self.strides, strict=True)):
            self.add_module(f"conv_{i}", nn.Conv2d(inputs, channels, 3, stride, padding=1))
            self.add_module(f"norm_{i}", FrameNorm(channels))
            inputs, bins = channels, -(-bins // stride[1])
        self.gru = nn.GRU(inputs * bins, c["states"], batch_first=True)
        self.bottleneck = nn.Linear(c["states"], c["embedding"])

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        """A vector [B, E]; `mel` in the network's units."""
        x = mel[:, None]
        for i, stride in enumerate(self.strides):
            x = self.get_submodule(f"conv_{i}")(torch.where(mask[:, None, :, None], x, 0.0))
            x, mask = F.relu(self.get_submodule(f"norm_{i}")(x)), mask[:, :: stride[0]]
        states = run(self.gru, x.permute(0, 2, 3, 1).flatten(2), mask)
        count = mask.sum(1).clamp_min(1)
        last = states[torch.arange(len(states)), count - 1]
        return self.bottleneck(states.sum(1) / count[:, None] if self.pooling == "mean" else last)


class Speaker(nn.Module):
    """The speaker vector, of length 1, of a mel."""

    lifter: Tensor

    def __init__(self, c: dict):
        super().__init__()
        self.encoder = UtteranceEncoder(c)
        self.register_buffer("lifter", torch.eye(c["mel_bins"]))

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        """The vector [B, E]."""
        return F.normalize(self.encoder(zero_padding((mel + 5) / 2, mask) @ self.lifter, mask), eps=1e-6)


class Framewise(nn.Module):
    """ConvNeXt blocks between a convolution over the mel and a dense layer."""

    def __init__(self, bins: int, beside: int, width: int, hidden: int, blocks: int, kernel: int, outputs: int):
        super().__init__()
        self.kernel, self.count, self.blocks = kernel, blocks, nn.Module()
        self.mel, self.norm_in = nn.Linear(kernel * bins, width), nn.LayerNorm(width, eps=1e-6)
        if beside:
            self.beside = nn.Linear(beside, width, bias=False)
        for i in range(blocks):
            self.blocks.register_parameter(f"taps_{i}", nn.Parameter(torch.zeros(kernel, width)))
            self.blocks.register_parameter(f"scale_{i}", nn.Parameter(torch.zeros(width)))
            self.blocks.add_module(f"norm_{i}", nn.LayerNorm(width, eps=1e-6))
            self.blocks.add_module(f"widen_{i}", nn.Linear(width, hidden))
            self.blocks.add_module(f"narrow_{i}", nn.Linear(hidden, width))
        self.norm_out, self.out = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, outputs)

    def taps(self, x: Tensor) -> Tensor:
        """[B, T, kernel, C]: every frame with those about it."""
        reach = self.kernel // 2
        return F.pad(x, (0, 0, reach, self.kernel - 1 - reach)).unfold(1, self.kernel, 1).mT

    def forward(self, mel: Tensor, mask: Tensor, beside: Tensor | None = None) -> Tensor:
        """Outputs [B, T, W]; masked frames are not seen."""
        x = self.mel(self.taps(zero_padding((mel + 5) / 2, mask)).flatten(2))
        x = zero_padding(self.norm_in(x if beside is None else x + self.beside(beside)), mask)
        for i in range(self.count):
            block = self.blocks
            y = (self.taps(x) * getattr(block, f"taps_{i}")).sum(2)
            y = F.gelu(getattr(block, f"widen_{i}")(getattr(block, f"norm_{i}")(y)), approximate="tanh")
            x = zero_padding(x + getattr(block, f"narrow_{i}")(y) * getattr(block, f"scale_{i}"), mask)
        return self.out(self.norm_out(x))


class Vocoder(nn.Module):
    """Mels with their F0 to samples [B, T * hop]; `read_f0` hears the F0 of a mel."""

    noise: Tensor
    pseudo_inverse: Tensor
    analysis: Tensor
    synthesis: Tensor

    def __init__(self, c: dict, spec: dict):
        super().__init__()
        self.c, self.spec, bins, parts = c, spec, spec["mel_bins"], c["spectra"]
        self.size, self.hop = spec["fft_samples"] // parts, spec["hop_samples"] // parts
        width = self.size // 2 + 1
        sizes = c["width"], c["hidden"], c["blocks"], c["kernel"], 2 * parts * width
        self.shape = Framewise(bins, width * (1 + 3 * parts), *sizes)
        self.pitch = Framewise(bins, 0, c["f0_width"], c["f0_hidden"], c["f0_blocks"], c["kernel"], 2)
        self.register_buffer("noise", torch.zeros(2**16))
        self.register_buffer("pseudo_inverse", torch.zeros(bins, width))
        n = torch.arange(self.size, dtype=torch.float64)
        angle = 2 * math.pi / self.size * torch.outer(torch.arange(width, dtype=torch.float64), n)
        window = 0.5 - 0.5 * torch.cos(2 * math.pi / self.size * n)
        waves = torch.cat([torch.cos(angle), -torch.sin(angle)]) * window
        share = torch.full((width, 1), 2.0 * self.hop / self.size, dtype=torch.float64)
        share[[0, -1]] /= 2
        self.register_buffer("analysis", waves[:, None].float(), persistent=False)
        inverse = waves * share.repeat(2, 1) / window.square().sum()
        self.register_buffer("synthesis", inverse[:, None].float(), persistent=False)

    def sounding(self, mel: Tensor) -> Tensor:
        """Frames that are not digital silence."""
        return (mel > math.log(self.spec["floor"]) + 0.02).any(-1)

    def read_f0(self, mel: Tensor) -> Tensor:
        """F0 in Hz [B, T], 0 where unvoiced."""
        logit, octaves = self.pitch(mel, self.sounding(mel)).unbind(-1)
        return torch.where(logit > 0, 160 * torch.exp2(octaves), 0.0)

    def excitation(self, f0_hz: Tensor) -> Tensor:
        """Pulses at F0 with a little noise, noise where it is 0; [B, T * hop]."""
        hop, rate = self.spec["hop_samples"], self.spec["sample_rate"]
        beside = torch.cat([f0_hz[:, :1], f0_hz[:, :-1]], 1), torch.cat([f0_hz[:, 1:], f0_hz[:, -1:]], 1)
        start, end = (torch.where(x > 0, (x + f0_hz) / 2, f0_hz) for x in beside)
        points = torch.stack([start, f0_hz, end], -1) * torch.tensor(1 / rate, dtype=torch.float32)
        place = (torch.arange(hop, dtype=torch.float64) + 0.5) / hop
        first, last = (1 - 2 * place).clamp_min(0), (2 * place - 1).clamp_min(0)
        sums = torch.stack([first, 1 - first - last, last]).cumsum(1).float().to(points.device)
        steps = ((points * 2.0**30).long() * torch.tensor([hop, 2 * hop, hop], device=points.device)).sum(-1)
        begun = ((steps.cumsum(1) - steps) % 2**32 // 256).float() * 2.0**-24
        phase = begun[..., None] + points @ sums
        phase = phase - phase.round()
        harmonics = torch.floor(0.5 / points.amax(-1, keepdim=True).clamp_min(40 / rate))
        below = torch.sin(math.pi * phase)
        peak = below.abs() < 1e-4
        ratio = torch.sin((2 * harmonics + 1) * math.pi * phase) / (2 * torch.where(peak, 1.0, below))
        pulses = torch.where(peak, harmonics, ratio - 0.5) * torch.sqrt(2 / harmonics)
        repeats = -(-f0_hz.shape[1] * hop // len(self.noise))
        noise = self.noise.repeat(repeats)[: f0_hz.shape[1] * hop].reshape(1, -1, hop)
        return torch.where(f0_hz[..., None] > 0, pulses + 0.03 * noise, noise).flatten(1)

    def forward(self, mel: Tensor, f0_hz: Tensor) -> Tensor:
        """Samples [B, T * hop]; silence in, silence out."""
        size, hop, parts, whole = self.size, self.hop, self.c["spectra"], self.spec["hop_samples"]
        mask, pad, width = self.sounding(mel), (size - hop) // 2, size // 2 + 1
        beyond = -(-pad // whole)
        surplus = beyond * whole - pad
        pulses = self.excitation(F.pad(f0_hz, (beyond, beyond)))
        spectrum = F.conv1d(pulses[:, None, surplus : pulses.shape[1] - surplus], self.analysis, stride=hop).mT
        real, imaginary = spectrum.unflatten(1, (-1, parts)).split(width, -1)
        loud = torch.sqrt(real.square() + imaginary.square()) + 1e-4
        real, imaginary = real / loud, imaginary / loud
        envelope = (mel.exp() @ self.pseudo_inverse).abs().clamp_min(self.spec["floor"]).log()
        seen = torch.cat([loud.log() / 3, real, imaginary], -1).flatten(2)
        made = self.shape(mel, mask, torch.cat([envelope / 3, seen], -1)).unflatten(-1, (parts, -1))
        level, turn = made.split(width, -1)
        magnitude = zero_padding(torch.exp((level + envelope[:, :, None]).clamp_max(7.0)), mask)
        cosine, sine = turn.cos(), turn.sin()
        turned = torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], -1)
        return F.conv_transpose1d(
            (turned * magnitude.repeat(1, 1, 1, 2)).flatten(1, 2).mT, self.synthesis, stride=hop, padding=pad
        )[:, 0]


class Models(NamedTuple):
    """All that a transfer needs."""

    copycat: CopyCat
    speaker: Speaker
    vocoder: Vocoder


def load(folder: str | Path) -> Models:
    """The models of a folder of `copycat export torch`, on the CPU, in float32."""
    folder = Path(folder)
    c, spec = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "mel"))
    models = Models(CopyCat(c["copycat"]), Speaker(c["speaker"]), Vocoder(c["vocoder"], spec))
    fill(folder, models._asdict())
    return models


def fill(folder: Path, models: dict[str, nn.Module]) -> None:
    """Gives modules, named as their groups of weights are, the weights of a folder."""
    weights = {name: value.float() for name, value in load_file(folder / "weights.safetensors").items()}
    for name, model in models.items():
        own = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
        model.load_state_dict(own)
        model.eval().requires_grad_(False)
