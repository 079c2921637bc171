# XLA and JAX settings for training, each with its reason. Source it: `. launch/flags.sh`.
# What is already set in the environment wins. Nothing here is needed for correct results; all of it is about speed,
# memory, or the time until the first step. Measure before adding to it.

# Keep compiled programs: a run that resumes, or a second run of the same sizes, starts in seconds. One program per
# length bucket is compiled, all at once, and only those that took more than a second are worth keeping. What XLA finds
# by trying out kernels on a GPU is kept in the same folder (JAX sets --xla_gpu_per_fusion_autotune_cache_dir to a part of
# it), so that a later start takes the same kernels. On a disk that hosts share, all of them read what process 0 wrote.
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/copycat_jax/compiled}"
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="${JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS:-1}"

# JAX takes three quarters of a GPU's memory at start. More of it can be given when nothing else runs there; when
# something does (a vocoder, a notebook), set XLA_PYTHON_CLIENT_PREALLOCATE=false instead.
export XLA_PYTHON_CLIENT_MEM_FRACTION="${XLA_PYTHON_CLIENT_MEM_FRACTION:-0.90}"

# The log of the C++ side: warnings of every compilation hide what matters.
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-1}"

# Not set, on purpose:
#   --xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=1   trying out kernels is most of a GPU's compile time. The
#       five shapes of the prosody voice were not through it after four minutes on an H200; with these two flags two shapes
#       took 20 s. The price in step time was not measured.
#   --xla_gpu_deterministic_ops=true   the tests prove bitwise resuming on CPU; on GPUs some kernels add up in any order.
#       Set it where a run must repeat to the bit there, and expect it to be slower.
#   --xla_force_host_platform_device_count=N   several simulated CPU devices; JAX_NUM_CPU_DEVICES=N does the same and wins.
