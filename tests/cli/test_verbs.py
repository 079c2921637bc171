import json
import math
import os
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from one_line import refused
from tiny_bundle import VOICES, tiny_contents, write_tiny

from copycat_jax import synthesis
from copycat_jax.align.textgrid import read_textgrid
from copycat_jax.audio import transcription
from copycat_jax.bundle.bundle import write_bundle
from copycat_jax.cli import VERBS, main
from copycat_jax.demo import CLIP, clip_text
from copycat_jax.files import NoRoom
from copycat_jax.prosody.file import read_prosody
from copycat_jax.prosody.values import times_of
from copycat_jax.vocoder.registry import DEFAULT_VOCODER, VOCODERS, Vocoder

TEXT = clip_text()
SOURCE = str(CLIP / "source.opus")
HEAVY = ("jax", "flax", "absl", "numpy", "librosa", "matplotlib", "soundfile", "tensorflow_datasets", "orbax")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return str(write_tiny(tmp_path_factory.mktemp("tiny") / "bundle"))


@pytest.fixture(scope="module")
def loaded(bundle):
    loaded = synthesis.load(bundle)
    with pytest.MonkeyPatch.context() as patch:  # nothing to compile
        patch.setitem(
            VOCODERS,
            DEFAULT_VOCODER,
            lambda spec: Vocoder(lambda mel, f0_hz: np.repeat(np.exp(mel).mean(axis=2), 256, axis=1)),
        )
        loaded.vocoder(DEFAULT_VOCODER)
    return loaded


@pytest.fixture
def compiled(monkeypatch, loaded):
    """Commands of a test share one Synthesizer, so that each does not compile its own."""
    monkeypatch.setattr(synthesis, "load", lambda path=None: loaded)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)])
def test_help_and_import_load_nothing_heavy(arguments):
    module = f"copycat_jax.cli.{arguments[0]}" if arguments and arguments[0] in VERBS else ""
    if module and not (CLIP.parents[1] / "cli" / f"{arguments[0]}.py").exists():
        pytest.skip(f"no {module} yet")
    call = f"from copycat_jax.cli import main; main({arguments!r})" if arguments else "import copycat_jax"
    show = "print('\\n', *sorted(sys.modules), file=sys.stderr)"
    code = f"import sys\ntry:\n    {call}\nexcept SystemExit:\n    pass\n{show}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {name.split(".")[0] for name in done.stderr.split()}
    assert not found & set(HEAVY)
    assert "copycat_jax" in found


def test_a_typo_in_a_verb_is_answered(capsys, work):
    assert "Did you mean 'transfer'?" in refused(capsys, "transfr")
    assert "--help" in refused(capsys, "voices", "--frobnicate")


# --- transfer


def test_transfer_writes_what_it_is_asked_for(capsys, work, bundle, compiled):
    arguments = ["transfer", SOURCE, "--text", TEXT, "--voice", "am_michael", "--bundle", bundle]
    assert main([*arguments, "--out", "out.wav", "--plot", "out.png", "--page", "out.html"]) == 0
    assert sorted(os.listdir(work)) == ["out.html", "out.png", "out.wav"]
    assert (work / "out.html").read_text("utf-8").count("data:audio/flac") == 2
    with soundfile.SoundFile("out.wav") as file:
        assert (file.samplerate, file.channels, file.subtype) == (22050, 1, "PCM_16")
        assert file.comment == "synthetic speech"
        assert 4.0 < file.frames / 22050 < 6.0
    assert "am_michael" in capsys.readouterr().out


def test_prosody_and_times_are_written_beside_a_result(capsys, work, bundle, compiled):
    beside = ["--prosody-out", "p.json", "--timestamps", "t.TextGrid"]
    assert main([*transfer(bundle), *beside]) == 0
    prosody, alignment = read_prosody("p.json"), read_textgrid("t.TextGrid")
    (sentence,), seconds = prosody.sentences, soundfile.info("out.wav").duration
    assert sentence.text == TEXT and [w.text for w in sentence.words] == [w.label for w in alignment.words]
    assert prosody.speaker == "af_heart" and alignment.phones[-1].end_s == pytest.approx(seconds, abs=1e-4)
    late = alignment.words[0].start_s - times_of(prosody)[0].words[0].start_s  # the silence that was trimmed
    assert all(
        a.start_s - b.start_s == pytest.approx(late, abs=0.012)
        for a, b in zip(alignment.words, times_of(prosody)[0].words, strict=True)
    )
    assert "written already" in refused(capsys, *transfer(bundle), "--prosody-out", "p.json", "--timestamps", "p.json")
    assert "does not end in .json" in refused(capsys, *transfer(bundle), "--prosody-out", "p.wav")
    assert "leave --timestamps out" in refused(capsys, "transfer", "--manifest", "m", "--timestamps", "t.srt")


def test_a_result_is_as_long_as_its_recording(work, bundle, compiled):
    recording = soundfile.info(SOURCE)
    whole = math.floor(recording.frames * 22050 / recording.samplerate + 0.5)
    (work / "list.txt").write_text(f"{SOURCE}|{TEXT}|af_heart|listed.wav")
    assert main(["transfer", "--manifest", "list.txt", "--bundle", bundle]) == 0
    assert main(transfer(bundle)) == main([*transfer(bundle, out="bare.wav"), "--trim"]) == 0
    assert soundfile.info("listed.wav").frames == soundfile.info("out.wav").frames == whole
    assert soundfile.info("bare.wav").frames < whole


def test_a_long_recording_is_written_piece_by_piece(capsys, work, bundle, compiled, monkeypatch):
    assert main(transfer(bundle)) == 0
    monkeypatch.setattr(synthesis, "WHOLE_S", 1.0)
    assert main(transfer(bundle, out="long.wav")) == 0
    assert soundfile.info("long.wav").frames == soundfile.info("out.wav").frames
    assert main([*transfer(bundle, out="timed.wav"), "--timestamps", "t.srt"]) == 0  # of any length
    assert (work / "t.srt").read_text().startswith("1\n00:00:0")
    for option, name in (("--plot", "a.png"), ("--page", "a.html"), ("--prosody-out", "a.json")):
        assert "too long" in refused(capsys, *transfer(bundle), option, name)


def test_a_pipe_is_read_once_whatever_is_made_of_it(capsys, work, bundle, compiled, monkeypatch):
    def through_a_pipe(*more):
        os.mkfifo("pipe")
        filling = threading.Thread(target=lambda: Path("pipe").write_bytes(Path(SOURCE).read_bytes()), daemon=True)
        filling.start()
        code = main(transfer(bundle, "pipe", *more))
        filling.join(10)
        os.unlink("pipe")
        return code, filling.is_alive()

    assert through_a_pipe(TEXT, "af_heart", "out.wav", "--page", "out.html") == (0, False)
    heard = []
    monkeypatch.setattr("copycat_jax.audio.transcription.package", lambda: None)
    monkeypatch.setattr("copycat_jax.audio.transcription.transcribe", lambda *sound, model: heard.append(sound) or TEXT)
    assert through_a_pipe("auto", "af_heart", "auto.wav") == (0, False)
    assert len(heard) == 1 and Path("auto.wav").read_bytes() == Path("out.wav").read_bytes()
    assert Path("out.html").read_text("utf-8").count("data:audio/flac") == 2


def transfer(bundle, source=SOURCE, text=TEXT, voice="af_heart", out="out.wav", *more):
    spoken = [] if text is None else ["--text", text]
    return ["transfer", source, *spoken, "--voice", voice, "--out", out, "--bundle", bundle, *more]


def write_float_wav(path, samples):
    soundfile.write(path, np.asarray(samples, np.float32), 22050, subtype="FLOAT")


def bad_recordings(folder):
    """{name of the mistake: (file, what the message says)}."""
    tone = 0.1 * np.sin(np.arange(22050) * 0.05)
    (folder / "letter.wav").write_text("Dear all, this is no recording.")
    (folder / "empty.wav").write_bytes(b"")
    write_float_wav(folder / "none.wav", [])
    write_float_wav(folder / "silence.wav", np.zeros(22050))
    write_float_wav(folder / "nan.wav", np.where(np.arange(22050) == 7, np.nan, tone))
    soundfile.write(folder / "whole.wav", tone, 22050)
    (folder / "cut.wav").write_bytes((folder / "whole.wav").read_bytes()[:20000])
    (folder / "cut.opus").write_bytes((CLIP / "source.opus").read_bytes()[:9000])
    soundfile.write(folder / "blip.wav", tone[:200], 22050)
    return {
        "absent.wav": "no such file",
        "letter.wav": "not a readable recording",
        "empty.wav": "empty",
        "none.wav": "no samples",
        "silence.wav": "silence",
        "nan.wav": "nan",
        "cut.wav": "cut short",
        "cut.opus": "cut short",
        "blip.wav": "",
    }


def test_bad_recordings(capsys, work, tmp_path, bundle, compiled):
    for name, says in bad_recordings(tmp_path).items():
        line = refused(capsys, *transfer(bundle, tmp_path / name))
        assert says in line and name in line, line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "no text"),
        ("", "text"),
        ("  \n ", "text"),
        ("... !? *", ""),
        ("Nothing of the kind was ever uttered by anyone on this recording, not even remotely.", "match"),
    ],
)
def test_bad_texts(capsys, work, bundle, compiled, text, says):
    assert says in refused(capsys, *transfer(bundle, text=text))


def test_a_text_that_is_not_all_that_is_said_names_the_words_and_force_goes_on(capsys, work, bundle, compiled):
    words = TEXT.split()
    for text, says in (([*words, "umbrella"], "'umbrella' is not heard"), (words[:-3], "more is said than is written")):
        line = refused(capsys, *transfer(bundle, text=" ".join(text)))
        assert says in line and "--force" in line and SOURCE in line
    (work / "list.txt").write_text(f"{SOURCE}|{TEXT} Umbrella.|af_heart|listed.wav")
    assert main([*transfer(bundle, text=f"{TEXT} Umbrella."), "--force"]) == 0
    assert main(["transfer", "--manifest", "list.txt", "--bundle", bundle, "--force"]) == 0
    assert capsys.readouterr().err.count("warning") == 2
    assert sorted(os.listdir(work)) == ["list.txt", "listed.wav", "out.wav"]


def test_words_that_are_heard_serve_as_the_text(capsys, work, bundle, compiled, monkeypatch):
    asked = []
    monkeypatch.setattr(transcription, "package", lambda: None)
    monkeypatch.setattr(transcription, "transcribe", lambda samples, rate, model=None: asked.append(model) or TEXT)
    arguments = [*transfer(bundle, text="auto"), "--text-file", "heard.txt"]
    assert main([*arguments, "--asr-model", "small.en"]) == 0
    assert TEXT.strip() in capsys.readouterr().out and (work / "heard.txt").read_text().strip() == TEXT.strip()
    assert "is there already" in refused(capsys, *arguments)
    (work / "list.txt").write_text(f"{SOURCE}|auto|af_heart|one.wav\n{SOURCE}|auto|am_michael|two.wav")
    assert main(["transfer", "--manifest", "list.txt", "--bundle", bundle]) == 0
    assert asked == ["small.en", None]  # a recording is listened to once
    monkeypatch.setattr(transcription, "transcribe", lambda samples, rate, model=None: " ")
    assert "no words are heard" in refused(capsys, *transfer(bundle, text="auto"))


def test_without_the_extra_a_line_says_how_to_get_it(capsys, work, bundle, compiled, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert "pip install 'copycat-jax[asr]'" in refused(capsys, *transfer(bundle, text="auto"))


def test_bad_voices(capsys, work, bundle, compiled, monkeypatch, tmp_path):
    line = refused(capsys, *transfer(bundle, voice="am_micheal"))
    assert "Did you mean 'am_michael'?" in line
    contents = tiny_contents()
    contents["speakers"]["af_river"] = contents["speakers"]["af_heart"]
    other = write_bundle(tmp_path / "other", "copycat", **contents)
    monkeypatch.setattr("copycat_jax.bundle.bundle.SHIPPED_BUNDLE", other)
    assert "belongs to another bundle" in refused(capsys, *transfer(bundle, voice="af_river"))


def test_bad_bundles(capsys, work, tmp_path, bundle):
    assert "no such bundle" in refused(capsys, *transfer("absent"))
    assert "not a bundle" in refused(capsys, *transfer(tmp_path))
    contents = tiny_contents()
    alone = {name: {"speaker": contents[name]["speaker"]} for name in ("params", "config")}
    speaker = write_bundle(tmp_path / "speaker", "speaker", **(contents | alone))
    assert "not 'copycat'" in refused(capsys, *transfer(str(speaker)))
    corrupt = write_bundle(tmp_path / "corrupt", "copycat", **contents)
    with open(corrupt / "copycat.safetensors", "r+b") as file:
        file.seek(5000)
        file.write(b"?????")
    assert "corrupt bundle" in refused(capsys, *transfer(str(corrupt)))
    assert "corrupt bundle" not in refused(capsys, *transfer(bundle, voice="nobody"))


def test_bad_vocoders(capsys, work, tmp_path, bundle, compiled):
    (tmp_path / "letter.pt").write_text("Dear all")
    (tmp_path / "zip.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "Did you mean 'griffin_lim'?" in refused(capsys, *transfer(bundle), "--vocoder", "grifin_lim")
    for name in ("letter.pt", "zip.pt"):
        assert name in refused(capsys, *transfer(bundle), "--vocoder", tmp_path / name)


def test_outputs_are_checked_before_any_work(capsys, work, tmp_path, bundle, monkeypatch):
    def never(path=None):
        raise AssertionError("work was started")

    monkeypatch.setattr(synthesis, "load", never)
    (work / "folder.wav").mkdir()
    (work / "file").write_text("")
    (work / "mine.wav").write_bytes(b"RIFF")
    assert "is a folder" in refused(capsys, *transfer(bundle, out="folder.wav"))
    assert "no such folder" in refused(capsys, *transfer(bundle, out="absent/out.wav"))
    assert "is not a folder" in refused(capsys, *transfer(bundle, out="file/out.wav"))
    assert "end in .wav" in refused(capsys, *transfer(bundle, out="out.mp3"))
    assert "would replace" in refused(capsys, *transfer(bundle, source="mine.wav", out="mine.wav"))
    assert "end in .png" in refused(capsys, *transfer(bundle), "--plot", "out.pdf")
    assert "end in .html" in refused(capsys, *transfer(bundle), "--page", "out.pdf")
    assert "--page with --trim" in refused(capsys, *transfer(bundle), "--page", "out.html", "--trim")
    assert "is not a folder" in refused(capsys, "demo", "--out", "file")
    if os.geteuid():  # root may write anywhere
        (work / "locked").mkdir(mode=0o500)
        assert "cannot be written" in refused(capsys, *transfer(bundle, out="locked/out.wav"))


def test_missing_arguments(capsys, work, bundle):
    assert "SOURCE" in refused(capsys, "transfer")
    assert "--voice" in refused(capsys, "transfer", SOURCE, "--text", "x", "--out", "o.wav")
    assert "--out" in refused(capsys, "transfer", SOURCE, "--text", "x", "--voice", "v")
    assert "both" in refused(capsys, *transfer(bundle), "--text-file", "x.txt")
    assert "x.txt" in refused(capsys, *transfer(bundle, text=None), "--text-file", "x.txt")


def test_a_manifest_ends_where_the_disk_is_full(capsys, work, bundle, tmp_path, monkeypatch):
    asked = []

    def write(self, prepared, voice, out, **options):
        asked.append(out.name)
        if len(asked) > 1:
            raise NoRoom("cannot be written (No space left on device)", str(out))

    monkeypatch.setattr(synthesis.Synthesizer, "write", write)
    monkeypatch.setattr(synthesis.Synthesizer, "prepare", lambda *_, **__: None)
    monkeypatch.setattr("copycat_jax.cli.transfer._forced", lambda *_: False)
    (tmp_path / "a.opus").write_bytes((CLIP / "source.opus").read_bytes())
    (tmp_path / "list.txt").write_text("\n".join(f"a.opus|{TEXT}|af_heart|{n}.wav" for n in range(5)))
    assert main(["transfer", "--manifest", str(tmp_path / "list.txt"), "--bundle", bundle]) == 2
    said = capsys.readouterr()
    assert asked == ["0.wav", "1.wav"] and "1 of 5 written" in said.out
    assert said.err.count("No space left") == 1 and "list.txt:2" in said.err


def test_a_manifest_does_what_it_can(capsys, work, bundle, compiled, tmp_path):
    (tmp_path / "a.opus").write_bytes((CLIP / "source.opus").read_bytes())
    lines = [
        "source|text|voice|out",
        f"a.opus|{TEXT}|af_heart|one.wav",
        f"a.opus|{TEXT}|nobody|two.wav",
        "",
        "a.opus|only three|fields",
        f"absent.wav|{TEXT}|af_heart|three.wav",
        f"a.opus|{TEXT}|af_heart|one.wav",
    ]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert main(["transfer", "--manifest", str(tmp_path / "list.txt"), "--bundle", bundle]) == 2
    said = capsys.readouterr()
    assert "1 of 5 written" in said.out
    for number, what in ((3, "nobody"), (5, "not a line"), (6, "no such file"), (7, "same file")):
        assert re.search(rf"list\.txt:{number}: .*{what}", said.err), said.err
    assert sorted(os.listdir(tmp_path)) == ["a.opus", "list.txt", "one.wav", "work"]
    (tmp_path / "list.txt").write_text("\n".join(lines[:2]))
    assert main(["transfer", "--manifest", str(tmp_path / "list.txt"), "--bundle", bundle]) == 0
    assert "leave --out out" in refused(capsys, "transfer", "--manifest", "x", "--out", "y.wav")


# --- voices, demo, export


def test_voices_are_listed(capsys, bundle):
    assert main(["voices", "--bundle", bundle]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in VOICES) and "183 Hz" in table
    assert main(["voices", "--bundle", bundle, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {name: row["register_hz"] for name, row in rows.items()} == VOICES


def test_the_demo_says_where_its_files_are(capsys, work, bundle, compiled):
    assert main(["demo", "--bundle", bundle]) == 0
    written = sorted(os.listdir("copycat_demo"))
    assert written == ["af_heart.wav", "am_michael.wav", "bf_emma.wav", "index.html", "source.wav"]
    said = capsys.readouterr().out
    assert all(f"copycat_demo/{name}" in said for name in written)
    sounds = [soundfile.info(f"copycat_demo/{name}.wav") for name in ("source", "af_heart")]
    assert sounds[0].duration == pytest.approx(sounds[1].duration, abs=0.5 / 22050)


def test_wav_comment_is_where_players_look(work, bundle, compiled):
    assert main(transfer(bundle)) == 0
    content = (work / "out.wav").read_bytes()
    assert b"ICMT" in content and b"synthetic speech" in content
    assert struct.unpack("<I", content[4:8])[0] + 8 == len(content)
