"""What the machine can compute: the other side of a utilisation figure."""

import statistics
import time

import jax
import jax.numpy as jnp


def matmul_ceiling(dtype: str = "bfloat16", size: int | None = None, repeats: int = 10) -> float:
    """FLOP/s of one large square matrix product on one device, median of `repeats`: measured, not the data sheet's."""
    size = size or (8192 if jax.default_backend() in ("gpu", "tpu") else 1024)
    a = jax.random.normal(
        jax.random.key(0), (size, size), jnp.dtype(dtype)
    )  # constants draw less power, and run faster
    product = jax.jit(lambda x, y: x @ y)
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return 2.0 * size**3 / statistics.median(seconds)
