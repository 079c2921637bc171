import re

import numpy as np
import pytest
import soundfile
from tiny_voice import ENCODER, ENCODER_FINGERPRINT, PARSER, tiny_bundle, tiny_space, write_tiny_voice

from copycat_jax.errors import UserError
from copycat_jax.vocoder.registry import VOCODERS, Vocoder
from prosody_vae.cli import main
from prosody_vae.demo.page import Card, Group, render_page
from prosody_vae.demo.takes import DEMO_SENTENCES, open_recorded, record_demo
from prosody_vae.linguistics.syntax import recorded_parser
from prosody_vae.space.files import write_space

TREES = dict(
    zip(
        DEMO_SENTENCES,
        (
            "(SQ Does (NP he) (VP wear (NP (NP a black suit) or (NP a blue one))) (. ?))",
            "(SBARQ (WHNP Who) (VP ate (NP (NP the rest) (PP of (NP my pizza)))) (. ?))",
            "(S (VP (VP Get (NP scores (, ,) schedules)) (, ,) and (VP listen (PP to (NP live audio streams)))) (. .))",
        ),
        strict=True,
    )
)


class StubEncoder:
    label, fingerprint, width = ENCODER, ENCODER_FINGERPRINT, 8

    def encode(self, sentences, batch_size=64, progress=False):
        return np.stack([np.random.default_rng(len(text)).standard_normal(8) for text in sentences]).astype(np.float32)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    record_demo(tiny_space(tiny_bundle()), StubEncoder(), recorded_parser(TREES, PARSER), folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_space(folder / "space", tiny_space(tiny_bundle()))
    voice = write_tiny_voice(folder / "voice")
    return ["--bundle", str(voice), "--space", str(folder / "space")]


def test_what_was_recorded_is_what_parser_and_encoder_say(recorded):
    found = open_recorded(recorded)
    assert (found.parser, found.encoder.label) == (PARSER, ENCODER)
    np.testing.assert_array_equal(found.encoder.encode(DEMO_SENTENCES), StubEncoder().encode(DEMO_SENTENCES))
    space = tiny_space(tiny_bundle())
    from prosody_vae.selection.selector import Selector

    from_records = Selector(space, **found.options()).select(DEMO_SENTENCES, "both")
    live = Selector(space, StubEncoder(), recorded_parser(TREES, PARSER)).select(DEMO_SENTENCES, "both")
    assert [choice.entries for choice in from_records] == [choice.entries for choice in live]
    with pytest.raises(UserError, match="no vector was recorded"):
        found.encoder.encode(["It rains."])


def test_a_record_of_another_encoder_or_parser_is_refused(tmp_path):
    space = tiny_space(tiny_bundle())
    other = StubEncoder()
    other.fingerprint = "0" * 64
    with pytest.raises(UserError, match="another encoder"):
        record_demo(space, other, recorded_parser(TREES, PARSER), tmp_path / "demo")
    with pytest.raises(UserError, match="another parser"):
        record_demo(space, StubEncoder(), recorded_parser(TREES, "another"), tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_missing_or_damaged_records_are_named(recorded, tmp_path):
    with pytest.raises(UserError, match="no recorded trees"):
        open_recorded(tmp_path)
    for name in ("recorded.json", "recorded.safetensors"):
        (tmp_path / name).write_bytes((recorded / name).read_bytes())
    (tmp_path / "recorded.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not readable"):
        open_recorded(tmp_path)


def test_the_demo_makes_twelve_wavs_and_a_page_of_them(recorded, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("prosody_vae.demo.takes.RECORDED", recorded)
    monkeypatch.setitem(VOCODERS, "harmonic", lambda spec: Vocoder(lambda mel, f0_hz: _tone(mel, spec=spec)))
    monkeypatch.setattr("copycat_jax.audio.pitch.track_f0", lambda samples, rate, frames, hop_s: np.full(frames, 150.0))
    out = tmp_path / "prosody_demo"
    assert main(["demo", "--out", str(out), *trained]) == 0
    printed = capsys.readouterr().out
    wavs = sorted(out.glob("*.wav"))
    assert len(wavs) == 12 and str(out / "index.html") in printed
    assert all(f"{ENCODER} (recorded)" in where for where in (printed, (out / "index.html").read_text("utf-8")))
    for wav in wavs:
        with soundfile.SoundFile(wav) as file:
            assert file.comment == "synthetic speech" and file.frames > file.samplerate / 2
    page = (out / "index.html").read_text("utf-8")
    assert {f"{name}.wav" for name in re.findall(r'src="([^"]+)\.wav"', page)} == {wav.name for wav in wavs}
    assert {f"{name}.png" for name in re.findall(r'src="([^"]+)\.png"', page)} == {p.name for p in out.glob("*.png")}
    assert page.count("<article>") == 12 and page.count("<blockquote>") == 9  # the centroid chooses no recording
    assert all(text in page and text in printed for text in DEMO_SENTENCES)
    assert page.count(f"<h3>{ENCODER}</h3>") == page.count(f"<h3>{ENCODER} + syntactic</h3>") == 3
    assert not re.search(r'(src|href)="(https?:)?//', page)


def _tone(mel, spec):
    return np.full((len(mel), mel.shape[1] * spec.hop_samples), 0.1, np.float32)


def test_free_text_names_all_that_is_missing(recorded, trained, tmp_path, capsys, monkeypatch):
    def absent(what):
        def refuse(*_):
            raise UserError(f"no {what} is installed", remedy=f"Run: pip install {what}.")

        return refuse

    monkeypatch.setattr("prosody_vae.linguistics.syntax.open_parser", absent("parser-x"))
    monkeypatch.setattr("prosody_vae.linguistics.bert.find_encoder", absent("encoder-y"))
    assert main(["demo", "Is it raining?", "--out", str(tmp_path / "out"), *trained]) == 2
    printed = capsys.readouterr().err
    assert "pip install parser-x" in printed and "pip install encoder-y" in printed and printed.count("\n") == 1
    assert not (tmp_path / "out" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", ""], "empty text"),
        (["\N{GRINNING FACE} ..."], "no letters"),
        (["One.", "--text", "Two."], "two texts"),
        (["--speaker", "nobody"], "unknown speaker"),
        (["--out", "file/out"], "not a folder"),
        (["--space", "nowhere"], "no such prosody space"),
        (["--bundle", "nowhere"], "no such bundle"),
        (["--bundle", "."], "bundle"),
        (["--vocoder", "wavenet"], "no vocoder"),
        (["word " * 5000], "5000 words in one sentence"),
    ],
)
def test_what_is_wrong_is_one_line(recorded, trained, tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("prosody_vae.demo.takes.RECORDED", recorded)
    (tmp_path / "file").write_text("")
    assert main(["demo", *trained, *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_in_a_page_is_taken_for_markup():
    card = Card("<e>", "<w>", "a.wav", "a.png", 1.0, {"mean <F0>": "<1>"}, "<b>&", "<id>", {"<s>": 0.5}, "<n>")
    page = render_page([Group("<script>alert(1)</script>", "(S <x>)", [card])], {"<k>": "<v>"})
    for raw in ("<script>", "<b>", "<id>", "<s>", "<x>", "<k>", "<v>", "<F0>", "<1>", "<e>", "<w>", "<n>", "<N>"):
        assert raw not in page
