"""The ONNX graph of a transfer is the model's function, whatever its options; each classic mistake is seen."""

import jax
import numpy as np
import pytest
from exported import OPTIONS, expected_transfer, mixed_rows, tiny_copycat, tolerance

from copycat_jax.errors import UserError
from copycat_jax.export import layers
from copycat_jax.export.copycat import transfer_graph
from copycat_jax.export.session import open_model

onnx = pytest.importorskip("onnx")


def check_parity(model, wanted, inputs):
    out = open_model(model.SerializeToString(), 1)(**inputs)["out"]
    np.testing.assert_allclose(out, wanted, atol=tolerance(wanted))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())) or "tiny")
def test_every_option_is_the_same_function(options):
    bundle, inputs = tiny_copycat(options), mixed_rows()
    check_parity(transfer_graph(bundle), expected_transfer(bundle, inputs), inputs)


def test_nothing_on_padding_changes_a_bit():
    run, inputs = open_model(transfer_graph(tiny_copycat()).SerializeToString(), 1), mixed_rows()
    spoilt = {**inputs, "mel": np.where(inputs["mask"][..., None], inputs["mel"], np.float32(np.nan))}
    np.testing.assert_array_equal(run(**inputs)["out"], run(**spoilt)["out"])
    longer = {name: np.pad(inputs[name], [(0, 0), (0, 19)] + [(0, 0)] * (inputs[name].ndim - 2), constant_values=fill)
              for name, fill in (("mel", 3), ("mask", False), ("phonemes", 7), ("durations", 0))}  # fmt: skip
    out = run(**{**inputs, **longer})["out"]
    np.testing.assert_allclose(out[:, :45], run(**inputs)["out"], atol=1e-5)
    assert not out[:, 45:].any()


def _attribute(model, name, value):
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == name:
                attribute.i = value


def _without_lengths(model):
    for node in model.graph.node:
        if node.op_type in ("GRU", "LSTM"):
            node.input[4] = ""


MISTAKES = {
    "the reset gate before the product": (lambda patch: None, lambda m: _attribute(m, "linear_before_reset", 0)),
    "the GRU's gates in our order": (lambda patch: patch.setitem(layers.GATES, "gru", (0, 1, 2)), None),
    "the LSTM's gates in our order": (lambda patch: patch.setitem(layers.GATES, "lstm", (0, 1, 2, 3)), None),
    "the recurrent bias forgotten": ("recurrent_bias", None),
    "no lengths of the rows": (lambda patch: None, _without_lengths),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_classic_mistake_is_seen(mistake, right, monkeypatch):
    bundle, wanted, inputs = right
    before, after = MISTAKES[mistake]
    if before == "recurrent_bias":
        flat = lambda path, leaf: 0 * leaf if "recurrent_bias" in jax.tree_util.keystr(path) else leaf  # noqa: E731
        bundle = bundle._replace(params=jax.tree_util.tree_map_with_path(flat, bundle.params))
    else:
        before(monkeypatch)
    model = transfer_graph(bundle)
    if after:
        after(model)
    with pytest.raises(AssertionError):
        check_parity(model, wanted, inputs)


@pytest.fixture(scope="module")
def right():
    bundle, inputs = tiny_copycat(), mixed_rows()
    return bundle, expected_transfer(bundle, inputs), inputs


def test_what_has_no_form_is_refused():
    bundle = tiny_copycat()
    bundle.config["copycat"]["bottleneck"] = "other"
    with pytest.raises(UserError, match="bottleneck"):
        transfer_graph(bundle)
