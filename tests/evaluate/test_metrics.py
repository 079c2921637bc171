"""Every metric is declared once, applies where its fields are, and is known of many clips as of one."""

import dataclasses

import numpy as np
import pytest

from copycat_jax.evaluate import judges
from copycat_jax.evaluate.metrics import METRICS, Metric
from copycat_jax.evaluate.report import needed_judgements, score_row, table_text, tabulate


def test_word_error_rate_is_pooled_over_words():
    rows = [{"words": 1, "word_errors": 1}, {"words": 9, "word_errors": 0}, {"gross": 0.1}]
    assert METRICS["wer"].of_all(rows) == pytest.approx(0.1)
    assert METRICS["wer"].of_all([{"words": 6, "word_errors": 0}, {"words": 6, "word_errors": 6}]) == 0.5
    assert np.isnan(METRICS["source_wer"].of_all(rows)) and np.isnan(METRICS["wer"].of_all([]))


def test_a_figure_of_many_clips_leaves_out_what_is_not_known():
    rows = [{"gross": 0.1}, {"gross": float("nan")}, {}, {"gross": 0.3}]
    assert METRICS["gross"].of_all(rows) == pytest.approx(0.2) and np.isnan(METRICS["rmse"].of_all(rows))


def test_declarations_fit_each_other():
    for metric in METRICS.values():
        assert metric.measure in judges.JUDGES and (metric.value is None) == (metric.ratio is not None)
        assert set(metric.ratio or ()) <= set(METRICS)


def test_another_entry_is_scored_and_shown_and_its_recordings_are_judged(monkeypatch, tmp_path):
    length = Metric("length", "letters", "words", ("source",), lambda clip: len(str(clip.row["result"])), np.max)
    monkeypatch.setitem(METRICS, "length", length)
    monkeypatch.setattr("copycat_jax.evaluate.report.COLUMNS", [length])
    memory = judges.Memory(tmp_path)
    rows = [{"result": name, "voice": "t", "source": "s.wav"} for name in ("a.wav", "bcd.wav")]
    assert needed_judgements(rows[:1], [], ["words"]) == [("words", "a.wav"), ("words", "s.wav")]
    scored = [score_row(row, memory, {}, ["words"]) for row in rows] + [{"result": "x", "voice": "t"}]
    assert [row.get("length") for row in scored] == [5, 7, None]
    table = tabulate(scored, ["voice"])
    assert table == [{"voice": "t", "clips": 3, "unscored": 0, "length": 7.0}]
    assert table_text(table, ["voice"]).splitlines()[1].split() == ["t", "3", "7.000"]
    assert not dataclasses.replace(length, needs=("truth",)).applies(rows[0])
