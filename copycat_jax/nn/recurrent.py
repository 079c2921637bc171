"""Masked GRU and LSTM: both directions in one scan, with a backward pass of our own.

A recurrence is a chain of small matrix products: on an accelerator its time is the latency of a step, so everything
that need not be in the chain is moved out of it.

* The input projections of all gates, frames and directions are one product before the scan.
* Padding is put into the gate inputs (`hold`): a forced gate keeps the state, and the scan body knows no mask. The
  second direction sees time reversed, padding first, and stays at zero until its row's last real frame.
* Backward, the local derivatives of every frame are elementwise and computed at once before the scan; the scan only
  carries the adjoint of the state; weight gradients are one product after it.

What computes the states from gate inputs, recurrent weights and mask is chosen when it is traced, and neither models
nor checkpoints know: "plain" for export and as the tests' reference; "fused" to train; "persistent", one kernel for a
whole sequence, on Hopper GPUs (`nn.persistent`), and, only where it is asked for, on TPUs (`nn.resident`). Carried
states and adjoints are float32, stored ones and matrix operands the compute type.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from copycat_jax.errors import UserError
from copycat_jax.nn import resident
from copycat_jax.nn.cells import GATES, Cell
from copycat_jax.nn.initializers import batched_kernel_limit
from copycat_jax.nn.masks import zero_padding
from copycat_jax.nn.placement import row_axes, rows_apart, whole

IMPLEMENTATIONS = ("auto", "fused", "plain", "persistent")
RESIDENT = 0  # in the place of how often a scan is unrolled: the loops of `nn.resident`
# Far beyond where a float32 sigmoid is exactly 0 or 1, and exact in bfloat16.
_FORCED = 8192.0
# The gate inputs that keep a state: update gate 1 (GRU); forget gate 1, input gate 0 (LSTM).
HOLDING = {"gru": (0.0, _FORCED, 0.0), "lstm": (-_FORCED, _FORCED, 0.0, 0.0)}


def _product(state: Array, kernel: Array) -> Array:
    """[K, B, H] x [K, H, G] -> float32 [K, B, G]: the one product of a step."""
    return jnp.einsum("kbh,khg->kbg", state.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)


def _before(states: Array) -> Array:
    """The state before each step: shifted by one, zeros first."""
    return jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])


def _loop(
    step: Callable,
    frames: tuple[Array, ...],
    weights: Array,
    constants: tuple[Array, ...],
    carried: tuple[tuple[int, Any], ...],
    outputs: tuple[tuple[int, Any], ...],
    unroll: int,
    reverse: bool = False,
) -> Any:
    """The chain over time, from zeros: a scan over all directions, or `resident.run_loop`; see there."""
    if unroll == RESIDENT:
        return resident.run_loop(step, frames, weights, constants, carried, outputs, reverse)
    everywhere = tuple(c[:, None, :] for c in constants)

    def advance(states: tuple, frame: tuple) -> tuple[tuple, tuple]:
        states, made = step(lambda state: _product(state, weights), states, (*frame, *everywhere))
        return states, tuple(x.astype(dtype) for x, (_, dtype) in zip(made, outputs, strict=True))

    zeros = tuple(jnp.zeros((*frames[0].shape[1:3], width), dtype) for width, dtype in carried)
    return jax.lax.scan(advance, zeros, frames, reverse=reverse, unroll=unroll)[1]


def _weight_gradient(previous: Array, d_gates: Array) -> Array:
    """Sums over frames and rows in one float32-accumulating product."""
    return jnp.einsum("tkbh,tkbg->khg", previous, d_gates, preferred_element_type=jnp.float32)


# --- GRU. Gates r, z, n with the reset gate outside the product, as cuDNN has it: n = tanh(x_n + r (U_n h + b)). Only
# --- in this form is the weight gradient a single product.


def _gru_scan(gates: Array, kernel: Array, bias: Array, unroll: int, keep: bool) -> tuple[Array, Array | None]:
    dtype, u, width = gates.dtype, kernel.astype(gates.dtype), kernel.shape[1]

    def step(product: Any, carried: tuple, frame: tuple) -> tuple[tuple, tuple]:
        (h,), (g, lone) = carried, frame
        xr, xz, xn = jnp.split(g.astype(jnp.float32), 3, -1)
        hr, hz, hn = jnp.split(product(h), 3, -1)
        hn = hn + lone
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
        h = (1.0 - z) * n + z * h
        return (h,), (h, jnp.concatenate([r, z, n, hn], -1)) if keep else (h,)

    outputs = ((width, dtype), (4 * width, dtype)) if keep else ((width, dtype),)
    found = _loop(step, (gates,), u, (bias,), ((width, jnp.float32),), outputs, unroll)
    return found[0], found[1] if keep else None


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _gru(gates: Array, kernel: Array, bias: Array, unroll: int) -> Array:
    return _gru_scan(gates, kernel, bias, unroll, keep=False)[0]


def _gru_forward(gates: Array, kernel: Array, bias: Array, unroll: int) -> tuple[Array, tuple]:
    states, kept = _gru_scan(gates, kernel, bias, unroll, keep=True)
    return states, (states, kept, kernel)


def _gru_backward(unroll: int, saved: tuple, d_states: Array) -> tuple[Array, Array, Array]:
    states, kept, kernel = saved
    dtype, ut = states.dtype, kernel.astype(states.dtype).swapaxes(1, 2)
    previous = _before(states)
    r, z, n, hn = jnp.split(kept.astype(jnp.float32), 4, -1)
    # d(pre-activation) / d(state), per gate, for all frames at once.
    by_n = (1.0 - z) * (1.0 - jnp.square(n))
    by_r = by_n * hn * r * (1.0 - r)
    by_z = (previous.astype(jnp.float32) - n) * z * (1.0 - z)
    by_input = jnp.concatenate([by_r, by_z, by_n], -1).astype(dtype)
    by_product = jnp.concatenate([by_r, by_z, by_n * r], -1).astype(dtype)

    def step(product: Any, carried: tuple, frame: tuple) -> tuple[tuple, tuple]:
        d_state, factors, z_t = frame
        d = d_state.astype(jnp.float32) + carried[0]
        d_product = jnp.concatenate([d, d, d], -1) * factors.astype(jnp.float32)
        return (d * z_t.astype(jnp.float32) + product(d_product),), (d,)

    frames, own = (d_states, by_product, z.astype(dtype)), kernel.shape[1]
    (d,) = _loop(step, frames, ut, (), ((own, jnp.float32),), ((own, dtype),), unroll, reverse=True)
    d3 = jnp.concatenate([d, d, d], -1)
    d_product = d3 * by_product
    width = d.shape[-1]
    d_bias = d_product[..., 2 * width :].astype(jnp.float32).sum((0, 2))
    return d3 * by_input, _weight_gradient(previous, d_product).astype(kernel.dtype), d_bias


_gru.defvjp(_gru_forward, _gru_backward)


# --- LSTM. Gates i, f, g, o.


def _lstm_scan(gates: Array, kernel: Array, unroll: int, keep: bool) -> tuple[Array, Array | None]:
    dtype, u, width = gates.dtype, kernel.astype(gates.dtype), kernel.shape[1]

    def step(product: Any, carried: tuple, frame: tuple) -> tuple[tuple, tuple]:
        h, c = carried
        xi, xf, xg, xo = jnp.split(frame[0].astype(jnp.float32) + product(h), 4, -1)
        i, f, g, o = jax.nn.sigmoid(xi), jax.nn.sigmoid(xf), jnp.tanh(xg), jax.nn.sigmoid(xo)
        c = f * c + i * g
        h = (o * jnp.tanh(c)).astype(dtype)
        return (h, c), (h, jnp.concatenate([i, f, g, o, c], -1)) if keep else (h,)

    carried = ((width, dtype), (width, jnp.float32))
    outputs = ((width, dtype), (5 * width, dtype)) if keep else ((width, dtype),)
    found = _loop(step, (gates,), u, (), carried, outputs, unroll)
    return found[0], found[1] if keep else None


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _lstm(gates: Array, kernel: Array, unroll: int) -> Array:
    return _lstm_scan(gates, kernel, unroll, keep=False)[0]


def _lstm_forward(gates: Array, kernel: Array, unroll: int) -> tuple[Array, tuple]:
    states, kept = _lstm_scan(gates, kernel, unroll, keep=True)
    return states, (states, kept, kernel)


def _lstm_backward(unroll: int, saved: tuple, d_states: Array) -> tuple[Array, Array]:
    states, kept, kernel = saved
    dtype, ut = states.dtype, kernel.astype(states.dtype).swapaxes(1, 2)
    i, f, g, o, c = jnp.split(kept.astype(jnp.float32), 5, -1)
    tanh_c = jnp.tanh(c)
    through_h = (o * (1.0 - jnp.square(tanh_c))).astype(dtype)  # d c / d h
    by_c = jnp.concatenate([g * i * (1.0 - i), _before(c) * f * (1.0 - f), i * (1.0 - jnp.square(g))], -1).astype(dtype)
    by_h = (tanh_c * o * (1.0 - o)).astype(dtype)

    def step(product: Any, carried: tuple, frame: tuple) -> tuple[tuple, tuple]:
        dh_next, dc_next = carried
        d_state, through, factors, factor_o, f_t = (part.astype(jnp.float32) for part in frame)
        dh = d_state + dh_next
        dc = dc_next + dh * through
        d_gates = jnp.concatenate([jnp.concatenate([dc, dc, dc], -1) * factors, dh * factor_o], -1).astype(dtype)
        return (product(d_gates), dc * f_t), (d_gates,)

    frames, own = (d_states, through_h, by_c, by_h, f.astype(dtype)), kernel.shape[1]
    carried = ((own, jnp.float32), (own, jnp.float32))
    (d_gates,) = _loop(step, frames, ut, (), carried, ((4 * own, dtype),), unroll, reverse=True)
    return d_gates, _weight_gradient(_before(states), d_gates).astype(kernel.dtype)


_lstm.defvjp(_lstm_forward, _lstm_backward)


# --- The seam and the layer.


def hold(cell: Cell, gates: Float[Array, "T K B G"], mask: Bool[Array, "T K B"]) -> Float[Array, "T K B G"]:
    """Gate inputs that keep the state on padded frames: update gate 1 (GRU); forget gate 1, input gate 0 (LSTM)."""
    constant = jnp.repeat(jnp.asarray(HOLDING[cell], gates.dtype), gates.shape[-1] // GATES[cell])
    return jnp.where(mask[..., None], gates, constant[None, None, None, :])


def recur(
    cell: Cell,
    gates: Float[Array, "T K B G"],
    kernel: Float[Array, "K H G"],
    bias: Any,
    mask: Bool[Array, "T K B"],
    implementation: str = "auto",
) -> Float[Array, "T K B H"]:
    """Runs K independent recurrences over the leading axis, from zero states.

    Args:
      cell: "gru" (gates r, z, n; G = 3 H) or "lstm" (i, f, g, o; G = 4 H).
      gates: projected inputs with their biases, each direction in its own order of time, in the compute type.
      kernel: recurrent weights; float32, so that their gradient is.
      bias: [K, H] of the candidate's recurrent product (GRU), or None (LSTM).
      mask: real frames, in the same order of time as `gates`.
      implementation: "plain"; "fused" (also "auto"), unrolled where that pays; or "persistent", the TPU's.

    Returns:
      The states in the type of `gates`. On padded frames the state is held inside the recurrence; what is returned
      there is unspecified (GRU: the held state) and independent of the padding's content.
    """
    gates, kernel = rows_apart(hold(cell, gates, mask), 2), whole(kernel)
    if implementation == "plain":  # differentiated by JAX; forward scan only
        if cell == "gru":
            return _gru_scan(gates, kernel, bias, 1, keep=False)[0]
        return _lstm_scan(gates, kernel, 1, keep=False)[0]
    if implementation == "persistent":
        return _apart(cell, gates, kernel, bias)
    unroll = 1 if jax.default_backend() == "cpu" else 8
    states: Any = _gru(gates, kernel, bias, unroll) if cell == "gru" else _lstm(gates, kernel, unroll)
    return rows_apart(states, 2)  # the backward loop's input too


def _apart(cell: Cell, gates: Array, kernel: Array, bias: Any) -> Array:
    """The resident loops, which the partitioner cannot see into: every device runs its own rows."""
    given = (gates, kernel, bias) if cell == "gru" else (gates, kernel)
    run: Any = _gru if cell == "gru" else _lstm
    axes = row_axes(gates.shape[2])
    if axes is None:
        return run(*given, RESIDENT)
    rows, all_of_it = jax.sharding.PartitionSpec(None, None, axes), jax.sharding.PartitionSpec()
    specs = (rows, *[all_of_it] * (len(given) - 1))
    return jax.shard_map(lambda *own: run(*own, RESIDENT), in_specs=specs, out_specs=rows, check_vma=False)(*given)


def uses_persistent(implementation: str, cell: Cell, features: int, dtype: Any) -> bool:
    """Whether a layer runs on the kernels of `nn.persistent`: with "auto" where they fit and are proven.

    Raises:
      UserError: they are asked for where they cannot run.
    """
    if implementation not in ("auto", "persistent"):
        return False
    if jax.default_backend() == "gpu":
        from copycat_jax.nn import persistent

        if persistent.fits(cell, features, dtype) and (implementation == "persistent" or persistent.proven(_in_time)):
            return True
    on_tpu = jax.default_backend() == "tpu" and resident.fits(features)  # `recur` runs it; not part of "auto"
    if implementation == "persistent" and not on_tpu:
        needed = f"needs a Hopper GPU and bfloat16, or a TPU and {resident.LANES} states or a multiple"
        what = f"'persistent' {needed}, and cannot run a {cell} of {features} {dtype} states here"
        raise UserError(what, "recurrence", "Choose 'auto'.")
    return False


def alternate(x: Array) -> Array:
    """Reverses time for the second direction of [T, K, ...]; its own inverse."""
    return x if x.shape[1] == 1 else jnp.concatenate([x[:, :1], jnp.flip(x[:, 1:], 0)], 1)


def _in_time(cell: Cell, gates: Array, kernel: Array, bias: Array | None) -> Array:
    """The plain scan over [T, K, B, GH] without padding, both directions in the order of time."""
    real = jnp.ones(gates.shape[:3], bool)
    return alternate(recur(cell, alternate(gates), kernel, bias, real, "plain"))


def _forget_open(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """LSTM biases: 1 for the forget gate, so that memory is kept from the start."""
    width = shape[1] // 4
    return jnp.zeros(shape, dtype).at[:, width : 2 * width].set(1.0)


class Recurrent(nn.Module):
    """A masked GRU or LSTM layer of one or two directions over [B, T, D].

    Attributes:
      cell: "gru" or "lstm".
      features: H, states of each direction.
      directions: 1 or 2; forward states come first in the output.
      dtype: compute type; parameters are float32.
      implementation: one of IMPLEMENTATIONS; "auto" is "persistent" where that is proven, else "fused".
    """

    cell: Cell
    features: int
    directions: int = 2
    dtype: Any = jnp.float32
    implementation: str = "auto"

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"], mask: Bool[Array, "B T"]) -> Float[Array, "B T H"]:
        """States of all directions concatenated; zeros on padding."""
        directions, width = self.directions, GATES[self.cell] * self.features
        w = self.param("input_kernel", batched_kernel_limit, (directions, x.shape[-1], width))
        starting = _forget_open if self.cell == "lstm" else nn.initializers.zeros
        b = self.param("input_bias", starting, (directions, width))
        u = self.param("recurrent_kernel", batched_kernel_limit, (directions, self.features, width))
        lone = None
        if self.cell == "gru":
            lone = self.param("recurrent_bias", nn.initializers.zeros, (directions, self.features))
        x = zero_padding(x.astype(self.dtype), mask)
        if uses_persistent(self.implementation, self.cell, self.features, self.dtype):
            return zero_padding(self._persistent(x, w, b, u, lone, mask), mask)
        gates = jnp.einsum("btd,kdg->tkbg", x, w.astype(self.dtype)) + b.astype(self.dtype)[None, :, None, :]
        real = jnp.broadcast_to(mask.T[:, None, :], (*gates.shape[:3],))
        states = alternate(recur(self.cell, alternate(gates), u, lone, alternate(real), self.implementation))
        return zero_padding(states.transpose(2, 0, 1, 3).reshape(*mask.shape, -1), mask)

    def _persistent(
        self, x: Array, w: Array, b: Array, u: Array, lone: Array | None, mask: Array
    ) -> Float[Array, "B T H"]:
        from copycat_jax.nn import persistent

        count = GATES[self.cell]
        w, b = (p.astype(self.dtype).reshape(*p.shape[:-1], count, self.features) for p in (w, b))
        gates = jnp.einsum("tbd,kdgh->kghtb", x.swapaxes(0, 1), w) + b[..., None, None]
        holding = jnp.asarray(HOLDING[self.cell], self.dtype)[None, :, None, None, None]
        states = persistent.recur(self.cell, jnp.where(mask.T[None, None, None], gates, holding), u, lone)
        return states.transpose(3, 2, 0, 1).reshape(*mask.shape, -1)
