"""The cache of features: its key is the input's content; a killed build computes nothing twice; workers go with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import copycat_jax
from copycat_jax.align.textgrid import read_textgrid, write_textgrid
from copycat_jax.audio.decode import Unequipped
from copycat_jax.audio.signal import write_wav
from copycat_jax.corpus.cache import Cache, FeatureOptions, Limits, check_clipping, process, process_all, read_cached
from copycat_jax.corpus.readers import read_corpus
from copycat_jax.corpus.utterance import check_utterance
from copycat_jax.data.synthetic import synthetic_recordings, write_plain_corpus
from copycat_jax.errors import UserError
from copycat_jax.files import NoRoom
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.types import Interval

OPTIONS = FeatureOptions(f0="none")
LIMITS = Limits(0.1, 5.0)


@pytest.fixture
def raws(tmp_path):
    write_plain_corpus(tmp_path / "plain", 3, seconds=(0.4, 0.7))
    return read_corpus("plain", tmp_path / "plain")


def test_features_are_valid_and_come_back_equal(raws, tmp_path):
    cache = Cache(tmp_path / "cache")
    for raw in raws:
        assert process(raw, OPTIONS, LIMITS, cache).status == "computed"
        again = process(raw, OPTIONS, LIMITS, cache)
        assert again.status == "cached"
        utterance = read_cached(cache, again.key, raw.id, raw.speaker, raw.text)
        check_utterance(utterance, HIFIGAN)
        assert cache.frames(again.key) == len(utterance.mel)


def test_breaks_are_of_the_text_where_its_words_are_the_alignments(tmp_path):
    made = write_plain_corpus(tmp_path / "plain", 1, seconds=(2.0, 2.5))[0]
    (raw,) = read_corpus("plain", tmp_path / "plain")
    words = int((made.breaks > 0).sum())
    assert words > 3
    grid = read_textgrid(raw.alignment_path)
    write_textgrid(raw.alignment_path, grid._replace(words=tuple(word._replace(label="b") for word in grid.words)))
    cache = Cache(tmp_path / "cache")
    for text, kinds in (
        (f"b, {'b ' * (words - 2)}b", [2, *[1] * (words - 2), 3]),  # as many words as were aligned
        (f"b, {'b ' * (words - 3)}b", [*[1] * (words - 1), 3]),  # one less: only where words end is known
    ):
        key = process(raw._replace(text=text), OPTIONS, LIMITS, cache).key
        read = read_cached(cache, key, raw.id, raw.speaker, text)
        np.testing.assert_array_equal(read.phonemes, made.phonemes)
        np.testing.assert_array_equal(read.breaks > 0, made.breaks > 0)
        assert read.breaks[read.breaks > 0].tolist() == kinds


def test_an_entry_that_the_disk_lost_is_made_again(raws, tmp_path):
    cache = Cache(tmp_path / "cache")
    key = process(raws[0], OPTIONS, LIMITS, cache).key
    whole = cache.features_path(key).read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):
        cache.features_path(key).write_bytes(damaged)
        assert process(raws[0], OPTIONS, LIMITS, cache).status == "computed"
        assert cache.features_path(key).read_bytes() == whole


def test_an_entry_of_fewer_fields_is_made_again(raws, tmp_path):
    cache = Cache(tmp_path / "cache")
    key = process(raws[0], OPTIONS, LIMITS, cache).key
    features = cache.load(key)
    cache.store(key, {name: value for name, value in features.items() if name != "breaks"})
    assert process(raws[0], OPTIONS, LIMITS, cache).status == "computed"
    assert process(raws[0], OPTIONS, LIMITS, cache).status == "cached" and cache.load(key).keys() == features.keys()


def test_the_key_follows_content_and_options_not_names(raws, tmp_path):
    cache, raw = Cache(tmp_path / "cache"), raws[0]

    def key(raw, options=OPTIONS):
        return process(raw, options, LIMITS, cache).key

    elsewhere = Path(tmp_path / "other.wav")
    elsewhere.write_bytes(raw.path.read_bytes())
    assert key(raw._replace(path=elsewhere, id="x", speaker="y")) == key(raw)
    grid = tmp_path / "changed.TextGrid"
    grid.write_text(raw.alignment_path.read_text().replace('"words"', '"my - words"'))
    keys = {key(raw), key(raws[1]), key(raw._replace(text="other")), key(raw._replace(alignment_path=grid))}
    keys |= {key(raw, FeatureOptions(PAPER_24K, "none")), key(raw, FeatureOptions(f0="none", audio_only=True))}
    assert len(keys) == 6


def test_audio_only_is_one_silence(raws, tmp_path):
    cache = Cache(tmp_path / "cache")
    outcome = process(raws[0]._replace(text=None), FeatureOptions(f0="none", audio_only=True), LIMITS, cache)
    features = cache.load(outcome.key)
    assert features["phonemes"].tolist() == [1] and features["durations"].tolist() == [len(features["mel"])]


def test_trimming_leaves_at_most_a_tenth_of_a_second_at_the_edges(tmp_path):
    utterance, samples = synthetic_recordings(1, seconds=(0.8, 0.8))[0]
    silence = np.random.default_rng(0).normal(0, 1e-5, 22050).astype(np.float32)
    write_plain_corpus(tmp_path, 1, seconds=(0.8, 0.8))
    raw = read_corpus("plain", tmp_path)[0]
    bare = Cache(tmp_path / "a").load(process(raw, OPTIONS, LIMITS, Cache(tmp_path / "a")).key)
    write_wav(raw.path, np.concatenate([silence, samples, silence]), 22050)
    shift_grid(raw.alignment_path, 1.0)
    outcome = process(raw, OPTIONS, LIMITS, Cache(tmp_path / "a"))
    assert outcome.status == "computed", outcome
    long = Cache(tmp_path / "a").load(outcome.key)
    assert len(long["mel"]) <= len(utterance.mel) + 2 * 9
    # The phones inside are the same and last as long; only the silences at the edges may differ.
    assert long["phonemes"][1:-1].tolist() == bare["phonemes"][1:-1].tolist()
    assert np.abs(long["durations"][2:-2] - bare["durations"][2:-2]).max() <= 1


def shift_grid(path, by_s):
    """Moves an alignment by `by_s` seconds and puts as much silence after it."""
    alignment = read_textgrid(path)
    end = alignment.phones[-1].end_s
    moved = [Interval(p.start_s + by_s, p.end_s + by_s, p.label) for p in alignment.phones]
    phones = (Interval(0.0, by_s, "SIL"), *moved, Interval(end + by_s, end + 2 * by_s, "SIL"))
    words = tuple(Interval(w.start_s + by_s, w.end_s + by_s, w.label) for w in alignment.words)
    write_textgrid(path, alignment._replace(phones=phones, words=words))


def spoil(raw, kind):
    """Makes `raw` bad in one way; returns it, and a word that the reason must hold."""
    rate, rng = 22050, np.random.default_rng(0)
    if kind == "missing":
        return raw._replace(path=raw.path.with_name("absent.wav")), "cannot be read"
    if kind == "no text":
        return raw._replace(text=None), "text is missing"
    if kind == "empty":
        raw.path.write_bytes(b"")
        return raw, "empty"
    if kind == "not audio":
        raw.path.write_bytes(b"these are not the samples you are looking for" * 9)
        return raw, "readable"
    if kind == "truncated":
        raw.path.write_bytes(raw.path.read_bytes()[:9000])
        return raw, "short"
    if kind == "nan":
        import soundfile

        samples = rng.standard_normal(rate).astype(np.float32)
        samples[99] = np.nan
        soundfile.write(raw.path, samples, rate, subtype="FLOAT")
        return raw, "nan"
    if kind == "silence":
        write_wav(raw.path, np.zeros(rate, np.float32), rate)
        return raw, "silence"
    if kind == "clipped":
        write_wav(raw.path, np.clip(2.0 * np.sin(np.arange(rate) * 0.05), -1, 1).astype(np.float32), rate)
        return raw, "clipped"
    raw.alignment_path.write_text(raw.alignment_path.read_text().replace("xmax = 0.", "xmax = 7."))
    return raw, "alignment"


@pytest.mark.parametrize(
    "kind", ["missing", "no text", "empty", "not audio", "truncated", "nan", "silence", "clipped", "alignment"]
)
def test_bad_input_is_named_and_remembered(raws, tmp_path, kind):
    cache = Cache(tmp_path / "cache")
    raw, word = spoil(raws[0], kind)
    first = process(raw, OPTIONS, LIMITS, cache)
    assert first.status == "bad" and word in first.reason.lower() and "\n" not in first.reason
    assert process(raw, OPTIONS, LIMITS, cache) == first


def test_what_no_one_foresaw_is_bad_but_not_remembered(raws, tmp_path, monkeypatch):
    from copycat_jax import analysis

    def fail(*args, **kwargs):
        raise ZeroDivisionError("of two\nlines")

    cache, whole = Cache(tmp_path / "cache"), analysis.analyse
    monkeypatch.setattr(analysis, "analyse", fail)
    found = process(raws[0], OPTIONS, LIMITS, cache)
    assert found.status == "bad" and "ZeroDivisionError: of two lines" in found.reason
    monkeypatch.setattr(analysis, "analyse", whole)
    assert process(raws[0], OPTIONS, LIMITS, cache).status == "computed"


@pytest.mark.parametrize("lacking", ["ffmpeg", "room"])
def test_what_a_machine_lacks_is_not_held_against_a_recording(raws, tmp_path, monkeypatch, lacking):
    from copycat_jax.audio import signal

    def fail(path):
        raise (
            Unequipped("others need ffmpeg", str(path)) if lacking == "ffmpeg" else NoRoom("cannot be written", "/tmp")
        )

    cache = Cache(tmp_path / "cache")
    with monkeypatch.context() as without:
        without.setattr(signal, "read_audio", fail)
        if lacking == "ffmpeg":
            assert process(raws[0], OPTIONS, LIMITS, cache).status == "bad"
        else:  # the others would not fare better
            with pytest.raises(NoRoom):
                process(raws[0], OPTIONS, LIMITS, cache)
    assert process(raws[0], OPTIONS, LIMITS, cache).status == "computed"


def test_limits_are_not_held_against_a_recording(raws, tmp_path):
    cache = Cache(tmp_path / "cache")
    for limits in (Limits(0.1, 0.2), Limits(3.0, 4.0)):
        assert process(raws[0], OPTIONS, limits, cache).status == "length"
    assert process(raws[0], OPTIONS, LIMITS, cache).status == "computed"
    assert process(raws[0], OPTIONS, Limits(0.1, 0.2), cache).status == "length"


def test_clipping_is_told_from_loud_speech():
    tone = np.sin(np.arange(22050) * 0.05).astype(np.float32)
    for clipped in (np.clip(1.5 * tone, -1, 1), 0.4 * np.clip(1.5 * tone, -1, 1)):
        with pytest.raises(UserError, match="clipped"):
            check_clipping(clipped, "here")
    for fine in (0.99 * tone, 0.3 * tone, np.round(tone * 32767 * 0.9) / 32768, np.zeros(100, np.float32)):
        check_clipping(fine.astype(np.float32), "here")


def test_worker_processes_give_what_one_process_gives(raws, tmp_path):
    one, two = Cache(tmp_path / "one"), Cache(tmp_path / "two")
    expected = [(raw, process(raw, OPTIONS, LIMITS, one)) for raw in raws]
    assert list(process_all(raws, OPTIONS, LIMITS, two, 2)) == expected
    for _, outcome in expected:
        assert all(np.array_equal(a, two.load(outcome.key)[name]) for name, a in one.load(outcome.key).items())


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


SLEEPER = """
import os, time
from copycat_jax.audio import signal

read = signal.read_audio

def sleeping(path, *arguments):
    if str(path) in os.environ["BLOCKED"].split(os.pathsep) and os.environ["BLOCKING"]:
        time.sleep(600)
    return read(path, *arguments)

signal.read_audio = sleeping
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses /proc")
def test_after_kill_nine_nothing_cached_is_computed_again(tmp_path):
    """Two recordings are never read to their end: both workers hang there, and the build is killed."""
    plain, out = tmp_path / "plain", tmp_path / "data"
    write_plain_corpus(plain, 9, seconds=(0.3, 0.4))
    blocked = [raw.path for raw in read_corpus("plain", plain)[5:7]]
    (tmp_path / "sitecustomize.py").write_text(SLEEPER)
    command = [sys.executable, "-m", "copycat_jax.cli", "build", f"--source=plain:{plain}", f"--out={out}", "--f0=none"]
    package = str(Path(copycat_jax.__file__).parents[1])
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join([str(tmp_path), package, os.environ.get("PYTHONPATH", "")]),
        BLOCKED=os.pathsep.join(map(str, blocked)),
        BLOCKING="yes",
    )
    build = subprocess.Popen([*command, "--workers=2"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children_file = Path(f"/proc/{build.pid}/task/{build.pid}/children")

    def cached():
        return {
            path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (tmp_path / "data.cache").rglob("*.npz")
        }

    assert wait_for(lambda: len(cached()) == 5)
    children = [int(pid) for pid in children_file.read_text().split()] if children_file.exists() else []
    build.send_signal(signal.SIGKILL)
    build.communicate()
    assert wait_for(lambda: not any(map(alive, children))), "workers outlived their build"
    assert not out.exists()
    before = cached()
    assert len(before) == 5
    environment["BLOCKING"] = ""
    done = subprocess.run([*command, "--workers=1"], env=environment, capture_output=True, text=True, check=True)
    assert "computed 4, from the cache 5" in done.stdout
    after = cached()
    assert len(after) == 9 and before.items() <= after.items()
