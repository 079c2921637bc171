"""Programs traced once run without this package, at any length, as the models do; lengths that disagree are refused."""

import json
import subprocess
import sys

import numpy as np
from exported import (
    DECIBEL,
    decibel,
    expected_samples,
    expected_transfer,
    expected_vector,
    mixed_rows,
    tiny_copycat,
    tiny_vocoder,
    tolerance,
)

from copycat_jax.bundle.bundle import flatten
from copycat_jax.export import stablehlo

# Runs the programs named in its first argument with inputs from NAME.npz, and writes NAME.npy.
ELSEWHERE = """
import json, sys
import numpy as np
import jax
from jax import export
for name in json.loads(sys.argv[1]):
    program = export.deserialize(bytearray(open(f"{name}.stablehlo", "rb").read()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    inputs, tree, values = np.load(f"{name}.npz"), {}, []
    for key in inputs.files:
        if "/" not in key:
            values.append(inputs[key])
            continue
        *folders, leaf = key.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = inputs[key]
    first = [tree] if tree else []
    np.save(f"{name}.npy", jax.jit(program.call)(*first, *values))
    try:
        program.call(*first, *values[:-1], values[-1][..., :-1])
    except ValueError:
        print("refused", name)
assert not {name.split(".")[0] for name in sys.modules} & {"copycat_jax", "prosody_vae", "flax"}
"""


def test_a_process_without_our_code_runs_them(tmp_path, symbolic):
    bundle = tiny_copycat({"speaker_in_phoneme_encoder": True, "decoder_norm": "instance"}, {"time_strides": (2, 2)})
    sound, rows = tiny_vocoder(), mixed_rows(frames=44)
    mel, mask = rows["mel"], rows["mask"]
    f0_hz = np.where(np.arange(44) % 9 < 6, np.linspace(80, 200, 44), 0).astype(np.float32)[None].repeat(3, 0)
    weights = {name: leaf.astype(np.float16) for name, leaf in flatten(bundle.params["copycat"]).items()}
    found = stablehlo.programs(bundle, sound)
    cases = {
        "transfer": (found["transfer"], False, rows, expected_transfer(bundle, rows)),
        "apart": (found["transfer"], True, rows | weights, expected_transfer(bundle, rows)),
        "speaker": (found["speaker"], False, {"mel": mel, "mask": mask}, expected_vector(bundle, mel, mask)),
        "vocoder": (found["vocoder"], False, {"mel": mel, "f0_hz": f0_hz}, expected_samples(sound, mel, f0_hz)),
    }
    groups = {**bundle.params, **sound.params}
    for name, (program, apart, inputs, _) in cases.items():
        blob = stablehlo.trace(program, groups[program.group], apart)
        assert str(stablehlo.HERE).encode() not in blob  # nobody's folders
        (tmp_path / f"{name}.stablehlo").write_bytes(blob)
        np.savez(tmp_path / f"{name}.npz", **inputs)
    command = [sys.executable, "-c", ELSEWHERE, json.dumps(list(cases))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"JAX_PLATFORMS": "cpu"})
    assert done.stdout.split("\n")[:-1] == [f"refused {name}" for name in cases], done.stderr
    for name, (*_, wanted) in cases.items():
        made = np.load(tmp_path / f"{name}.npy")
        if name == "vocoder":
            assert decibel(wanted, made) > DECIBEL
        else:
            np.testing.assert_allclose(made, wanted, atol=tolerance(wanted))
