"""Bundles: the durable, self-sufficient form of a trained model.

A bundle is a folder of plain files: weights as safetensors (float16, keys = parameter paths joined with "/"), the
configuration with a `kind`, the mel convention, the phoneme inventory, the speakers, a model card, and a manifest with
the SHA-256 of every other file. Nothing in it is executed or imported: `kind` is looked up in `KINDS`, and a path to
code is never read from a file.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copycat_jax.audio.pitch import TRACKERS, VOCODER
from copycat_jax.bundle.shapes import check_group
from copycat_jax.errors import UserError
from copycat_jax.files import check_replaceable_folder, hashed_content, json_text, replacing_folder
from copycat_jax.mel_spec import MelSpec
from copycat_jax.text.phonemes import INVENTORY

SHIPPED_BUNDLE = Path(__file__).parents[1] / "pretrained" / "copycat"
FORMAT = 1
# Kind of a bundle -> its groups of parameters; each has a file GROUP.safetensors and a section of config.json.
KINDS = {
    "copycat": ("copycat", "speaker"),
    "baseline": ("baseline", "speaker"),
    "speaker": ("speaker",),
    "prosody_vae": ("prosody_vae",),
    "vocoder": ("vocoder",),
}
PLAIN_FILES = ("config.json", "mel.json", "phonemes.txt", "speakers.json", "MODEL_CARD.md")
_FIELDS = ("format", "kind")  # of config.json, beside a section for each group
_AGAIN = "Copy or export the bundle again."


class Speaker(NamedTuple):
    """What a bundle knows of one voice: where it lies in the speaker space, and where it speaks.

    `register_hz` is the geometric mean of voiced F0 over the recordings, `spread_semitones` its standard deviation;
    `tracker`, of `audio.pitch`, or its VOCODER measured them; "none" where they were given.
    """

    centroid: tuple[float, ...]
    register_hz: float
    spread_semitones: float
    utterances: int
    seconds: float
    tracker: str = TRACKERS[0]  # bundles that do not say were made with it


class Bundle(NamedTuple):
    """A bundle in memory: float32 parameters by group, plain configurations, and what they presuppose."""

    kind: str
    params: dict[str, dict[str, Any]]
    config: dict[str, dict[str, Any]]
    spec: MelSpec
    speakers: dict[str, Speaker]
    card: str
    fingerprint: str  # SHA-256 of the manifest: names this very bundle


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """A nested dictionary of arrays as {path joined with "/": array}, in sorted order."""
    flat: dict[str, np.ndarray] = {}
    for key in sorted(tree):
        path = f"{prefix}/{key}" if prefix else str(key)
        value = tree[key]
        flat.update(flatten(value, path) if isinstance(value, Mapping) else {path: np.asarray(value)})
    return flat


def unflatten(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Inverts `flatten`."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *folders, leaf = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    return tree


def write_bundle(
    path: str | Path,
    kind: str,
    params: Mapping[str, Mapping[str, Any]],
    config: Mapping[str, Mapping[str, Any]],
    spec: MelSpec,
    speakers: Mapping[str, Speaker | Mapping[str, Any]],
    card: str,
) -> Path:
    """Writes a bundle into a temporary folder beside `path`, then renames it there.

    Args:
      path: the folder to make; a bundle that is already there is replaced, anything else is not.
      kind: a key of KINDS.
      params: {group: nested dictionary of arrays}; stored as float16, so values must be finite and below 65504.
      config: {group: JSON-ready fields}.
      spec: the mel convention of the models.
      speakers: {name: Speaker or its fields}; may be empty for a kind that has none.
      card: MODEL_CARD.md.

    Raises:
      UserError: `path` cannot be written or holds something else; a weight does not fit float16.
    """
    path = Path(path)
    groups = KINDS[kind]
    if set(params) != set(groups) or set(config) != set(groups):
        raise ValueError(f"a bundle of kind '{kind}' has groups {groups}, not {sorted(params)} and {sorted(config)}")
    check_replaceable(path)
    voices = speakers_to_dict({n: s if isinstance(s, Speaker) else Speaker(**s) for n, s in speakers.items()})
    fields = {"format": FORMAT, "kind": kind} | {group: dict(config[group]) for group in groups}
    values = {"config.json": fields, "mel.json": spec.to_dict(), "speakers.json": voices}
    files = {name: json_text(value).encode() for name, value in values.items()}
    files["phonemes.txt"] = "".join(f"{symbol}\n" for symbol in INVENTORY).encode()
    files["MODEL_CARD.md"] = card.encode()
    for group in groups:
        files[f"{group}.safetensors"] = _encode(params[group], group)
    hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    files["manifest.json"] = json_text(hashes).encode()
    with replacing_folder(path) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return path


def check_replaceable(path: str | Path) -> None:
    """Raises UserError unless `path` is free, an empty folder, or a bundle that may be replaced."""
    check_replaceable_folder(path, ("manifest.json", "config.json"), "bundle")


def shipped() -> Path:
    """The folder of the bundle that ships with the package; raises UserError if this installation has none."""
    if not (SHIPPED_BUNDLE / "manifest.json").is_file():
        raise UserError("this installation carries no trained bundle", remedy="Give the folder of one (--bundle DIR).")
    return SHIPPED_BUNDLE


def read_bundle(path: str | Path, kind: str | None = None) -> Bundle:
    """Reads and verifies a bundle; parameters come back as float32.

    Args:
      path: the bundle's folder.
      kind: the kind it must be; any kind of KINDS if None.

    Raises:
      UserError: there is none; a file is missing, differs from the manifest or belongs to no bundle; another kind,
        format or inventory; a field that is not known; weights or centroids that do not fit the configuration.
    """
    path = Path(path)
    where = str(path)
    if not path.is_dir():
        raise UserError("there is no such bundle", where, "Give the folder that `export` wrote.")
    if not (path / "manifest.json").is_file():
        raise UserError("not a bundle (it has no manifest.json)", where, "Give the folder that `export` wrote.")
    manifest_bytes = (path / "manifest.json").read_bytes()
    manifest = _parse(manifest_bytes, where, "manifest.json")
    files = {name: hashed_content(path, name, digest, "bundle", _AGAIN) for name, digest in manifest.items()}
    for name in PLAIN_FILES:
        if name not in files:
            raise UserError(f"corrupt bundle: the manifest does not list {name}", where, _AGAIN)
    config = _parse(files["config.json"], where, "config.json")
    found = config.get("kind")
    if config.get("format") != FORMAT:
        what = f"a bundle of format {config.get('format')}, this version reads {FORMAT}"
        raise UserError(what, where, "Use the version that wrote it, or export it again.")
    if found not in KINDS:
        raise UserError(f"foreign bundle: kind '{found}'", where, f"Known: {', '.join(KINDS)}.")
    groups = KINDS[found]
    strange = set(files) - {*PLAIN_FILES, *(f"{g}.safetensors" for g in groups)} or set(config) - {*_FIELDS, *groups}
    if strange:
        raise UserError(f"foreign bundle: '{min(strange)}' belongs to no bundle of kind '{found}'", where, _AGAIN)
    if kind is not None and found != kind:
        raise UserError(f"a bundle of kind '{found}', not '{kind}'", where, f"Give a bundle of kind '{kind}'.")
    if tuple(files["phonemes.txt"].decode(errors="replace").split()) != INVENTORY:
        raise UserError("its phoneme inventory is not this version's", where, "Export it with this version.")
    params, fields, spec = {}, {}, _spec(_parse(files["mel.json"], where, "mel.json"), where)
    speakers = _speakers(_parse(files["speakers.json"], where, "speakers.json"), where)
    for group in groups:
        if f"{group}.safetensors" not in files or not isinstance(config.get(group), dict):
            raise UserError(f"corrupt bundle: group '{group}' is missing", where, _AGAIN)
        arrays, fields[group] = _decode(files[f"{group}.safetensors"], where, group), config[group]
        try:
            model = check_group(group, fields[group], arrays, spec)
        except UserError as error:
            raise UserError(f"corrupt bundle: {error}", where, _AGAIN) from None
        _check_centroids(speakers, getattr(model, "embedding", None), where)
        params[group] = unflatten(arrays)
    return Bundle(
        kind=found,
        params=params,
        config=fields,
        spec=spec,
        speakers=speakers,
        card=files["MODEL_CARD.md"].decode(errors="replace"),
        fingerprint=hashlib.sha256(manifest_bytes).hexdigest(),
    )


def read_speakers(path: str | Path) -> dict[str, Speaker]:
    """The voices of a bundle, verified, without its weights being decoded; raises UserError like `read_bundle`."""
    path = Path(path)
    if not (path / "manifest.json").is_file():
        raise UserError("not a bundle (it has no manifest.json)", str(path), "Give the folder that `export` wrote.")
    manifest = _parse((path / "manifest.json").read_bytes(), str(path), "manifest.json")
    content = hashed_content(path, "speakers.json", manifest.get("speakers.json", ""), "bundle", _AGAIN)
    return _speakers(_parse(content, str(path), "speakers.json"), str(path))


def speakers_to_dict(speakers: Mapping[str, Speaker]) -> dict[str, dict[str, Any]]:
    """Speakers as JSON has them."""
    return {
        name: {
            "centroid": [float(v) for v in speaker.centroid],
            "register_hz": float(speaker.register_hz),
            "spread_semitones": float(speaker.spread_semitones),
            "utterances": int(speaker.utterances),
            "seconds": float(speaker.seconds),
            "tracker": speaker.tracker,
        }
        for name, speaker in speakers.items()
    }


def _parse(content: bytes, where: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(f"corrupt bundle: {name} is not readable", where, _AGAIN)
    return value


def _encode(tree: Mapping[str, Any], group: str) -> bytes:
    from safetensors.numpy import save

    flat = {}
    for name, value in flatten(tree).items():
        wide = np.asarray(value, np.float32)
        if not np.all(np.abs(wide) <= np.finfo(np.float16).max):  # also false for NaN
            raise UserError(
                f"weight {group}/{name} is not finite or above 65504", remedy="Export an earlier checkpoint."
            )
        flat[name] = np.ascontiguousarray(wide.astype(np.float16))
    return save(flat)


def _decode(content: bytes, where: str, group: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return {name: value.astype(np.float32) for name, value in load(content).items()}
    except (SafetensorError, KeyError, TypeError, AttributeError):  # its header may name any type at all
        raise UserError(f"corrupt bundle: {group}.safetensors is not readable", where, _AGAIN) from None


def _spec(fields: dict[str, Any], where: str) -> MelSpec:
    """The mel convention, whose numbers must be such as a convention can have."""
    spec = MelSpec.from_dict(fields)
    whole = (spec.sample_rate, spec.fft_samples, spec.window_samples, spec.hop_samples, spec.mel_bins)
    sound = isinstance(spec.name, str) and all(type(number) is int and 0 < number < 2**20 for number in whole)
    real = (spec.fmin_hz, spec.fmax_hz, spec.floor)
    sound = sound and all(isinstance(number, int | float) and math.isfinite(number) for number in real)
    if not sound or not (spec.floor > 0 and 0 <= spec.fmin_hz < spec.fmax_hz):
        raise UserError("corrupt bundle: mel.json holds no mel convention", where, _AGAIN)
    return spec


def _check_centroids(speakers: Mapping[str, Speaker], width: int | None, where: str) -> None:
    """Raises UserError unless every centroid has the width that the model's speaker vectors have."""
    for name, speaker in speakers.items():
        if width is not None and len(speaker.centroid) != width:
            what = f"corrupt bundle: the centroid of '{name}' has {len(speaker.centroid)} numbers, not {width}"
            raise UserError(what, where, _AGAIN)


def _speakers(fields: dict[str, Any], where: str) -> dict[str, Speaker]:
    speakers = {}
    for name, values in fields.items():
        try:
            centroid = tuple(float(v) for v in values["centroid"])
            speaker = Speaker(**(values | {"centroid": centroid}))
            sound = all(map(math.isfinite, (*centroid, speaker.register_hz))) and speaker.register_hz > 0
            sound = sound and speaker.tracker in (*TRACKERS, VOCODER)
        except (TypeError, ValueError, KeyError):
            sound, speaker = False, None
        if not sound or speaker is None:
            raise UserError(f"corrupt bundle: speaker '{name}' is not readable", where, _AGAIN)
        speakers[name] = speaker
    return speakers
