"""The slow part of a corpus, done once: decode, trim, align, features of one utterance, kept by the hash of its input.

The key is the SHA-256 of the recording's bytes, its text, its alignment's bytes, the options and FEATURE_VERSION; id
and speaker are not part of it. Entries appear under their name only when complete (written aside, then renamed), so a
build that is killed at any moment goes on where it stopped, and one cache may serve several builds at once. What is
wrong with a recording is kept too.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from copycat_jax.audio.decode import Unequipped
from copycat_jax.audio.pitch import TRACKERS
from copycat_jax.corpus import beam
from copycat_jax.corpus.readers import Raw
from copycat_jax.corpus.utterance import ARRAYS, Utterance
from copycat_jax.errors import UserError, nearest
from copycat_jax.files import Refused, refusals_of, replacing_file
from copycat_jax.mel_spec import HIFIGAN, MelSpec
from copycat_jax.text.phonemes import to_ids
from copycat_jax.workers import spread

FEATURE_VERSION = 4  # count up whenever the same input would give other values; further fields are noticed without it
CLIPPED_SHARE = 1e-3  # of the samples in flat or full-scale runs of three or more


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """What, beside the recording and its text, decides an utterance's features.

    Attributes:
      spec: the mel convention.
      f0: a tracker of audio.pitch.
      audio: keep the sound itself too, as 16-bit samples (for a vocoder).
      audio_only: no text and no alignment; the whole utterance is one silence phone (for the speaker classifier).
      lexicon: path of a custom pronunciation lexicon, or empty.
    """

    spec: MelSpec = HIFIGAN
    f0: str = "pyin"
    audio: bool = False
    audio_only: bool = False
    lexicon: str = ""

    def digest(self) -> bytes:
        """Hash of the options, the lexicon's content included."""
        lexicon = hashlib.sha256(Path(self.lexicon).read_bytes()).hexdigest() if self.lexicon else ""
        fields = [FEATURE_VERSION, self.spec.to_dict(), self.f0, self.audio_only, lexicon, *["audio"] * self.audio]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()


class Limits(NamedTuple):
    """Shortest and longest utterance to keep, in seconds after trimming."""

    min_s: float = 0.3
    max_s: float = 10.0


class CacheOutcome(NamedTuple):
    """What became of one raw utterance: "computed", "cached", "bad" or "length" (outside the limits)."""

    status: str
    key: str = ""
    reason: str = ""


class _OutsideLimits(UserError):
    """Not a fault of the recording, and not kept: other limits may come."""


class Cache:
    """A folder of features by key; see the module's docstring."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def features_path(self, key: str) -> Path:
        """Where the features of `key` are, or would be."""
        return self.folder / key[:2] / f"{key}.npz"

    def _reason_path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.bad"

    def load(self, key: str, names: Sequence[str] = tuple(ARRAYS)) -> dict[str, np.ndarray] | None:
        """The arrays stored under `key`; None where nothing whole is: never made, lost by a disk, of fewer fields."""
        try:
            with np.load(self.features_path(key), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in names} if ARRAYS.keys() <= set(arrays.files) else None
        except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def frames(self, key: str) -> int | None:
        """Number of frames stored under `key`, or None where nothing is."""
        found = self.load(key, ("energy",))
        return None if found is None else len(found["energy"])

    def reason(self, key: str) -> str | None:
        """Why the recording of `key` is bad, or None where nothing is known against it."""
        try:
            return self._reason_path(key).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def store(self, key: str, features: dict[str, np.ndarray]) -> None:
        """Keeps `features`, atomically."""
        with self._replacing(self.features_path(key)) as temporary, temporary.open("wb") as file:
            np.savez(file, **features)  # type: ignore[arg-type]

    def store_reason(self, key: str, reason: str) -> None:
        """Remembers why a recording is bad, atomically."""
        with self._replacing(self._reason_path(key)) as temporary:
            temporary.write_text(reason, encoding="utf-8")

    @contextlib.contextmanager
    def _replacing(self, path: Path) -> Iterator[Path]:
        with refusals_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(path) as temporary:
            yield temporary


def read_cached(cache: Cache, key: str, utterance_id: str, speaker: str, text: str) -> Utterance:
    """The stored features of `key` with the utterance's own id, speaker and text; UserError if they have vanished."""
    features = cache.load(key)
    if features is None:
        raise UserError("a cached utterance has vanished", str(cache.features_path(key)), "Run the build again.")
    return Utterance(id=utterance_id, speaker=speaker, text=text, **features)


def check_options(options: FeatureOptions) -> None:
    """Raises UserError for options that no utterance could be processed with, before any worker starts."""
    from importlib.util import find_spec

    if options.f0 not in TRACKERS:
        raise UserError(
            f"unknown F0 tracker '{options.f0}'",
            "--f0",
            f"{nearest(options.f0, TRACKERS)} Known: {', '.join(TRACKERS)}.",
        )
    if options.f0 == "dio" and find_spec("pyworld") is None:
        raise UserError("the tracker 'dio' needs pyworld", "--f0", "Install the extra 'f0', or use pyin.")
    if options.lexicon:
        from copycat_jax.text.lexicon import read_lexicon

        read_lexicon(options.lexicon)


def process(raw: Raw, options: FeatureOptions, limits: Limits, cache: Cache) -> CacheOutcome:
    """Makes sure that the features of `raw` are in the cache, or says what is wrong with it.

    Raises:
      Refused: the cache, or a temporary file, cannot be written, which is no fault of the recording.
    """
    key = ""
    try:
        if raw.fault:
            raise UserError(raw.fault)
        if not raw.text and not options.audio_only:
            raise UserError("the text is missing", str(raw.path))
        key = _key(raw, options)
        frames = cache.frames(key)
        if frames is not None:
            _check_limits(frames / options.spec.frame_rate_hz, limits)
            return CacheOutcome("cached", key)
        if (reason := cache.reason(key)) is not None:
            return CacheOutcome("bad", key, reason)
        features = compute_features(raw, options, limits)
    except _OutsideLimits as error:
        return CacheOutcome("length", key, str(error))
    except Refused:
        raise
    except UserError as error:
        if key and not isinstance(error, Unequipped):
            cache.store_reason(key, str(error))
        return CacheOutcome("bad", key, str(error))
    except OSError:  # of the machine: the other recordings would not fare better
        raise
    except Exception as error:  # an odd file must not end the build; not kept, since the next version may know it
        return CacheOutcome("bad", key, str(UserError(f"{type(error).__name__}: {error}", str(raw.path))))
    cache.store(key, features)
    return CacheOutcome("computed", key)


def compute_features(raw: Raw, options: FeatureOptions, limits: Limits) -> dict[str, np.ndarray]:
    """Decodes, checks and analyses one recording.

    Raises:
      UserError: the recording is bad, or its text does not match it.
    """
    from copycat_jax.align.textgrid import read_textgrid
    from copycat_jax.analysis import analyse
    from copycat_jax.audio.signal import read_audio, trim_bounds

    audio = read_audio(raw.path)
    check_clipping(audio.samples, str(raw.path))
    start, stop = trim_bounds(*audio)
    _check_limits((stop - start) / audio.sample_rate, limits)  # before the work that they may spare
    known = not options.audio_only
    found = analyse(
        audio,
        options.spec,
        text=raw.text if known else None,
        alignment=read_textgrid(raw.alignment_path) if known and raw.alignment_path is not None else None,
        lexicon=_lexicon(options.lexicon, os.stat(options.lexicon).st_mtime_ns) if options.lexicon else None,
        tracker=options.f0,
        where=str(raw.path),
    )
    kept = found.samples[: len(found.mel) * options.spec.hop_samples * options.audio]
    sound = np.round(np.clip(kept * 32768.0, -32768, 32767))
    values = found._asdict() | {"phonemes": to_ids(found.phonemes), "samples": sound}
    return {name: np.asarray(values[name], dtype) for name, dtype in ARRAYS.items()}


def check_clipping(samples: Float[np.ndarray, " N"], where: str) -> None:
    """Raises UserError where more than CLIPPED_SHARE of the samples lie in runs of three or more at the limit.

    At the limit: at full scale, or exactly level within 2 % of the recording's own peak (clipped, then turned down).
    """
    size = np.abs(samples)
    peak = float(size.max())
    full = size >= 0.999
    level = (size >= max(0.98 * peak, 0.05)) & (np.diff(samples, prepend=np.nan) == 0)
    runs_of_three = full[2:] & full[1:-1] & full[:-2]
    # Two equal steps in a row are three equal samples.
    level_runs = level[1:] & level[:-1]
    share = max(runs_of_three.sum(), level_runs.sum()) / max(len(samples), 1)
    if share > CLIPPED_SHARE:
        raise UserError(f"{100 * share:.1f} % of the recording is clipped", where, "Record it at a lower level.")


def process_all(
    raws: Sequence[Raw], options: FeatureOptions, limits: Limits, cache: Cache, workers: int, beam_command: str = ""
) -> Generator[tuple[Raw, CacheOutcome], None, None]:
    """Runs `process` over `raws`, in order, in `workers` processes (0 or 1: in this one) or on a Beam runner.

    Raises:
      UserError: a worker died, or nothing can be written; what is done stays in the cache.
    """
    one = functools.partial(process, options=options, limits=limits, cache=cache)
    found = beam.spread(one, raws, beam_command, cache.folder) if beam_command else spread(one, raws, workers)
    with contextlib.closing(found) as outcomes:
        yield from zip(raws, outcomes, strict=True)


@functools.lru_cache(maxsize=1)
def _lexicon(path: str, changed_ns: int):
    from copycat_jax.text.lexicon import read_lexicon

    return read_lexicon(path)


def _key(raw: Raw, options: FeatureOptions) -> str:
    digest = hashlib.sha256(options.digest())
    paths = [raw.path] if raw.alignment_path is None or options.audio_only else [raw.path, raw.alignment_path]
    for path in paths:
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", str(path)) from error
    if not options.audio_only:
        digest.update((raw.text or "").encode())
    return digest.hexdigest()


def _check_limits(seconds: float, limits: Limits) -> None:
    if seconds > limits.max_s:
        raise _OutsideLimits(f"{seconds:.2f} s is longer than {limits.max_s:g} s")
    if seconds < limits.min_s:
        raise _OutsideLimits(f"{seconds:.2f} s is shorter than {limits.min_s:g} s")
