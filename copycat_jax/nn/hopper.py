"""What a cluster of Hopper thread blocks needs and Pallas does not have: tiles passed from block to block.

Pallas for Mosaic GPU brings the matrix units, the copy engine and the memory spaces. A recurrence that keeps its
weights in shared memory needs three things more, written here as inline PTX (sm_90a):

* barriers that a peer block's stores complete, two in turn, each counting bytes (`start_barriers`, `await_peers`);
* stores into a peer's shared memory that are counted on the peer's barrier (`broadcast_tile`, `send_tile`);
* tiles kept in the order of the threads that made them, 16 bytes a thread, for memory that only these kernels read
  (`receive_tile`, `store_tiles`, `load_tiles`).

A tile is [UNITS, rows] in the layout of an accumulator of `wgmma`. A wrong count of operands of an inline assembly ends
the process without a message, so every call is checked here; a barrier that nobody completes hangs.
"""

# The bindings of MLIR are made at run time, and Pallas for Mosaic GPU changes from version to version.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from typing import Any

import jax.experimental.mosaic.gpu as mosaic
import jax.numpy as jnp
import numpy as np
from jax.experimental.mosaic.gpu import fragmented_array as fragments
from jax.experimental.mosaic.gpu import utils
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import arith, llvm

UNITS = 64  # hidden units of a block: the height of a tile
TILE = plgpu.Layout.WGMMA
SCALAR = plgpu.Layout.WG_SPLAT(())
_REF = plgpu.RefType()
_LINE = 2048  # bytes that the 128 threads of a warpgroup move at 16 bytes each

# Approximate tanh, and no barriers but our own.
PARAMS = plgpu.CompilerParams(
    approx_math=True, unsafe_no_auto_barriers=True, lowering_semantics=mosaic.core.LoweringSemantics.Lane
)


def transforms(rows: int) -> tuple:
    """The swizzled layout in shared memory of a bf16 tile of `rows` rows, as the matrix units read it."""
    return (plgpu.TilingTransform((8, rows)), plgpu.SwizzleTransform(2 * rows))


# --- Inline assembly.


def _i32() -> Any:
    return ir.IntegerType.get_signless(32)


def _i64() -> Any:
    return ir.IntegerType.get_signless(64)


def _constant(value: int) -> Any:
    return arith.constant(_i32(), value)


def _run(ptx: str, operands: list, constraints: str) -> None:
    assert len(operands) == (len(constraints.split(",")) if constraints else 0), (ptx, constraints)
    llvm.inline_asm(ir.Type.parse("!llvm.void"), list(operands), ptx, constraints, has_side_effects=True)


def _read(ptx: str, operands: list, constraints: str, of: Any, count: int) -> list:
    assert len(operands) + count == len(constraints.split(",")), (ptx, constraints)
    struct = llvm.StructType.get_literal([of] * count)
    result = llvm.inline_asm(struct, list(operands), ptx, constraints, has_side_effects=True)
    return [llvm.extractvalue(of, result, [i]) for i in range(count)]


def _address(ref: Any, of: Any = None) -> Any:
    return llvm.ptrtoint(of or _i32(), utils.memref_ptr(ref))


def _scalar(value: Any) -> Any:
    return value.registers.item() if hasattr(value, "registers") else value


def _barrier(bars: Any, slot: Any) -> Any:
    return arith.addi(_address(bars), arith.muli(_scalar(slot), _constant(8)))


def _own_16_bytes() -> Any:
    return arith.muli(utils.thread_idx(), _constant(16))


def _first_thread() -> Any:
    return utils.when(arith.cmpi(arith.CmpIPredicate.eq, utils.thread_idx(), _constant(0)))


def _to_peer(base: Any, peer: Any) -> Any:
    """What is added to a local address of shared memory to have the same place of block `peer` of the cluster."""
    mapped = llvm.inline_asm(
        _i32(), [base, peer], "mapa.shared::cluster.u32 $0, $1, $2;", "=r,r,r", has_side_effects=False
    )
    return arith.subi(mapped, base)


def _pairs(tile: Any) -> list:
    """The registers of a bf16 tile, two values each."""
    return [utils.bitcast(register, _i32()) for register in tile.registers.flat]


def _tile(registers: list, rows: int) -> Any:
    vector = ir.VectorType.get((2,), utils.dtype_to_ir_type(jnp.dtype(jnp.bfloat16)))
    array = np.empty(fragments.WGMMA_LAYOUT.registers_shape((UNITS, rows)), object)
    array.flat[:] = [utils.bitcast(register, vector) for register in registers]
    return fragments.FragmentedArray(_registers=array, _layout=fragments.WGMMA_LAYOUT, _is_signed=None)


def _tile_type(rows: int) -> Any:
    return plgpu.ShapeDtypeStruct((UNITS, rows), jnp.bfloat16, layout=TILE)


# --- Barriers of a cluster.

_MEET = "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;"
_EXPECT = "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], {count};"


def meet() -> None:
    """Waits until every block of the cluster is here."""

    @plgpu.inline_mgpu(arg_types=())
    def emit(context):
        _run(_MEET, [], "")

    emit()


def start_barriers(bars: Any, count: int) -> None:
    """Makes both barriers, each expecting `count` bytes from the peers, and waits for the cluster."""

    @plgpu.inline_mgpu(arg_types=(_REF,))
    def emit(context, bars):
        both = [arith.addi(_address(bars), _constant(8 * slot)) for slot in (0, 1)]
        with _first_thread():
            for bar in both:
                _run("mbarrier.init.shared::cta.b64 [$0], 1;", [bar], "r")
            _run("fence.mbarrier_init.release.cluster;", [], "")
            for bar in both:
                _run(_EXPECT.format(count=count), [bar], "r")
        _run(_MEET, [], "")

    emit(bars)


def await_peers(bars: Any, slot: Any, parity: Any, count: int, fence: bool) -> None:
    """Waits for the peers' bytes on barrier `slot`, and sets it up for the next time.

    With `fence` the bytes are made visible to the matrix units, which read memory by another path than the threads.
    """

    @plgpu.inline_mgpu(arg_types=(_REF, SCALAR, SCALAR))
    def emit(context, bars, slot, parity):
        bar = _barrier(bars, slot)
        wait = "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [$0], $1;"
        _run(
            f"{{ .reg .pred p; LAB_WAIT: {wait} @p bra LAB_DONE; bra LAB_WAIT; LAB_DONE: }}",
            [bar, _scalar(parity)],
            "r,r",
        )
        with _first_thread():
            _run(_EXPECT.format(count=count), [bar], "r")
        if fence:
            _run("fence.proxy.async.shared::cta;", [], "")

    emit(bars, slot, parity)


def await_reads() -> None:
    """Waits until the copies to global memory that this thread began have read their shared memory."""

    @plgpu.inline_mgpu(arg_types=())
    def emit(context):
        _run("cp.async.bulk.wait_group.read 0;", [], "")

    emit()


# --- Between blocks.

_SEND = "st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [$0], {$1,$2,$3,$4}, [$5];"
_LOAD = "ld.{space}.v4.b32 {{$0,$1,$2,$3}}, [$4];"


def broadcast_tile(ref: Any, bars: Any, slot: Any, rows: int, peers: list) -> None:
    """Copies a bf16 tile of this block's shared memory, byte for byte, to the same place of each peer."""
    count = 2 * UNITS * rows
    assert count % _LINE == 0

    @plgpu.inline_mgpu(arg_types=(plgpu.RefType(transforms(rows)), _REF, SCALAR, tuple(SCALAR for _ in peers)))
    def emit(context, ref, bars, slot, peers):
        bar, start = _barrier(bars, slot), arith.addi(_address(ref), _own_16_bytes())
        offsets = [_to_peer(_address(bars), _scalar(peer)) for peer in peers]
        for line in range(count // _LINE):
            here = arith.addi(start, _constant(_LINE * line)) if line else start
            words = _read(_LOAD.format(space="shared"), [here], "=r,=r,=r,=r,r", _i32(), 4)
            for offset in offsets:
                _run(_SEND, [arith.addi(here, offset), *words, arith.addi(bar, offset)], "r,r,r,r,r,r")

    emit(ref, bars, slot, tuple(peers))


def send_tile(ref: Any, bars: Any, slot: Any, tile: Any, peer: Any) -> None:
    """Writes a bf16 tile from registers to `ref` of a peer, where `receive_tile` reads it; thread i for thread i."""

    @plgpu.inline_mgpu(arg_types=(_REF, _REF, SCALAR, TILE, SCALAR))
    def emit(context, ref, bars, slot, tile, peer):
        offset = _to_peer(_address(bars), _scalar(peer))
        bar = arith.addi(_barrier(bars, slot), offset)
        start = arith.addi(arith.addi(_address(ref), _own_16_bytes()), offset)
        words = _pairs(tile)
        for line in range(len(words) // 4):
            where = arith.addi(start, _constant(_LINE * line))
            _run(_SEND, [where, *words[4 * line : 4 * line + 4], bar], "r,r,r,r,r,r")

    emit(ref, bars, slot, tile, peer)


def receive_tile(ref: Any, rows: int) -> Any:
    """The tile that a peer's `send_tile` left in `ref`, as float32."""

    @plgpu.inline_mgpu(arg_types=(_REF,), return_type=_tile_type(rows))
    def emit(context, ref):
        start, words = arith.addi(_address(ref), _own_16_bytes()), []
        for line in range(rows // 16):
            where = arith.addi(start, _constant(_LINE * line))
            words += _read(_LOAD.format(space="shared"), [where], "=r,=r,=r,=r,r", _i32(), 4)
        return _tile(words, rows)

    return emit(ref).astype(jnp.float32)


# --- Tiles in thread order in global memory.


def _global(ref: Any) -> Any:
    return arith.addi(_address(ref, _i64()), arith.extui(_i64(), _own_16_bytes()))


def store_tiles(ref: Any, tiles: list) -> None:
    """Writes bf16 tiles one behind the other."""

    @plgpu.inline_mgpu(arg_types=(_REF, tuple(TILE for _ in tiles)))
    def emit(context, ref, tiles):
        start, words = _global(ref), [word for tile in tiles for word in _pairs(tile)]
        for line in range(len(words) // 4):
            where = arith.addi(start, arith.constant(_i64(), _LINE * line))
            store = "st.global.v4.b32 [$0], {$1,$2,$3,$4};"
            _run(store, [where, *words[4 * line : 4 * line + 4]], "l,r,r,r,r")

    emit(ref, tuple(tiles))


def load_tiles(ref: Any, count: int, rows: int) -> tuple:
    """Reads what `store_tiles` wrote: `count` bf16 tiles."""

    @plgpu.inline_mgpu(arg_types=(_REF,), return_type=tuple(_tile_type(rows) for _ in range(count)))
    def emit(context, ref):
        start, words = _global(ref), []
        for line in range(count * rows // 16):
            where = arith.addi(start, arith.constant(_i64(), _LINE * line))
            words += _read(_LOAD.format(space="global"), [where], "=r,=r,=r,=r,l", _i32(), 4)
        each = rows // 4
        return tuple(_tile(words[i * each : (i + 1) * each], rows) for i in range(count))

    return emit(ref)
