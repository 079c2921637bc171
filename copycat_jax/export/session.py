"""The door of onnxruntime: opens a graph and runs it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from copycat_jax.export.folder import need

Run = Callable[..., dict[str, np.ndarray]]


def open_model(model: str | Path | bytes, threads: int = 0) -> Run:
    """A graph as a function from inputs by name to outputs by name, on the CPU.

    Args:
      model: its file, or its bytes.
      threads: that one operator may use; 0 leaves it to the runtime.

    Raises:
      UserError: onnxruntime is not installed.
    """
    runtime = need("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    # Idle threads of one graph would take the time of the next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = model if isinstance(model, bytes) else str(model)
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(None, inputs), strict=True))

    return run


def inputs_of(model: str | Path | bytes) -> Mapping[str, list]:
    """The shapes of a graph's inputs by name."""
    session = need("onnxruntime", "onnx").InferenceSession(
        model if isinstance(model, bytes) else str(model), providers=["CPUExecutionProvider"]
    )
    return {item.name: item.shape for item in session.get_inputs()}
