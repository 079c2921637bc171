"""What stands beside the shards: `corpus.json` (mel convention, speakers, counts, shards) and a table of utterances.

The fingerprint is a hash over the contents of all utterances in order; checkpoints, speaker vectors and bundles name
the corpus by it. The table holds the hash of each, by which a record is known to be what was built, and lies in
`lengths-FINGERPRINT.npz`: so `corpus.json` alone, written last, says which table and which shards are the corpus.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from copycat_jax.audio.pitch import register_hz, spread_semitones
from copycat_jax.corpus.utterance import Utterance, content_hash, text_hash
from copycat_jax.errors import UserError
from copycat_jax.files import check_local, replacing_file, write_json
from copycat_jax.mel_spec import MelSpec

FORMAT = 3
CORPUS_FILE, VECTORS_FILE = "corpus.json", "speaker_vectors.safetensors"


class Lengths(NamedTuple):
    """One entry per utterance, in the order of the shards."""

    ids: np.ndarray  # str [n]
    frames: np.ndarray  # int32 [n]
    phones: np.ndarray  # int32 [n]
    speaker: np.ndarray  # int32 [n], position in the corpus's list of speakers
    text_hashes: np.ndarray  # uint64 [n], equal for takes of one sentence
    hashes: np.ndarray  # uint8 [n, 32], `content_hash` of the utterance


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records, in the corpus's folder."""

    name: str
    records: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class SpeakerStatistics:
    """What a corpus says of one speaker; register and spread are None where F0 was not tracked."""

    utterances: int
    seconds: float
    register_hz: float | None
    spread_semitones: float | None


@dataclasses.dataclass(frozen=True)
class CorpusInfo:
    """The content of `corpus.json`."""

    spec: MelSpec
    speakers: dict[str, SpeakerStatistics]  # in the order in which they are numbered
    utterances: int
    frames: int
    phones: int
    seconds: float
    mel_mean: list[float]  # per bin
    mel_std: list[float]
    fingerprint: str
    shards: list[Shard]
    options: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `from_dict` inverts it."""
        return {"format": FORMAT} | dataclasses.asdict(self)

    @property
    def table_file(self) -> str:
        """Name of the file that holds the table of the utterances."""
        return f"lengths-{self.fingerprint[:12]}.npz"

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "CorpusInfo":
        """Rebuilds what `to_dict` gave; raises KeyError or TypeError on anything else."""
        fields = {name: fields[name] for name in (f.name for f in dataclasses.fields(cls))}
        fields["spec"] = MelSpec.from_dict(fields["spec"])
        fields["speakers"] = {name: SpeakerStatistics(**s) for name, s in fields["speakers"].items()}
        fields["shards"] = [Shard(**shard) for shard in fields["shards"]]
        return cls(**fields)


def describe(
    utterances: Iterable[Utterance], spec: MelSpec, shards: Sequence[Shard], options: dict[str, Any]
) -> tuple[CorpusInfo, Lengths]:
    """Goes once through `utterances`, in the order of the shards, and describes them; speakers are sorted by name.

    Raises:
      UserError: there are none.
    """
    total, squares = np.zeros(spec.mel_bins), np.zeros(spec.mel_bins)
    rows, f0 = [], {}
    for utterance in utterances:
        mel = utterance.mel.astype(np.float64)
        total += mel.sum(axis=0)
        squares += (mel**2).sum(axis=0)
        f0.setdefault(utterance.speaker, []).append(utterance.f0_hz[utterance.f0_hz > 0])
        hashed = (text_hash(utterance.id, utterance.text), content_hash(utterance))
        rows.append((utterance.id, len(mel), len(utterance.phonemes), utterance.speaker, *hashed))
    if not rows:
        raise UserError("no usable utterance is left", "corpus", "Look into bad.tsv and the exclusion lists.")
    ids, frames, phones, names, texts, hashes = (list(column) for column in zip(*rows, strict=True))
    speakers = {name: i for i, name in enumerate(sorted(f0))}
    lengths = Lengths(
        ids=np.array(ids),
        frames=np.array(frames, np.int32),
        phones=np.array(phones, np.int32),
        speaker=np.array([speakers[name] for name in names], np.int32),
        text_hashes=np.array(texts, np.uint64),
        hashes=np.frombuffer(b"".join(hashes), np.uint8).reshape(len(ids), -1),
    )
    count = sum(frames)
    per_speaker = {}
    for name, number in speakers.items():
        own, voiced = lengths.speaker == number, np.concatenate(f0[name])
        seconds = float(lengths.frames[own].sum() / spec.frame_rate_hz)
        pitch = (_known(register_hz(voiced)), _known(spread_semitones(voiced)))
        per_speaker[name] = SpeakerStatistics(int(own.sum()), round(seconds, 3), *pitch)
    info = CorpusInfo(
        spec=spec,
        speakers=per_speaker,
        utterances=len(ids),
        frames=count,
        phones=sum(phones),
        seconds=round(count / spec.frame_rate_hz, 3),
        mel_mean=(total / count).tolist(),
        mel_std=np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0.0)).tolist(),
        fingerprint=_fingerprint(spec, lengths),
        shards=list(shards),
        options=options,
    )
    return info, lengths


def write_description(folder: str | Path, info: CorpusInfo, lengths: Lengths) -> None:
    """Writes both files into `folder`, each under a temporary name first; `corpus.json` comes last, as the mark."""
    folder = Path(folder)
    with replacing_file(folder / info.table_file) as temporary, temporary.open("wb") as file:
        np.savez(file, **lengths._asdict())
    write_json(folder / CORPUS_FILE, info.to_dict())


def read_description(folder: str | Path) -> tuple[CorpusInfo, Lengths]:
    """Reads what `write_description` wrote; raises UserError where the folder is no built corpus or is damaged."""
    folder = check_local(folder)
    if not (folder / CORPUS_FILE).is_file():
        raise UserError(f"no {CORPUS_FILE}: not a built corpus", str(folder), "Make one with `copycat build`.")
    try:
        fields = json.loads((folder / CORPUS_FILE).read_text(encoding="utf-8"))
        if fields.get("format") != FORMAT:
            remedy = "Build the corpus again; its cache makes that quick."
            raise UserError(f"format {fields.get('format')} is not the {FORMAT} known here", str(folder), remedy)
        info = CorpusInfo.from_dict(fields)
        with np.load(folder / info.table_file, allow_pickle=False) as arrays:
            lengths = Lengths(*(arrays[name] for name in Lengths._fields))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"damaged corpus description ({error})", str(folder), "Build the corpus again.") from error
    records = sum(shard.records for shard in info.shards)
    if _fingerprint(info.spec, lengths) != info.fingerprint or not records == info.utterances == len(lengths.ids):
        what = f"{info.table_file} and {CORPUS_FILE} do not belong together"
        raise UserError(what, str(folder), "Build the corpus again.")
    return info, lengths


def remove_unlisted(folder: Path, info: CorpusInfo) -> None:
    """Removes the shards and tables in `folder` that `info` does not name, left by a build that did not end."""
    listed = {info.table_file, *(shard.name for shard in info.shards)}
    for path in (*folder.glob("*.array_record-*"), *folder.glob("lengths-*.npz")):
        if path.name not in listed:
            path.unlink()


def _fingerprint(spec: MelSpec, lengths: Lengths) -> str:
    digest = hashlib.sha256(json.dumps(spec.to_dict(), sort_keys=True).encode())
    digest.update(lengths.hashes.tobytes())
    return digest.hexdigest()


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
