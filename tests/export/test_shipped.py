"""The shipped models in ONNX: the demo's recording in another voice, as JAX speaks it, at any padding."""

import ast
import importlib.util
import json

import numpy as np
import pytest
from exported import DECIBEL, NATS, decibel

from copycat_jax.bundle.bundle import flatten, read_bundle, shipped
from copycat_jax.demo import CLIP, clip_text
from copycat_jax.export.folder import write_export
from copycat_jax.export.onnx_folder import onnx_files
from copycat_jax.export.prepared import prepare_recording
from copycat_jax.export.session import open_model
from copycat_jax.source import register_ratio, tracker_of
from copycat_jax.synthesis import Synthesizer
from copycat_jax.vocoder.harmonic import read_vocoder

onnx = pytest.importorskip("onnx")

OPERATORS = (
    "Abs Add And Cast Clip Concat Conv ConvTranspose Cos CumSum Div Exp Expand Floor GRU Gather GatherElements Greater "
    "Identity LSTM LayerNormalization Less LessOrEqual Log MatMul Max Min Mod Mul Pad Pow Range ReduceMax ReduceMean "
    "ReduceSum Relu Reshape Round Shape Sin Slice Sqrt Squeeze Sub Tanh Transpose Unsqueeze Where"
)
MEGABYTES = {"transfer": 15.2, "speaker": 1.9, "pitch": 0.5, "vocoder": 12.5}


@pytest.fixture(scope="module")
def bundle():
    return read_bundle(shipped(), "copycat")


@pytest.fixture(scope="module")
def prepared(bundle):
    return prepare_recording(CLIP / "source.opus", clip_text(), bundle.spec, tracker_of(bundle.speakers))


@pytest.fixture(scope="module")
def folder(bundle, prepared, tmp_path_factory):
    files = onnx_files(bundle, read_vocoder(bundle.spec), prepared)
    return write_export(tmp_path_factory.mktemp("export") / "onnx", "onnx", files, {})


@pytest.fixture(scope="module")
def synthesizer(bundle):
    return Synthesizer(bundle)


@pytest.fixture(scope="module")
def spoken(synthesizer, prepared):
    """(mel, samples, ratio) as JAX makes them, the samples before they are made as loud as the recording."""
    voice = synthesizer.voices["am_michael"]
    ratios = np.array([register_ratio(float(prepared.register_hz), voice.register_hz, 0.0)], np.float32)
    vector, centroids = synthesizer.programs.embed(prepared.mel), np.array([voice.centroid], np.float32)
    inputs = prepared.phonemes, prepared.durations, vector, centroids, None
    mel = synthesizer.programs.transfer(prepared.mel, ratios, *inputs)
    return mel, synthesizer._vocode(mel, prepared.mel, ratios, synthesizer.vocoder("harmonic"))[0], ratios


def test_the_register_is_that_of_a_transfer(synthesizer, prepared, spoken):
    source = synthesizer.prepare(CLIP / "source.opus", clip_text())
    np.testing.assert_allclose(prepared.register_hz, source.register_hz, rtol=1e-4)


def test_the_mel_is_that_of_jax_at_its_length_and_in_a_bucket(folder, bundle, prepared, spoken):
    wanted, _, ratios = spoken
    frames, room = len(prepared.mel), 61
    run, hear = (open_model(folder / f"{name}.onnx") for name in ("transfer", "speaker"))
    for more in (0, room):
        mel = np.pad(prepared.mel, ((0, more), (0, 0)))[None]
        mask = np.arange(frames + more)[None] < frames
        ids, lengths = (np.pad(getattr(prepared, name), (0, more // 6))[None] for name in ("phonemes", "durations"))
        source, target = hear(mel=mel, mask=mask)["vector"], np.array([bundle.speakers["am_michael"].centroid])
        inputs = {"mel": mel, "ratio": ratios, "phonemes": ids, "durations": lengths, "mask": mask, "source": source}
        made = run(**inputs, target=target.astype(np.float32))["out"]
        assert np.abs(made[:, :frames] - wanted).max() < NATS


def test_the_example_makes_the_samples_of_jax(folder, prepared, spoken):
    """In less than sixty lines that import NumPy and onnxruntime alone."""
    text = (folder / "example.py").read_text()
    imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert names == {"json", "sys", "wave", "pathlib", "typing", "numpy", "onnxruntime"} and text.count("\n") < 60
    spec = importlib.util.spec_from_file_location("example", folder / "example.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    voice = json.loads((folder / "voices.json").read_text())["am_michael"]
    samples = example.transfer(dict(np.load(folder / "source.npz")), voice)
    assert samples.shape == spoken[1].shape and decibel(spoken[1], samples) > DECIBEL


def test_graphs_are_of_few_operators_with_names_of_their_own(folder, bundle):
    used = set()
    for name, most in MEGABYTES.items():
        path = folder / f"{name}.onnx"
        model = onnx.load(path)
        assert path.stat().st_size < most * 1e6
        assert (model.ir_version, [o.version for o in model.opset_import]) == (8, [17])
        nodes = [node.name for node in model.graph.node]
        assert len(set(nodes)) == len(nodes) and all(nodes)
        used |= {node.op_type for node in model.graph.node}
        notes = {note.key: note.value for note in model.metadata_props}
        assert notes["sample_rate"] == "22050" and len(notes["bundle"]) == 64
        kinds = {value.type.tensor_type.elem_type for value in model.graph.input}
        assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.BOOL}
    assert used <= set(OPERATORS.split()), used
    assert sum(file.stat().st_size for file in folder.iterdir()) < 30e6


def bits(halves: np.ndarray) -> bytes:
    return np.sort(halves.view(np.uint16), axis=None).tobytes()


def test_weights_are_the_bundles_bits(folder, bundle):
    """Every kernel lies in the file as float16, whatever its order there."""
    groups = {"transfer": bundle.params["copycat"], "vocoder": read_vocoder(bundle.spec).params["vocoder"]["shape"]}
    for name, params in groups.items():
        stored = {
            bits(onnx.numpy_helper.to_array(tensor))
            for tensor in onnx.load(folder / f"{name}.onnx").graph.initializer
            if tensor.data_type == onnx.TensorProto.FLOAT16
        }
        kernels = {path: leaf for path, leaf in flatten(params).items() if leaf.ndim > 1 and leaf.size > 4000}
        assert len(kernels) > 10
        for path, leaf in kernels.items():
            assert bits(leaf.astype(np.float16)) in stored, path
