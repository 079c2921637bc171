"""Whether an export is the same model: one recording through each runtime and through JAX, compared and timed.

Every runtime is four functions of arrays by name, as `stablehlo.programs` names them; what they make together is a
transfer of a prepared recording. Samples are compared for the mel and the F0 that JAX made: a phase is the sum of F0
over seconds, so that of two readings whose last bits differ the waves drift apart, and the sound is the same.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from copycat_jax.bundle.bundle import Bundle, Speaker
from copycat_jax.errors import UserError
from copycat_jax.export.folder import need
from copycat_jax.export.prepared import Prepared
from copycat_jax.export.session import open_model
from copycat_jax.export.stablehlo import Program, programs
from copycat_jax.source import register_ratio

NATS, DECIBEL, CENTS = 1e-4, 60.0, 0.1  # what every export must reach
Models = Mapping[str, Callable[..., np.ndarray]]


class Row(NamedTuple):
    """What was measured of one runtime; `nan` where it was not."""

    runtime: str
    version: str
    megabytes: float  # of the models' files
    nats: float  # largest difference of the mel
    decibel: float  # of the samples, signal to difference
    cents: float  # largest difference of F0; infinite where a frame is voiced in one of them alone
    rtf: float  # computing time of the whole transfer over the recording's, without alignment
    cold_s: float  # from the start of a process to its first samples

    @property
    def same(self) -> bool:
        """Whether it reaches the bars."""
        return not (self.nats > NATS or self.decibel < DECIBEL or self.cents > CENTS)

    def check(self, path: str | Path) -> None:
        """Raises UserError, which names the export's folder, unless it reaches them."""
        if not self.same:
            found = f"{self.nats:.1e} nats of mel, {self.decibel:.0f} dB of wave, {self.cents:.2g} cents"
            bars = f"It should be {NATS:g} nats at most, {DECIBEL:g} dB at least, {CENTS:g} cents at most."
            raise UserError(f"not the same model: {found}", str(path), bars)


class Transferred(NamedTuple):
    """What a transfer made on its way."""

    mel: np.ndarray  # [T, M]
    f0_hz: np.ndarray  # [T], heard in the source
    spoken_hz: np.ndarray  # [T], in the target's register
    samples: np.ndarray  # [T * hop]


def transfer(models: Models, prepared: Prepared, voice: Speaker) -> Transferred:
    """A recording in a voice."""
    mel = prepared.mel[None]
    mask = np.ones(mel.shape[:2], bool)
    ratio = np.array([register_ratio(float(prepared.register_hz), voice.register_hz, 0.0)], np.float32)
    made = models["transfer"](
        mel=mel,
        ratio=ratio,
        phonemes=prepared.phonemes[None],
        durations=prepared.durations[None],
        mask=mask,
        source=models["speaker"](mel=mel, mask=mask),
        target=np.array([voice.centroid], np.float32),
    )
    f0_hz = models["pitch"](mel=mel)
    spoken_hz = f0_hz * ratio[:, None]
    return Transferred(made[0], f0_hz[0], spoken_hz[0], models["vocoder"](mel=made, f0_hz=spoken_hz)[0])


def reference(bundle: Bundle, voice_of: Bundle) -> Models:
    """JAX itself, compiled for each length."""
    groups = {**bundle.params, "vocoder": voice_of.params["vocoder"]}

    def compiled(program: Program) -> Callable[..., np.ndarray]:
        run, params = jax.jit(program.run), jax.device_put(groups[program.group])
        return lambda **inputs: np.asarray(run(params, *(inputs[name] for name, *_ in program.inputs)))

    return {name: compiled(program) for name, program in programs(bundle, voice_of, "auto").items()}


def _open_onnx(folder: Path, threads: int) -> Models:
    def only_output(run: Callable, **inputs: np.ndarray) -> np.ndarray:
        return next(iter(run(**inputs).values()))

    names = ("transfer", "speaker", "pitch", "vocoder")
    return {name: partial(only_output, open_model(folder / f"{name}.onnx", threads)) for name in names}


def _open_stablehlo(folder: Path, threads: int) -> Models:
    del threads
    from copycat_jax.export import example_stablehlo as example

    opened = {name: example.open_program(folder, name) for name in ("transfer", "speaker", "pitch", "vocoder")}

    def heard(mel: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return opened["speaker"](*example.in_steps(folder, mel, mask))

    return {name: lambda r=run, **inputs: r(*inputs.values()) for name, run in opened.items()} | {"speaker": heard}


def _open_torch(folder: Path, threads: int) -> Models:
    torch = need("torch", "parity")
    from copycat_jax.export import torch_model

    if threads:
        torch.set_num_threads(threads)
    models = torch_model.load(folder)
    functions = {
        "transfer": models.copycat,
        "speaker": models.speaker,
        "pitch": models.vocoder.read_f0,
        "vocoder": models.vocoder,
    }

    def run(function: Callable, **inputs: np.ndarray) -> np.ndarray:
        return function(**{name: torch.from_numpy(np.array(x)) for name, x in inputs.items()}).numpy()

    return {name: partial(run, function) for name, function in functions.items()}


class Runtime(NamedTuple):
    """A runtime: the distribution that it is, how a folder of its exports is opened, and which files are models."""

    package: str
    open: Callable[[Path, int], Models]
    models: str


RUNTIMES = {
    "onnx": Runtime("onnxruntime", _open_onnx, "*.onnx"),
    "stablehlo": Runtime("jax", _open_stablehlo, "*.stablehlo"),
    "torch": Runtime("torch", _open_torch, "*.safetensors"),
}


def installed(kinds: Iterable[str] = RUNTIMES) -> list[str]:
    """Those of the kinds of exports whose runtime is here."""

    def here(package: str) -> bool:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return False
        return True

    return [kind for kind in kinds if here(RUNTIMES[kind].package)]


def measure(
    kind: str,
    folder: Path,
    wanted: Transferred,
    prepared: Prepared,
    voice: tuple[str, Speaker],
    seconds: float,
    repeats: int = 0,
    threads: int = 0,
) -> Row:
    """One export against what JAX made.

    Args:
      kind: of the export, a key of RUNTIMES.
      folder: where it lies.
      wanted: of `transfer` by `reference`.
      prepared: the recording.
      voice: the target's name, and what is known of it.
      seconds: the recording's length.
      repeats: timed transfers, of which the quickest counts; 0: none is timed.
      threads: of an operator; 0 leaves it to the runtime.
    """
    runtime = RUNTIMES[kind]
    models = runtime.open(folder, threads)
    made = transfer(models, prepared, voice[1])
    samples = models["vocoder"](mel=wanted.mel[None], f0_hz=wanted.spoken_hz[None])[0]
    sizes = sum(file.stat().st_size for file in folder.glob(runtime.models))
    return Row(
        runtime=runtime.package if kind != "stablehlo" else "jax.export",
        version=importlib.metadata.version(runtime.package),
        megabytes=sizes / 1e6,
        nats=nats(wanted.mel, made.mel),
        decibel=decibel(wanted.samples, samples),
        cents=cents(wanted.f0_hz, made.f0_hz),
        rtf=quickest(lambda: transfer(models, prepared, voice[1]), repeats) / seconds,
        cold_s=cold_start(folder, voice[0]) if repeats and (folder / "example.py").is_file() else float("nan"),
    )


def check_exports(
    folders: Mapping[str, Path],
    bundle: Bundle,
    voice_of: Bundle,
    prepared: Prepared,
    repeats: int = 0,
    threads: int = 0,
) -> list[Row]:
    """Every export, by its kind, against JAX; the first row is JAX's own.

    Raises:
      UserError: one of them is not the same model.
    """
    name = next(iter(bundle.speakers))
    voice, seconds = bundle.speakers[name], len(prepared.mel) * bundle.spec.hop_s
    own = reference(bundle, voice_of)
    wanted = transfer(own, prepared, voice)
    speed = quickest(lambda: transfer(own, prepared, voice), repeats) / seconds
    nothing = float("nan")
    rows = [
        Row("jax, this package", importlib.metadata.version("jax"), nothing, nothing, nothing, nothing, speed, nothing)
    ]
    for kind, folder in folders.items():
        row = measure(kind, folder, wanted, prepared, (name, voice), seconds, repeats, threads)
        rows.append(row)
        row.check(folder)
    return rows


def nats(wanted: Float[np.ndarray, "T M"], made: Float[np.ndarray, "K M"]) -> float:
    """The largest difference of two mels; infinite where one is no number, or of another length."""
    if wanted.shape != made.shape:
        return float("inf")
    return float(np.nan_to_num(np.abs(wanted - made), nan=np.inf).max(initial=0.0))


def decibel(wanted: Float[np.ndarray, " N"], made: Float[np.ndarray, " K"]) -> float:
    """Signal to difference; minus infinity where one is no number, or of another length."""
    if wanted.shape != made.shape or not np.isfinite(made).all():
        return float("-inf")
    signal, noise = (np.mean(np.square(np.asarray(x, np.float64))) for x in (wanted, wanted - made))
    return float(10 * np.log10(signal / max(noise, 1e-30)))


def cents(wanted: Float[np.ndarray, " T"], made: Float[np.ndarray, " T"]) -> float:
    """The largest difference of two F0 curves, 0 where unvoiced; infinite where one of them alone is voiced."""
    voiced = wanted > 0
    if not np.array_equal(voiced, made > 0):
        return float("inf")
    return float(np.abs(1200 * np.log2(made[voiced] / wanted[voiced])).max(initial=0.0))


def quickest(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest of some runs, NaN for none."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times, default=float("nan"))


def cold_start(folder: Path, voice: str) -> float:
    """Seconds from the start of a process to the end of a folder's example: imports, loading, one transfer, a file."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, str(folder / "example.py"), str(folder / "source.npz"), voice, f"{out}/x.wav"]
        return quickest(lambda: subprocess.run(command, check=True, capture_output=True), 2)


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""

    def shown(value: float, form: str) -> str:
        return "" if np.isnan(value) else format(value, form)

    lines = [
        "| runtime | version | MB | mel, nats | wave, dB | F0, cents | RTF | cold start, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        numbers = shown(r.megabytes, ".1f"), shown(r.nats, ".1e"), shown(r.decibel, ".0f"), shown(r.cents, ".1g")
        numbers += shown(r.rtf, ".3f"), shown(r.cold_s, ".2f")
        lines.append(f"| {r.runtime} | {r.version} | {' | '.join(numbers)} |")
    return "\n".join(lines)
