"""The files of a prosody space, written whole and opened without being read.

A space is a folder of plain files:

* `space.safetensors`: `mean` and `variance` float32 [n, Z], the posterior of every utterance; `features` float32
  [n, F], their names in space.json; where an encoder was given `sentence_vectors` float16 [n, V]; where a parser was,
  the syntactic distance vectors one after another: `distance_values` int16 [sum] and `distance_offsets` int64 [n + 1].
* `entries.jsonl`: a line per row, {"id", "speaker", "text"} as the corpus has them, and the bracketed "tree".
* `space.json`: `SpaceInfo`, and the names of the features.
* `manifest.json`: size and SHA-256 of each of these. What else lies in the folder (a learned selector) is not listed.

Opening maps the arrays and reads a line of text when it is asked for, so that millions of rows cost no memory. Sizes,
shapes and the finiteness of the means are checked always; hashes where the files together are below 256 MiB, in larger
spaces only if asked for.
"""

import dataclasses
import json
import mmap
import operator
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from copycat_jax.errors import UserError
from copycat_jax.files import check_replaceable_folder, file_hash, replacing_folder, write_json
from prosody_vae.space.table import FORMAT, Distances, ProsodySpace, SpaceInfo, check_rows

SHIPPED_SPACE = Path(__file__).parents[1] / "pretrained" / "space"
ARRAYS_FILE, ENTRIES_FILE, INFO_FILE, MANIFEST = "space.safetensors", "entries.jsonl", "space.json", "manifest.json"
MARKS = (INFO_FILE, MANIFEST)
HASHED_BYTES = 256 * 2**20  # up to this size the hashes are checked unasked
_BUILD = "Make one with `prosody build-space`."
_AGAIN = "Copy it again, or build it again."
_DTYPES = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "I16": np.dtype("<i2"), "I64": np.dtype("<i8")}


def shipped_space() -> Path:
    """The folder of the space that ships with the package; raises UserError if this installation has none."""
    if not (SHIPPED_SPACE / MANIFEST).is_file():
        raise UserError("this installation carries no prosody space", remedy="Give the folder of one (--space DIR).")
    return SHIPPED_SPACE


def write_space(path: str | Path, space: ProsodySpace) -> Path:
    """Writes a space into a temporary folder beside `path`, then renames it there; a space already there is replaced.

    Raises:
      UserError: `path` cannot be written or holds something else; a mean is not finite.
    """
    from safetensors.numpy import save_file

    path = Path(path)
    check_space_folder(path)
    check_rows(space.mean, space.ids, str(path))
    info = dataclasses.replace(space.info, latent=space.mean.shape[1], entries=len(space))
    names = list(space.features)
    arrays = {
        "mean": np.ascontiguousarray(space.mean, np.float32),
        "variance": np.ascontiguousarray(space.variance, np.float32),
        "features": np.array([space.features[n] for n in names], np.float32).reshape(len(names), len(space)).T.copy(),
    }
    if space.sentence_vectors is not None:
        arrays["sentence_vectors"] = np.ascontiguousarray(space.sentence_vectors, np.float16)
    if space.distances is not None:
        arrays["distance_values"] = np.ascontiguousarray(space.distances.values, np.int16)
        arrays["distance_offsets"] = np.ascontiguousarray(space.distances.offsets, np.int64)
    columns = {"id": space.ids, "speaker": space.speakers, "text": space.texts}
    columns |= {} if space.trees is None else {"tree": space.trees}
    with replacing_folder(path) as folder:
        save_file(arrays, str(folder / ARRAYS_FILE))
        (folder / ARRAYS_FILE).chmod(0o644)  # safetensors makes it private
        with (folder / ENTRIES_FILE).open("w", encoding="utf-8", newline="\n") as file:
            for row in zip(*columns.values(), strict=True):
                file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")
        write_json(folder / INFO_FILE, dataclasses.asdict(info) | {"features": names, "trees": "tree" in columns})
        manifest = {}
        for name in (ARRAYS_FILE, ENTRIES_FILE, INFO_FILE):
            manifest[name] = {"bytes": (folder / name).stat().st_size, "sha256": file_hash(folder / name)}
        write_json(folder / MANIFEST, manifest)
    return path


def open_space(path: str | Path, hashes: bool | None = None) -> ProsodySpace:
    """Opens a space, its arrays mapped from the file.

    Args:
      path: its folder.
      hashes: whether to compare the hashes of the files; None = where they are below HASHED_BYTES together.

    Raises:
      UserError: there is none; a file is missing or damaged; another format; a row that is not finite.
    """
    path = Path(path)
    where = str(path)
    if not path.is_dir():
        raise UserError("there is no such prosody space", where, _BUILD)
    if not all((path / mark).is_file() for mark in MARKS):
        raise UserError(f"not a prosody space (it has no {INFO_FILE} or {MANIFEST})", where, _BUILD)
    _check_files(path, hashes)
    try:
        fields = json.loads((path / INFO_FILE).read_bytes())
        if fields.get("format") != FORMAT:
            remedy = "Build it again with this version."
            raise UserError(f"format {fields.get('format')} of a prosody space, {FORMAT} is known", where, remedy)
        info = SpaceInfo(**{f.name: fields[f.name] for f in dataclasses.fields(SpaceInfo)})
        arrays, lines, names = _map_arrays(path / ARRAYS_FILE), _Lines(path / ENTRIES_FILE), fields["features"]
        if len(lines) != info.entries or arrays["mean"].shape != (info.entries, info.latent):
            raise ValueError("the number of rows")
        distances = None
        if "distance_values" in arrays:
            distances = Distances(arrays["distance_values"], arrays["distance_offsets"])
        space = ProsodySpace(
            info=info,
            ids=Column(lines, "id"),
            texts=Column(lines, "text"),
            speakers=Column(lines, "speaker"),
            mean=arrays["mean"],
            variance=arrays["variance"],
            features={name: arrays["features"][:, i] for i, name in enumerate(names)},
            sentence_vectors=arrays.get("sentence_vectors"),
            distances=distances,
            trees=Column(lines, "tree") if fields["trees"] else None,
            path=where,
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error) as error:
        raise UserError(f"damaged prosody space ({error})", where, _AGAIN) from None
    check_rows(space.mean, space.ids, where)
    return space


def check_space_folder(path: str | Path) -> None:
    """Raises UserError unless `path` is free, an empty folder, or a space that may be replaced."""
    check_replaceable_folder(path, MARKS, "prosody space")


class Column(Sequence[str]):
    """One field of the lines of `entries.jsonl`, read when asked for; as good as a tuple of strings."""

    def __init__(self, lines: "_Lines", name: str):
        self._lines, self._name = lines, name

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return self._lines.entry(range(len(self))[operator.index(index)])[self._name]

    def __iter__(self) -> Iterator[str]:
        return (self._lines.entry(i)[self._name] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} x {self._name}>"


class _Lines:
    """The lines of a mapped text file."""

    def __init__(self, path: Path):
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""
        ends, step = [], 2**24
        for start in range(0, len(self._map), step):
            block = np.frombuffer(self._map[start : start + step], np.uint8)
            ends.append(np.flatnonzero(block == ord("\n")) + start)
        self._ends = np.concatenate([[-1], *ends]).astype(np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def entry(self, index: int) -> dict[str, str]:
        return json.loads(self._map[self._ends[index] + 1 : self._ends[index + 1]])


def _check_files(path: Path, hashes: bool | None) -> None:
    """Sizes, and hashes if wanted, of the files that the manifest lists; raises UserError."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        listed = {name: (int(manifest[name]["bytes"]), str(manifest[name]["sha256"])) for name in manifest}
        missing = {ARRAYS_FILE, ENTRIES_FILE, INFO_FILE} - set(listed)
    except (ValueError, TypeError, KeyError):
        raise UserError(f"damaged prosody space ({MANIFEST} is not readable)", str(path), _AGAIN) from None
    hashes = sum(size for size, _ in listed.values()) < HASHED_BYTES if hashes is None else hashes
    for name, (size, digest) in {**dict.fromkeys(missing, (-1, "")), **listed}.items():
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise UserError(f"damaged prosody space ({name} is missing)", str(path), _AGAIN)
        if file.stat().st_size != size or (hashes and file_hash(file) != digest):
            raise UserError(f"damaged prosody space ({name} differs from the manifest)", str(path), _AGAIN)


def _map_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, mapped and not read; ValueError or KeyError if it is not one."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > path.stat().st_size:
            raise ValueError(f"the header of {path.name}")
        header = json.loads(file.read(length))
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            dtype, shape, at = _DTYPES[entry["dtype"]], tuple(entry["shape"]), 8 + length + entry["data_offsets"][0]
            arrays[name] = np.memmap(path, dtype, "r", at, shape) if all(shape) else np.zeros(shape, dtype)
    return arrays
