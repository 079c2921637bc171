"""The JAX encoder is BERT, whatever the batch."""

import math
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bert import CONFIG, SENTENCES, VOCABULARY, minilm, random_tensors, write_folder

from copycat_jax.errors import UserError
from prosody_vae.linguistics import bert
from prosody_vae.linguistics.bert import find_encoder, open_encoder, plan_batches, width_of
from prosody_vae.linguistics.bert_model import Bert, convert, sentence_vectors


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return open_encoder(folder)


def slow_states(tensors: dict[str, np.ndarray], pieces: list[int]) -> list[np.ndarray]:
    """All hidden states of one sentence: the paper's formulas in float64, head by head and position by position."""
    w = {name: value.astype(np.float64) for name, value in tensors.items()}
    width, heads = CONFIG["hidden_size"], CONFIG["num_attention_heads"]
    each = width // heads

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt(np.square(centred).mean(-1, keepdims=True) + CONFIG["layer_norm_eps"])
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["embeddings.word_embeddings.weight"][pieces] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x + w["embeddings.position_embeddings.weight"][: len(pieces)], "embeddings.LayerNorm")
    states = [x]
    for i in range(CONFIG["num_hidden_layers"]):
        p = f"encoder.layer.{i}"
        query, key, value = (dense(x, f"{p}.attention.self.{n}") for n in ("query", "key", "value"))
        seen = np.zeros_like(x)
        for head in range(heads):
            part = slice(head * each, (head + 1) * each)
            for t in range(len(pieces)):
                score = np.exp(key[:, part] @ query[t, part] / math.sqrt(each))
                seen[t, part] = (score / score.sum()) @ value[:, part]
        x = norm(x + dense(seen, f"{p}.attention.output.dense"), f"{p}.attention.output.LayerNorm")
        wide = dense(x, f"{p}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = norm(x + dense(wide, f"{p}.output.dense"), f"{p}.output.LayerNorm")
        states.append(x)
    return states


@pytest.mark.parametrize("layer", [-2, -1, 0])
def test_is_the_slow_obvious_bert(folder, layer):
    encoder = open_encoder(folder, layer)
    expected = [slow_states(random_tensors(), pieces)[layer][1:-1].mean(0) for pieces in encoder.pieces(SENTENCES)]
    made = encoder.encode(SENTENCES)
    assert made.dtype == np.float32 and made.shape == (len(SENTENCES), encoder.width) and np.std(expected) > 0.1
    np.testing.assert_allclose(made, expected, atol=1e-5)


def test_a_vector_does_not_depend_on_the_batch(encoder):
    together = encoder.encode(SENTENCES * 2, batch_size=16)  # one batch, as wide as the longest
    for n, text in enumerate(SENTENCES):
        np.testing.assert_allclose(encoder.encode([text])[0], together[n], atol=1e-5)
    np.testing.assert_allclose(together[-len(SENTENCES) :], together[: len(SENTENCES)], atol=1e-5)
    np.testing.assert_allclose(encoder.encode(SENTENCES[::-1], 3)[::-1], together[: len(SENTENCES)], atol=1e-5)
    assert len({tuple(np.round(row, 3)) for row in together}) == len(SENTENCES)
    assert encoder.encode([]).shape == (0, encoder.width)


def test_eight_devices_are_one_device(encoder):
    assert jax.device_count() == 8
    pieces = encoder.pieces(SENTENCES[:1])[0]
    ids = np.array([[*pieces, 7, 7, 7]])  # padded with anything
    place = np.arange(ids.shape[1])[None]
    real, counted = place < len(pieces), (place > 0) & (place < len(pieces) - 1)
    config = encoder.config
    params = convert(random_tensors(), config, config.depth(-2))
    alone = jax.jit(sentence_vectors, static_argnums=0)(Bert(config, config.depth(-2)), params, ids, real, counted)
    np.testing.assert_allclose(encoder.encode(SENTENCES[:1]), alone, atol=1e-5)


@given(
    st.lists(st.integers(3, 512), max_size=200),
    st.integers(1, 70),
    st.sampled_from([1, 4, 8]),
)
def test_every_sentence_is_in_one_batch_that_holds_it(lengths, batch_size, devices):
    parts = list(plan_batches(lengths, batch_size, devices, 512))
    assert sorted(i for part in parts for i in part.indices) == list(range(len(lengths)))
    for part in parts:
        assert max(lengths[i] for i in part.indices) <= part.width <= 512
        assert len(part.indices) <= part.rows and part.rows % devices == 0
    widths = {width_of(n, 512) for n in range(1, 513)}
    assert len(widths) == 11 and all(width_of(n, 512) <= max(16, 1.5 * n) for n in range(1, 513))
    assert len({(part.rows, part.width) for part in parts}) <= len(widths) + 1


def test_a_long_sentence_keeps_its_first_word_pieces_and_says_so(encoder, capsys):
    most = CONFIG["max_position_embeddings"] - 2
    long = encoder.encode(["he ate " * 2500])
    assert "1 sentence(s) longer than 38 word pieces" in capsys.readouterr().err
    np.testing.assert_allclose(long, encoder.encode(["he ate " * (most // 2)]), atol=1e-6)
    assert capsys.readouterr().err == ""


def test_what_is_written_in_a_sentence_is_text(encoder):
    first, last = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
    (spelled,) = encoder.pieces(["he [SEP] ate"])
    assert [VOCABULARY[i] for i in spelled] == ["[CLS]", "he", "[", "sep", "]", "ate", "[SEP]"]
    (emoji,) = encoder.pieces(["He ate 🍕 日"])
    unknown = VOCABULARY.index("[UNK]")
    assert emoji == [first, VOCABULARY.index("he"), VOCABULARY.index("ate"), unknown, unknown, last]
    for empty in ("", " \n\t", "\u200b"):
        with pytest.raises(UserError, match="no words in"):
            encoder.encode(["He ate.", empty])
    with pytest.raises(UserError, match="list of sentences"):
        encoder.encode("He ate.")


def test_vocab_txt_alone_gives_the_same_word_pieces(tmp_path, encoder):
    pytest.importorskip("transformers")
    plain = open_encoder(write_folder(tmp_path / "plain", rust=False))
    texts = [*SENTENCES, "he [SEP] ate", "Né BLACK\tSuit, or... a  blue-one"]
    assert plain.pieces(texts) == encoder.pieces(texts)
    assert plain.fingerprint == encoder.fingerprint


def test_bfloat16_is_close(folder, encoder):
    exact = encoder.encode(SENTENCES)
    with jax.numpy_dtype_promotion("standard"):  # Flax multiplies a float32 softmax with values in bfloat16
        rough = open_encoder(folder, compute_dtype="bfloat16").encode(SENTENCES)
    assert rough.dtype == np.float32 and 0 < np.abs(rough - exact).max() < 0.1


@pytest.mark.slow
def test_the_installed_minilm_hears_meaning(monkeypatch):
    minilm()
    monkeypatch.delenv(bert.ENVIRONMENT, raising=False)
    encoder = find_encoder()
    assert encoder.label == "MiniLM-L6" and encoder.width == 384
    vectors = encoder.encode(["Who ate my pizza?", "Someone has eaten the pizza.", "Shares fell sharply on Monday."])
    a, b, c = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert a @ b > a @ c + 0.2


def torch_vectors(model, pieces: list[list[int]], layer: int) -> np.ndarray:
    """PyTorch's, sentence by sentence, so that no padding is involved."""
    import torch

    with torch.no_grad():
        states = [model(torch.tensor([ids]), output_hidden_states=True).hidden_states for ids in pieces]
    return np.stack([s[layer][0, 1:-1].mean(0).numpy() for s in states])


@pytest.mark.parity
@pytest.mark.parametrize("file", bert.WEIGHTS)
def test_parity_with_pytorch_on_random_weights(tmp_path, file):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(**CONFIG)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    place = write_folder(tmp_path / "random")
    (place / "model.safetensors").unlink()
    if file.endswith(".bin"):
        torch.save({f"bert.{name}": value for name, value in model.state_dict().items()}, place / file)
    else:
        model.save_pretrained(place)
    for layer in (-1, -2, 0):
        encoder = open_encoder(place, layer)
        expected = torch_vectors(model, encoder.pieces(SENTENCES), layer)
        assert expected.std() > 0.1
        np.testing.assert_allclose(encoder.encode(SENTENCES), expected, atol=1e-4)


@pytest.mark.parity
def test_parity_with_pytorch_on_minilm():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    place = minilm()
    model = transformers.BertModel.from_pretrained(place, local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
    texts = [*SENTENCES, "Naïve café 🍕 [SEP]?", "word " * 600]
    for layer in (-1, -2):
        encoder = open_encoder(place, layer)
        pieces = encoder.pieces(texts)
        assert pieces == tokenizer(texts, truncation=True, max_length=512, split_special_tokens=True)["input_ids"]
        expected = torch_vectors(model, pieces, layer)
        np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-4)
