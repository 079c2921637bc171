"""Measures can fail: perfect picks score perfectly, dealt ones like the null; statistics are the textbook's."""

import argparse
import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.evaluate.statistics import paired_t_holm
from copycat_jax.files import plain
from prosody_vae.evaluate import comparison, intervals, labels, measures, speech, systems, tables
from prosody_vae.selection.learned_inputs import heard_entries

KINDS = ("wh", "orq", "yn", "list", "neutral")


def planted(per_kind=20, entries=60, seed=0):
    """A bank and a test whose styles lie far apart in all four figures, and the style of each."""
    rng = np.random.default_rng(seed)
    middle = {k: np.array([90 + i, 3 + i, 12 - 0.5 * i, (-6, -3, 6, 3, 0)[i]], float) for i, k in enumerate(KINDS)}

    def draw(styles):
        return np.stack([middle[s] + 0.1 * rng.standard_normal(4) for s in styles])

    bank_styles = tuple(KINDS[i % len(KINDS)] for i in range(entries))
    styles = tuple(k for k in KINDS for _ in range(per_kind))
    bank = measures.LabelledBank(tuple(f"b{i}" for i in range(entries)), bank_styles, bank_styles, draw(bank_styles))
    ids = tuple(f"t{i}" for i in range(len(styles)))
    test = measures.Test(ids, tuple(f"sentence {i}" for i in range(len(ids))), styles, styles, draw(styles), ids)
    return bank, test


def test_perfect_picks_hit_always_and_regret_nothing():
    bank, test = planted()
    best, least = measures.best_of_bank(test.prosody, bank.prosody, measures.scale_of(bank.prosody))
    scores = measures.score_picks("best", best, bank, test)
    found = intervals.figures_of(scores, bank, test, draws=100)
    assert found["hit"]["value"] == found["category_hit"]["value"] == found["rise_hit"]["value"] == 1
    assert np.all(scores.regret == 0) and np.array_equal(scores.distance, least)
    assert all(found[f"pearson_{name}"]["value"] > 0.95 for name in measures.PROSODY)
    assert found["hit"]["null_high"] < 0.4 and found["pearson_rate"]["null_high"] < 0.4


def test_picks_dealt_at_random_score_like_their_null():
    bank, test = planted()
    best, _ = measures.best_of_bank(test.prosody, bank.prosody, measures.scale_of(bank.prosody))
    dealt = np.random.default_rng(3).permutation(best)
    found = intervals.figures_of(measures.score_picks("dealt", dealt, bank, test), bank, test, draws=200)
    assert abs(found["hit"]["value"] - found["hit"]["null"]) < 0.12 and found["hit"]["null"] == pytest.approx(
        0.2, abs=0.02
    )
    assert found["hit"]["value"] <= found["hit"]["null_high"]
    assert abs(found["pearson_f0_mean_st"]["value"]) < found["pearson_f0_mean_st"]["null_high"] + 0.1
    assert found["regret"]["low"] > 0.5


def test_no_other_entry_is_closer_than_the_best_and_equal_ones_go_to_the_lowest():
    bank, test = planted(4, 30)
    bank = bank._replace(prosody=np.concatenate([bank.prosody[:15], bank.prosody[:15]]))
    best, _ = measures.best_of_bank(test.prosody, bank.prosody, measures.scale_of(bank.prosody))
    assert best.max() < 15
    for entry in range(30):
        assert (measures.score_picks("x", np.full(len(test.ids), entry), bank, test).regret >= 0).all()


def test_distance_is_of_the_figures_the_truth_has():
    scale = np.array([2.0, 1.0, 1.0, 4.0])
    chosen, truth = np.zeros((3, 4)), np.array([[2, 1, 0, np.nan], [0, 0, 0, 4.0], [np.nan] * 4])
    found = measures.distance(chosen, truth, scale)
    np.testing.assert_allclose(found[:2], [np.sqrt(2 / 3), 0.5])
    assert np.isnan(found[2])


def test_what_is_not_known_of_an_entry_counts_as_the_banks_mean_and_never_helps_beyond():
    bank, test = planted()
    unknown = bank.prosody.copy()
    unknown[:, measures.RISE] = np.where(np.arange(len(unknown)) % 2, np.nan, unknown[:, measures.RISE])
    best, _ = measures.best_of_bank(test.prosody, unknown, measures.scale_of(unknown))
    scores = measures.score_picks("best", best, bank._replace(prosody=unknown), test)
    assert np.isfinite(scores.distance).all() and (scores.regret == 0).all()
    neutral = test.prosody.copy()
    neutral[:, measures.RISE] = np.nan  # nor may it be asked for
    assert np.isfinite(measures.score_picks("x", best, bank, test._replace(prosody=neutral)).distance).all()
    constant = np.tile([90.0, 3.0, 12.0, np.nan], (5, 1))
    assert np.isinf(measures.scale_of(constant)).all()


def test_rise_counts_questions_that_move_and_only_by_their_sign():
    true = np.array([3.0, -3.0, 0.5, 3.0, 3.0, np.nan])
    chosen = np.array([0.1, 0.1, 9.0, np.nan, 9.0, 1.0])
    asked = np.array([True, True, True, True, False, True])
    found = measures.rise_hits(chosen, true, asked)
    np.testing.assert_array_equal(found, [1, 0, np.nan, 0, np.nan, np.nan])
    assert measures.rise_hits(chosen, true, asked, dead_zone_st=0.4)[2] == 1


def test_questions_are_told_by_category_or_by_their_mark():
    _, test = planted(1)
    asked = test._replace(categories=("wh", "list", "", "", "yn"), texts=("a", "b?", "Is it?”", "It is.", "x"))
    assert measures.questions(asked).tolist() == [True, False, True, False, True]


def test_picks_outside_the_bank_are_refused_and_none_is_no_hit():
    bank, test = planted(2)
    with pytest.raises(ValueError, match="picks"):
        measures.score_picks("x", np.full(len(test.ids), len(bank.ids)), bank, test)
    none = measures.score_picks("x", np.full(len(test.ids), -1), bank, test)
    assert np.isnan(none.hit).all() and np.isnan(none.distance).all() and np.isnan(none.rise_hit).all()
    found = intervals.figures_of(none, bank, test, draws=10)
    assert np.isnan(found["hit"]["value"]) and "null" not in found["hit"] and tables.cell(found["hit"]) == "-"


def test_the_banks_mean_has_no_correlation_and_the_spread_as_its_error():
    bank, test = planted()
    found = intervals.figures_of(
        measures.score_prosody("centroid", measures.bank_mean(bank, test), bank, test), bank, test, draws=50
    )
    assert np.isnan(found["pearson_rate"]["value"])
    assert found["rmse_rate"]["value"] == pytest.approx(test.prosody[:, 2].std(), rel=0.05)
    assert found["distance"]["value"] == pytest.approx(1, abs=0.2)


def test_correlations_are_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a = rng.integers(0, 6, 40).astype(float)
    b = a + rng.integers(0, 6, 40)
    assert intervals.pearson(a, b) == pytest.approx(stats.pearsonr(a, b).statistic)
    assert intervals.spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    np.testing.assert_allclose(intervals.ranks(a), stats.rankdata(a))
    with_gaps = np.where(np.arange(40) % 7 == 0, np.nan, b)
    kept = np.isfinite(with_gaps)
    assert intervals.spearman(a, with_gaps) == pytest.approx(stats.spearmanr(a[kept], b[kept]).statistic)
    assert np.isnan(intervals.pearson(a, np.full(40, 2.0))) and np.isnan(intervals.pearson(a[:3], b[:3]))
    assert np.isnan(intervals.spearman(a, np.full(40, np.nan)))


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(120):
        x = rng.standard_normal(40)
        y = 0.6 * x + 0.8 * rng.standard_normal(40)
        found = intervals.paired_interval(intervals.pearson, x, y, [str(i) for i in range(40)], 150)
        covered.append(found.low <= 0.6 <= found.high)
        assert found.low <= found.value <= found.high
    assert 0.86 <= np.mean(covered) <= 1.0


def test_takes_of_a_sentence_are_drawn_together():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, 12)).repeat(10, axis=1)
    free = intervals.paired_interval(intervals.pearson, x, y, [str(i) for i in range(120)], 300)
    tied = intervals.paired_interval(intervals.pearson, x, y, [str(i // 10) for i in range(120)], 300)
    assert free.value == tied.value and tied.high - tied.low > 2 * (free.high - free.low)


def test_paired_t_is_the_textbooks_and_corrected_together():
    # Student's sleep data (1908): ten patients, two drugs; t = -4.0621 with 9 degrees of freedom, p = 0.002833.
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    gap = np.append(first, np.nan), np.append(second, 1.0)
    found = paired_t_holm({"sleep": (first, second), "gap": gap, "same": (first, first), "one": (first[:1], first[:1])})
    assert found["sleep"].t == pytest.approx(-4.0621, abs=1e-4) and found["sleep"].freedom == 9
    assert found["sleep"].p == pytest.approx(0.002833, abs=1e-6) and found["gap"].p == found["sleep"].p
    assert found["sleep"].p_holm == pytest.approx(3 * 0.002833, abs=1e-5)  # "one" is no test and does not count
    assert found["same"].t == 0 and found["same"].p == 1 and np.isnan(found["one"].p)
    assert paired_t_holm({"shift": (first + 1, first)})["shift"].p < 1e-6
    with pytest.raises(UserError, match="same clips"):
        paired_t_holm({"x": (first, first[:-1])})


def test_t_tests_take_sentences_not_takes():
    _, test = planted(4)
    test = test._replace(clusters=tuple(str(i // 2) for i in range(20)))
    rng = np.random.default_rng(0)
    base, better = rng.standard_normal(20), rng.standard_normal(20) + 0.5
    better[3] = np.nan
    found = intervals.t_tests({"a": better, "centroid": base}, "centroid", test)
    assert set(found) == {"a"} and found["a"]["freedom"] == 9


def test_categories_are_laid_out_like_the_papers_table():
    bank, test = planted()
    scores = measures.score_picks("x", np.zeros(len(test.ids), int), bank, test)
    table = intervals.by_category(scores.hit, test, draws=50)
    assert list(table) == ["wh", "orq", "yn", "list", "neutral", "all"]
    assert table["wh"]["value"] == 1 and table["yn"]["value"] == 0 and table["all"]["value"] == pytest.approx(0.2)


def test_a_right_category_at_random_hits_as_its_styles_do():
    bank, test = planted(40)
    noisy = bank._replace(styles=tuple("other" if i % 4 == 0 else s for i, s in enumerate(bank.styles)))
    chosen = systems.references(noisy, test, np.zeros((len(bank.ids), 3)))["category"]
    scores = measures.score_picks("category", chosen.picks, noisy, test)
    assert scores.category_hit.mean() == 1 and scores.hit.mean() == pytest.approx(0.75, abs=0.1)


class Ties:
    """Stands in for a selector: entries 2 and 3 of five tie for every sentence, and there is no encoder."""

    bank = SimpleNamespace(means=np.arange(5.0)[:, None] * np.ones(4))

    def select(self, texts, by, top, ties=None):
        if by == "bert" or ties == "vector":
            raise UserError("no sentence encoder", remedy="Install one.")
        tied = (3, 2) if by == "syntactic" and ties is None else (2, 3)
        entry = SimpleNamespace(index=tied[0])
        return [SimpleNamespace(entries=(entry,), embedding=np.ones(4), tied=tied) for _ in texts]


def test_a_system_that_lacks_something_is_left_out_with_its_reason():
    chosen, skipped = systems.choose(Ties(), ("shrunk", "learned mean", "bert"), ["a"] * 5, batch=2)
    assert set(chosen) == {"shrunk", "learned mean"}
    assert all(found.picks.tolist() == [[-1] * 5] and found.embeddings.shape == (1, 5, 4) for found in chosen.values())
    assert skipped == {"bert": "no sentence encoder. Install one."}


def test_a_way_that_draws_is_measured_by_the_mean_over_what_ties():
    bank, test = planted(1, 5)
    chosen, skipped = systems.choose(Ties(), ("syntactic", "learned"), test.texts, batch=2)
    assert list(chosen) == ["syntactic", "syntactic, first", "learned"] and list(skipped) == ["syntactic"]
    drawn = chosen["syntactic"]
    assert (drawn.picks == np.tile([3, 2], systems.DRAWS // 2)[:, None]).all() and (drawn.equals == 2).all()
    np.testing.assert_array_equal(drawn.embeddings, Ties.bank.means[drawn.picks])
    assert chosen["syntactic, first"].picks.tolist() == [[2] * 5]
    expected, one, other = (
        measures.score_picks("x", picks, bank, test) for picks in (drawn.picks, np.full(5, 2), np.full(5, 3))
    )
    for name in ("hit", "category_hit", "distance", "regret"):
        mean = (getattr(one, name) + getattr(other, name)) / 2
        np.testing.assert_allclose(getattr(expected, name), mean, atol=1e-12)
    draws = np.stack([np.arange(5.0), np.arange(5.0)[::-1]])
    found = intervals.paired_interval(intervals.pearson, draws, np.arange(5.0), test.ids, 20)
    assert found.value == pytest.approx(0)  # the mean of 1 and -1


def test_another_take_is_another_and_perfect_takes_are_a_perfect_ceiling():
    bank, test = planted(2)
    clusters = ("a", "a", "b", "c", "c", "c", "d", "e", "f", "f")
    test = test._replace(clusters=clusters)
    other = comparison.another_take(test)
    assert other.tolist() == [1, 0, -1, 4, 5, 3, -1, -1, 9, 8]
    same = test._replace(prosody=np.stack([test.prosody[clusters.index(c)] for c in clusters]))
    ceiling = comparison.take_ceiling(bank, same, draws=50)
    assert (ceiling["recordings"], ceiling["sentences"]) == (7, 3)
    assert (
        ceiling["figures"]["pearson_rate"]["value"] == pytest.approx(1) and ceiling["figures"]["distance"]["value"] == 0
    )


def test_labels_are_read_from_lines_and_tables(tmp_path):
    lines = tmp_path / "labels.jsonl"
    lines.write_text(
        '{"id": "a", "category": "wh", "style": "yn", "rate": 12.5, "final_rise_st": null, "x": 1}\n{"id": "b"}\n'
    )
    found = labels.read_labels(lines)
    assert found["a"][:2] == ("wh", "yn") and found["b"] == labels.Label()
    features = labels.with_features(["b", "a"], {"rate": np.ones(2), "final_rise_st": np.full(2, 2.0)}, found)
    np.testing.assert_array_equal(features["rate"], [1, 12.5])
    np.testing.assert_array_equal(features["final_rise_st"], [2, np.nan])
    table = tmp_path / "labels.tsv"
    table.write_text("style\tid\tcategory\nyn\ta\twh\n\tb\t\n")
    assert {k: v[:2] for k, v in labels.read_labels(table).items()} == {k: v[:2] for k, v in found.items()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "a"}\n{"id"', ":2: not JSON"),
        ('{"style": "a"}', "no id"),
        ('{"id": "a", "rate": "fast"}', "rate is 'fast'"),
        ('{"id": "a", "style": "x"}\n{"id": "a", "style": "y"}', "two different labels"),
        ("name\tstyle\na\tx", "no column 'id'"),
        ("", "no column 'id'"),
    ],
)
def test_bad_labels_are_one_line(tmp_path, content, message):
    path = tmp_path / "labels"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        labels.read_labels(path)


def test_labels_of_another_corpus_and_empty_choices_are_refused(tmp_path):
    with pytest.raises(UserError, match="no label belongs"):
        labels.check_labels({"x": labels.Label("wh")}, ["a"], "file")
    with pytest.raises(UserError, match="matches no utterance"):
        comparison.matching(["a", "b"], "^c", "--test-ids")
    with pytest.raises(UserError, match="not a regular expression"):
        comparison.matching(["a", "b"], "(", "--test-ids")
    space = SimpleNamespace(texts=("It rains.", "He came."))
    assert comparison.unseen(space, ["it RAINS"]).tolist() == [1]
    with pytest.raises(UserError, match="tested too"):
        comparison.unseen(space, ["It rains", "he came"])


def test_a_report_survives_json_and_its_pictures_can_be_drawn(tmp_path):
    from prosody_vae.plots import chosen_figure, interval_figure, write_png

    bank, test = planted(6)
    chosen = systems.references(bank, test, np.zeros((len(bank.ids), 3)))
    random = systems.Chosen(
        np.random.default_rng(0).integers(0, len(bank.ids), (2, len(test.ids))), np.zeros((2, len(test.ids), 3))
    )
    report = comparison.compare(bank, test, chosen | {"random": random}, takes=True, draws=40)
    text = json.dumps(plain(report), allow_nan=False)
    again = comparison.format_report(json.loads(text) | {"skipped": {"bert": "no encoder"}})
    assert "best of the bank *" in again and "Left out:\n- bert: no encoder" in again and "another take" not in again
    assert list(report["choice"]["figures"]) == ["centroid", "random", "category", "best"]
    assert report["sentences"][0]["systems"]["best"]["regret"] == 0
    assert report["choice"]["t_tests"]["centroid"]["best"]["p_holm"] < 1e-3
    rows = {s: f["hit"] for s, f in report["choice"]["figures"].items()}
    write_png(tmp_path / "hits.png", interval_figure(rows, "hits"))
    picks = {"best": bank.prosody[chosen["best"].picks[0]]}
    write_png(tmp_path / "chosen.png", chosen_figure(picks, test.prosody, test.categories, list(measures.PROSODY)))
    assert all((tmp_path / n).stat().st_size > 5000 for n in ("hits.png", "chosen.png"))


def stand_in_selector(monkeypatch, ids):
    """Has every space a learned selector that was trained on the entries that `ids` finds."""
    heard = partial(heard_entries, pattern=ids)
    monkeypatch.setattr("prosody_vae.selection.learned.open_learned", lambda path: SimpleNamespace(heard=heard))


def test_a_selector_is_not_tested_on_what_it_was_trained_on(monkeypatch, tmp_path):
    space = SimpleNamespace(ids=("a1", "a2", "b1"), texts=("Who came?", "Stop!", "who came"), path=str(tmp_path))
    assert comparison.trained_on(space, ["Who came?"]) == ""  # there is none
    stand_in_selector(monkeypatch, "")
    assert "trained on 1 of 2 sentences" in comparison.trained_on(space, ["WHO came", "Go!"])
    assert comparison.trained_on(space, ["Go!"]) == ""
    stand_in_selector(monkeypatch, "a")  # b1 says the same as a1, which is left out with it
    assert comparison.trained_on(space, ["Who came?"]) == ""
    assert "data.ids" in comparison.trained_on(space, ["Stop!"])


@pytest.mark.slow
def test_the_verb_measures_a_tiny_voice_from_end_to_end(tmp_path, monkeypatch, capsys):
    from tiny_voice import TEXTS, TREES, tiny_bundle, tiny_space, write_tiny_voice

    from copycat_jax.corpus import corpus as corpora
    from copycat_jax.data.synthetic import synthetic_utterances
    from copycat_jax.mel_spec import HIFIGAN
    from prosody_vae.cli import evaluate
    from prosody_vae.space.files import write_space

    rng = np.random.default_rng(0)
    space = tiny_space(tiny_bundle())
    for name, low, high in (
        ("f0_mean_hz", 150, 250),
        ("f0_spread_st", 2, 6),
        ("rate", 9, 14),
        ("final_rise_st", -5, 5),
    ):
        space.features[name][:] = rng.uniform(low, high, len(TEXTS))
    write_space(tmp_path / "space", space)
    write_tiny_voice(tmp_path / "voice")
    sentences = ["Who came?", "Who came?", TEXTS[4], "He left the house.", "Is it?", "Read it to me."]
    made = synthetic_utterances(6, seed=2, speakers=1, seconds=(0.5, 0.9))
    corpus = [
        u._replace(id=f"t{i}", text=s, speaker="reader") for i, (u, s) in enumerate(zip(made, sentences, strict=True))
    ]
    monkeypatch.setattr(corpora, "open_corpus", lambda path, with_vectors=True: corpora.memory_corpus(corpus, HIFIGAN))
    (tmp_path / "trees.json").write_text(
        json.dumps({t: f"(S {t[:-1]} (. .))" for t in sentences} | dict(zip(TEXTS, TREES, strict=True)))
    )
    styles = ("wh", "orq", "list", "neutral", "neutral", "neutral")
    bank_labels = [{"id": f"reader_{i:03d}", "category": s, "style": s} for i, s in enumerate(styles)]
    test_labels = [
        {"id": f"t{i}", "category": s, "style": s} for i, s in enumerate(("wh", "wh", "neutral", "neutral", "yn", ""))
    ]
    for name, rows in (("bank", bank_labels), ("test", test_labels)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def arguments(*extra):
        parser = argparse.ArgumentParser()
        evaluate.add_arguments(parser)
        files = {
            "--space": "space",
            "--trees": "trees.json",
            "--bank-labels": "bank.jsonl",
            "--test-labels": "test.jsonl",
            "--out": "out.json",
        }
        given = [part for flag, name in files.items() for part in (flag, str(tmp_path / name))]
        return parser.parse_args([*given, "--test", "corpus", "--draws", "20", *extra])

    names = "random,length,syntactic,shrunk,learned"
    assert (
        evaluate.run(
            arguments("--bundle", str(tmp_path / "voice"), "--systems", names, "--takes", "--pictures", str(tmp_path))
        )
        == 0
    )
    printed = capsys.readouterr()
    report = json.loads((tmp_path / "out.json").read_text())
    assert "1 entries say a test sentence" in printed.out and report["bank"]["entries"] == 5
    assert {"learned"} <= set(report["skipped"]) and "no learned" in printed.err
    assert set(report["choice"]["figures"]) >= {"centroid", "random", "length", "syntactic", "category", "best"}
    assert set(report["gate"]) >= {"own", "best", "centroid", "syntactic"}
    assert set(report["gate_passed"]) == set(speech.ERRORS)
    assert set(report["speech"]["figures"]) >= {"own", "heard", "centroid", "syntactic"}
    assert report["test"] == {"recordings": 6, "sentences": 5} and report["takes"]["recordings"] == 2
    assert (tmp_path / "hits.png").is_file() and (tmp_path / "chosen.png").is_file()
    assert "Gate" in printed.out and "recording as heard *" in printed.out

    # A learned selector that was trained on a tested sentence is left out, whatever the bank it chooses from.
    stand_in_selector(monkeypatch, "")
    assert evaluate.run(arguments("--systems", "learned", "--bank-ids", "00[0-3]")) == 0
    assert "trained on 1 of 5 sentences that are tested" in capsys.readouterr().err
    assert list(json.loads((tmp_path / "out.json").read_text())["skipped"]) == ["learned"]

    with pytest.raises(UserError, match="unknown way of choosing 'syntax'"):
        evaluate.run(arguments("--systems", "syntax"))
    corpus[0] = corpus[0]._replace(speaker="stranger")
    with pytest.raises(UserError, match="does not know speaker 'stranger'"):
        evaluate.run(arguments("--bundle", str(tmp_path / "voice")))
