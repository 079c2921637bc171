"""The door to Whisper: what is missing is named in a line; what is heard, where a model is at hand."""

import sys

import numpy as np
import pytest

from copycat_jax.audio import transcription
from copycat_jax.audio.signal import read_audio
from copycat_jax.errors import UserError

RATE = 16000


def test_without_the_extra_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(UserError, match=r"needs faster_whisper.*Install it: pip install 'copycat-jax\[asr\]'"):
        transcription.transcribe(np.zeros(RATE, np.float32), RATE)


def test_a_whisper_folder_without_a_model_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(transcription.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"no model\.bin"):
        transcription.default_folder()


@pytest.mark.parametrize("kind", ["empty folder", "damaged weights"])
def test_what_is_no_model_is_one_line(tmp_path, kind):
    pytest.importorskip("faster_whisper")
    if kind == "damaged weights":
        for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
            (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="cannot be opened as a Whisper model") as raised:
        transcription.transcribe(np.zeros(RATE, np.float32), RATE, str(tmp_path))
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_words_are_heard(corpora):
    try:
        transcription.package()
        transcription.default_folder()
    except UserError as error:
        pytest.skip(str(error))
    heard = transcription.transcribe(*read_audio(corpora / "vctk_mini/audio/p225_003.flac"))
    assert "fresh snow peas" in heard.lower()
