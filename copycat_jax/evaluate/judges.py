"""Pretrained models of others that judge: swift-f0 (melody), GE2E (voice), faster-whisper (words), DistillMOS (sound).

None of them took part in training, so training cannot have fitted their errors. Each is imported when first asked, runs
on one thread (clips are judged in parallel instead) and raises a UserError that names what to install. What a judge
said about a file is remembered in a folder by the file's content, so that references are judged once.

Of Resemblyzer the weights alone are used (`ge2e`). DistillMOS wants torch: an environment of its own may hold it.
"""

import contextlib
import hashlib
import importlib
import importlib.metadata
import json
import sys
import types
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from copycat_jax.audio import transcription
from copycat_jax.errors import UserError
from copycat_jax.files import user_cache_folder, write_text

INSTALL = {
    "webrtcvad": "pip install webrtcvad-wheels; pip install --no-deps resemblyzer==0.1.4",
    "swift_f0": "pip install 'copycat-jax[eval]'",
    "distillmos": "pip install torch transformers; pip install --no-deps distillmos==0.9.1 xls-r-sqa==0.1.0",
    "resemblyzer": "pip install webrtcvad-wheels; pip install --no-deps resemblyzer==0.1.4",
}
JUDGES = ("f0", "voice", "words", "naturalness")
# Judge -> its package, and how it is asked: with the version that is installed, the key of its answers.
PACKAGES = {
    "f0": ("swift-f0", "confidence > 0.5"),
    "voice": ("resemblyzer", ""),
    "words": ("faster-whisper", "beam 5"),
    "naturalness": ("distillmos", ""),
}
_MOS_RATE_HZ = 16000

Samples: TypeAlias = Float[np.ndarray, "N"]


class Pitch(NamedTuple):
    """A tracked curve: times in seconds and F0 in Hz (0 = unvoiced) of equal length."""

    times_s: np.ndarray
    f0_hz: np.ndarray


def door(module: str) -> Any:
    """Imports a judge's package; raises UserError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"this measure needs {module} ({error})", remedy=f"Install it: {INSTALL[module]}") from None


def missing(judge: str) -> str:
    """Why a judge of `JUDGES` cannot be asked here, or an empty string."""
    from copycat_jax.evaluate import ge2e

    try:
        if judge == "words":
            transcription.package()
            transcription.default_folder()
        else:
            door({"f0": "swift_f0", "voice": "webrtcvad", "naturalness": "distillmos"}[judge])
            if judge == "voice":
                ge2e.weights_path()
    except UserError as error:
        return str(error)
    return ""


@cache
def _swift():
    return door("swift_f0").SwiftF0(threads=1, spin=False)


def track_pitch(samples: Samples, rate: int) -> Pitch:
    """F0 by swift-f0 at its own 16 ms times; voiced where its confidence exceeds 0.5.

    Args:
      samples: mono audio in [-1, 1], at least one frame of it.
      rate: sampling rate in Hz, any.
    """
    found = _swift().detect(np.asarray(samples, np.float32), rate)
    return Pitch(found.timestamps, np.where(found.confidence > 0.5, found.pitch_hz, 0.0))


def embed_voice(samples: Samples, rate: int) -> Float[np.ndarray, "256"]:
    """GE2E embedding of a recording, unit length; zeros where no speech is found, which count against a result.

    Raises:
      UserError: the package is missing.
    """
    from copycat_jax.evaluate import ge2e

    return ge2e.embed_voice(np.clip(np.asarray(samples, np.float32), -0.999, 0.999), rate)


@cache
def _distillmos():
    # It asks torchaudio for resampling alone, which is done here; torchaudio often fits no installed torch.
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError):
        for name in ("torchaudio", "torchaudio.transforms", "torchaudio.functional"):
            sys.modules[name] = types.ModuleType(name)
    package = door("distillmos")
    import torch

    torch.set_num_threads(1)
    with contextlib.redirect_stdout(sys.stderr):
        return package.ConvTransformerSQAModel().eval()


def rate_naturalness(samples: Samples, rate: int) -> float:
    """Mean opinion score, 1 to 5, by DistillMOS (Stahl and Gamper 2025)."""
    from copycat_jax.audio.signal import resample

    model = _distillmos()
    import torch

    with torch.no_grad():
        wav = torch.from_numpy(np.array(resample(samples, rate, _MOS_RATE_HZ), np.float32))
        return float(model(wav[None]).squeeze())


def plain_words(text: str) -> list[str]:
    """Words as spoken, for counting word errors: numbers and abbreviations written out, no case, no punctuation.

    Both sides of a comparison go through this, so that "1964" and "nineteen sixty-four" are the same words. Words that
    the normaliser refuses (a transcript may be any text, even an empty one) fall back to bare letters.
    """
    from copycat_jax.text.normalize import spoken_words

    try:
        spoken = [w if isinstance(w, str) else w.text for w in spoken_words(text)]
    except UserError:
        spoken = text.split()
    joined = " ".join(spoken).lower().replace("'", "").replace("\u2019", "").replace("-", " ")
    return "".join(c if c.isalnum() or c.isspace() else " " for c in joined).split()


@cache
def version_of(judge: str) -> str:
    """A judge's package with the version that is installed here, and how it is asked."""
    package, how = PACKAGES[judge]
    try:
        return f"{package} {importlib.metadata.version(package)} {how}".rstrip()
    except importlib.metadata.PackageNotFoundError:
        return f"{package} (not installed) {how}".rstrip()


class Memory:
    """What judges said about files, in a folder; keyed by a file's content and the judge (its version, its weights).

    Args:
      folder: where to keep it; made if absent. None = a folder of the user's cache.
    """

    def __init__(self, folder: str | Path | None = None):
        default = user_cache_folder() / "copycat_jax" / "judged"
        self.folder = Path(folder) if folder else default
        self.folder.mkdir(parents=True, exist_ok=True)
        self._keys: dict[Path, str] = {}

    def place(self, judge: str, path: str | Path) -> Path:
        """The file in which a judge's answer about a recording is, or will be; UserError without the recording."""
        path = Path(path)
        if path not in self._keys:
            if not path.is_file():
                raise UserError("no such file", str(path), "Check the manifest and --root.")
            self._keys[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        model = f"{(transcription.default_folder() / 'model.bin').stat().st_size}" if judge == "words" else ""
        key = hashlib.sha256(f"{version_of(judge)}{model}:{self._keys[path]}".encode()).hexdigest()[:24]
        return self.folder / f"{judge}-{key}.json"

    def recall(self, judge: str, path: str | Path) -> Any:
        """A remembered answer: Pitch, embedding float32 [256], or text; judged now if it never was."""
        place = self.place(judge, path)
        if not place.is_file():
            judge_file(judge, Path(path), place)
        said = json.loads(place.read_text())
        if judge == "f0":
            return Pitch(np.array(said["times_s"]), np.array(said["f0_hz"]))
        return np.array(said, np.float32) if judge == "voice" else said


def judge_file(judge: str, path: Path, place: Path) -> None:
    """Asks one judge about one file and writes the answer to `place`, whole or not at all."""
    from copycat_jax.audio.signal import read_audio

    audio = read_audio(path)
    if judge == "f0":
        pitch = track_pitch(audio.samples, audio.sample_rate)
        said: Any = {"times_s": np.round(pitch.times_s, 5).tolist(), "f0_hz": np.round(pitch.f0_hz, 3).tolist()}
    elif judge == "voice":
        said = [round(float(v), 7) for v in embed_voice(audio.samples, audio.sample_rate)]
    elif judge == "naturalness":
        said = rate_naturalness(audio.samples, audio.sample_rate)
    else:
        said = transcription.transcribe(audio.samples, audio.sample_rate)
    write_text(place, json.dumps(said))


def _work(task: tuple[str, Path, Path]) -> tuple[str, str]:
    try:
        judge_file(*task)
        return str(task[1]), ""
    except UserError as error:
        return str(task[1]), str(error)


def judge_all(tasks: Sequence[tuple[str, str | Path]], memory: Memory, jobs: int = 1) -> Iterator[tuple[str, str]]:
    """Asks judges about files, in `jobs` processes; what is remembered already is not asked again.

    Args:
      tasks: (judge, path) pairs, in any order, repeated or not.
      memory: where the answers go.
      jobs: processes; each loads the judges it is asked for.

    Yields:
      (path, why it failed or "") per answer that had to be found.
    """
    wanted: dict[Path, tuple[str, Path, Path]] = {}
    for judge, path in tasks:
        place = memory.place(judge, path)
        if not place.is_file():
            wanted[place] = (judge, Path(path), place)
    ordered = sorted(wanted.values(), key=lambda t: JUDGES.index(t[0]))
    if jobs <= 1 or len(ordered) <= 1:
        yield from map(_work, ordered)
        return
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_work, ordered, chunksize=2)
