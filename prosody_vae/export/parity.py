"""Whether an export of a voice is the same model: sentences through its runtime and through JAX, compared.

The plan has to be the same to the frame. Samples are compared as in `copycat_jax.export.parity`, for the mel and the F0
that JAX made. The one graph of sherpa-onnx gives samples alone and hears F0 inside, of which the last bits add up to a
phase: there the first HEARD_S of every sentence are compared, and the length of all of it.
"""

import importlib
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.export.folder import Export, need, write_export
from copycat_jax.export.parity import RUNTIMES as OF_TRANSFER
from copycat_jax.export.parity import Row, cents, decibel, installed, nats
from copycat_jax.export.session import inputs_of, open_model
from prosody_vae.export.onnx_folder import Styles
from prosody_vae.export.sherpa import token_ids
from prosody_vae.export.stablehlo import programs
from prosody_vae.space.table import KIND
from prosody_vae.tts.plan import TextPiece, cut_text, make_speech_plan
from prosody_vae.tts.voice import SHIPPED_VOICE as SHIPPED_VOICE

HEARD_S = 0.5
SENTENCES = ("Who ate the rest of my pizza?", "The little shop sells bread, cheese and apples.")
Files = Callable[[Bundle, Bundle, Styles, Sequence[str]], dict[str, bytes]]


class Said(NamedTuple):
    """What was made of a piece of a text on the way."""

    lengths: Int[np.ndarray, "2 P"]  # durations and pauses, frames
    mel: Float[np.ndarray, "T M"]
    f0_hz: Float[np.ndarray, " T"]
    samples: Float[np.ndarray, " N"]


class Speaker(NamedTuple):
    """A voice in a runtime: says a piece under an embedding, and makes samples of a mel and its F0."""

    say: Callable[[TextPiece, np.ndarray], Said]
    vocode: Callable[[np.ndarray, np.ndarray], np.ndarray]


def reference(bundle: Bundle, voice_of: Bundle, centroid: Float[np.ndarray, " E"]) -> Speaker:
    """JAX itself, compiled for each length; every piece is the last of its text."""
    groups = {KIND: bundle.params[KIND], "vocoder": voice_of.params["vocoder"]}
    run = {
        name: partial(jax.jit(program.run), jax.device_put(groups[program.group]))
        for name, program in programs(bundle, voice_of, "auto").items()
    }

    def say(piece: TextPiece, z: np.ndarray) -> Said:
        text, who = (piece.phonemes[None], piece.breaks[None]), (z[None], centroid[None])
        predicted = np.asarray(run["prosody"](*text, np.ones((1, len(piece.phonemes)), bool), *who))
        plan = make_speech_plan(piece, list(predicted[:, 0]), 1.0, bundle.spec.frame_rate_hz, last=True)
        how = (values[None] for values in (plan.durations, plan.pauses, plan.log_f0, plan.energy))
        mel = run["voice"](*text, *how, *who, np.arange(plan.frames, dtype=np.int32))
        f0_hz = run["pitch"](mel)
        samples = run["vocoder"](mel, f0_hz)
        return Said(np.stack([plan.durations, plan.pauses]), *(np.asarray(x[0]) for x in (mel, f0_hz, samples)))

    return Speaker(say, lambda mel, f0_hz: np.asarray(run["vocoder"](mel[None], f0_hz[None])[0]))


def _open_onnx(folder: Path, centroid: np.ndarray) -> Speaker:
    run = {name: open_model(folder / f"{name}.onnx") for name in ("voice", "pitch", "vocoder")}
    known = inputs_of(folder / "voice.onnx")
    unknown = np.full((1, 1), np.nan, np.float32)

    def vocode(mel: np.ndarray, f0_hz: np.ndarray) -> np.ndarray:
        return next(iter(run["vocoder"](mel=mel[None], f0_hz=f0_hz[None]).values()))[0]

    def say(piece: TextPiece, z: np.ndarray) -> Said:
        inputs = {
            "phonemes": piece.phonemes[None],
            "breaks": piece.breaks[None],
            "mask": np.ones((1, len(piece.phonemes)), bool),
            "z": z[None],
            "speaker": centroid[None],
            "rate": np.ones(1, np.float32),
            "last": np.ones(1, bool),
            "durations": np.zeros((1, 1), np.int32),
            "pauses": np.full((1, 1), -1, np.int32),
            "log_f0": unknown,
            "energy": unknown,
        }
        out = run["voice"](**{name: value for name, value in inputs.items() if name in known})
        f0_hz = next(iter(run["pitch"](mel=out["mel"]).values()))[0]
        lengths = np.concatenate([out["spoken_durations"], out["spoken_pauses"]])
        return Said(lengths, out["mel"][0], f0_hz, vocode(out["mel"][0], f0_hz))

    return Speaker(say, vocode)


def _open_stablehlo(folder: Path, centroid: np.ndarray) -> Speaker:
    from prosody_vae.export import example_stablehlo as example

    spec = json.loads((folder / "mel.json").read_text())
    vocoder = example.open_program(folder, "vocoder")

    def say(piece: TextPiece, z: np.ndarray) -> Said:
        text = {"phonemes": piece.phonemes, "breaks": piece.breaks}
        made = example.speak(folder, [text], list(z), list(centroid), spec["sample_rate"] / spec["hop_samples"])
        return Said(np.stack(made[0][:2]), *made[0][2:])

    return Speaker(say, lambda mel, f0_hz: vocoder(mel[None], f0_hz[None])[0])


def _open_torch(folder: Path, centroid: np.ndarray) -> Speaker:
    torch = need("torch", "parity")
    from prosody_vae.export import torch_model

    voice, vocoder = torch_model.load(folder)

    def vocode(mel: np.ndarray, f0_hz: np.ndarray) -> np.ndarray:
        return vocoder(torch.tensor(mel[None]), torch.tensor(f0_hz[None])).numpy()[0]

    def say(piece: TextPiece, z: np.ndarray) -> Said:
        text = torch.tensor(piece.phonemes[None]), torch.tensor(piece.breaks[None])
        mask = torch.ones((1, len(piece.phonemes)), dtype=torch.bool)
        mel, plan = voice(*text, mask, torch.tensor(z[None]), torch.tensor(centroid[None]))
        f0_hz = vocoder.read_f0(mel)
        lengths = np.concatenate([plan.durations.numpy(), plan.pauses.numpy()])
        return Said(lengths, mel.numpy()[0], f0_hz.numpy()[0], vocoder(mel, f0_hz).numpy()[0])

    return Speaker(say, vocode)


OPEN: dict[str, Callable[[Path, np.ndarray], Speaker]] = {
    "voice": _open_onnx,
    "voice_stablehlo": _open_stablehlo,
    "voice_torch": _open_torch,
}
RUNTIMES = {"voice": "onnx", "sherpa": "onnx", "voice_stablehlo": "stablehlo", "voice_torch": "torch"}


FORMATS = {
    "onnx": ("voice", "prosody_vae.export.onnx_folder:onnx_files"),
    "stablehlo": ("voice_stablehlo", "prosody_vae.export.stablehlo:stablehlo_files"),
    "torch": ("voice_torch", "prosody_vae.export.torch_folder:torch_files"),
}


def writer_of(name: str) -> tuple[str, Files]:
    """The kind of a format's folders, and what makes their files.

    Raises:
      UserError: what it is made with is not installed.
    """
    if name == "onnx":
        need("onnx", "onnx")
    kind, where = FORMATS[name]
    module, _, function = where.partition(":")
    return kind, getattr(importlib.import_module(module), function)


def runs_here(kind: str) -> bool:
    """Whether the runtime of a kind of folder is installed."""
    return bool(installed([RUNTIMES[kind]]))


def check_bundle(bundle: Bundle, voice_of: Bundle) -> list[Row]:
    """A voice in every runtime that is installed, against JAX, with embeddings drawn at random.

    Raises:
      UserError: one of them is not the same model.
    """
    drawn = np.random.default_rng(0).standard_normal((2, bundle.config[KIND]["latent"])).astype(np.float32)
    styles: Styles = dict(zip(("one", "other"), drawn, strict=True))
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for name in installed(FORMATS):
            kind, write = writer_of(name)
            folder = write_export(Path(work) / kind, kind, write(bundle, voice_of, styles, SENTENCES), {})
            rows.append(check_voice(Export(kind, {}, folder), bundle, voice_of))
    return rows


def check_voice(export: Export, bundle: Bundle, voice_of: Bundle) -> Row:
    """An export of a voice against JAX; the worst of its sentences, and of the first under the last style.

    Args:
      export: what was exported.
      bundle: of kind "prosody_vae", of which it was made.
      voice_of: the vocoder's.

    Raises:
      UserError: it is not the same model.
    """
    voices = _read(export.folder, "voices")
    texts = [item["text"] for item in _read(export.folder, "sentences")] if export.kind != "sherpa" else SENTENCES
    pieces = [piece for text in texts for piece in cut_text(text)]
    styles = {name: np.array(z, np.float32) for name, z in _read(export.folder, "styles").items()}
    centroid = np.array(next(iter(voices.values()))["centroid"], np.float32)
    own, (first, *_) = reference(bundle, voice_of, centroid), styles.values()
    cases = [*((piece, first) for piece in pieces), (pieces[0], list(styles.values())[-1])]
    wanted = [own.say(*case) for case in cases]
    if export.kind == "sherpa":
        measured = _sherpa(export.folder, cases, wanted, bundle.spec.sample_rate, list(styles.values()))
    else:
        speaker = OPEN[export.kind](export.folder, centroid)
        measured = [_compared(said, speaker, *case) for said, case in zip(wanted, cases, strict=True)]
    runtime = OF_TRANSFER[RUNTIMES[export.kind]]
    nothing = float("nan")
    row = Row(
        runtime="jax.export" if runtime.package == "jax" else runtime.package,
        version=importlib.metadata.version(runtime.package),
        megabytes=sum(file.stat().st_size for file in export.folder.glob(runtime.models)) / 1e6,
        nats=max(m[0] for m in measured),
        decibel=min(m[1] for m in measured),
        cents=max(m[2] for m in measured),
        rtf=nothing,
        cold_s=nothing,
    )
    row.check(export.folder)
    return row


def _compared(wanted: Said, speaker: Speaker, piece: TextPiece, z: np.ndarray) -> tuple[float, float, float]:
    """Nats, decibel and cents; infinitely far where the plan is another."""
    made = speaker.say(piece, z)
    if not np.array_equal(made.lengths, wanted.lengths):
        return float("inf"), float("-inf"), float("inf")
    samples = speaker.vocode(wanted.mel, wanted.f0_hz)
    return nats(wanted.mel, made.mel), decibel(wanted.samples, samples), cents(wanted.f0_hz, made.f0_hz)


def _sherpa(
    folder: Path, cases: Sequence, wanted: Sequence[Said], rate: int, styles: Sequence[np.ndarray]
) -> list[tuple[float, float, float]]:
    run, one, found = open_model(folder / "model.onnx"), np.ones(1, np.float32), []
    scales = {"noise_scale": one, "length_scale": one, "noise_scale_w": one}
    for (piece, z), said in zip(cases, wanted, strict=True):
        ids = token_ids(piece)[None]
        sid = next(i for i, style in enumerate(styles) if style is z)
        samples = run(x=ids, x_length=np.array([ids.shape[1]]), sid=np.array([sid]), **scales)["y"][0, 0]
        heard = slice(0, round(HEARD_S * rate))
        same = len(samples) == len(said.samples)
        level = decibel(said.samples[heard], samples[heard]) if same else float("-inf")
        found.append((float("nan"), level, float("nan")))
    return found


def _read(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())
