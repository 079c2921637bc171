"""Recurrences that stay on the chip: GRU and LSTM for Hopper GPUs, the weights in shared memory for a whole sequence.

The same arithmetic as `nn.recurrent`'s scans with the states in bfloat16; where it runs is decided when it is traced
(`fits`, `proven`). The kernels and why they are fast: `nn.persistent_kernels`.
"""

import concurrent.futures
import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from copycat_jax.nn.cells import GATES
from copycat_jax.nn.hopper import UNITS
from copycat_jax.nn.persistent_kernels import ROWS, run_backward, run_forward
from copycat_jax.nn.placement import row_axes

# Padded to whole blocks: beyond this the weights of 64 units do not fit a block's shared memory.
WIDEST = {"gru": 448, "lstm": 320}
PATIENCE_S = 60.0  # for the kernels' first run
GRADIENT_TOLERANCE = 1e-2  # of their gradients against float32: bfloat16 states make 3e-3

Scan = Callable[[Any, Array, Array, Array | None], Array]

_BF16, _F32 = jnp.bfloat16, jnp.float32


def _blocks_of(kernel: Array, count: int) -> Array:
    """[K, H, G H] -> [K, block, G, source block, 64 source units, 64 units]: what each block keeps, forward."""
    directions, width, _ = kernel.shape
    blocks = width // UNITS
    return kernel.reshape(directions, blocks, UNITS, count, blocks, UNITS).transpose(0, 4, 3, 1, 5, 2)


def _transposed_blocks_of(kernel: Array, count: int) -> Array:
    """[K, H, G H] -> [K, block, destination block, G, 64 destination units, 64 units]: what each keeps, backward."""
    directions, width, _ = kernel.shape
    blocks = width // UNITS
    return kernel.reshape(directions, blocks, UNITS, count, blocks, UNITS).transpose(0, 4, 1, 3, 2, 5)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recur(cell: str, gates: Array, kernel: Array, bias: Array) -> Array:
    return _with_weights(cell, gates, kernel, bias, keep=False)[0]


def _with_weights(cell: str, gates: Array, kernel: Array, bias: Array, keep: bool) -> list[Array]:
    wide = jnp.broadcast_to(bias.astype(_F32)[:, :, None], (*bias.shape, ROWS))
    return run_forward(cell, gates, _blocks_of(kernel.astype(_BF16), GATES[cell]), wide, keep)


def _forward_rule(cell: str, gates: Array, kernel: Array, bias: Array) -> tuple[Array, tuple]:
    states, kept = _with_weights(cell, gates, kernel, bias, keep=True)
    return states, (states, kept, kernel)


def _backward_rule(cell: str, saved: tuple, d_states: Array) -> tuple[Array, Array, Array]:
    states, kept, kernel = saved
    packed = _transposed_blocks_of(kernel.astype(_BF16), GATES[cell])
    adjoints = run_backward(cell, d_states, kept, packed)
    products = adjoints[:, : GATES[cell]]  # what the recurrent product contributed to

    def share(before: Array, after: Array) -> Array:
        return jnp.einsum("htb,gjtb->hgj", before, after, preferred_element_type=_F32)

    shares = [share(states[0, :, :-1], products[0, :, :, 1:])]
    if len(states) == 2:  # its time runs backwards
        shares.append(share(states[1, :, 1:], products[1, :, :, :-1]))
    d_kernel = jnp.stack(shares).reshape(kernel.shape).astype(kernel.dtype)
    if cell == "lstm":
        return adjoints, d_kernel, jnp.zeros(states.shape[:2], _F32)
    d_gates = jnp.concatenate([adjoints[:, :2], adjoints[:, 3:]], 1)
    return d_gates, d_kernel, adjoints[:, 2].sum((2, 3), dtype=_F32)


_recur.defvjp(_forward_rule, _backward_rule)


def _padded(cell: str, gates: Array, kernel: Array, bias: Array) -> Array:
    """`_recur` of any width and number of rows: units and rows that are added stay at zero and pass nothing on."""
    directions, count, width, _, rows = gates.shape
    more_units, more_rows = -width % UNITS, -rows % ROWS
    wide = width + more_units
    gates = jnp.pad(gates, ((0, 0), (0, 0), (0, more_units), (0, 0), (0, more_rows)))
    kernel = kernel.reshape(directions, width, count, width)
    kernel = jnp.pad(kernel, ((0, 0), (0, more_units), (0, 0), (0, more_units))).reshape(directions, wide, count * wide)
    states: Any = _recur(cell, gates, kernel, jnp.pad(bias, ((0, 0), (0, more_units))))
    return states[:, :width, :, :rows]


def recur(
    cell: str, gates: Float[Array, "K G H T B"], kernel: Float[Array, "K H GH"], bias: Float[Array, "K H"] | None
) -> Float[Array, "K H T B"]:
    """One or two recurrences from zero states, the second from the last frame to the first.

    Over a mesh (`jax.set_mesh`) the batch is spread over all its axes and every device runs its rows; a batch that does
    not divide, such as the one row that shapes parameters, runs whole.

    Args:
      cell: "gru" (gates r, z, n) or "lstm" (i, f, g, o).
      gates: bfloat16, projected inputs with their biases, in the order of time; forced on padding.
      kernel: float32, recurrent weights, gates side by side.
      bias: float32, of the candidate's recurrent product; None for an LSTM.

    Returns:
      bfloat16 states in the order of time. The values on padding are undefined.
    """
    if bias is None:
        bias = jnp.zeros(kernel.shape[:2], _F32)
    run = functools.partial(_padded, cell)
    axes = row_axes(gates.shape[-1])
    if axes is None:
        return run(gates, kernel, bias)
    whole = jax.sharding.PartitionSpec()
    batch = jax.sharding.PartitionSpec(None, None, None, None, axes)
    states = jax.sharding.PartitionSpec(None, None, None, axes)
    return jax.shard_map(run, in_specs=(batch, whole, whole), out_specs=states, check_vma=False)(gates, kernel, bias)


# --- Where it runs.


def fits(cell: str, width: int, dtype: Any) -> bool:
    """Whether this recurrence can run here: a Hopper GPU, bfloat16, weights that fit a block's shared memory."""
    if jnp.dtype(dtype) != jnp.dtype(_BF16) or -(-width // UNITS) * UNITS > WIDEST[cell]:
        return False
    return jax.default_backend() == "gpu" and jax.devices()[0].compute_capability == "9.0"


@functools.cache
def proven(scan: Scan) -> bool:
    """Runs both cells once on this machine and compares them with a scan; False, and one warning, if they differ.

    In a thread of its own, since it is asked for while something else is traced.

    Args:
      scan: cell, float32 gates [T, K, B, GH], kernel and bias as `recur` takes them -> states [T, K, B, H], all in the
        order of time.

    Raises:
      TimeoutError: a kernel does not end. The GPU is then of no use to this process.
    """
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        error = pool.submit(_largest_error, scan).result(PATIENCE_S)
    except concurrent.futures.TimeoutError:
        raise TimeoutError(f"a persistent kernel did not end in {PATIENCE_S:.0f} s; set recurrence=fused") from None
    except Exception as failure:  # whatever this version of JAX or this driver does not know
        error = f"{type(failure).__name__}: {failure}".splitlines()[0]
    finally:
        pool.shutdown(wait=False)
    if not isinstance(error, str) and error < GRADIENT_TOLERANCE:
        return True
    warnings.warn(f"the persistent recurrence does not work here ({error}); the scan is used", stacklevel=2)
    return False


def _largest_error(scan: Scan, width: int = 128, frames: int = 40, rows: int = 20) -> float:
    """Of the gradients of both cells against the scan in float32, relative."""
    errors = []
    for cell, count in GATES.items():
        keys = jax.random.split(jax.random.key(0), 4)
        gates = jax.random.normal(keys[0], (2, count, width, frames, rows)).astype(_BF16)
        kernel = 0.1 * jax.random.normal(keys[1], (2, width, count * width))
        bias = 0.2 * jax.random.normal(keys[2], (2, width)) if cell == "gru" else None
        weight = jax.random.normal(keys[3], (2, width, frames, rows))

        def persistent(gates: Array, kernel: Array) -> Array:
            return recur(cell, gates, kernel, bias)  # noqa: B023

        def scanned(gates: Array, kernel: Array) -> Array:
            inputs = gates.transpose(3, 0, 4, 1, 2).reshape(frames, 2, rows, -1).astype(_F32)
            return scan(cell, inputs, kernel, bias).transpose(1, 3, 0, 2)  # noqa: B023

        def gradients(run: Any) -> Any:
            return jax.jit(jax.grad(lambda *given: jnp.sum(run(*given) * weight), (0, 1)))(gates, kernel)  # noqa: B023

        for found, wanted in zip(gradients(persistent), gradients(scanned), strict=True):
            difference = jnp.linalg.norm((found.astype(_F32) - wanted.astype(_F32)).ravel())
            errors.append(float(difference / jnp.linalg.norm(wanted.astype(_F32).ravel())))
    return max(errors)
