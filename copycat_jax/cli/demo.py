"""Speaks a clip that ships with the package in three voices, on a page to hear and see; says where the results lie."""

import argparse
import time

from copycat_jax import console
from copycat_jax.command_line import keep_compiled
from copycat_jax.demo import CLIP, choose_voices, clip_text
from copycat_jax.files import check_folder, write_text
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, vocoder_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `copycat demo`."""
    parser.add_argument("--out", default="copycat_demo", metavar="DIR", help="where to write (default ./copycat_demo)")
    parser.add_argument("--bundle", metavar="DIR", help="the trained models; those that ship by default")
    parser.add_argument("--vocoder", default=DEFAULT_VOCODER, metavar="NAME", help=vocoder_names())


def run(arguments: argparse.Namespace) -> None:
    """Runs `copycat demo`."""
    out, started = check_folder(arguments.out, make=True), time.monotonic()
    text = clip_text()
    with console.progress_bar("demo", total=5, unit="step") as bar:
        bar.set_postfix_str("loading")
        keep_compiled()
        from copycat_jax.audio.signal import read_audio, write_wav
        from copycat_jax.synthesis import load
        from copycat_jax.transfer_page import account, render_transfer_page

        synthesizer = load(arguments.bundle)
        synthesizer.vocoder(arguments.vocoder)
        voices = choose_voices(synthesizer.voices)
        bar.update()
        bar.set_postfix_str("aligning the recording")
        recording = read_audio(CLIP / "source.opus")
        synthesizer.compile_ahead(recording, len(voices), arguments.vocoder)
        source = synthesizer.prepare(recording, text)
        bar.update()
        bar.set_postfix_str(f"speaking as {', '.join(voices)}")
        results = synthesizer.convert(source, voices, vocoder=arguments.vocoder)
        bar.update()
        bar.set_postfix_str("drawing")
        about = account(synthesizer, arguments.vocoder)
        page = render_transfer_page(recording, results, synthesizer.spec, text, about)
        bar.update()
        out.mkdir(parents=True, exist_ok=True)
        write_wav(out / "source.wav", *recording)
        for result in results:
            write_wav(out / f"{result.voice}.wav", result.samples, result.sample_rate)
        write_text(out / "index.html", page)
        bar.update()
    console.say(f'"{text}"')
    console.say(f"{out / 'source.wav'}: the recording, {len(recording.samples) / recording.sample_rate:.1f} s")
    for result in results:
        console.say(f"{out / result.voice}.wav: the same words and melody in the voice {result.voice}")
    console.say(f"{out / 'index.html'}: open it in a browser ({time.monotonic() - started:.0f} s in all)")
