"""One way from a recording to its features: what a corpus is built of is what a transfer hears."""

import math

import numpy as np
import pytest
from tiny_bundle import write_tiny

from copycat_jax import synthesis
from copycat_jax.align.textgrid import write_textgrid
from copycat_jax.analysis import ALIGNMENT_SLACK_S, analyse
from copycat_jax.audio.signal import read_audio, write_wav
from copycat_jax.corpus.builder import build_corpus
from copycat_jax.corpus.cache import FeatureOptions
from copycat_jax.corpus.corpus import open_corpus
from copycat_jax.demo import CLIP
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.text.phonemes import to_ids

TEXT = (CLIP / "source.txt").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="module")
def audio():
    return read_audio(CLIP / "source.opus")


@pytest.fixture(scope="module")
def found(audio):
    return analyse(audio, HIFIGAN, text=TEXT, tracker="none")


def test_all_is_framed_alike_and_the_alignment_is_of_the_whole(audio, found):
    frames, seconds = len(found.mel), len(audio.samples) / audio.sample_rate
    assert found.mel.shape == (frames, 80) and found.f0_hz.shape == found.energy.shape == (frames,)
    assert found.durations.sum() == frames and found.durations.min() >= 1
    assert len(found.phonemes) == len(found.durations) == len(found.breaks)
    assert found.length == 115763  # 126000 samples at 24 kHz are 115762.5 at 22.05 kHz
    assert found.alignment.phones[0].start_s == 0.0 and found.alignment.phones[-1].end_s == seconds
    ends = [phone.end_s for phone in found.alignment.phones]
    assert ends[:-1] == [phone.start_s for phone in found.alignment.phones[1:]] and all(np.diff(ends) > 0)
    assert [word.end_s - word.start_s for word in found.words] == pytest.approx(
        [word.end_s - word.start_s for word in found.alignment.words]
    )
    # A phone's frames lie where the alignment says, counted from where the samples begin.
    first = next(phone for phone in found.alignment.phones if phone.label != "SIL")
    assert found.start_s + found.durations[0] * 256 / 22050 == pytest.approx(first.start_s, abs=0.5 * 256 / 22050)


def test_an_alignment_given_back_gives_the_same(audio, found):
    again = analyse(audio, HIFIGAN, text=TEXT, alignment=found.alignment, tracker="none")
    for name in ("phonemes", "words", "alignment"):
        assert getattr(again, name) == getattr(found, name)
    for name in ("durations", "breaks", "mel"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name), err_msg=name)


def test_without_words_it_is_one_silence(audio, found):
    bare = analyse(audio, HIFIGAN, tracker="none")
    assert bare.phonemes == ("SIL",) and bare.durations.tolist() == [len(found.mel)] and bare.breaks.tolist() == [0]
    np.testing.assert_array_equal(bare.mel, found.mel)


def test_an_alignment_must_be_as_long_as_its_recording(audio, found):
    for by_s, fits in ((0.9, True), (-0.9, True), (1.1, False), (-1.1, False)):
        last = found.alignment.phones[-1]
        phones = (*found.alignment.phones[:-1], last._replace(end_s=last.end_s + by_s * ALIGNMENT_SLACK_S))
        given = found.alignment._replace(phones=phones)
        if fits:
            assert analyse(audio, HIFIGAN, alignment=given, tracker="none").phonemes == found.phonemes
            continue
        with pytest.raises(UserError, match=r"the alignment is .* s long, the recording .* s") as caught:
            analyse(audio, HIFIGAN, alignment=given, tracker="none", where="here.wav")
        assert caught.value.where == "here.wav"


def test_a_text_that_was_not_said_is_refused_however_it_comes(audio, found):
    with pytest.raises(UserError, match="match"):
        analyse(audio, HIFIGAN, alignment=found.alignment._replace(score=-99.0), tracker="none")
    given = {"alignment": found.alignment._replace(score=math.nan), "text": "Another text of as many words."}
    with pytest.raises(UserError, match="are not the text's"):
        analyse(audio, HIFIGAN, tracker="none", **given)
    assert analyse(audio, HIFIGAN, tracker="none", force=True, **given).phonemes == found.phonemes


@pytest.mark.parametrize("aligned", [False, True])
def test_a_build_stores_what_a_transfer_hears(audio, found, tmp_path, aligned):
    plain, grid = tmp_path / "plain", tmp_path / "plain" / "alignments" / "a.TextGrid"
    (plain / "audio").mkdir(parents=True)
    recording = plain / "audio" / "a.wav"
    write_wav(recording, audio.samples, audio.sample_rate)
    (plain / "metadata.csv").write_text(f"id|speaker|text\na|someone|{TEXT}\n", encoding="utf-8")
    if aligned:
        grid.parent.mkdir()
        write_textgrid(grid, found.alignment)
    build_corpus([("plain", plain)], tmp_path / "data", FeatureOptions(f0="pyin"))
    (stored,) = open_corpus(tmp_path / "data").source
    synthesizer = synthesis.load(write_tiny(tmp_path / "bundle"))
    heard = synthesizer.prepare(recording, TEXT, alignment=grid if aligned else None).analysis
    np.testing.assert_array_equal(stored.phonemes, to_ids(heard.phonemes))
    for name in ("durations", "breaks", "f0_hz", "energy"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(heard, name), err_msg=name)
    np.testing.assert_array_equal(stored.mel, heard.mel.astype(np.float16))  # shards hold half precision
    assert (heard.f0_hz > 0).any() and len(heard.phonemes) > 20
