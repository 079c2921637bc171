"""Speaks what a recording says in another voice, with the recording's prosody.

One recording: copycat transfer SOURCE --text "What it says." --voice NAME --out OUT.wav
No text at hand: --text auto (extra: asr) goes by the words that it hears, and shows them.
Many: copycat transfer --manifest FILE, with lines source|text|voice|out (paths from the manifest's own folder).
"""

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copycat_jax import console
from copycat_jax.command_line import keep_compiled
from copycat_jax.encodings import read_text
from copycat_jax.errors import UserError
from copycat_jax.files import NoRoom, check_file, check_folder, write_text
from copycat_jax.manifest import HEADER, TransferLine, read_manifest
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, vocoder_names

if TYPE_CHECKING:
    from copycat_jax.audio.signal import Audio
    from copycat_jax.synthesis import Source, Synthesizer, Transfer

DOUBTFUL = 0.6  # below it the alignment is worth a second look
AUTO = "auto"  # the text that stands for "listen yourself"
# What a manifest says, or what there is of one recording alone.
_OF_ONE = ("source", "text", "text_file", "voice", "out", "plot", "page", "textgrid", "prosody_out", "timestamps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat transfer`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", nargs="?", help="the recording: wav, flac, ogg, opus, mp3, m4a (by ffmpeg); or -")
    parser.add_argument("--text", help="what it says; {HH AH0 L OW1} gives phonemes; auto: the words that are heard")
    parser.add_argument(
        "--text-file", metavar="FILE", help="what it says, in a file; with --text auto, where to write it"
    )
    parser.add_argument("--asr-model", metavar="NAME", help="a Whisper model for --text auto: a folder, or as base.en")
    parser.add_argument("--force", action="store_true", help="go on although the text does not seem to be what is said")
    parser.add_argument("--voice", metavar="NAME", help="whose voice it shall be (see `copycat voices`)")
    parser.add_argument("--out", metavar="OUT.wav", help="where to write the result")
    parser.add_argument("--manifest", metavar="FILE", help=f"many at once: lines {HEADER}")
    parser.add_argument("--bundle", metavar="DIR", help="the trained models; those that ship by default")
    parser.add_argument("--vocoder", default=DEFAULT_VOCODER, metavar="NAME", help=vocoder_names())
    parser.add_argument("--plot", metavar="OUT.png", help="also draw source and result")
    parser.add_argument("--page", metavar="OUT.html", help="also make a page to hear and see source and result on")
    parser.add_argument("--prosody-out", metavar="OUT.json", help="also write the prosody, for `prosody say --prosody`")
    parser.add_argument(
        "--timestamps",
        metavar="FILE",
        help="also write when every word and phone is spoken; its ending says how: srt, vtt, TextGrid or json",
    )
    parser.add_argument("--textgrid", metavar="FILE", help="where the recording's phones lie, instead of --text")
    parser.add_argument("--lexicon", metavar="FILE", help="pronunciations that go first")
    parser.add_argument("--register-shift", type=float, default=0.0, metavar="SEMITONES", help="speak higher or lower")
    parser.add_argument("--source-register", type=float, metavar="HZ", help="the source speaker's mean F0, if known")
    parser.add_argument(
        "--reference", nargs="+", default=[], metavar="WAV", help="more recordings of the source's speaker"
    )
    parser.add_argument("--sample", action="store_true", help="draw the prosody from its posterior")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--trim", action="store_true", help="leave out the silence at the recording's edges")


def run(arguments: argparse.Namespace) -> int | None:
    """Runs `copycat transfer`; raises UserError where lines of a manifest failed, after the others are written."""
    keep_compiled()
    if arguments.manifest is not None:
        return _run_manifest(arguments)
    for name in ("source", "voice", "out"):
        if getattr(arguments, name) is None:
            option = "SOURCE" if name == "source" else f"--{name}"
            raise UserError(f"no {option}", remedy="See `copycat transfer --help`.")
    text = _text(arguments)
    source = _existing(arguments.source)
    out = check_file(arguments.out, ".wav", (source,))
    plot = check_file(arguments.plot, ".png", (source,)) if arguments.plot else None
    page = check_file(arguments.page, ".html", (source,)) if arguments.page else None
    _check_beside(arguments, (source,))
    if page and arguments.trim:
        raise UserError("--page with --trim", remedy="Leave one of them out: a page shows the whole recording.")
    from copycat_jax.audio import transcription
    from copycat_jax.audio.long import recording_seconds
    from copycat_jax.audio.signal import write_wav

    if text == AUTO:
        transcription.package()

    with console.progress_bar("transfer", total=100, unit="%") as bar:
        bar.set_postfix_str("loading")
        from copycat_jax.synthesis import WHOLE_S

        synthesizer = _load(arguments)
        _check_voice(synthesizer, arguments.voice, arguments.bundle)
        recording = _read_once(source)
        synthesizer.compile_ahead(recording, vocoder=arguments.vocoder)
        prepared_s = recording_seconds(recording) if isinstance(recording, Path) else recording.seconds
        if (plot or page or arguments.prosody_out) and prepared_s > WHOLE_S:
            what = f"{prepared_s:.0f} s are too long for a picture, a page or a prosody file"
            remedy = f"Give at most {WHOLE_S:.0f} s, or leave --plot, --page and --prosody-out out."
            raise UserError(what, str(source), remedy)
        if text == AUTO:
            bar.set_postfix_str("listening")
            text = _heard(recording, source, arguments.asr_model)
            if arguments.text_file is not None:
                write_text(arguments.text_file, f"{text}\n")
        bar.set_postfix_str("aligning and measuring")
        steps = _steps(bar, prepared_s)
        prepared = _prepare(synthesizer, recording, text, arguments, steps)
        beside = _beside(synthesizer, prepared, text, arguments)
        bar.set_postfix_str("speaking")
        if plot or page:
            results = synthesizer.convert(prepared, [arguments.voice], **_how(arguments))
            bar.set_postfix_str("drawing")
            _draw(synthesizer, results, " ".join((text or "").split()), recording, plot, page, arguments.vocoder)
            write_wav(out, results[0].samples, results[0].sample_rate)
            seconds = len(results[0].samples) / results[0].sample_rate
        else:
            seconds = synthesizer.write(prepared, arguments.voice, out, **_how(arguments), progress=steps)
        for write in beside:
            write(seconds)
        bar.update(100 - bar.n)
    if not _forced(prepared, source) and prepared.confidence < DOUBTFUL:
        console.warn(f"{source}: the text matches the recording poorly (confidence {prepared.confidence:.2f})")
    target = synthesizer.voices[arguments.voice].register_hz
    console.say(
        f"{out}: {seconds:.1f} s in the voice {arguments.voice}, register {prepared.register_hz:.0f} -> {target:.0f} Hz"
    )
    return None


def _check_voice(synthesizer: "Synthesizer", name: str, bundle: str | None) -> None:
    """Raises UserError unless the bundle speaks as `name`; says so where the bundle that ships does."""
    if name in synthesizer.voices:
        return
    from copycat_jax.bundle import bundle as bundles

    if bundle is not None and bundles.SHIPPED_BUNDLE.is_dir() and name in bundles.read_speakers(bundles.SHIPPED_BUNDLE):
        voices = ", ".join(synthesizer.voices)
        raise UserError(
            f"voice '{name}' belongs to another bundle", bundle, f"Leave --bundle out, or use one of: {voices}."
        )
    synthesizer.check_voices([name])


def _run_manifest(arguments: argparse.Namespace) -> int:
    for name in _OF_ONE:
        if getattr(arguments, name) is not None:
            option = "SOURCE" if name == "source" else f"--{name.replace('_', '-')}"
            raise UserError(f"--manifest says it all; leave {option} out")
    lines = read_manifest(arguments.manifest)
    failures = [line for line in lines if isinstance(line, UserError)]
    synthesizer = _load(arguments)
    prepared, last, written = None, None, 0
    for line in console.progress([line for line in lines if isinstance(line, TransferLine)], "transfer", unit="file"):
        try:
            if (line.source, line.text) != last:
                last, source = None, _existing(line.source)
                recording = _read_once(source)
                text = _heard(recording, source, arguments.asr_model) if line.text == AUTO else line.text
                last, prepared = (line.source, line.text), _prepare(synthesizer, recording, text, arguments)
                _forced(prepared, source)
            synthesizer.write(prepared, line.voice, line.out, **_how(arguments))  # type: ignore[arg-type]
            written += 1
        except NoRoom as error:  # the lines that follow would not fare better
            failures.append(UserError(str(error), line.where))
            break
        except UserError as error:
            failures.append(UserError(str(error), line.where))
        except Exception as error:  # an odd line must not end the others
            failures.append(UserError(f"{type(error).__name__}: {error}", line.where))
    console.say(f"{written} of {len(lines)} written")
    if failures:
        raise UserError("; ".join(map(str, failures)) if len(failures) == 1 else _listed(failures))
    return 0


def _listed(failures: list[UserError]) -> str:
    import sys

    for failure in failures:
        print(f"copycat: {failure}", file=sys.stderr)
    return f"{len(failures)} lines failed, listed above"


def _load(arguments: argparse.Namespace) -> "Synthesizer":
    from copycat_jax.source import check_shift
    from copycat_jax.synthesis import load

    check_shift(arguments.register_shift)
    synthesizer = load(arguments.bundle)
    synthesizer.vocoder(arguments.vocoder)
    return synthesizer


def _prepare(
    synthesizer: "Synthesizer",
    source: "Path | Audio",
    text: str | None,
    arguments: argparse.Namespace,
    progress: Callable[[float], object] = lambda seconds: None,
) -> "Source":
    from copycat_jax.align.suspicion import Mismatch
    from copycat_jax.text.lexicon import read_lexicon

    try:
        return synthesizer.prepare(
            source,
            text,
            lexicon=read_lexicon(arguments.lexicon) if arguments.lexicon else None,
            alignment=arguments.textgrid,
            references=[_existing(path) for path in arguments.reference],
            register_hz=arguments.source_register,
            force=arguments.force,
            progress=progress,
        )
    except Mismatch as error:
        raise UserError(error.what, error.where, f"{error.remedy} Or go on as it is: --force.") from None


def _forced(prepared: "Source", source: Path) -> bool:
    """Whether a source was taken although its text is suspicious; warns of what is."""
    from copycat_jax.align.suspicion import suspicion

    alignment = prepared.analysis.alignment
    reason = "" if math.isnan(alignment.score) else suspicion(alignment)
    if reason:
        console.warn(f"{source}: {reason}")
    return bool(reason)


def _read_once(source: Path) -> "Path | Audio":
    """The file, or what comes out of a pipe or standard input, which can be read only once."""
    from copycat_jax.audio.signal import read_audio

    return source if source.is_file() else read_audio(source)


def _audio(recording: "Path | Audio") -> "Audio":
    from copycat_jax.audio.signal import read_audio

    return read_audio(recording) if isinstance(recording, Path) else recording


def _heard(recording: "Path | Audio", source: Path, model: str | None) -> str:
    """The words that are heard in a recording, shown; raises UserError where there are none."""
    from copycat_jax.audio.transcription import transcribe

    text = transcribe(*_audio(recording), model=model).strip()
    if not text:
        raise UserError("no words are heard in it", str(source), "Say what it says with --text.")
    console.say(f"{source}: heard: {text}")
    return text


def _how(arguments: argparse.Namespace) -> dict[str, Any]:
    """How to convert: keywords of `Synthesizer.convert` and `write`."""
    return {
        "vocoder": arguments.vocoder,
        "register_shift_semitones": arguments.register_shift,
        "sample": arguments.sample,
        "seed": arguments.seed,
        "trim": arguments.trim,
    }


def _steps(bar, seconds: float) -> Callable[[float], object]:
    """Moves a bar of 100 on by seconds done; every second of the recording is aligned, measured and spoken."""
    return lambda done: bar.update(round(min(99 - bar.n, 33 * done / seconds), 2)) if seconds > 0 else None


def _draw(
    synthesizer: "Synthesizer",
    results: "list[Transfer]",
    text: str,
    recording: "Path | Audio",
    plot: Path | None,
    page: Path | None,
    vocoder: str,
) -> None:
    """Writes the picture and the page that were asked for."""
    if plot:
        from copycat_jax.plots import transfer_figure, write_png

        write_png(plot, transfer_figure(results, synthesizer.spec, text))
    if page:
        from copycat_jax.transfer_page import account, render_transfer_page

        about = account(synthesizer, vocoder)
        write_text(page, render_transfer_page(_audio(recording), results, synthesizer.spec, text, about))


def _check_beside(arguments: argparse.Namespace, inputs: tuple[Path, ...]) -> None:
    """Raises UserError where the files of prosody and times that are asked for cannot be written."""
    from copycat_jax.prosody.file import check_prosody_file
    from copycat_jax.prosody.timestamps import check_timestamps

    if arguments.prosody_out is not None:
        check_prosody_file(arguments.prosody_out, inputs)
    if arguments.timestamps is not None:
        check_timestamps(arguments.timestamps, inputs, (arguments.prosody_out,))


def _beside(
    synthesizer: "Synthesizer", source: "Source", text: str | None, arguments: argparse.Namespace
) -> list[Callable[[float], None]]:
    """What writes those files once so many seconds are spoken; what they hold, or why they cannot, is known before."""
    from copycat_jax.prosody.file import write_prosody
    from copycat_jax.prosody.timestamps import write_timestamps

    writers: list[Callable[[float], None]] = []
    if arguments.prosody_out is not None:
        shift = arguments.register_shift
        prosody = synthesizer.prosody(source, arguments.voice, text, register_shift_semitones=shift)
        writers.append(lambda seconds: write_prosody(arguments.prosody_out, prosody))
    if arguments.timestamps is not None:
        times = synthesizer.times(source, text, trim=arguments.trim)
        writers.append(lambda seconds: write_timestamps(arguments.timestamps, times, seconds))
    return writers


def _text(arguments: argparse.Namespace) -> str | None:
    """The text of --text or --text-file; None beside --textgrid; raises UserError where there is none."""
    if arguments.text is not None and arguments.text_file is not None:
        if arguments.text != AUTO:
            raise UserError("both --text and --text-file", remedy="Give one of them.")
        if os.path.lexists(arguments.text_file):
            raise UserError("is there already", arguments.text_file, "Leave --text auto out to have it read.")
        check_folder(Path(arguments.text_file).absolute().parent)
        return AUTO
    if arguments.text_file is not None:
        return read_text(arguments.text_file)
    if arguments.text is None and arguments.textgrid is None:
        raise UserError(
            "no text", remedy='Say what the recording says: --text "...", --text-file FILE or --textgrid FILE.'
        )
    return arguments.text


def _existing(path: str | Path) -> Path:
    from copycat_jax.audio.signal import STANDARD_INPUT, check_reachable

    if str(path) != STANDARD_INPUT:
        check_reachable(str(path))
    return Path(path)
