"""From a bundle and a corpus to a prosody space: every utterance encoded once, on all devices, and described.

Utterances are read in batches of like length, each exactly once; rows of a batch lie over the devices, the encoder is
one jitted function with declared shardings, in float32 whatever the model trained in, and while the devices work on a
batch the next one is read. With several processes each reads the corpus and encodes its share of every batch; all of
them end with the whole space.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from copycat_jax import console
from copycat_jax.bundle.bundle import Bundle
from copycat_jax.corpus.corpus import Corpus
from copycat_jax.data.plan import BatchIndices, Share, evaluation_batches, make_batch_plan
from copycat_jax.errors import UserError, nearest
from prosody_vae.features import FEATURES, prosodic_features
from prosody_vae.linguistics.document import check_sentence
from prosody_vae.space.table import KIND, Distances, ProsodySpace, SpaceInfo, check_rows

if TYPE_CHECKING:
    from prosody_vae.linguistics.protocols import Encoder, Parser

# (parameters, mel [B, T, M], mask [B, T]) -> mean and log-variance, each [B, Z]
EncodeFunction = Callable[[Any, Any, Any], tuple[Any, Any]]


class _Rows(NamedTuple):
    """What the corpus says of every utterance, in the order of the space."""

    texts: list[str]
    speakers: list[str]
    features: dict[str, Float32[np.ndarray, " n"]]


def choose_utterances(corpus: Corpus, speakers: Sequence[str] | None, match: str | None) -> Int[np.ndarray, " k"]:
    """Positions of the utterances of some speakers whose ids hold a regular expression; None leaves a condition out.

    Raises:
      UserError: an unknown speaker, a bad pattern, or no utterance is left.
    """
    chosen = np.ones(len(corpus), bool)
    if speakers is not None:
        for name in speakers:
            if name not in corpus.speakers:
                remedy = nearest(name, corpus.speakers) or f"Known: {', '.join(corpus.speakers[:20])}."
                raise UserError(f"unknown speaker '{name}'", "--speakers", remedy)
        chosen &= np.isin(corpus.speaker, [corpus.speakers.index(name) for name in speakers])
    if match is not None:
        try:
            pattern = re.compile(match)
        except re.error as error:
            raise UserError(f"'{match}' is no regular expression ({error})", "--match") from None
        chosen &= np.array([bool(pattern.search(name)) for name in corpus.ids.tolist()], bool)
    if not chosen.any():
        raise UserError(f"none of {len(corpus)} utterances is left", "--speakers, --match", "Choose fewer conditions.")
    return np.flatnonzero(chosen)


def build_space(
    bundle: Bundle,
    corpus: Corpus,
    *,
    encoder: "Encoder | None" = None,
    parser: "Parser | None" = None,
    trees: Mapping[str, str] | None = None,
    indices: Int[np.ndarray, " k"] | None = None,
    batch: int = 64,
    encode_fn: EncodeFunction | None = None,
) -> ProsodySpace:
    """Encodes a corpus into a space.

    Args:
      bundle: of kind "prosody_vae".
      corpus: what is encoded; in its order.
      encoder: of sentences; without one the space holds no sentence vectors.
      parser: of sentences; without one (and without `trees`) it holds no distances.
      trees: bracketed trees by text, instead of a parser.
      indices: only these positions of the corpus.
      batch: utterances at a time on all devices together, rounded up to a multiple of the devices. The space does not
        depend on it beyond rounding.
      encode_fn: in place of the bundle's model.

    Raises:
      UserError: a bundle of another kind or mel convention, nothing to encode, an embedding that is not finite, or an
        utterance whose text cannot be analysed.
    """
    from prosody_vae.linguistics.syntax import recorded_parser

    if bundle.kind != KIND:
        raise UserError(f"a bundle of kind '{bundle.kind}', not '{KIND}'", "bundle", "Give one of `prosody export`.")
    if bundle.spec != corpus.spec:
        what = f"made for mel convention '{bundle.spec.name}', the corpus has '{corpus.spec.name}'"
        raise UserError(what, "bundle", "Build the corpus with the same --spec.")
    if batch < 1:
        raise UserError(f"batches of {batch}", "batch", "Give a positive number.")
    parser = recorded_parser(trees) if parser is None and trees is not None else parser
    chosen = np.arange(len(corpus)) if indices is None else np.unique(np.asarray(indices))
    if len(chosen) == 0:
        raise UserError("no utterances to encode", "corpus", "Is the choice of speakers or ids too narrow?")
    apply = _model(bundle) if encode_fn is None else encode_fn
    mean, log_variance, rows = _encode(
        corpus, chosen, bundle.params[KIND], apply, batch, check=encoder is not None or parser is not None
    )
    ids = tuple(corpus.ids[chosen].tolist())
    check_rows(mean, ids, "encoder")
    vectors, distances, brackets = _linguistics(rows.texts, encoder, parser)
    info = SpaceInfo(
        bundle=bundle.fingerprint,
        bundle_kind=bundle.kind,
        corpus=corpus.fingerprint,
        encoder="" if encoder is None else encoder.label,
        encoder_fingerprint="" if encoder is None else encoder.fingerprint,
        parser="" if parser is None else parser.label,
        latent=mean.shape[1],
        entries=len(mean),
    )
    return ProsodySpace(
        info=info,
        ids=ids,
        texts=tuple(rows.texts),
        speakers=tuple(rows.speakers),
        mean=mean,
        variance=np.exp(log_variance),
        features=rows.features,
        sentence_vectors=vectors,
        distances=distances,
        trees=brackets,
    )


def _model(bundle: Bundle) -> EncodeFunction:
    from prosody_vae.tts.model import VaeConfig, encode

    # In bfloat16 an embedding would depend on the batch that it happened to be in.
    config = VaeConfig.from_dict({**bundle.config[KIND], "compute_dtype": "float32"})
    return lambda params, mel, mask: encode(params, config, mel, mask)


def _encode(
    corpus: Corpus, chosen: Int[np.ndarray, " n"], params: Any, apply: EncodeFunction, batch: int, check: bool
) -> tuple[Float32[np.ndarray, "n Z"], Float32[np.ndarray, "n Z"], _Rows]:
    """Posterior means and log-variances of the chosen utterances, and what the corpus says of them."""
    import jax

    from copycat_jax.train.sharding import batch_sharding, make_mesh, replicated

    mesh = make_mesh()
    rows_sharding, whole = batch_sharding(mesh), replicated(mesh)
    share = Share(jax.process_index(), jax.process_count())
    function = jax.jit(apply, in_shardings=(whole, rows_sharding, rows_sharding), out_shardings=whole)
    size = -(-batch // mesh.size) * mesh.size
    buckets = 1 + min(9, len(chosen) // (4 * size))  # each is compiled for: few where there is little to encode
    plan = make_batch_plan(
        corpus.lengths, corpus.phones, batch_size=size, indices=chosen, buckets=buckets, rows_multiple=mesh.size
    )
    place = np.zeros(len(corpus), np.int64)
    place[chosen] = np.arange(len(chosen))
    count = len(chosen)
    rows = _Rows([""] * count, [""] * count, {name: np.full(count, np.nan, np.float32) for name in FEATURES})
    found: list[np.ndarray] = []

    def collect(at: np.ndarray, outputs: Any) -> None:
        for number, output in enumerate(outputs):
            value = np.asarray(output, np.float32)
            if len(found) <= number:
                found.append(np.zeros((count, value.shape[1]), np.float32))
            found[number][at] = value[: len(at)]

    params = jax.device_put(params, whole)
    waiting: list[tuple[np.ndarray, Any]] = []
    batches = evaluation_batches(plan)
    with jax.set_mesh(mesh), jax.default_matmul_precision("float32"):
        for planned, counts in console.progress(batches, "encoding", total=len(batches), unit="batch"):
            at = place[planned.indices[counts]]
            mel, mask = _read(corpus, planned, counts, rows, at, check)
            local = share.of(np.arange(len(mel)))
            inputs = [jax.make_array_from_process_local_data(rows_sharding, array[local]) for array in (mel, mask)]
            waiting.append((at, function(params, *inputs)))
            if len(waiting) > 1:
                collect(*waiting.pop(0))
        for at, outputs in waiting:
            collect(at, outputs)
    return found[0], found[1], rows


def _read(
    corpus: Corpus, planned: BatchIndices, counts: Bool[np.ndarray, " B"], rows: _Rows, at: np.ndarray, check: bool
) -> tuple[Float[np.ndarray, "B T M"], Bool[np.ndarray, "B T"]]:
    """The mels of a batch, padded with zeros, and its mask; texts and features go into `rows`.

    Rows that only fill up hold one real frame of silence, so that nothing divides by zero.
    """
    mel = np.zeros((len(counts), planned.frames, corpus.spec.mel_bins), np.float32)
    mask = np.zeros(mel.shape[:2], bool)
    mask[~counts, 0] = True
    for row, (index, target) in enumerate(zip(planned.indices[counts], at, strict=True)):
        utterance = corpus.utterance(index)
        if check:
            try:
                check_sentence(utterance.text)
            except UserError as error:
                remedy = "Leave it out (--match), or build without encoder and parser."
                raise UserError(error.what, f"text of utterance '{utterance.id}'", remedy) from None
        frames = len(utterance.mel)
        mel[row, :frames], mask[row, :frames] = utterance.mel, True
        rows.texts[target], rows.speakers[target] = utterance.text, utterance.speaker
        values = prosodic_features(
            utterance.f0_hz, utterance.energy, utterance.phonemes, utterance.durations, corpus.spec.frame_rate_hz
        )
        for name, value in values.items():
            rows.features[name][target] = value
    return mel, mask


def _linguistics(
    texts: Sequence[str], encoder: "Encoder | None", parser: "Parser | None"
) -> tuple[Float[np.ndarray, "n V"] | None, Distances | None, tuple[str, ...] | None]:
    """Sentence vectors, distance vectors and bracketed trees; texts that are spoken twice are analysed once."""
    from prosody_vae.linguistics.tree_distance import syntactic_distance, to_brackets

    different = list(dict.fromkeys(texts))
    where = {text: i for i, text in enumerate(different)}
    order = np.array([where[text] for text in texts])
    vectors, distances, brackets = None, None, None
    if encoder is not None:
        vectors = np.asarray(encoder.encode(different, progress=True))[order].astype(np.float16)
    if parser is not None:
        trees = parser.parse(different)
        apart = [syntactic_distance(tree) for tree in trees]
        written = [to_brackets(tree) for tree in trees]
        distances, brackets = Distances.from_rows([apart[i] for i in order]), tuple(written[i] for i in order)
    return vectors, distances, brackets
