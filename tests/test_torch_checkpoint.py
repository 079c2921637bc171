"""The restricted reader knows tensors and nothing else."""

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.torch_checkpoint import read_torch_checkpoint, read_weights

# The bytes that torch.save writes, spelled out: PyTorch itself is not needed here.
FALSE, STOP, PROTOCOL = b"\x89", b".", b"\x80\x02"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tup(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def tensor(key: str, kind: str, count: int, size, stride, offset: int = 0, legacy: bool = False) -> bytes:
    pid = tup(
        text("storage"), name("torch", kind), text(key), text("cuda:0"), integer(count), *([b"N"] if legacy else [])
    )
    shape = tup(*map(integer, size)), tup(*map(integer, stride))
    hooks = name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + tup(pid + b"Q", integer(offset), *shape, FALSE, hooks) + b"R"


def dictionary(items: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def write_zip(path: Path, body: bytes, storages: dict[str, bytes], compression=zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("weights/data.pkl", PROTOCOL + body + STOP)
        for key, data in storages.items():
            archive.writestr(f"weights/data/{key}", data)
    return path


def write_legacy(path: Path, body: bytes, storages: dict[str, tuple[int, bytes]]) -> Path:
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
    parts += [PROTOCOL + body + STOP, pickle.dumps(list(storages), 2)]
    parts += [struct.pack("<q", count) + data for count, data in storages.values()]
    path.write_bytes(b"".join(parts))
    return path


NUMBERS = np.arange(24, dtype=np.float32) / 8


def test_zip_with_views_halves_and_bfloat16(tmp_path):
    body = dictionary(
        {
            "whole": tensor("0", "FloatStorage", 24, (2, 3, 4), (12, 4, 1)),
            "turned": tensor("0", "FloatStorage", 24, (4, 6), (1, 4)),
            "part": tensor("0", "FloatStorage", 24, (3,), (2,), offset=5),
            "expanded": tensor("0", "FloatStorage", 24, (5, 2), (0, 1)),
            "scalar": tensor("1", "LongStorage", 1, (), ()),
            "half": tensor("2", "HalfStorage", 24, (24,), (1,)),
            "brain": tensor("3", "BFloat16Storage", 24, (24,), (1,)),
            "nested": dictionary({"steps": integer(7), "rate": b"G" + struct.pack(">d", 0.5)}),
        }
    )
    brain = (NUMBERS.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    storages = {
        "0": NUMBERS.tobytes(),
        "1": np.int64(9).tobytes(),
        "2": NUMBERS.astype(np.float16).tobytes(),
        "3": brain,
    }
    read = read_torch_checkpoint(write_zip(tmp_path / "w.pt", body, storages))
    np.testing.assert_array_equal(read["whole"], NUMBERS.reshape(2, 3, 4))
    np.testing.assert_array_equal(read["turned"], NUMBERS.reshape(6, 4).T)
    np.testing.assert_array_equal(read["part"], NUMBERS[[5, 7, 9]])
    np.testing.assert_array_equal(read["expanded"], np.tile(NUMBERS[:2], (5, 1)))
    np.testing.assert_array_equal(read["half"], NUMBERS.astype(np.float16))
    np.testing.assert_array_equal(read["brain"], NUMBERS)
    assert read["brain"].dtype == np.float32 and read["half"].dtype == np.float16
    assert read["scalar"] == 9 and read["nested"] == {"steps": 7, "rate": 0.5}


def test_legacy_file(tmp_path):
    body = dictionary(
        {
            "generator": dictionary({"a": tensor("94", "FloatStorage", 24, (6, 4), (4, 1), legacy=True)}),
            "step": integer(3),
        }
    )
    read = read_torch_checkpoint(write_legacy(tmp_path / "w.pth.tar", body, {"94": (24, NUMBERS.tobytes())}))
    np.testing.assert_array_equal(read["generator"]["a"], NUMBERS.reshape(6, 4))
    assert read["step"] == 3


class Malicious:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("layout", ["zip", "legacy", "plain"])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, layout):
    marker, path = tmp_path / "owned", tmp_path / "w.pt"
    evil = pickle.dumps({"weight": Malicious(marker)}, 2)[2:-1]
    if layout == "zip":
        write_zip(path, evil, {})
    elif layout == "legacy":
        write_legacy(path, evil, {})
    else:
        path.write_bytes(pickle.dumps(Malicious(marker)))
    with pytest.raises(UserError, match=r"refused: the file asks for \w+\.system"):
        read_torch_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "body",
    [
        dictionary({"a": name("builtins", "eval")}),
        dictionary({"a": name("torch", "load")}),
        dictionary({"a": name("collections", "OrderedDict")}),  # a class where a tensor should be
        dictionary({"a": name("torch._utils", "_rebuild_tensor_v2") + dictionary({"_call": integer(1)}) + b"b"}),
        dictionary(
            {"a": name("torch._utils", "_rebuild_tensor_v2") + tup(integer(1), integer(0), tup(), tup()) + b"R"}
        ),
        dictionary({"a": tensor("0", "FloatStorage", 24, (-1,), (1,))}),
    ],
)
def test_whatever_is_not_a_tensor_is_refused(tmp_path, body):
    with pytest.raises(UserError, match=r"w\.pt"):
        read_torch_checkpoint(write_zip(tmp_path / "w.pt", body, {"0": NUMBERS.tobytes()}))


@pytest.mark.parametrize("size, stride", [((25,), (1,)), ((2, 2), (23, 2)), ((1 << 20, 1 << 20), (0, 0))])
def test_views_beyond_their_storage_are_refused(tmp_path, size, stride):
    body = dictionary({"a": tensor("0", "FloatStorage", 24, size, stride)})
    with pytest.raises(UserError, match="beyond its storage"):
        read_torch_checkpoint(write_zip(tmp_path / "w.pt", body, {"0": NUMBERS.tobytes()}))


@pytest.mark.parametrize("kept", [0, 10, 60, 0.5, 0.97])
@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_damaged_files_are_refused(tmp_path, kept, layout):
    legacy = layout == "legacy"
    body = dictionary({"a": tensor("0", "FloatStorage", 24, (24,), (1,), legacy=legacy)})
    if legacy:
        path = write_legacy(tmp_path / "w.pt", body, {"0": (24, NUMBERS.tobytes())})
    else:
        path = write_zip(tmp_path / "w.pt", body, {"0": NUMBERS.tobytes()})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    with pytest.raises(UserError, match="not a readable PyTorch file"):
        read_torch_checkpoint(path)


def test_missing_file_and_foreign_content(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_torch_checkpoint(tmp_path / "missing.pt")
    (tmp_path / "words.pt").write_text("not weights at all")
    with pytest.raises(UserError, match="not a readable"):
        read_torch_checkpoint(tmp_path / "words.pt")
    with pytest.raises(UserError, match="is compressed"):
        read_torch_checkpoint(write_zip(tmp_path / "c.pt", dictionary({}), {"0": b"0" * 999}, zipfile.ZIP_DEFLATED))
    with pytest.raises(UserError, match="not a dictionary"):
        read_torch_checkpoint(write_zip(tmp_path / "l.pt", integer(1), {}))


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("F32", np.float32([1, -2]), [1, -2]),
        ("F16", np.float16([1, -2]), [1, -2]),
        ("BF16", np.uint16([0x3F80, 0xC000]), [1, -2]),
        ("I64", np.int64([1, -2]), [1, -2]),
        ("F8_E4M3", np.uint8([0, 0]), None),
        ("F31", np.uint8([0, 0]), None),
    ],
)
def test_safetensors_by_their_ending(tmp_path, kind, data, expected):
    header = json.dumps({"a": {"dtype": kind, "shape": [2], "data_offsets": [0, data.nbytes]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + data.tobytes())
    if expected is None:
        with pytest.raises(UserError, match="not a readable safetensors file"):
            read_weights(path)
    else:
        assert read_weights(path)["a"].tolist() == expected


@pytest.mark.parity
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_what_pytorch_writes(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    base = torch.randn(6, 5, 4)
    saved = {
        "base": base,
        "turned": base.transpose(0, 2),
        "sliced": base[1::2, :, 1:],
        "expanded": base[:1, 0, 0].expand(7),
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
        "long": torch.arange(5),
        "bool": base[0] > 0,
        "parameter": torch.nn.Parameter(base),
        "module": torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(3, 4, 5)).state_dict(),
        "optimizer": torch.optim.Adam([torch.nn.Parameter(base)], lr=0.1).state_dict(),
        "empty": torch.zeros(0, 3),
        "steps": 12,
    }
    torch.save(saved, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    read = read_torch_checkpoint(tmp_path / "w.pt")
    for key in saved.keys() - {"module", "optimizer", "steps"}:
        wanted = saved[key].detach().float().numpy() if key == "brain" else saved[key].detach().numpy()
        np.testing.assert_array_equal(read[key], wanted)
        assert read[key].dtype == wanted.dtype
    for key, value in saved["module"].items():
        np.testing.assert_array_equal(read["module"][key], value.numpy())
    assert read["steps"] == 12 and read["optimizer"]["param_groups"][0]["lr"] == 0.1
