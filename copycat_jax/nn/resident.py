"""Loops over time for TPUs, the recurrent weights in VMEM from the first frame to the last.

A scan reads its weights from HBM at every frame. Here time is the inner axis of a Pallas grid: the block of the weights
is the same at every step and stays, gate inputs and states of the frames before and after are copied while a frame is
computed, and the state itself lies in scratch memory. The arithmetic is that of `nn.recurrent`, whose steps run here
unchanged. Tested in TPU interpret mode and lowered for TPUs; **never timed, nor run, on one**: it is off unless
`recurrence=persistent` asks for it there.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jaxtyping import Array

LANES, ROWS = 128, 16  # of a tile in bfloat16: units of each gate, and rows, are multiples

Product = Callable[[Array], Array]  # the carried state [B, H], by the weights: float32 [B, G]


def fits(features: int) -> bool:
    """Whether states of this width lie on whole tiles."""
    return features % LANES == 0


def interpreted() -> Any:
    """How a kernel is run where there is no TPU: step by step, with the TPU's memories simulated."""
    from jax.experimental.pallas import tpu

    return False if jax.default_backend() == "tpu" else tpu.InterpretParams()


def run_loop(
    step: Callable[[Product, tuple, tuple], tuple[tuple, tuple]],
    frames: Sequence[Array],
    weights: Array,
    constants: Sequence[Array],
    carried: Sequence[tuple[int, Any]],
    outputs: Sequence[tuple[int, Any]],
    reverse: bool = False,
) -> list[Array]:
    """`lax.scan` over the leading axis of [T, K, B, ...], from zeros, for each of K directions.

    Args:
      step: (product, carried, frame) -> (carried, outputs), on [B, ...] arrays; a frame ends with the constants.
      frames: arrays [T, K, B, N], one block of each a step.
      weights: [K, H, G], in the type of the products' operands.
      constants: arrays [K, N], the same at every step.
      carried: (width, type) of every array that a step hands to the next.
      outputs: (width, type) of every array that a step leaves.
      reverse: from the last frame to the first.

    Returns:
      The outputs, [T, K, B, width].
    """
    from jax.experimental.pallas import tpu

    count, directions, rows, _ = frames[0].shape
    more = -rows % ROWS
    padded = [jnp.pad(x, ((0, 0), (0, 0), (0, more), (0, 0))) for x in frames]
    wide = [jnp.broadcast_to(c[:, None, :], (directions, 8, c.shape[-1])) for c in constants]

    def body(*refs: Any) -> None:
        given, rest = refs[: len(padded)], refs[len(padded) :]
        weights_ref, rest = rest[0], rest[1:]
        constant_refs, rest = rest[: len(wide)], rest[len(wide) :]
        output_refs, state_refs = rest[: len(outputs)], rest[len(outputs) :]

        @pl.when(pl.program_id(1) == 0)
        def _() -> None:
            for ref in state_refs:
                ref[...] = jnp.zeros(ref.shape, ref.dtype)

        def product(state: Array) -> Array:
            kernel = weights_ref[0]
            return jnp.dot(state.astype(kernel.dtype), kernel, preferred_element_type=jnp.float32)

        frame = (*(ref[0, 0] for ref in given), *(ref[0, :1] for ref in constant_refs))
        states, made = step(product, tuple(ref[...] for ref in state_refs), frame)
        for ref, value in zip(state_refs, states, strict=True):
            ref[...] = value.astype(ref.dtype)
        for ref, value in zip(output_refs, made, strict=True):
            ref[0, 0] = value.astype(ref.dtype)

    def of_frame(width: int) -> Any:
        place = (lambda k, t: (count - 1 - t, k, 0, 0)) if reverse else (lambda k, t: (t, k, 0, 0))
        return pl.BlockSpec((1, 1, rows + more, width), place)

    def of_direction(x: Array) -> Any:
        return pl.BlockSpec((1, *x.shape[1:]), lambda k, t: (k, 0, 0))

    call = pl.pallas_call(
        body,
        grid=(directions, count),
        in_specs=[*(of_frame(x.shape[-1]) for x in padded), of_direction(weights), *map(of_direction, wide)],
        out_specs=[of_frame(width) for width, _ in outputs],
        out_shape=[jax.ShapeDtypeStruct((count, directions, rows + more, width), dtype) for width, dtype in outputs],
        scratch_shapes=[tpu.VMEM((rows + more, width), dtype) for width, dtype in carried],
        compiler_params=tpu.CompilerParams(dimension_semantics=("parallel", "arbitrary")),
        interpret=interpreted(),
    )
    return [x[:, :, :rows] for x in call(*padded, weights, *wide)]
