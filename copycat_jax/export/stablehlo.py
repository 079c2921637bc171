"""`copycat export stablehlo`: the models as JAX itself traces them, in one artefact for CPU, CUDA and TPU.

Batch, frames and phonemes stay symbolic; what has another length where lengths must agree is refused when it is
called. Weights lie in it as the bundle's float16 and are widened inside, or stay apart: then the file of a bundle's
group is its first argument, as a nested dictionary. Recurrences are plain scans, and no folder of the machine that
traced it is named.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from safetensors.numpy import save

from copycat_jax.batch import AlignedPhonemes
from copycat_jax.bundle.bundle import Bundle, flatten
from copycat_jax.export.onnx_folder import convention_files
from copycat_jax.export.prepared import Prepared, prepared_bytes
from copycat_jax.files import json_text
from copycat_jax.models import copycat, speaker, vocoder

HERE = Path(__file__).parent
PLATFORMS = ("cpu", "cuda", "tpu")
SHORTEST = 16  # frames


class Program(NamedTuple):
    """A function of a group's parameters and of inputs, whose lengths are letters or numbers."""

    group: str
    run: Callable[..., jax.Array]
    inputs: tuple[tuple[str, Any, str], ...]  # (name, type, lengths)
    step: int = 1  # frames are a multiple of it


def programs(bundle: Bundle, voice_of: Bundle, recurrence: str = "plain") -> dict[str, Program]:
    """The functions of a transfer by name.

    Args:
      bundle: of kind "copycat".
      voice_of: the vocoder's, of the same mel convention.
      recurrence: implementation of the recurrences; only "plain" is the same on every platform.
    """
    single = {"compute_dtype": "float32"}
    spec, bins = bundle.spec, bundle.spec.mel_bins
    config = copycat.CopyCatConfig.from_dict(bundle.config["copycat"] | single | {"recurrence": recurrence})
    heard = speaker.SpeakerConfig.from_dict(bundle.config["speaker"] | single | {"recurrence": recurrence})
    step, width = int(np.prod(heard.time_strides)), config.embedding

    def transfer(params, mel, ratio, phonemes, durations, mask, source, target):
        aligned = AlignedPhonemes(phonemes, durations, mask)
        return copycat.transfer_mel(params, config, mel, ratio, aligned, source, target, spec)

    def embed(params, mel, mask):
        return speaker.embed(params, heard, mel, mask)

    mel = ("mel", jnp.float32, f"b, t, {bins}")
    aligned = (("phonemes", jnp.int32, "b, p"), ("durations", jnp.int32, "b, p"), ("mask", jnp.bool_, "b, t"))
    vectors = (("source", jnp.float32, f"b, {width}"), ("target", jnp.float32, f"b, {width}"))
    strided = (("mel", jnp.float32, f"b, {step}*t, {bins}"), ("mask", jnp.bool_, f"b, {step}*t"))
    return {
        "transfer": Program("copycat", transfer, (mel, ("ratio", jnp.float32, "b"), *aligned, *vectors)),
        "speaker": Program("speaker", embed, strided, step),
        **vocoder_programs(voice_of),
    }


def vocoder_programs(voice_of: Bundle) -> dict[str, Program]:
    """The functions of a vocoder's bundle by name."""
    spec = voice_of.spec
    config = vocoder.VocoderConfig.from_dict(voice_of.config["vocoder"] | {"compute_dtype": "float32"})

    def read_f0(params, mel):
        return vocoder.read_f0(params, config, mel, spec)

    def synthesize(params, mel, f0_hz):
        return vocoder.synthesize(params, config, mel, f0_hz, spec)

    mel = ("mel", jnp.float32, f"b, t, {spec.mel_bins}")
    return {
        "pitch": Program("vocoder", read_f0, (mel,)),
        "vocoder": Program("vocoder", synthesize, (mel, ("f0_hz", jnp.float32, "b, t"))),
    }


def trace(program: Program, params: Any, apart: bool = False) -> bytes:
    """A program as the bytes that `jax.export.deserialize` reads."""
    timed = any("t" in lengths for _, _, lengths in program.inputs)
    scope = export.SymbolicScope([f"t >= {max(1, SHORTEST // program.step)}"] if timed else ())
    shapes = [export.symbolic_shape(lengths, scope=scope) for _, _, lengths in program.inputs]
    inputs = [jax.ShapeDtypeStruct(s, item[1]) for s, item in zip(shapes, program.inputs, strict=True)]
    half = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float16), params)

    def widened(weights: Any, *values: jax.Array) -> jax.Array:
        barred = jax.tree.map(jax.lax.optimization_barrier, weights)  # or it is widened when it is compiled
        return program.run(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), barred), *values)

    with _without_folders():
        if apart:
            weights = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), half)
            return bytes(export.export(jax.jit(widened), platforms=PLATFORMS)(weights, *inputs).serialize())
        baked = jax.jit(lambda *values: widened(half, *values))
        return bytes(export.export(baked, platforms=PLATFORMS)(*inputs).serialize())


@contextlib.contextmanager
def _without_folders() -> Iterator[None]:
    """No path of this machine is written into what is traced meanwhile."""
    name = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, name)
    jax.config.update(name, ".*/")
    try:
        yield
    finally:
        jax.config.update(name, before)


_README = """# CopyCat in StableHLO

    python example.py source.npz {voice} out.wav

speaks a prepared recording (`copycat export source RECORDING --text ... --out source.npz` makes one of any) in a voice
of voices.json; it needs NumPy and JAX. Each program is opened by `jax.export.deserialize` and runs on {platforms},
whatever the lengths of its inputs, of which each new one is compiled once. Inputs are given in this order:

{inputs}

Lengths: b rows, t frames ({shortest} or more), p phonemes. Rows are padded at their ends; `mask` says what is real, and
for pitch and vocoder, which have none, padding is {floor:.6f}, the logarithm of the convention's floor.
{weights}"""
_APART = """
Weights lie apart: the first argument of every program is its group of weights as a nested dictionary, GROUP.safetensors
with its keys split at "/" (`example.py` does it), in float16.
"""


def stablehlo_files(bundle: Bundle, voice_of: Bundle, prepared: Prepared, apart: bool = False) -> dict[str, bytes]:
    """The files of the folder by name; arguments as in `onnx_folder.onnx_files`; `apart`: weights in files."""
    groups = {**bundle.params, "vocoder": voice_of.params["vocoder"]}
    found = programs(bundle, voice_of)
    readme = _README.format(
        voice=next(iter(bundle.speakers), "VOICE"),
        platforms=", ".join(PLATFORMS),
        inputs=inputs_of(found, apart),
        shortest=SHORTEST,
        floor=np.log(bundle.spec.floor),
        weights=_APART if apart else "",
    )
    return {
        **program_files(found, groups, apart),
        **convention_files(bundle),
        "source.npz": prepared_bytes(prepared),
        "example.py": (HERE / "example_stablehlo.py").read_bytes(),
        "README.md": readme.encode(),
    }


def program_files(found: Mapping[str, Program], groups: Mapping[str, Any], apart: bool) -> dict[str, bytes]:
    """The files of programs, of which multiple their frames have to be, and of weights that lie apart."""
    files = {f"{name}.stablehlo": trace(program, groups[program.group], apart) for name, program in found.items()}
    files["steps.json"] = json_text({name: program.step for name, program in found.items()}).encode()
    if apart:
        halves = {group: flatten(jax.tree.map(lambda leaf: leaf.astype(np.float16), p)) for group, p in groups.items()}
        files |= {f"{group}.safetensors": save(flat) for group, flat in halves.items()}
    return files


def inputs_of(found: Mapping[str, Program], apart: bool) -> str:
    """The programs and their inputs, a line of Markdown for each."""
    return "\n".join(
        f"* `{name}.stablehlo`"
        + (f" (weights: {program.group})" if apart else "")
        + ": "
        + ", ".join(f"{item} {np.dtype(kind).name} [{lengths}]" for item, kind, lengths in program.inputs)
        for name, program in found.items()
    )
