import json
import math

import numpy as np
import pytest
from tiny_bundle import VOICES, write_tiny

from copycat_jax import synthesis
from copycat_jax.align import pieces
from copycat_jax.audio import signal
from copycat_jax.audio.loudness import loudness_lufs
from copycat_jax.demo import CLIP
from copycat_jax.errors import UserError
from copycat_jax.source import RATIO_RANGE
from copycat_jax.types import Alignment, Interval
from copycat_jax.vocoder.harmonic import SHIPPED_VOCODER
from copycat_jax.vocoder.registry import VOCODERS, Vocoder

TEXT = (CLIP / "source.txt").read_text(encoding="utf-8")
HOP_S = 256 / 22050


def envelope(mel, f0_hz=None):
    return np.repeat(np.exp(mel).mean(axis=2), 256, axis=1)


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory):
    loaded = synthesis.load(write_tiny(tmp_path_factory.mktemp("tiny") / "bundle"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VOCODERS, "dummy", lambda spec: Vocoder(envelope))
        patch.setitem(
            VOCODERS,
            "hiss",
            lambda spec: Vocoder(lambda mel, f0_hz: envelope(mel) * (-1.0) ** np.arange(mel.shape[1] * 256)),
        )
        loaded.vocoder("dummy")
        loaded.vocoder("hiss")
    return loaded


@pytest.fixture(scope="module")
def clip():
    return signal.read_audio(CLIP / "source.opus")


@pytest.fixture(scope="module")
def source(synthesizer):
    return synthesizer.prepare(CLIP / "source.opus", TEXT)


def test_shapes_and_sums_agree(synthesizer, source):
    (result,) = synthesizer.convert(source, ["af_heart"], trim=True)
    analysis = source.analysis
    frames = len(analysis.mel)
    assert result.mel.shape == analysis.mel.shape == (frames, 80)
    assert result.samples.shape == (frames * 256,)
    assert result.samples.dtype == np.float32 and np.abs(result.samples).max() <= 1.0
    assert analysis.durations.sum() == frames and analysis.durations.min() >= 1
    assert len(analysis.phonemes) == len(analysis.durations)
    assert analysis.phonemes[0] == "SIL"
    assert np.isfinite(result.samples).all() and np.isfinite(result.mel).all()
    assert 0.5 < source.confidence <= 1.0
    assert result.source is source and result.start_s == 0.0
    assert (result.sample_rate, result.voice) == (22050, "af_heart")
    assert result.ratio == pytest.approx(VOICES["af_heart"] / source.register_hz, rel=1e-5)


def test_several_voices_at_once_are_the_voices_one_by_one(synthesizer, source):
    both = synthesizer.convert(source, ["af_heart", "am_michael"], vocoder="dummy")
    for together in both:
        (alone,) = synthesizer.convert(source, [together.voice], vocoder="dummy")
        np.testing.assert_allclose(together.mel, alone.mel, atol=2e-4)
    assert not np.allclose(both[0].mel, both[1].mel, atol=1e-2)


def test_another_bucket_gives_the_same_speech(synthesizer, source, monkeypatch):
    (narrow,) = synthesizer.convert(source, ["af_heart"], vocoder="dummy")
    monkeypatch.setattr(synthesizer.programs, "bucket", lambda frames: 640)
    (wide,) = synthesizer.convert(source, ["af_heart"], vocoder="dummy")
    np.testing.assert_allclose(narrow.mel, wide.mel, atol=2e-4)


def test_silence_around_a_recording_changes_nothing(synthesizer, source, clip):
    rate = clip.sample_rate
    samples = np.concatenate([np.zeros(rate, np.float32), clip.samples, np.zeros(rate // 2, np.float32)])
    padded = synthesizer.prepare(samples, TEXT, sample_rate=rate)
    assert padded.analysis.start_s == pytest.approx(source.analysis.start_s + 1.0, abs=1e-3)
    assert padded.analysis.phonemes == source.analysis.phonemes
    np.testing.assert_array_equal(padded.analysis.durations, source.analysis.durations)
    np.testing.assert_array_equal(padded.analysis.mel, source.analysis.mel)
    assert padded.register_hz == source.register_hz


@pytest.mark.parametrize(("before", "after"), [(0, 0), (24000, 12000), (5, 1), (777, 22222)])
def test_a_result_lies_on_the_time_axis_of_its_recording(synthesizer, source, clip, before, after):
    padded = signal.Audio(np.pad(clip.samples, (before, after)), clip.sample_rate)
    alignment = source.analysis.alignment
    moved = [Interval(p.start_s + before / 24000, p.end_s + before / 24000, p.label) for p in alignment.phones]
    moved[0], moved[-1] = moved[0]._replace(start_s=0.0), moved[-1]._replace(end_s=len(padded.samples) / 24000)
    prepared = synthesizer.prepare(padded, alignment=alignment._replace(phones=tuple(moved), words=()))
    (whole,), (bare,) = (
        synthesizer.convert(prepared, ["af_heart"], vocoder="dummy", trim=trim) for trim in (False, True)
    )
    assert len(whole.samples) == math.floor(len(padded.samples) * 22050 / 24000 + 0.5)
    start, fade = round(prepared.analysis.start_s * 22050), round(synthesis.FADE_S * 22050)
    assert whole.start_s == start / 22050 and bare.start_s == 0.0
    stop = start + len(bare.samples)
    assert not whole.samples[:start].any() and not whole.samples[stop:].any()
    np.testing.assert_array_equal(whole.samples[start + fade : stop - fade], bare.samples[fade:-fade])
    np.testing.assert_array_equal(whole.mel, bare.mel)


@pytest.mark.parametrize("level_db", [-20, -6, 0, 12])
def test_a_result_is_as_loud_as_its_recording(synthesizer, source, clip, level_db):
    louder = source._replace(lufs=source.lufs + level_db)
    (result,) = synthesizer.convert(louder, ["af_heart"], vocoder="hiss")
    wanted = loudness_lufs(clip.samples, clip.sample_rate) + level_db
    assert loudness_lufs(result.samples, result.sample_rate) == pytest.approx(wanted, abs=1.0)
    assert np.abs(result.samples).max() <= 1.0


def test_samples_serve_as_well_as_a_file(synthesizer, source, clip):
    for given in ({"source": clip}, {"source": clip.samples, "sample_rate": clip.sample_rate}):
        prepared = synthesizer.prepare(text=TEXT, **given)
        np.testing.assert_array_equal(prepared.analysis.mel, source.analysis.mel)


def test_a_given_alignment_is_believed(synthesizer, source, clip):
    given = synthesizer.prepare(clip, alignment=source.analysis.alignment._replace(score=math.nan))
    assert given.analysis.phonemes == source.analysis.phonemes
    np.testing.assert_array_equal(given.analysis.durations, source.analysis.durations)
    assert given.confidence == 1.0
    with pytest.raises(UserError, match=r"alignment is 2\.00 s long"):
        synthesizer.prepare(clip, alignment=Alignment((Interval(0.0, 2.0, "SIL"),), (), math.nan))


def test_long_recordings_are_cut_and_joined(synthesizer, source, clip, monkeypatch):
    monkeypatch.setattr(synthesis, "LONGEST_S", 2.6)
    monkeypatch.setattr(synthesizer.programs, "bucket", lambda frames: 512)  # what is compiled already
    cut = synthesizer.prepare(clip, alignment=source.analysis.alignment._replace(words=()))
    assert len(cut.pieces) >= 2
    (result,) = synthesizer.convert(cut, ["af_heart"], vocoder="dummy", trim=True)
    assert result.mel.shape == source.analysis.mel.shape
    assert result.samples.shape == (len(source.analysis.mel) * 256,)
    assert cut.analysis.durations.sum() == len(source.analysis.mel)
    # The crossfades give back the dummy's envelope, up to one scale, but for a few frames at each cut.
    envelope = np.repeat(np.exp(result.mel).mean(axis=1), 256)
    scale = np.median(result.samples / envelope)
    assert np.mean(np.isclose(result.samples, scale * envelope, rtol=1e-3)) > 0.9


@pytest.mark.parametrize("trim", [False, True])
def test_what_is_written_piece_by_piece_is_what_is_made_at_once(synthesizer, clip, source, monkeypatch, tmp_path, trim):
    monkeypatch.setattr(synthesis, "LONGEST_S", 2.6)
    monkeypatch.setattr(synthesizer.programs, "bucket", lambda frames: 512)  # what is compiled already
    alignment, heard = source.analysis.alignment, []
    short = synthesizer.prepare(clip, alignment=alignment)
    monkeypatch.setattr(synthesis, "WHOLE_S", 1.0)  # long from here on
    long = synthesizer.prepare(CLIP / "source.opus", alignment=alignment, progress=heard.append)
    seconds = len(short.analysis.mel) * HOP_S
    assert len(long.pieces) == len(short.pieces) >= 2 and sum(heard) == pytest.approx(seconds, abs=0.01)
    assert long.analysis.length == short.analysis.length and long.register_hz == pytest.approx(short.register_hz, 1e-3)
    np.testing.assert_allclose(long.vector, short.vector, atol=1e-3)
    assert long.lufs == pytest.approx(short.lufs, abs=0.05)
    (made,) = synthesizer.convert(short, ["af_heart"], vocoder="hiss", trim=trim)
    synthesizer.write(long, "af_heart", tmp_path / "out.wav", vocoder="hiss", trim=trim, progress=heard.append)
    written = signal.read_audio(tmp_path / "out.wav")
    assert sum(heard) == pytest.approx(2 * seconds, abs=0.02)
    assert len(written.samples) == len(made.samples)
    np.testing.assert_allclose(written.samples, made.samples, atol=0.01)
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]


def test_a_cut_is_no_seam(synthesizer, source, clip, monkeypatch):
    """Energy and F0 around the cuts are those of the same speech converted in one piece, but for the crossfade."""
    (whole,) = synthesizer.convert(source, ["af_heart"], vocoder="hiss", trim=True)
    monkeypatch.setattr(synthesis, "LONGEST_S", 2.6)
    monkeypatch.setattr(synthesis, "WHOLE_S", 1.0)
    monkeypatch.setattr(synthesizer.programs, "bucket", lambda frames: 512)
    long = synthesizer.prepare(CLIP / "source.opus", alignment=source.analysis.alignment)
    cuts = [piece.start for piece in long.pieces[1:]]
    assert cuts
    (cut,) = synthesizer.convert(long, ["af_heart"], vocoder="hiss", trim=True)
    levels = [np.log10(1e-4 + np.abs(x.samples).reshape(-1, 256).mean(axis=1)) for x in (whole, cut)]
    steps = [np.abs(np.diff(level)) for level in levels]
    for at in cuts:  # a frame there differs from the next by less than 1 dB, or less than within the piece
        assert steps[1][at - 6 : at + 6].max() <= max(0.05, steps[0].max())
    both = (source.analysis.f0_hz > 0) & (long.analysis.f0_hz > 0)
    assert np.mean((source.analysis.f0_hz > 0) == (long.analysis.f0_hz > 0)) > 0.98
    np.testing.assert_allclose(source.analysis.f0_hz[both], long.analysis.f0_hz[both], rtol=0.03)


def test_a_baseline_transfers_by_features_at_the_melody_of_its_own_mel(tmp_path, source, clip, monkeypatch):
    baseline, heard = synthesis.load(write_tiny(tmp_path / "baseline", "baseline")), []
    vocoder = Vocoder(lambda mel, f0_hz: heard.append(f0_hz) or envelope(mel), lambda mel: 100.0 + 0 * mel[..., 0])
    monkeypatch.setitem(VOCODERS, "listening", lambda spec: vocoder)
    own = baseline.prepare(clip, TEXT)
    results = baseline.convert(own, ["af_heart", "am_michael"], vocoder="listening", trim=True)
    assert results[0].mel.shape == own.analysis.mel.shape and heard == [None]
    assert np.abs(results[0].mel - results[1].mel).max() > 1e-3
    bent = own.analysis._replace(f0_hz=own.analysis.f0_hz * np.linspace(0.7, 1.4, len(own.analysis.f0_hz)))
    (other,) = baseline.convert(own._replace(analysis=bent), ["af_heart"], vocoder="listening", trim=True)
    assert np.abs(results[0].mel - other.mel).max() > 1e-4  # a hundred times what the same bits give, none
    baseline.melody = "source"
    baseline.convert(own, ["af_heart"], vocoder="listening", trim=True)
    assert heard[-1] is not None
    with pytest.raises(UserError, match="kind 'vocoder'"):
        synthesis.load(SHIPPED_VOCODER)


def test_registers_shift_and_stay_within_reason(synthesizer, source):
    (up,) = synthesizer.convert(source, ["af_heart"], vocoder="dummy", register_shift_semitones=2.0)
    assert up.ratio == pytest.approx(VOICES["af_heart"] / source.register_hz * 2 ** (2 / 12), rel=1e-5)
    for register_hz, shift, ratio in (
        (10.0, 0.0, RATIO_RANGE[1]),
        (1000.0, 0.0, RATIO_RANGE[0]),
        (math.nan, 12.0, 2.0),
    ):
        other = source._replace(register_hz=register_hz)
        (result,) = synthesizer.convert(other, ["af_heart"], vocoder="dummy", register_shift_semitones=shift)
        assert result.ratio == pytest.approx(ratio, rel=1e-6)


def test_more_recordings_of_the_speaker_count(synthesizer, source, clip):
    more = synthesizer.prepare(clip, TEXT, references=[CLIP / "source.opus"])
    assert more.register_hz == pytest.approx(source.register_hz, rel=1e-3)
    np.testing.assert_allclose(more.vector, source.vector, atol=1e-5)
    assert synthesizer.prepare(clip, TEXT, register_hz=140.0).register_hz == 140.0


@pytest.mark.slow
def test_a_sample_follows_its_seed(synthesizer, source):
    def mel(seed):
        return synthesizer.convert(source, ["af_heart"], vocoder="dummy", sample=True, seed=seed)[0].mel

    np.testing.assert_array_equal(mel(1), mel(1))
    assert not np.allclose(mel(1), mel(2), atol=1e-3)


def test_bad_sound_is_named(synthesizer, clip):
    noise = np.full(22050, 0.1, np.float32)
    for samples, match in (
        (np.zeros(22050, np.float32), "silence"),
        (np.zeros(0, np.float32), "no samples"),
        (np.where(np.arange(22050) == 5, np.nan, noise), "nan"),
    ):
        with pytest.raises(UserError, match=match):
            synthesizer.transfer(samples, TEXT, "af_heart", sample_rate=22050)
    with pytest.raises(UserError, match="sample rate"):
        synthesizer.transfer(clip.samples, TEXT, "af_heart")
    with pytest.raises(UserError, match="no text"):
        synthesizer.transfer(clip, None, "af_heart")


def test_an_unknown_voice_names_the_nearest(synthesizer):
    with pytest.raises(UserError, match=r"Did you mean 'af_heart'\?.*am_michael, bf_emma"):
        synthesizer.transfer("nowhere.wav", TEXT, "af_hart")


@pytest.mark.parametrize("seed", range(20))
def test_pieces_cover_every_phone_once(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(20, 200))
    symbols = ["SIL" if rng.random() < 0.08 else "AA1" for _ in range(count)]
    symbols[0] = symbols[-1] = "SIL"
    durations = rng.integers(1, 60, count).astype(np.int32)
    edges = np.concatenate([[0], np.cumsum(durations)])
    words = [Interval(edges[i] * HOP_S, edges[i + 3] * HOP_S, "w") for i in range(1, count - 4, 3)]
    longest_s = float(rng.uniform(1.5, 6.0))
    cut = pieces.cut_segments(symbols, durations, words, HOP_S, longest_s)
    covered = np.zeros(edges[-1], int)
    for piece in cut:
        covered[piece.start : piece.stop] += 1
        assert piece.durations.sum() == piece.stop - piece.start <= longest_s / HOP_S
        assert piece.durations.min() >= 1
    assert covered.max() == 1
    sounding = np.repeat(np.array(symbols) != "SIL", durations)
    assert covered[sounding].all()  # only silence is ever left out


def test_gaps_are_bridged_from_edge_to_edge():
    one, two = np.full((1, 3, 2), -1.0, np.float32), np.full((1, 2, 2), -4.0, np.float32)
    none = np.zeros(0, np.int32)
    cut = [pieces.Segment(0, 3, 0, none), pieces.Segment(5, 7, 1, none)]
    (first, second) = pieces.bridged_blocks([one, two], cut, 7, 1)
    assert (first[:2], second[:2]) == ((0, 5), (5, 7))
    np.testing.assert_allclose(first[2][0, :, 0], [-1, -1, -1, -2, -3, -4], atol=1e-6)  # one frame of the next
    np.testing.assert_allclose(second[2], two)


def test_load_says_when_nothing_ships(monkeypatch, tmp_path):
    monkeypatch.setattr("copycat_jax.bundle.bundle.SHIPPED_BUNDLE", tmp_path / "none")
    with pytest.raises(UserError, match="no trained bundle"):
        synthesis.load()


def test_the_shipped_bundle_if_there_is_one_is_small_and_reads():
    from copycat_jax.bundle.bundle import SHIPPED_BUNDLE, read_bundle

    if not SHIPPED_BUNDLE.is_dir():
        pytest.skip("this tree carries no trained bundle")
    assert read_bundle(SHIPPED_BUNDLE, "copycat").kind == "copycat"
    assert sum(file.stat().st_size for file in SHIPPED_BUNDLE.iterdir()) <= 24e6
    assert json.loads((SHIPPED_BUNDLE / "mel.json").read_text())["name"] == "hifigan"


def test_what_is_doubtful_of_a_register_is_said(synthesizer, source, clip, capsys):
    synthesizer.prepare(clip, TEXT, register_hz=45.0)
    assert "45 Hz" in capsys.readouterr().err
    synthesizer.convert(source._replace(register_hz=30.0), ["af_heart"], vocoder="dummy")
    assert f"factor of {RATIO_RANGE[1]:g} only" in capsys.readouterr().err
    synthesizer.convert(source, ["af_heart"], vocoder="dummy", register_shift_semitones=2.0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("semitones", [48.0, -19.0, 18.5, math.nan, math.inf])
def test_shifts_that_no_voices_allow_are_refused(synthesizer, source, semitones):
    with pytest.raises(UserError, match="register shift"):
        synthesizer.convert(source, ["af_heart"], vocoder="dummy", register_shift_semitones=semitones)


def test_a_source_is_measured_as_the_voices_were(synthesizer):
    def made_by(*trackers):
        voice = synthesizer.voices["af_heart"]
        named = {str(number): voice._replace(tracker=name) for number, name in enumerate(trackers)}
        return synthesis.Synthesizer(synthesizer.bundle._replace(speakers=named)).tracker

    assert synthesizer.tracker == made_by("none") == made_by("pyin", "none") == "pyin"
    assert made_by("dio", "dio") == "dio" and made_by("vocoder", "none") == "vocoder"
    with pytest.raises(UserError, match="dio and pyin"):
        made_by("dio", "pyin")


def test_what_was_compiled_ahead_is_not_compiled_again(tmp_path):
    import jax

    compiled = []

    def note(name, *_, **__):
        compiled.extend([name] if name == "/jax/core/compile/backend_compile_duration" else [])

    fresh = synthesis.load(write_tiny(tmp_path / "bundle"))
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        fresh.compile_ahead(CLIP / "source.opus", voices=2, vocoder="griffin_lim")
        fresh.programs.await_compiled()
        assert compiled
        compiled.clear()
        found = fresh.prepare(CLIP / "source.opus", TEXT)
        fresh.convert(found, list(VOICES)[:2], vocoder="griffin_lim")
        assert not compiled
        fresh.compile_ahead("no such file")  # `prepare` will say so
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
