"""The folder of the page: its own files, the runtime, the models as ONNX, and what was made ready for it.

All of it is static, names nothing outside itself and works without a network behind any server of files.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from copycat_jax import __version__, console
from copycat_jax.bundle.bundle import Bundle, read_bundle, shipped
from copycat_jax.errors import UserError
from copycat_jax.export import copycat, speaker, vocoder
from copycat_jax.export.folder import need
from copycat_jax.files import check_folder, check_replaceable_folder, plain, replacing_folder
from copycat_jax.synthesis import Synthesizer
from copycat_jax.text.phonemes import INVENTORY
from copycat_jax.vocoder.harmonic import read_vocoder
from prosody_vae.demo.takes import open_recorded
from prosody_vae.export.voice import voice_graph
from prosody_vae.reading.aloud import home_speaker
from prosody_vae.selection.opening import open_selector
from prosody_vae.selection.selector import Selector
from prosody_vae.space.table import KIND
from prosody_vae.tts.voice import SHIPPED_VOICE
from prosody_vae.web.runtime import runtime_files
from prosody_vae.web.sentences import RECORDED, SENTENCES, sentence_fields, ways_about
from prosody_vae.web.sources import clip_source, shipped_clips

STATIC = Path(__file__).parent / "static"
MARKS = ("index.html", "data/about.json")  # by which a folder is known to be such a page


class Models(NamedTuple):
    """What the page speaks with."""

    synthesizer: Synthesizer
    vocoder: Bundle
    voice: Bundle


def open_models(bundle: str | Path | None = None) -> Models:
    """The models that ship, or another bundle of transfer; UserError where they do not fit each other."""
    need("onnx", "onnx")
    transfer = read_bundle(bundle or shipped(), "copycat")
    reader = read_bundle(SHIPPED_VOICE, KIND)
    if not reader.spec.is_like(transfer.spec):
        raise UserError(
            "the two bundles have different mel conventions", "--bundle", "Give one of the convention that ships."
        )
    return Models(Synthesizer(transfer), read_vocoder(transfer.spec), reader)


def check_site(out: str | Path) -> Path:
    """The path of a folder for the page; raises UserError if it holds something else, or cannot be written."""
    out = Path(out)
    check_folder(out.absolute().parent)
    check_replaceable_folder(out, MARKS, "page of `copycat web`")
    return out


def write_site(out: str | Path, models: Models, serving: bool = False) -> Path:
    """Writes the whole folder, or nothing; `serving` tells the page that a server answers it (see `server`)."""
    out = check_site(out)
    with console.progress_bar("page", total=4, unit="step") as bar, replacing_folder(out) as folder:
        steps = (_runtime, _graphs, _sources, _sentences)
        for step in steps:
            bar.set_postfix_str(step.__name__.strip("_"))
            for name, content in step(models).items():
                _put(folder / name, content)
            bar.update()
        for path in sorted(STATIC.rglob("*")):
            if path.is_file():
                _put(folder / path.relative_to(STATIC), path.read_bytes())
        _put(folder / "data/about.json", _json(about(models) | {"server": serving}))
    return out


def about(models: Models) -> dict[str, Any]:
    """What the page knows of its models."""
    spec, voice = models.synthesizer.spec, models.voice
    return {
        "version": __version__,
        "bundle": models.synthesizer.bundle.fingerprint,
        "voice_bundle": voice.fingerprint,
        "sample_rate": spec.sample_rate,
        "hop": spec.hop_samples,
        "mel_bins": spec.mel_bins,
        "floor": spec.floor,
        "inventory": list(INVENTORY),
        "voices": {n: _voice(v) for n, v in models.synthesizer.voices.items()},
        "speakers": {n: _voice(v) for n, v in voice.speakers.items()},
    }


def recorded_selector() -> Selector:
    """A selector over the space that ships that knows the page's sentences without a parser or an encoder."""
    return open_selector(None, **open_recorded(RECORDED).options())


def _voice(speaker) -> dict[str, Any]:
    return {"centroid": plain(speaker.centroid), "register_hz": plain(speaker.register_hz)}


def _runtime(models: Models) -> dict[str, bytes]:
    del models
    return {f"ort/{name}": content for name, content in runtime_files().items()}


def _graphs(models: Models) -> dict[str, bytes]:
    bundle = models.synthesizer.bundle
    makers: dict[str, Callable[[], Any]] = {
        "transfer": lambda: copycat.transfer_graph(bundle),
        "speaker": lambda: speaker.speaker_graph(bundle),
        "pitch": lambda: vocoder.pitch_graph(models.vocoder),
        "vocoder": lambda: vocoder.vocoder_graph(models.vocoder),
        "voice": lambda: voice_graph(models.voice),
    }
    return {f"models/{name}.onnx": make().SerializeToString() for name, make in makers.items()}


def _sources(models: Models) -> dict[str, bytes]:
    files, rows = {}, []
    for clip in shipped_clips():
        source = clip_source(models.synthesizer, clip)
        files[f"data/{clip.id}.bin"] = source.numbers
        rows.append(source.about)
    return {**files, "data/sources.json": _json(rows)}


def _sentences(models: Models) -> dict[str, bytes]:
    selector = recorded_selector()
    selector.space.check_bundle(models.voice)
    fields = {
        "speaker": home_speaker(selector.space, models.voice.speakers) or next(iter(models.voice.speakers)),
        "ways": ways_about(selector),
        "sentences": [sentence_fields(selector, text) for text in SENTENCES],
    }
    return {"data/sentences.json": _json(fields)}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
