"""Weights of others without PyTorch: safetensors, and a restricted reader of PyTorch's own files.

Unpickling runs whatever a file asks for, so this reader answers to seven names (an ordered dictionary, storages and
the functions that make tensors of them) and refuses the file at any other.
"""

import collections
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from copycat_jax.errors import UserError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
# A view with stride zero may be far larger than its storage; no weights are larger than this.
_MOST_ELEMENTS = 1 << 30

_DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}


class _Refused(Exception):
    """What the file asked for and does not get."""


class _StorageType(NamedTuple):
    dtype: str


class _Storage(NamedTuple):
    """Where a storage's numbers lie in the file; they are read once the pickle is."""

    dtype: str
    key: str
    count: int
    offset: int


class _Tensor(NamedTuple):
    """A view of a storage, not yet read."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Known:
    """A callable that a pickle may call, and whose attributes it cannot set."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable):
        object.__setattr__(self, "_call", call)

    def __call__(self, *args):
        return self._call(*args)

    def __setattr__(self, name: str, value: object):
        raise _Refused(f"sets {name}")


def _make_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise _Refused("makes a tensor of something else than a storage")
    whole = all(type(n) is int and n >= 0 for n in (offset, *size, *stride))  # type: ignore[misc]
    if not whole or len(size) != len(stride):  # type: ignore[arg-type]
        raise _Refused("makes a tensor of an impossible shape")
    return _Tensor(storage, offset, tuple(size), tuple(stride))  # type: ignore[arg-type]


def _make_parameter(data: object, *_: object) -> object:
    return data


class _Unpickler(pickle.Unpickler):
    """Knows tensors and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Known(collections.OrderedDict)
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _Known(_make_tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Known(_make_parameter)
        if (module, name) == ("torch", "Size"):
            return _Known(tuple)
        if module in ("torch", "torch.cuda") and name in _DTYPES:
            return _StorageType(_DTYPES[name])
        raise _Refused(f"asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        if not (isinstance(pid, tuple) and len(pid) in (5, 6) and isinstance(pid[1], _StorageType)):
            raise _Refused("asks for an unknown kind of object")
        offset = 0
        if len(pid) == 6 and pid[5] is not None:  # a storage that is a view of another one (before PyTorch 0.4)
            offset = pid[5][1]
        return _Storage(pid[1].dtype, str(pid[2]), int(pid[4]), int(offset))


def read_weights(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a file of weights, by its ending .safetensors or PyTorch's (see `read_torch_checkpoint`).

    Returns:
      What was saved, tensors as arrays (bfloat16 as float32).

    Raises:
      UserError: the file is missing or damaged, or holds anything but tensors.
    """
    path = Path(path)
    if path.suffix.lower() != ".safetensors":
        return read_torch_checkpoint(path)
    import ml_dtypes  # NumPy knows bfloat16 from here on
    from safetensors.numpy import load_file

    try:
        read = load_file(path)
        return {n: np.asarray(v, np.float32) if v.dtype == ml_dtypes.bfloat16 else v for n, v in read.items()}
    except Exception as error:  # the header may name any type at all
        raise UserError(f"not a readable safetensors file ({error})", str(path), "Download it again.") from error


def read_torch_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a .pt, .pth or .pth.tar file (zip format, or the one before PyTorch 1.6) without PyTorch.

    Returns:
      What was saved: dictionaries, lists and numbers as they are, tensors as arrays (bfloat16 as float32).

    Raises:
      UserError: the file is missing or damaged, is no PyTorch file, or asks for anything but tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise UserError(what, str(path), "Give a PyTorch weight file.") from error
    except _Refused as error:
        raise UserError(
            f"refused: the file {error}, and weights hold nothing but tensors",
            str(path),
            "Do not load it anywhere; get the weights from their publisher.",
        ) from error
    except Exception as error:  # damaged or hostile bytes raise anything at all
        what = f"not a readable PyTorch file ({error or type(error).__name__})"
        raise UserError(what, str(path), "Download it again.") from error
    if not isinstance(content, dict):
        what = f"holds a {type(content).__name__}, not a dictionary of tensors"
        raise UserError(what, str(path), "Save a state_dict.")
    return content


def _read_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()):
            raise _Refused("is compressed")
        content = _Unpickler(io.BytesIO(archive.read(entries["data.pkl"]))).load()
        order = ">" if "byteorder" in entries and archive.read(entries["byteorder"]) == b"big" else "<"
        cache: dict[str, bytes] = {}

        def numbers(storage: _Storage) -> np.ndarray:
            if storage.key not in cache:
                cache[storage.key] = archive.read(entries[f"data/{storage.key}"])
            return _decode(cache[storage.key], storage.dtype, order)

        return _resolve(content, numbers)


def _read_legacy(file: BinaryIO) -> Any:
    file.seek(0)
    if _Unpickler(file).load() != _LEGACY_MAGIC or _Unpickler(file).load() != _LEGACY_PROTOCOL:
        raise ValueError("unknown format")
    order = "<" if _Unpickler(file).load()["little_endian"] else ">"
    content = _Unpickler(file).load()
    keys = [str(key) for key in _Unpickler(file).load()]
    types: dict[str, str] = {}

    def note_type(storage: _Storage) -> None:
        types[storage.key] = storage.dtype

    _resolve(content, note_type)
    data = {}
    for key in keys:
        (count,) = struct.unpack(f"{order}q", file.read(8))
        length = count * np.dtype(_stored(types[key])).itemsize
        data[key] = file.read(length)
        if count < 0 or len(data[key]) != length:
            raise EOFError("cut short")
    return _resolve(content, lambda storage: _decode(data[storage.key], storage.dtype, order))


def _stored(dtype: str) -> str:
    return "u2" if dtype == "bf16" else dtype


def _decode(data: bytes, dtype: str, order: str) -> np.ndarray:
    numbers = np.frombuffer(data, np.dtype(f"{order}{_stored(dtype)}"))
    if dtype == "bf16":
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(numbers.dtype.newbyteorder("="), copy=False)


def _resolve(value: Any, numbers: Callable[[_Storage], np.ndarray | None]) -> Any:
    """`value` with arrays in the place of its tensors; `numbers` gives a storage's contents (None: leave it)."""
    if isinstance(value, _Tensor):
        return _view(value, numbers(value.storage))
    if isinstance(value, _Storage):
        return _view(_Tensor(value, 0, (value.count,), (1,)), numbers(value))
    if isinstance(value, dict):
        return {_plain(key): _resolve(item, numbers) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_resolve(item, numbers) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bytes | int | float | bool | complex):
        return value
    raise _Refused(f"holds a {type(value).__name__.strip('_')} where a tensor should be")


def _view(tensor: _Tensor, numbers: np.ndarray | None) -> np.ndarray | None:
    if numbers is None:
        return None
    start = tensor.storage.offset + tensor.offset
    elements = int(np.prod(tensor.size, dtype=object))
    last = start + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
    if elements and (last >= len(numbers) or elements > _MOST_ELEMENTS):
        raise ValueError("a tensor reaches beyond its storage")
    if not elements:
        return np.zeros(tensor.size, numbers.dtype)
    strides = [step * numbers.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(numbers[start:], tensor.size, strides).copy()
