import base64
import io
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from copycat_jax.audio.pitch import track_f0
from copycat_jax.audio.signal import Audio
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.transfer_page import render_transfer_page
from copycat_jax.types import Alignment, Interval

FRAMES, RATE, HOP = 86, 22050, 256


def buzz(hertz, seconds, rate):
    time = np.arange(round(seconds * rate)) / rate
    return (0.1 * sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 8))).astype(np.float32)


def transfers(voices=("af_heart", "bf_emma"), words=("hello", "world"), start_s=0.25, f0=150.0, register=150.0):
    """A recording of 1.5 s and what was made of it, as a page sees them."""
    mel = np.random.default_rng(0).uniform(-11, 1, (FRAMES, 80)).astype(np.float32)
    spans = tuple(Interval(0.3 + 0.4 * i, 0.6 + 0.4 * i, word) for i, word in enumerate(words))
    analysis = SimpleNamespace(
        mel_part=lambda start, stop: mel[start:stop],
        f0_hz=np.full(FRAMES, f0, np.float32),
        samples=buzz(f0, FRAMES * HOP / RATE, RATE),
        alignment=Alignment((), spans, -10.0),
    )
    source = SimpleNamespace(analysis=analysis, register_hz=register, confidence=0.93)
    sound = np.pad(buzz(180, FRAMES * HOP / RATE, RATE), (round(start_s * RATE), 0))
    made = [
        SimpleNamespace(
            source=source, voice=v, ratio=1.2, samples=sound, sample_rate=RATE, start_s=start_s, mel=mel
        )
        for v in voices
    ]  # fmt: skip
    return Audio(buzz(150, 1.5, 24000), 24000), made


def render(text="Hello world.", **how):
    recording, made = transfers(**how)
    return render_transfer_page(recording, made, HIFIGAN, text, {"vocoder": "griffin_lim"})  # type: ignore


@pytest.fixture(scope="module")
def page():
    return render()


def test_a_page_needs_nothing_beside_it(page):
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(addresses) == 6 and all(address.startswith("data:") for address in addresses)
    assert not re.search(r"https?://|url\(|@import", page)


def test_every_sound_is_in_it_without_loss(page):
    recording, made = transfers()
    sounds = [base64.b64decode(content) for content in re.findall(r"data:audio/flac;base64,([^\"]+)", page)]
    for content, (samples, rate) in zip(sounds, [recording, *((m.samples, m.sample_rate) for m in made)], strict=True):
        found, at = soundfile.read(io.BytesIO(content), dtype="float32")
        assert at == rate
        np.testing.assert_allclose(found, samples, atol=1 / 32768)


def test_pictures_begin_where_their_frames_sound(page):
    boxes = re.findall(r'<image [^>]* x="([\d.]+)" width="([\d.]+)"', page)
    seconds = 1.5
    assert len(boxes) == 3
    for x, width in boxes:
        assert float(x) == pytest.approx(1000 * 0.25 / seconds, abs=0.01)
        assert float(width) == pytest.approx(1000 * FRAMES * HOP / RATE / seconds, abs=0.01)


def test_words_stand_below_every_row_where_they_are_said(page):
    places = re.findall(r'left:([\d.]+)%;top:([\d.]+)rem">(\w+)<', page)
    assert len(places) == 2 * 4  # three sounds and the melodies together
    assert {(float(left), word) for left, _, word in places} == {(30.0, "hello"), (56.67, "world")}
    crowded = render(words=("incomprehensibilities",) * 3)
    assert {top for _, top, _ in re.findall(r'left:([\d.]+)%;top:([\d.]+)rem">(\w+)<', crowded)} == {"0.0", "1.2"}


def test_what_was_measured_is_said(page):
    for said in ("150 Hz", "0.93", "180 Hz (+3.2 semitones)", "LUFS", "griffin_lim", "results are synthetic speech"):
        assert said in page


def test_curves_have_gaps_where_nothing_is_voiced():
    recording, made = transfers()
    made[0].source.analysis.samples[35 * HOP : 55 * HOP] = 0
    page = render_transfer_page(recording, made, HIFIGAN, "x", {})  # type: ignore
    source = re.search(r'<path class="heard"[^>]* d="([^"]+)"', page).group(1)
    voiced = track_f0(made[0].source.analysis.samples, RATE, FRAMES, HIFIGAN.hop_s) > 0
    assert source.count("M") == 2 and source.count("L") == voiced.sum() - 2


def test_speech_without_voice_or_words_has_a_page_too():
    page = render(words=(), f0=0.0, register=float("nan"), text="")
    assert (
        "not heard" in page and "nan" not in page.replace("data:", "").lower().split("<script>")[0].split("base64")[0]
    )


def test_nothing_in_a_page_is_taken_for_markup():
    hostile = "<script>alert(1)</script>"
    page = render(text=hostile, voices=("<b>&",), words=("<i>",))
    assert hostile not in page and "<b>&" not in page and "<i><" not in page
    opened = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: opened.append(tag)  # type: ignore
    parser.handle_endtag = lambda tag: opened.remove(tag)  # type: ignore
    parser.feed(page)
    assert set(opened) <= {"meta"}  # all else is closed
