"""What a bundle's model makes of the recordings that it learnt from: mels on which a vocoder is fine-tuned.

Such a mel lies on the frames of its recording, so that the recording itself says how it should sound.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float16

from copycat_jax import console
from copycat_jax.bundle.bundle import Bundle, read_bundle
from copycat_jax.corpus.corpus import Corpus
from copycat_jax.data.audio import AudioConfig, open_audio_corpus, window_inputs
from copycat_jax.data.batches import make_evaluation
from copycat_jax.data.inputs import Inputs
from copycat_jax.data.plan import Share, make_batch_plan
from copycat_jax.errors import UserError

# Kind of a bundle -> the task whose `reconstruct` is asked.
TASKS = {
    "copycat": "copycat_jax.models.copycat:make_task",
    "baseline": "copycat_jax.models.baseline:make_task",
    "prosody_vae": "prosody_vae.tts.model:make_task",
}
Mels = dict[int, list[Float16[np.ndarray, "T M"]]]


def finetuning_inputs(path: str | None, config: Mapping[str, Any], share: Share) -> Inputs:
    """What `data.audio.audio_inputs` makes, with the mels of `data.bundles` beside the recordings' own.

    Raises:
      UserError: no bundle is named, one makes no mels or is of another convention, none of the corpus's speakers is
        among its voices, or the corpus has no speaker vectors.
    """
    folders = [name.strip() for name in AudioConfig.from_dict(config["data"]).bundles.split(",") if name.strip()]
    if not folders:
        raise UserError("no bundle", "data.bundles", "Name the bundle whose mels the vocoder is for.")
    corpus = open_audio_corpus(path, config)
    if corpus.speaker_vectors is None:
        raise UserError("has no speaker vectors", str(path), "Run `copycat embed --bundle B --corpus DATA` first.")
    mels: Mels = {}
    for folder in folders:
        found = reconstructed_mels(read_bundle(folder), corpus, folder)
        for index, mel in found.items():
            mels.setdefault(index, []).append(mel)
    inputs = window_inputs(corpus, config, share, mels)
    return inputs._replace(summary=f"{inputs.summary}, {len(mels)} of them as bundles make them too")


def reconstructed_mels(
    bundle: Bundle, corpus: Corpus, where: str = "bundle", batch_frames: int = 25_600
) -> dict[int, Float16[np.ndarray, "T M"]]:
    """Index -> log-mel of every utterance whose speaker is one of the bundle's voices.

    Args:
      bundle: of a kind in `TASKS`.
      corpus: with speaker vectors.
      where: the bundle's name, for errors.
      batch_frames: made at once.

    Raises:
      UserError: another kind or mel convention, or no voice of the bundle speaks in the corpus.
    """
    if bundle.kind not in TASKS:
        raise UserError(f"a bundle of kind '{bundle.kind}' makes no mels", where, f"Known: {', '.join(TASKS)}.")
    if not bundle.spec.is_like(corpus.spec):
        what = f"made for mel convention '{bundle.spec.name}', the corpus has '{corpus.spec.name}'"
        raise UserError(what, where, "Build the corpus with the same --spec.")
    voices = [number for number, name in enumerate(corpus.speakers) if name in bundle.speakers]
    members = np.flatnonzero(np.isin(corpus.speaker, voices))
    if len(members) == 0:
        raise UserError(f"it speaks as {', '.join(bundle.speakers)}, none of whom is in the corpus", where)
    module, _, name = TASKS[bundle.kind].partition(":")
    width = corpus.speaker_vectors.shape[1]
    shapes = {"mel_bins": corpus.spec.mel_bins, "embedding": width, "frame_rate_hz": corpus.spec.frame_rate_hz}
    task = getattr(importlib.import_module(module), name)(dict(bundle.config[bundle.kind]), shapes)
    reconstruct, params = jax.jit(task.reconstruct), {"model": bundle.params[bundle.kind]}
    plan = make_batch_plan(
        corpus.lengths, corpus.phones, indices=members, buckets=4, batch_frames=batch_frames, multiple_of=64
    )
    mels: dict[int, np.ndarray] = {}
    with console.progress_bar("reconstruct", total=len(members), unit="utterance") as bar:
        for make in make_evaluation(corpus, plan, embedding=width):
            batch, counts = make()
            made = np.asarray(reconstruct(params, batch))
            for row in np.flatnonzero(counts):
                index = int(batch.index[row])
                mels[index] = made[row, : corpus.lengths[index]].astype(np.float16)
            bar.update(int(counts.sum()))
    return mels
