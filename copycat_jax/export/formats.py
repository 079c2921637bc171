"""All formats in which a CopyCat bundle leaves for other runtimes, by name; each is imported when it is asked for."""

import importlib
from collections.abc import Callable
from functools import partial

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.export.folder import need
from copycat_jax.export.prepared import Prepared

Files = Callable[[Bundle, Bundle, Prepared], dict[str, bytes]]
FORMATS = {
    "onnx": "copycat_jax.export.onnx_folder:onnx_files",
    "stablehlo": "copycat_jax.export.stablehlo:stablehlo_files",
    "torch": "copycat_jax.export.torch_folder:torch_files",
}


def writer_of(name: str, **options) -> Files:
    """What makes the files of a format from a bundle, its vocoder's and a recording for the example.

    Raises:
      UserError: what it is made with is not installed.
    """
    if name == "onnx":
        need("onnx", "onnx")
    module, _, function = FORMATS[name].partition(":")
    return partial(getattr(importlib.import_module(module), function), **options)
