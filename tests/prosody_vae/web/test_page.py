"""The page in a browser, from end to end, with the models that ship; what it makes is what Python makes."""

import json
import shutil
import threading

import numpy as np
import pytest
import soundfile

from copycat_jax.align.textgrid import read_textgrid
from copycat_jax.audio.loudness import limit, loudness_lufs
from copycat_jax.audio.signal import COMMENT, read_audio, write_wav
from copycat_jax.cosine import cosine
from copycat_jax.prosody.edits import emphasised, faster
from copycat_jax.prosody.file import parse_prosody
from prosody_vae.tts.prosody import to_plan
from prosody_vae.tts.voice import open_voice
from prosody_vae.web.server import PageServer, sentence_work, source_work
from prosody_vae.web.site import open_models, recorded_selector, write_site
from prosody_vae.web.sources import shipped_clips

pytestmark = pytest.mark.slow
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_MS = 180_000
ALIKE_DB = 50.0


@pytest.fixture(scope="module")
def models():
    pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
    return open_models()


@pytest.fixture(scope="module")
def browser():
    driver = pytest.importorskip("playwright.sync_api", reason="playwright (extra 'dev') is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no browser: {', '.join(BROWSERS)}")
    with driver.sync_playwright() as made:
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
        microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        chromium = made.chromium.launch(executable_path=path, args=options + microphone)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def served(models, browser, tmp_path_factory):
    folder = write_site(tmp_path_factory.mktemp("web") / "page", models, serving=True)
    works = {"/api/source": source_work(models.synthesizer), "/api/sentence": sentence_work(recorded_selector())}
    with PageServer(folder, works, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def page(browser, served):
    """The page, its first transfer made; nothing may go wrong in it, and nothing be fetched from elsewhere."""
    wrong: list[str] = []
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda line: wrong.append(line.text) if _is_wrong(line) else None)
    opened.on("request", lambda request: None if _is_own(request.url, served) else wrong.append(request.url))
    opened.goto(served.address)
    opened.wait_for_function("() => window.copycat?.rooms.transfer?.result")
    yield opened
    assert wrong == []


def _is_wrong(line) -> bool:
    refused = "422" in line.text and "/api/source" in line.location["url"]  # a text that does not match is tried
    return line.type in ("error", "warning") and not refused


def _is_own(url: str, server: PageServer) -> bool:
    return url.startswith((server.address, "data:", f"blob:{server.address}"))


@pytest.fixture(scope="module")
def voice_page(page):
    page.click("#tab-voice")
    page.wait_for_function("() => window.copycat.rooms.voice?.history")
    return page


def snr_db(truth, made) -> float:
    truth, made = (np.asarray(x, np.float64) for x in (truth, made))
    assert truth.shape == made.shape
    return float(10 * np.log10(np.sum(truth**2) / np.sum((truth - made) ** 2)))


def samples_of(page, room: str) -> np.ndarray:
    return np.array(page.evaluate(f"() => Array.from(window.copycat.rooms.{room}.result.samples)"), np.float32)


def settled(page, change: str) -> None:
    """Waits until the voice has spoken the plan that an edit made."""
    page.evaluate(change) if change else None
    page.wait_for_function(
        "() => { const r = window.copycat.rooms.voice; return r.history && r.result.plan === r.history.now; }"
    )


def prosody_of(page):
    return parse_prosody(json.loads(page.evaluate("() => window.copycat.rooms.voice.prosody()")), "page")


def test_a_transfer_is_that_of_python(page, models):
    clip, synthesizer = shipped_clips()[0], models.synthesizer
    source = synthesizer.prepare(clip.path, clip.text)
    voice = next(iter(synthesizer.voices))
    (own,) = synthesizer.convert(source, [voice])
    assert page.evaluate("() => window.copycat.rooms.transfer.result.voice") == voice
    made = samples_of(page, "transfer")
    assert snr_db(own.samples, made) > ALIKE_DB
    mel = np.array(page.evaluate("() => Array.from(window.copycat.rooms.transfer.result.mel)"))
    assert np.abs(mel.reshape(own.mel.shape) - own.mel).max() < 1e-3
    likeness = page.evaluate("() => window.copycat.rooms.transfer.result.likeTarget")
    vector = synthesizer.embed([own.mel])
    centroid = np.array(synthesizer.voices[voice].centroid, np.float32)
    assert likeness == pytest.approx(float(cosine(vector[None], centroid[None])[0, 0]), abs=1e-3)
    assert f"result and {voice}" in page.text_content("#likeness")


def test_another_voice_higher(page, models):
    page.fill("#shift", "3")
    page.click("#voices label:has-text('am_onyx')")
    page.wait_for_function("() => window.copycat.rooms.transfer.result.voice === 'am_onyx'")
    ratio = page.evaluate("() => window.copycat.rooms.transfer.result.ratio")
    source = page.evaluate("() => window.copycat.rooms.transfer.source.register_hz")
    assert ratio == pytest.approx(models.synthesizer.voices["am_onyx"].register_hz / source * 2**0.25, rel=1e-5)
    assert page.text_content("#shift-shown") == "+3 semitones"


def test_recording_and_result_are_switched_at_the_same_instant(page):
    script = """async () => {
      const { player } = window.copycat.rooms.transfer;
      await player.play(0);
      const seen = [];
      for (const key of ["a", "b"]) {
        const before = player.now;
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        seen.push([player.heard, player.playing, player.now >= before, player.nodes.length]);
      }
      player.stop();
      return seen;
    }"""
    assert page.evaluate(script) == [[0, True, True, 2], [1, True, True, 2]]
    assert page.get_attribute("#hear-result", "aria-checked") == "true"
    page.click(".words button >> nth=3")
    start = page.evaluate("() => window.copycat.rooms.transfer.source.words[3][1]")
    assert page.evaluate("() => window.copycat.rooms.transfer.player.now") == pytest.approx(start)
    toggled = """async () => {
      await window.copycat.rooms.transfer.toggle();
      return document.getElementById("play").textContent;
    }"""
    assert page.evaluate(toggled) == "Pause"
    page.evaluate("() => window.copycat.rooms.transfer.leave()")
    assert page.text_content("#play") == "Play"


def test_a_microphone_is_recorded(page):
    page.click("#record")
    page.wait_for_function("() => document.getElementById('record').textContent === 'Stop'")
    page.wait_for_timeout(600)
    page.click("#record")
    page.wait_for_function("() => document.getElementById('own-note').textContent.includes('are here')")
    assert page.text_content("#record") == "Record"


def test_a_recording_of_ones_own(page, tmp_path):
    clip = shipped_clips()[6]
    audio = read_audio(clip.path)
    write_wav(tmp_path / "own.wav", *audio)
    page.set_input_files("#own-file", tmp_path / "own.wav")
    here = f"{audio.seconds:.1f} s are here"
    page.wait_for_function(f"() => document.getElementById('own-note').textContent.startsWith('{here}')")
    page.fill("#own-text", "nothing of the kind, I am afraid")
    page.click("#own button[type=submit]")
    page.wait_for_function("() => document.getElementById('own-note').classList.contains('bad')")
    page.fill("#own-text", clip.text)
    page.click("#own button[type=submit]")
    page.wait_for_function("() => window.copycat.rooms.transfer.source.id === 'own_1'")
    words = page.evaluate("() => window.copycat.rooms.transfer.source.words.map(([word]) => word)")
    assert words == clip.text.lower().strip("?.").split()


def test_a_sentence_is_that_of_python(voice_page, models):
    voice = open_voice(models.voice)
    text, way, speaker = voice_page.evaluate(
        "() => { const r = window.copycat.rooms.voice; "
        "return [r.sentence.text, r.way, document.getElementById('speaker').value]; }"
    )
    (choice,) = recorded_selector().select([text], by=way)
    speech = voice.speak(text, choice.embedding, speaker)
    assert way == "both" and voice_page.evaluate("() => window.copycat.rooms.voice.result.frames") == len(speech.mel)
    assert snr_db(speech.samples, samples_of(voice_page, "voice")) > ALIKE_DB


def test_a_dragged_phone_is_spoken_as_the_saved_file_says(voice_page, models):
    before = prosody_of(voice_page).sentences[0]
    number = voice_page.evaluate(
        "() => { const d = document.querySelectorAll('.editor .reach')[10]; "
        "d.scrollIntoView({ block: 'center' }); return Number(d.dataset.phone); }"
    )
    box = voice_page.locator(".editor .reach").nth(10).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    voice_page.mouse.move(x, y)
    voice_page.mouse.down()
    voice_page.mouse.move(x, y - 20, steps=3)
    voice_page.mouse.up()
    settled(voice_page, "")
    voice_page.fill("#phone-durations", "300")
    voice_page.press("#phone-durations", "Enter")
    settled(voice_page, "")
    prosody = prosody_of(voice_page)
    (after,) = prosody.sentences
    for i, (old, new) in enumerate(zip(before.phones, after.phones, strict=True)):
        assert (new == old) == (i != number)
    assert after.phones[number].f0_hz > 1.1 * before.phones[number].f0_hz
    assert after.phones[number].duration_s == pytest.approx(0.3, abs=0.006)
    voice, embedding = open_voice(models.voice), np.array(after.embedding, np.float32)
    (speech,) = voice.render([to_plan(after, prosody.frame_s)], [embedding], prosody.speaker)
    assert snr_db(speech.samples, samples_of(voice_page, "voice")) > ALIKE_DB


def test_edits_are_undone_and_done_again(voice_page):
    twice = prosody_of(voice_page)
    voice_page.locator(".editor svg").focus()
    for keys in ("Control+z", "Control+z"):
        voice_page.keyboard.press(keys)
    settled(voice_page, "")
    assert voice_page.is_disabled("#undo") and not voice_page.is_disabled("#redo")
    for keys in ("Control+Shift+Z", "Control+y"):
        voice_page.keyboard.press(keys)
    settled(voice_page, "")
    assert prosody_of(voice_page) == twice
    voice_page.click("#reset")
    settled(voice_page, "")
    assert prosody_of(voice_page) != twice


def test_buttons_edit_as_python_does(voice_page):
    plain = prosody_of(voice_page)
    word, first, *_ = plain.sentences[0].words[-1]
    voice_page.evaluate(f"() => window.copycat.rooms.voice.editor.choose({first})")
    voice_page.click("#emphasise")
    settled(voice_page, "")
    _assert_alike(prosody_of(voice_page), emphasised(plain, word))
    voice_page.click("#undo")
    settled(voice_page, "")
    voice_page.click("[data-speed='0.9']")
    settled(voice_page, "")
    _assert_alike(prosody_of(voice_page), faster(plain, 0.9))
    voice_page.click("#undo")
    settled(voice_page, "")


def _assert_alike(made, wanted) -> None:
    pairs = zip(made.sentences[0].phones, wanted.sentences[0].phones, strict=True)
    assert all(a.symbol == b.symbol and a[1:] == pytest.approx(b[1:], rel=1e-5, abs=1e-6) for a, b in pairs)


def test_loudness_is_that_of_python(page):
    samples = (0.6 * np.random.default_rng(0).standard_normal(30000)).astype(np.float32)
    samples[:9000] *= 0.01
    script = """async (x) => {
      const sound = await import("/js/sound.js");
      return [sound.loudness(x, 22050), Array.from(sound.limited(x)), sound.loudness(x.slice(0, 5000), 22050)];
    }"""
    lufs, bent, short = page.evaluate(script, samples.tolist())
    assert lufs == pytest.approx(loudness_lufs(samples, 22050), abs=1e-6)
    assert short == pytest.approx(loudness_lufs(samples[:5000], 22050), abs=1e-6)
    assert np.abs(np.array(bent) - limit(samples)).max() < 1e-6


def test_what_is_saved_can_be_read(voice_page, tmp_path):
    saved = {}
    for name in ("wav", "grid", "json"):
        with voice_page.expect_download() as download:
            voice_page.click(f"#save-{name}")
        saved[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[name])
    with soundfile.SoundFile(saved["wav"]) as file:
        seconds = file.frames / file.samplerate
        assert file.comment == COMMENT and file.samplerate == 22050
    alignment, (sentence,) = read_textgrid(saved["grid"]), prosody_of(voice_page).sentences
    assert [w.label for w in alignment.words] == [w.text for w in sentence.words]
    assert alignment.phones[-1].end_s == pytest.approx(seconds, abs=1e-3)
    assert parse_prosody(json.loads(saved["json"].read_text()), "saved") == prosody_of(voice_page)


def test_every_way_of_choosing_and_a_text_of_ones_own(voice_page):
    spoken = set()
    for way in ("centroid", "syntactic", "bert", "both"):
        voice_page.evaluate(f"() => document.querySelector('[name=way][value={way}]').click()")
        settled(voice_page, "")
        voice_page.wait_for_function(f"() => window.copycat.rooms.voice.way === '{way}'")
        spoken.add(tuple(prosody_of(voice_page).sentences[0].embedding))
    assert len(spoken) == 4
    voice_page.fill("#free-text", "It rains, and nobody minds.")
    voice_page.press("#free-text", "Enter")
    voice_page.wait_for_function("() => window.copycat.rooms.voice.sentence.text.startsWith('It rains')")
    settled(voice_page, "")
    (sentence,) = prosody_of(voice_page).sentences
    assert " ".join(word.text for word in sentence.words) == "it rains and nobody minds"


def test_it_is_used_by_keys_alone(voice_page):
    voice_page.locator("#tab-voice").focus()
    voice_page.keyboard.press("ArrowLeft")
    voice_page.wait_for_function("() => !document.getElementById('room-transfer').hidden")
    assert voice_page.get_attribute("#tab-transfer", "aria-selected") == "true"
    voice_page.keyboard.press("ArrowRight")
    voice_page.wait_for_function("() => !document.getElementById('room-voice').hidden")
    voice_page.locator(".editor svg").focus()
    chosen, plan = "() => window.copycat.rooms.voice.editor.chosen", prosody_of(voice_page).sentences[0]
    before = voice_page.evaluate(chosen)
    voice_page.keyboard.press("ArrowLeft")
    voice_page.keyboard.press("ArrowUp")
    settled(voice_page, "")
    assert voice_page.evaluate(chosen) == before - 1
    assert voice_page.evaluate("() => document.activeElement.tagName") == "svg"
    raised = prosody_of(voice_page).sentences[0].phones[before - 1].f0_hz
    assert raised == pytest.approx(plan.phones[before - 1].f0_hz * 2 ** (0.5 / 12), rel=1e-6)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "dark")])
def test_it_fits_a_phone_and_the_dark(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    for room in ("transfer", "voice"):
        page.click(f"#tab-{room}")
        page.wait_for_function(f"() => !document.getElementById('room-{room}').hidden")
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 22, 26)") == (scheme == "dark")
