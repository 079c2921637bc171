"""The encoder of BERT (Devlin et al. 2019) as a pure function of published weights.

Word, position and type embeddings, then post-norm transformer layers, exactly as Hugging Face's `BertModel` computes
them without dropout and without the pooler. Layers that the wanted hidden state does not need are neither read nor
run.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from copycat_jax.errors import UserError

Params = dict[str, Any]
_ACTIVATIONS = {
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "gelu_new": nn.gelu,
    "gelu_pytorch_tanh": nn.gelu,
    "relu": nn.relu,
}
_REMEDY = "Give the folder of a BERT, such as bert-base-uncased."


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The fields of a `config.json` that matter to the arithmetic, under their published names."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    hidden_act: str = "gelu"

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], where: str = "config.json") -> "BertConfig":
        """Reads the fields of a `config.json`; what it does not say has the value of bert-base-uncased.

        Raises:
          UserError: another architecture than BERT's, or sizes that cannot be.
        """
        kind = fields.get("model_type", "bert")
        if kind != "bert":
            raise UserError(f"model_type is '{kind}', and only 'bert' is understood", where, _REMEDY)
        for name, plain in (
            ("position_embedding_type", "absolute"),
            ("is_decoder", False),
            ("add_cross_attention", False),
            ("pruned_heads", {}),
            ("quantization_config", None),
        ):
            if (fields.get(name) or plain) != plain:
                raise UserError(f"{name} is {fields[name]!r}, which a plain BERT has not", where, _REMEDY)
        given = {f.name: fields.get(f.name, f.default) for f in dataclasses.fields(cls)}
        if given["hidden_act"] not in _ACTIVATIONS:
            remedy = f"Understood are {', '.join(_ACTIVATIONS)}."
            raise UserError(f"hidden_act is {given['hidden_act']!r}", where, remedy)
        for field in dataclasses.fields(cls):
            value = given[field.name]
            if field.type is int and (type(value) is not int or value < 1):
                raise UserError(f"{field.name} is {value!r}, not a positive whole number", where, _REMEDY)
        if not isinstance(given["layer_norm_eps"], float):
            raise UserError(f"layer_norm_eps is {given['layer_norm_eps']!r}", where, _REMEDY)
        config = cls(**given)
        if config.hidden_size % config.num_attention_heads:
            what = f"hidden_size {config.hidden_size} is no multiple of num_attention_heads"
            raise UserError(f"{what} {config.num_attention_heads}", where, _REMEDY)
        return config

    def depth(self, layer: int) -> int:
        """How many layers give hidden state `layer`: 0 is the embeddings, -1 the last layer, -2 the one before.

        Raises:
          UserError: there is no such hidden state.
        """
        states = self.num_hidden_layers + 1
        if not -states <= layer < states:
            raise UserError(f"{layer}", "layer", f"This encoder has hidden states {-states} to {states - 1}.")
        return layer % states


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each added to its input and then normalised."""

    config: BertConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B T V"], mask: Bool[Array, "B T"]) -> Float[Array, "B T V"]:  # noqa: D102
        c = self.config
        precision = _precision(self.dtype)

        def dense(name: str, width: int) -> nn.Dense:
            return nn.Dense(width, dtype=self.dtype, precision=precision, name=name)

        heads = (*x.shape[:2], c.num_attention_heads, c.hidden_size // c.num_attention_heads)
        query, key, value = (dense(name, c.hidden_size)(x).reshape(heads) for name in ("query", "key", "value"))
        seen = nn.dot_product_attention(  # scales by 1 / sqrt(width of a head)
            query, key, value, mask=mask[:, None, None, :], precision=precision, force_fp32_for_softmax=True
        )
        x = layer_norm(x + dense("attention_out", c.hidden_size)(seen.reshape(x.shape)), c, "attention_norm")
        wide = _ACTIVATIONS[c.hidden_act](dense("wide", c.intermediate_size)(x))
        return layer_norm(x + dense("out", c.hidden_size)(wide), c, "out_norm")


class Bert(nn.Module):
    """Hidden state number `depth` of a batch of word pieces."""

    config: BertConfig
    depth: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pieces: Int[Array, "B T"], mask: Bool[Array, "B T"]) -> Float[Array, "B T V"]:  # noqa: D102
        c = self.config

        def embed(name: str, count: int) -> nn.Embed:
            return nn.Embed(count, c.hidden_size, dtype=self.dtype, name=name)

        x = embed("words", c.vocab_size)(pieces)
        x = x + embed("positions", c.max_position_embeddings)(jnp.arange(pieces.shape[1]))[None]
        # All is of the first type: the second is for the second sentence of a pair.
        x = x + embed("types", c.type_vocab_size)(jnp.zeros((1, 1), jnp.int32))
        x = layer_norm(x, c, "norm")
        for i in range(self.depth):
            x = Layer(c, self.dtype, name=f"layer_{i}")(x, mask)
        return x


def layer_norm(x: Float[Array, "B T V"], config: BertConfig, name: str) -> Float[Array, "B T V"]:
    """Normalised over the width, in float32; the variance in two passes, for BERT has a few channels of huge mean."""
    norm = nn.LayerNorm(config.layer_norm_eps, use_fast_variance=False, name=name)
    return norm(x.astype(jnp.float32)).astype(x.dtype)


def _precision(dtype: Any) -> jax.lax.Precision | None:
    """float32 means float32: by default GPUs and TPUs multiply it with fewer bits."""
    return jax.lax.Precision.HIGHEST if dtype == jnp.float32 else None


def sentence_vectors(
    network: Bert,
    params: Params,
    pieces: Int[Array, "B T"],
    mask: Bool[Array, "B T"],
    counted: Bool[Array, "B T"],
) -> Float[Array, "B V"]:
    """The mean of the hidden state over the positions that count (Tyagi et al. 2020, section 2.1.2).

    Args:
      network: which says the layer.
      params: of `convert`.
      pieces: ids of word pieces, special tokens included, padded at the end with anything.
      mask: not padding.
      counted: what enters the mean; a row without any gives zeros.

    Returns:
      float32.
    """
    hidden = nn.apply(lambda m: m(pieces, mask), network)({"params": params})
    weight = counted.astype(jnp.float32)[:, :, None]
    total = (hidden.astype(jnp.float32) * weight).sum(axis=1)
    return total / jnp.maximum(weight.sum(axis=1), 1.0)


def tensor_names(depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path in our parameters, published name without the prefix "bert.") of everything `depth` layers need."""
    for ours, theirs in (("words", "word"), ("positions", "position"), ("types", "token_type")):
        yield (ours, "embedding"), f"embeddings.{theirs}_embeddings.weight"
    yield ("norm", "scale"), "embeddings.LayerNorm.weight"
    yield ("norm", "bias"), "embeddings.LayerNorm.bias"
    for i in range(depth):
        for ours, theirs in (
            ("query", "attention.self.query"),
            ("key", "attention.self.key"),
            ("value", "attention.self.value"),
            ("attention_out", "attention.output.dense"),
            ("attention_norm", "attention.output.LayerNorm"),
            ("wide", "intermediate.dense"),
            ("out", "output.dense"),
            ("out_norm", "output.LayerNorm"),
        ):
            leaf = "scale" if ours.endswith("norm") else "kernel"
            yield (f"layer_{i}", ours, leaf), f"encoder.layer.{i}.{theirs}.weight"
            yield (f"layer_{i}", ours, "bias"), f"encoder.layer.{i}.{theirs}.bias"


def convert(tensors: Mapping[str, Any], config: BertConfig, depth: int, where: str = "weights") -> Params:
    """Turns published tensors into parameters of `Bert`.

    Args:
      tensors: by published name, with or without the prefix "bert.", norms called weight and bias or gamma and beta.
      config: which says the shapes.
      depth: how many layers to take.
      where: what to call the file in an error message.

    Returns:
      The tree of parameters, float32.

    Raises:
      UserError: a tensor is missing, has another shape, or is not finite.
    """
    network, one = Bert(config, depth), jax.ShapeDtypeStruct((1, 1), jnp.int32)
    wanted = jax.eval_shape(network.init, jax.random.key(0), one, jax.ShapeDtypeStruct((1, 1), jnp.bool))["params"]
    params: Params = {}
    for path, name in tensor_names(depth):
        old = name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")
        found = next((key for n in (name, old) for key in (n, f"bert.{n}") if key in tensors), None)
        if found is None:
            raise UserError(f"there is no tensor '{name}'", where, _REMEDY)
        value = np.asarray(tensors[found]).astype(np.float32)
        if path[-1] == "kernel":  # PyTorch keeps [out, in]
            value = np.ascontiguousarray(value.T)
        shape: Any = wanted
        for key in path:
            shape = shape[key]
        if value.shape != shape.shape:
            what = f"tensor '{found}' has the shape {value.shape}, and config.json asks for {shape.shape}"
            raise UserError(what, where, "Download the folder again.")
        if not np.isfinite(value).all():
            raise UserError(f"tensor '{found}' is not finite", where, "Download the folder again.")
        place = params
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
    return params
