"""The kernels of `nn.persistent`: GRU and LSTM, forward and backward, with the weights in shared memory.

A scan reads the recurrent weights from device memory and starts kernels at every frame; its time is that latency. Here
one cluster of H / 64 thread blocks runs a direction of 16 rows from the first frame to the last. Each block keeps the
weights of its 64 units in shared memory, computes their gates with the matrix units, and passes its slice of the new
state to its peers' shared memory. Inputs come through the copy engine, a few frames ahead.

Arrays are feature-major, [K, G, H, T, B]: a frame of 16 rows is then a tile that the copy engine takes as it is. The
second direction walks time backwards inside, so nothing is flipped outside. Arithmetic is float32; states and kept
gates are bfloat16. Persistent RNNs: Diamos et al. 2016.
"""

from typing import Any

import jax
import jax.experimental.pallas as pl
import jax.numpy as jnp
from jax import lax
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, Float

from copycat_jax.nn import hopper
from copycat_jax.nn.cells import GATES
from copycat_jax.nn.hopper import TILE, UNITS

ROWS = 16  # of a cluster
AHEAD = 4  # frames of input on their way
# What the backward pass needs of a frame: r, z, n, recurrent part of n, state before; i, f, g, o, c before, tanh c.
KEPT = {"gru": 5, "lstm": 6}

_BF16, _F32, _I32 = jnp.bfloat16, jnp.float32, jnp.int32


def _sigmoid(x: Any) -> Any:
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


def _zeros() -> Any:
    return plgpu.layout_cast(jnp.zeros((UNITS, ROWS), _F32), TILE)


def _load(ref: Any) -> Any:
    return plgpu.load(ref, layout=TILE, optimized=False)  # type: ignore  # of jax 0.11 and later


def _places(frames: int, rows: int) -> tuple[Any, Any, Any]:
    """Of this block: its direction, its units, and from a step to the columns of its rows at that frame."""
    direction, group, block = (lax.axis_index(name) for name in ("direction", "group", "block"))

    def columns(step: Any) -> Any:
        frame = jnp.where(direction == 0, step, frames - 1 - step)
        return pl.ds(frame * rows + group * ROWS, ROWS)

    return (direction, group, block), pl.ds(block * UNITS, UNITS), columns


def _launch(body: Any, directions: int, rows: int, blocks: int, out: Any, scratch: list) -> Any:
    return plgpu.kernel(
        body,
        out_type=out,
        grid=(directions, rows // ROWS),
        grid_names=("direction", "group"),
        cluster=(blocks,),
        cluster_names=("block",),
        scratch_types=scratch,
        compiler_params=hopper.PARAMS,
    )


def run_forward(cell: str, gates: Array, kernel: Array, bias: Array, keep: bool) -> list[Array]:
    """States [K, H, T, B], and with `keep` what the backward pass needs, in thread order."""
    directions, count, width, frames, rows = gates.shape
    blocks = width // UNITS
    sent = (blocks - 1) * 2 * UNITS * ROWS  # bytes that a block receives at every frame
    layout = hopper.transforms(ROWS)

    def body(gates_ref, kernel_ref, bias_ref, *rest):
        states_ref, kept_ref = rest[0], rest[1] if keep else None
        w, h, x, bars, w_ready, x_ready = rest[2 if keep else 1 :]
        (direction, group, block), units, columns = _places(frames, rows)
        peers = [lax.rem(block + i, blocks).astype(_I32) for i in range(1, blocks)]

        def fetch(step):
            place = lax.rem(step, AHEAD)
            for g in range(count):
                source = gates_ref.at[direction * count + g, units, columns(step)]
                plgpu.copy_gmem_to_smem(source, x.at[place, g], x_ready.at[place])

        def broadcast(slot):
            if blocks > 1:
                hopper.broadcast_tile(h.at[slot, block], bars, slot, ROWS, peers)

        for g in range(count):
            for part in range(blocks):
                plgpu.copy_gmem_to_smem(kernel_ref.at[direction, block, g, part], w.at[g, part], w_ready)
        for step in range(min(AHEAD, frames)):
            fetch(jnp.int32(step))
        hopper.start_barriers(bars, sent)
        plgpu.barrier_wait(w_ready)
        candidate_bias = _load(bias_ref.at[direction, units, :]) if cell == "gru" else None
        h.at[0, block][...] = _zeros().astype(_BF16)
        plgpu.commit_smem()
        broadcast(jnp.int32(0))
        order = (0, 2, 1) if cell == "gru" else (1, 0, 2, 3)  # in which the gates are needed

        def advance(step, carried):
            state, memory = carried
            slot, parity, following = lax.rem(step, 2), lax.rem(step // 2, 2), lax.rem(step + 1, 2)
            place = lax.rem(step, AHEAD)
            plgpu.barrier_wait(x_ready.at[place])
            inputs = [_load(x.at[place, g]).astype(_F32) for g in range(count)]

            def products(*sums):
                def add(part):
                    for g in order:
                        plgpu.wgmma(sums[g], w.at[g, part], h.at[slot, part])

                add(block)  # its own units first, while the peers' arrive
                if blocks > 1:
                    hopper.await_peers(bars, slot, parity, sent, fence=True)
                for peer in peers:
                    add(peer)

                def gate(g):  # elementwise work overlaps the products still under way
                    return inputs[g] + recurrent(g)

                def recurrent(g):
                    return plgpu.wgmma_accumulator_load(sums[g], wait_n=count - 1 - order.index(g))

                if cell == "gru":
                    r = _sigmoid(gate(0))
                    lone = recurrent(2) + candidate_bias
                    n = jnp.tanh(inputs[2] + r * lone)
                    z = _sigmoid(gate(1))
                    return n + z * (state - n), memory, (r, z, n, lone, state)
                f = _sigmoid(gate(1))
                i = _sigmoid(gate(0))
                g = jnp.tanh(gate(2))
                new = f * memory + i * g
                squashed = jnp.tanh(new)
                o = _sigmoid(gate(3))
                return o * squashed, new, (i, f, g, o, memory, squashed)

            state, memory, kept = pl.run_scoped(products, *[plgpu.ACC((UNITS, ROWS)) for _ in range(count)])
            h.at[following, block][...] = state.astype(_BF16)
            hopper.await_reads()
            plgpu.commit_smem()
            pl.when(step + 1 < frames)(lambda: broadcast(following))
            plgpu.copy_smem_to_gmem(h.at[following, block], states_ref.at[direction, units, columns(step)])
            pl.when(step + AHEAD < frames)(lambda: fetch(step + AHEAD))
            if keep:
                hopper.store_tiles(kept_ref.at[direction, group, block, step], [v.astype(_BF16) for v in kept])
            return state, memory

        lax.fori_loop(0, frames, advance, (_zeros(), _zeros()))
        plgpu.wait_smem_to_gmem(0)
        hopper.meet()

    out = [jax.ShapeDtypeStruct((directions, width, frames * rows), _BF16)]
    if keep:
        lines = KEPT[cell] * ROWS // 16
        out.append(jax.ShapeDtypeStruct((directions, rows // ROWS, blocks, frames, lines, 128, 4), _I32))
    scratch = [
        plgpu.SMEM((count, blocks, UNITS, UNITS), _BF16, transforms=hopper.transforms(ROWS)),
        plgpu.SMEM((2, blocks, UNITS, ROWS), _BF16, transforms=layout),
        plgpu.SMEM((AHEAD, count, UNITS, ROWS), _BF16, transforms=layout),
        plgpu.SMEM((4,), _I32),
        plgpu.Barrier(num_arrivals=count * blocks),
        plgpu.Barrier(num_arrivals=count, num_barriers=AHEAD),
    ]
    call = _launch(body, directions, rows, blocks, tuple(out), scratch)
    states, *kept = call(gates.reshape(directions * count, width, frames * rows), kernel, bias)
    return [states.reshape(directions, width, frames, rows), *kept]


def run_backward(cell: str, d_states: Array, kept: Array, kernel: Array) -> Float[Array, "K 4 H T B"]:
    """Adjoints of the gates: r, z, recurrent part of n, n (GRU); i, f, g, o (LSTM)."""
    directions, width, frames, rows = d_states.shape
    blocks, count, tiles = width // UNITS, GATES[cell], KEPT[cell]
    sent = (blocks - 1) * 2 * UNITS * ROWS
    layout = hopper.transforms(ROWS)

    def body(d_ref, kept_ref, kernel_ref, out_ref, w, du, mailbox, d, bars, w_ready, d_ready):
        (direction, group, block), units, columns = _places(frames, rows)
        peers = [lax.rem(block + i, blocks).astype(_I32) for i in range(blocks)]

        def fetch(step):
            place = lax.rem(step, AHEAD)
            source = d_ref.at[direction, units, columns(frames - 1 - step)]
            plgpu.copy_gmem_to_smem(source, d.at[place], d_ready.at[place])

        def recall(frame):
            return hopper.load_tiles(kept_ref.at[direction, group, block, frame], tiles, ROWS)

        for part in range(blocks):
            for g in range(count):
                plgpu.copy_gmem_to_smem(kernel_ref.at[direction, block, part, g], w.at[part, g], w_ready)
        for step in range(min(AHEAD, frames)):
            fetch(jnp.int32(step))
        hopper.start_barriers(bars, sent)
        plgpu.barrier_wait(w_ready)

        def retreat(step, carried):
            d_later, d_memory, frame_kept = carried
            frame = frames - 1 - step
            before = recall(jnp.maximum(frame - 1, 0))
            slot, parity, place = lax.rem(step, 2), lax.rem(step // 2, 2), lax.rem(step, AHEAD)
            plgpu.barrier_wait(d_ready.at[place])
            dh = _load(d.at[place]).astype(_F32) + d_later
            values = [v.astype(_F32) for v in frame_kept]
            if cell == "gru":
                r, z, n, lone, previous = values
                dn = dh * (1 - z) * (1 - n * n)
                adjoints = [dn * lone * r * (1 - r), dh * (previous - n) * z * (1 - z), dn * r, dn]
                kept_back = dh * z
            else:
                i, f, g, o, previous, squashed = values
                dc = d_memory + dh * o * (1 - squashed * squashed)
                adjoints = [
                    dc * g * i * (1 - i),
                    dc * previous * f * (1 - f),
                    dc * i * (1 - g * g),
                    dh * squashed * o * (1 - o),
                ]
                d_memory, kept_back = dc * f, _zeros()
            for k in range(4):
                du.at[slot, k][...] = adjoints[k].astype(_BF16)
            hopper.await_reads()
            plgpu.commit_smem()

            def products(*sums):
                order = [*range(1, blocks), 0]  # the peers' shares first: they travel
                for i in order:
                    for g in range(count):
                        plgpu.wgmma(sums[i], w.at[peers[i], g], du.at[slot, g])
                for j, i in enumerate(order[:-1]):
                    share = plgpu.wgmma_accumulator_load(sums[i], wait_n=(blocks - 1 - j) * count)
                    hopper.send_tile(mailbox.at[slot, block], bars, slot, share.astype(_BF16), peers[i])
                return plgpu.wgmma_accumulator_load(sums[0], wait_n=0)

            own = pl.run_scoped(products, *[plgpu.ACC((UNITS, ROWS)) for _ in range(blocks)])
            for k in range(4):
                plgpu.copy_smem_to_gmem(du.at[slot, k], out_ref.at[direction * 4 + k, units, columns(frame)])
            pl.when(step + AHEAD < frames)(lambda: fetch(step + AHEAD))
            d_earlier = kept_back + own
            if blocks > 1:
                hopper.await_peers(bars, slot, parity, sent, fence=False)
                for peer in peers[1:]:
                    d_earlier = d_earlier + hopper.receive_tile(mailbox.at[slot, peer], ROWS)
            return d_earlier, d_memory, before

        lax.fori_loop(0, frames, retreat, (_zeros(), _zeros(), recall(frames - 1)))
        plgpu.wait_smem_to_gmem(0)
        hopper.meet()

    scratch = [
        plgpu.SMEM((blocks, count, UNITS, UNITS), _BF16, transforms=hopper.transforms(ROWS)),
        plgpu.SMEM((2, 4, UNITS, ROWS), _BF16, transforms=layout),
        plgpu.SMEM((2, blocks, ROWS // 16, 128, 4), _I32),
        plgpu.SMEM((AHEAD, UNITS, ROWS), _BF16, transforms=layout),
        plgpu.SMEM((4,), _I32),
        plgpu.Barrier(num_arrivals=blocks * count),
        plgpu.Barrier(num_arrivals=1, num_barriers=AHEAD),
    ]
    out = jax.ShapeDtypeStruct((directions * 4, width, frames * rows), _BF16)
    call = _launch(body, directions, rows, blocks, out, scratch)
    flat = call(d_states.reshape(directions, width, frames * rows), kept, kernel)
    return flat.reshape(directions, 4, width, frames, rows)
