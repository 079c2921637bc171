"""onnxruntime-web as it ships with the package: three files of the npm package, version 1.30.0, and their licence.

The WebAssembly is kept packed (xz, 2 MB of 14) and unpacked when a site is written. To take another version: `npm pack
onnxruntime-web@VERSION`, put its three files of dist/ into runtime/, the last through `xz -9e`, and their hashes here.
"""

import hashlib
import lzma
from pathlib import Path

from copycat_jax.errors import UserError

FOLDER = Path(__file__).parent / "runtime"
HASHES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}


def runtime_files(folder: Path = FOLDER) -> dict[str, bytes]:
    """The files by name, the licence among them; raises UserError where one is missing or not what was published."""
    files = {"LICENSE": _content(folder / "LICENSE")}
    for name, known in HASHES.items():
        packed = folder / f"{name}.xz"
        try:
            content = lzma.decompress(_content(packed)) if packed.exists() else _content(folder / name)
        except lzma.LZMAError:
            raise UserError("is damaged", str(packed), "Install the package again.") from None
        if hashlib.sha256(content).hexdigest() != known:
            raise UserError(f"is not the published {name}", str(folder / name), "Install the package again.")
        files[name] = content
    return files


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"is missing ({error.strerror})", str(path), "Install the package again.") from None
