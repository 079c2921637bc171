"""Strict by default: eight CPU devices, no promotion of ranks or types, annotations checked (`stand_ins/checked.py`).

What needs ../shared says why it skips.
"""

import os
import signal
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Tests compile far more than they compute: most of their time is LLVM's optimiser.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

import pytest

# A shell that starts tests in the background has them ignore it, and all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(os.environ.get("COPYCAT_CORPORA", Path(__file__).resolve().parents[2] / "shared" / "corpora"))


def pytest_collection_modifyitems(items):
    """The README's own commands, two minutes and a half of one worker, begin first (see `.ci/run`)."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(autouse=True)
def _strict_jax():
    if "jax" in sys.modules:
        sys.modules["jax"].config.update("jax_numpy_rank_promotion", "raise")
        sys.modules["jax"].config.update("jax_numpy_dtype_promotion", "strict")
    yield


@pytest.fixture
def symbolic():
    """Lengths of what is traced are no ints: nothing checks annotations meanwhile."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real and rendered speech beside the project; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no speech corpora at {SHARED}; set COPYCAT_CORPORA to a folder that holds them")
    return SHARED
