"""On recordings beside the project; what the aligner does with generated sound needs none."""

import csv
import json
import shutil
import subprocess

import numpy as np
import pytest

from copycat_jax.align.aligner import align, align_text
from copycat_jax.align.suspicion import check_match
from copycat_jax.audio.signal import read_audio, resample
from copycat_jax.errors import UserError
from copycat_jax.text.lexicon import Lexicon, Word, words_of
from copycat_jax.text.phonemes import INVENTORY, base

TEXT = "During her testimony Mrs. Markham initially denied that she ever had the above phone conversation."


@pytest.fixture(scope="module")
def clip(corpora):
    return read_audio(corpora / "kokoro" / "gold_dev" / "LJ037-0071__af_kore.opus")


@pytest.fixture(scope="module")
def aligned(clip):
    return align(*clip, words_of(TEXT))


def test_phones_tile_the_recording(clip, aligned):
    edges = [phone.start_s for phone in aligned.phones] + [aligned.phones[-1].end_s]
    assert edges[0] == 0.0 and edges[-1] == len(clip.samples) / clip.sample_rate
    assert [phone.end_s for phone in aligned.phones] == edges[1:]
    assert all(np.diff(edges) > 0)
    assert {phone.label for phone in aligned.phones} <= set(INVENTORY)
    assert aligned.phones[0].label == aligned.phones[-1].label == "SIL"


def test_phones_are_those_of_one_variant_of_each_word(aligned):
    words = words_of(TEXT)
    assert [word.label for word in aligned.words] == [word.text for word in words]
    for spoken, word in zip(aligned.words, words, strict=True):
        inside = [p.label for p in aligned.phones if spoken.start_s <= p.start_s and p.end_s <= spoken.end_s]
        assert tuple(inside) in word.variants


def test_same_input_same_output_whatever_came_before(clip, aligned):
    align_text(clip.samples[: len(clip.samples) // 5], clip.sample_rate, "during her")
    assert align(*clip, words_of(TEXT)) == aligned


def test_any_input_rate(clip, aligned):
    slow = align(resample(clip.samples, clip.sample_rate, 22050), 22050, words_of(TEXT))
    assert [phone.label for phone in slow.phones] == [phone.label for phone in aligned.phones]
    moved = [abs(a.start_s - b.start_s) for a, b in zip(slow.phones, aligned.phones, strict=True)]
    assert np.median(moved) <= 0.01


def test_the_variant_that_was_spoken_is_heard(clip):
    own = Lexicon(
        {"testimony": (("B", "UW1", "Z", "AH0", "L", "ER0"), ("T", "EH1", "S", "T", "AH0", "M", "OW2", "N", "IY0"))}
    )
    spoken = {phone.label for phone in align_text(*clip, TEXT, own).phones}
    assert "OW2" in spoken and "UW1" not in spoken


def test_true_text_passes_and_another_is_refused(clip, aligned):
    check_match(aligned, "here")
    other = "The committee had resolved to publish every letter that was read aloud on Thursday morning."
    with pytest.raises(UserError, match=r"^here|found in|too short"):
        check_match(align_text(*clip, other), "here")


def test_speech_without_silence_at_its_edges(clip, aligned):
    first, last = aligned.words[0].start_s, aligned.words[-1].end_s
    start, stop = (round(t * clip.sample_rate) for t in (first, last))
    tight = align(clip.samples[start:stop], clip.sample_rate, words_of(TEXT))
    assert tight.phones[-1].end_s == (stop - start) / clip.sample_rate
    assert abs(tight.words[3].start_s - (aligned.words[3].start_s - first)) < 0.05


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0, np.float32), "no samples"),
        (np.full(16000, np.nan, np.float32), "nan"),
        (np.zeros(1600, np.float32), "too short"),
    ],
)
def test_bad_recordings_are_refused(samples, message):
    with pytest.raises(UserError, match=message):
        align(samples, 16000, [Word("hello", (("HH", "AH0", "L", "OW1"),))])
    with pytest.raises(UserError, match="no words"):
        align(np.zeros(16000, np.float32), 16000, [])


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_what_is_no_speech_is_refused(kind):
    t = np.arange(32000) / 16000
    samples = {
        "silence": np.zeros(32000),
        "noise": np.random.default_rng(0).normal(0, 0.1, 32000),
        "tone": 0.3 * np.sin(2 * np.pi * 220 * t),
    }[kind].astype(np.float32)
    with pytest.raises(UserError):
        check_match(align(samples, 16000, words_of("hello world, how are you today")), kind)


@pytest.mark.slow
def test_shuffled_texts_are_refused_and_true_ones_pass(corpora):
    with open(corpora / "kathleen" / "metadata.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))[::54][:30]
    refused = {"true": 0, "other": 0}
    for row in rows:
        audio = read_audio(corpora / "kathleen" / "audio" / f"{row['id']}.opus")
        other = min((r["text"] for r in rows if r["text"] != row["text"]), key=lambda t: abs(len(t) - len(row["text"])))
        for kind, text in (("true", row["text"]), ("other", other)):
            try:
                check_match(align_text(*audio, text), kind)
            except UserError:
                refused[kind] += 1
    assert refused["true"] == 0 and refused["other"] >= 0.95 * len(rows)


@pytest.mark.slow
def test_phone_starts_of_flite_within_20_ms(tmp_path):
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed (Debian package flite): no exact phone times to compare with")
    errors = []
    for voice in ("slt", "rms", "awb", "kal"):
        for text in ("The quick brown fox jumped over the lazy dog.", "She had your dark suit in greasy wash water."):
            path = tmp_path / "spoken.wav"
            command = ["flite", "-voice", voice, "-ps", "-psdur", "-t", text, "-o", str(path)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            ends = [(name, float(end)) for name, end in (item.split(":") for item in printed)]
            truth = [
                (start, name) for (_, start), (name, _) in zip([("", 0.0), *ends], ends, strict=False) if name != "pau"
            ]
            found = [p for p in align_text(*read_audio(path), text).phones if p.label != "SIL"]
            if [base(p.label) for p in found] == [{"ax": "AH"}.get(name, name.upper()) for _, name in truth]:
                errors += [p.start_s - start for p, (start, _) in zip(found, truth, strict=True)]
    assert len(errors) > 60
    assert np.median(np.abs(errors)) <= 0.02


@pytest.mark.slow
def test_word_starts_of_rendered_speech_within_40_ms(corpora):
    errors = []
    table = (corpora / "kokoro" / "metadata.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in table.splitlines()]
    for row in [row for row in rows if row["set"] == "gold_dev"][::4]:
        folder = corpora / "kokoro" / "gold_dev"
        frames = np.load(folder / f"{row['id']}.npz")["token_frames_25ms"]
        starts = 0.025 * np.cumsum(frames)
        inside = [
            i for i, (a, b) in enumerate(zip(" " + row["phonemes"], row["phonemes"], strict=False)) if a == " " != b
        ]
        found = align_text(*read_audio(folder / f"{row['id']}.opus"), row["text"]).words
        if len(inside) == len(found):
            errors += [word.start_s - starts[i] for word, i in zip(found, inside, strict=True)]
    assert len(errors) > 60
    assert np.median(np.abs(np.array(errors) - np.median(errors))) <= 0.04
