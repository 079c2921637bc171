import shutil

import pytest

from copycat_jax.errors import UserError
from prosody_vae.web.runtime import FOLDER, HASHES, runtime_files


def test_the_runtime_is_the_published_one_with_its_licence():
    files = runtime_files()
    assert set(files) == {*HASHES, "LICENSE"} and b"Microsoft" in files["LICENSE"]
    assert files["ort-wasm-simd-threaded.wasm"][:4] == b"\0asm" and b"v1.30.0" in files["ort.wasm.min.mjs"][:200]


def test_a_runtime_that_is_another_is_refused(tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "runtime")
    (folder / "ort.wasm.min.mjs").write_bytes(b"//" + (folder / "ort.wasm.min.mjs").read_bytes())
    with pytest.raises(UserError, match=r"is not the published ort\.wasm\.min\.mjs"):
        runtime_files(folder)
    (folder / "ort.wasm.min.mjs").unlink()
    with pytest.raises(UserError, match="is missing"):
        runtime_files(folder)
