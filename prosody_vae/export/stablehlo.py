"""`prosody export stablehlo`: the voice as JAX itself traces it, for CPU, CUDA and TPU.

What `tts.plan.make_speech_plan` does in NumPy between the two networks is in the example, in NumPy as well; the number
of frames that it plans is the length of an input, so that it stays symbolic.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.export.onnx_folder import convention_files
from copycat_jax.export.stablehlo import PLATFORMS, SHORTEST, Program, inputs_of, program_files, vocoder_programs
from prosody_vae.export.onnx_folder import Styles, spoken_files
from prosody_vae.space.table import KIND
from prosody_vae.tts import model

HERE = Path(__file__).parent

_README = """# The voice of a prosody space in StableHLO

    python example.py 0 {style} out.wav

speaks the first sentence of sentences.json with a style of styles.json; it needs NumPy and JAX. Each program is opened
by `jax.export.deserialize` and runs on {platforms}, whatever the lengths of its inputs, of which each new one is
compiled once. Inputs are given in this order:

{inputs}

Lengths: b rows, p phonemes, t frames ({shortest} or more). `prosody` gives, per phoneme, expected frames, the
probability of a pause, its expected frames, log F0 (Hz) and energy (log-RMS), [5, b, p]; `example.py` makes a plan in
whole frames of them. `voice` gives the log-mel of a plan; `time` counts its frames from 0. `encoder` gives mean and
log-variance of the embedding of a recording's mel, [2, b, {latent}]. Mels are at {floor:.6f}, the logarithm of the
convention's floor, behind a row's end; pitch and vocoder make silence of it.
"""


def programs(bundle: Bundle, voice_of: Bundle, recurrence: str = "plain") -> dict[str, Program]:
    """The functions of a voice by name; arguments as in `copycat_jax.export.stablehlo.programs`."""
    fields = bundle.config[KIND] | {"compute_dtype": "float32", "recurrence": recurrence}
    config, spec = model.VaeConfig.from_dict(fields), bundle.spec
    step = math.prod(config.time_strides)

    def prosody(params, phonemes, breaks, mask, z, speaker):
        return jnp.stack(model.predict(params, config, phonemes, breaks, mask, z, speaker))

    def voice(params, phonemes, breaks, durations, pauses, log_f0, energy, z, speaker, time):
        how = durations, pauses, log_f0, energy
        mel, _ = model.render_mel(params, config, phonemes, breaks, *how, z, speaker, frames=time.shape[0])
        return jnp.where(
            (time[None] < (durations + pauses).sum(1, keepdims=True))[..., None], mel, math.log(spec.floor)
        )

    def encoder(params, mel, mask):
        return jnp.stack(model.encode(params, config, mel, mask))

    text = (("phonemes", jnp.int32, "b, p"), ("breaks", jnp.int32, "b, p"))
    vectors = (("z", jnp.float32, f"b, {config.latent}"), ("speaker", jnp.float32, f"b, {config.embedding}"))
    lengths = (("durations", jnp.int32, "b, p"), ("pauses", jnp.int32, "b, p"))
    melody = (("log_f0", jnp.float32, "b, p"), ("energy", jnp.float32, "b, p"))
    heard = (("mel", jnp.float32, f"b, {step}*t, {spec.mel_bins}"), ("mask", jnp.bool_, f"b, {step}*t"))
    return {
        "prosody": Program(KIND, prosody, (*text, ("mask", jnp.bool_, "b, p"), *vectors)),
        "voice": Program(KIND, voice, (*text, *lengths, *melody, *vectors, ("time", jnp.int32, "t"))),
        "encoder": Program(KIND, encoder, heard, step),
        **vocoder_programs(voice_of),
    }


def stablehlo_files(bundle: Bundle, voice_of: Bundle, styles: Styles, texts: Sequence[str]) -> dict[str, bytes]:
    """The files of the folder by name; arguments as in `onnx_folder.onnx_files`."""
    groups = {KIND: bundle.params[KIND], "vocoder": voice_of.params["vocoder"]}
    found = programs(bundle, voice_of)
    readme = _README.format(
        style=next(iter(styles)),
        platforms=", ".join(PLATFORMS),
        inputs=inputs_of(found, apart=False),
        shortest=SHORTEST,
        latent=bundle.config[KIND]["latent"],
        floor=math.log(bundle.spec.floor),
    )
    return {
        **program_files(found, groups, apart=False),
        **convention_files(bundle),
        **spoken_files(styles, texts),
        "example.py": (HERE / "example_stablehlo.py").read_bytes(),
        "README.md": readme.encode(),
    }
