import argparse
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from copycat_jax.cosine import cosine
from copycat_jax.errors import UserError
from prosody_vae.cli import select as select_verb
from prosody_vae.cli import sweep as sweep_verb
from prosody_vae.linguistics.trees import to_brackets
from prosody_vae.selection import continuity as paths
from prosody_vae.selection import scores, shrink
from prosody_vae.selection.bank import Bank
from prosody_vae.selection.selector import Selector
from prosody_vae.selection.ways import WAYS
from prosody_vae.space.files import write_space

PARTS = ("syntactic", "bert")


@pytest.fixture(scope="module")
def chooser(toy):
    return Selector(toy.space, toy.encoder, toy.parser)


def similarities(toy, rule="zero-pad"):
    """Both scores, worked out from their definitions."""
    from prosody_vae.linguistics.tree_distance import syntactic_distance

    distances = [syntactic_distance(tree) for tree in toy.parser.parse(toy.texts)]
    return {
        "syntactic": scores.syntactic_similarities(distances, toy.space.distances, rule),
        "bert": cosine(toy.encoder.encode(toy.texts), toy.space.sentence_vectors),
    }


@pytest.mark.parametrize("by", ["syntactic", "bert", "both"])
def test_a_choice_is_the_entry_of_the_most_similar_sentence_and_says_why(toy, chooser, by):
    expected = similarities(toy)
    expected["both"] = (expected["syntactic"] + expected["bert"]) / 2
    np.testing.assert_allclose(chooser.similarity(toy.texts, by), expected[by], atol=1e-6)
    for i, choice in enumerate(chooser.select(toy.texts, by, top=4)):
        found = [entry.index for entry in choice.entries]
        np.testing.assert_allclose(expected[by][i, found], np.sort(expected[by][i])[::-1][:4], atol=1e-6)
        np.testing.assert_array_equal(choice.embedding, toy.space.mean[found[0]])
        for entry in choice.entries:
            assert (entry.id, entry.text) == (toy.space.ids[entry.index], toy.space.texts[entry.index])
            assert set(entry.scores) == {"syntactic", "bert", "both"} and entry.score == entry.scores[by]
            for name, value in entry.scores.items():
                assert value == pytest.approx(expected[name][i, entry.index], abs=1e-6)


def test_both_is_one_product_of_vectors_side_by_side(toy, chooser):
    by_index = [[entry.index for entry in c.entries] for c in chooser.select(toy.texts, "both", top=8)]
    total = sum(similarities(toy).values())
    np.testing.assert_array_equal(by_index, scores.best(total, 8)[1])


def test_two_takes_of_one_sentence_tie_and_the_first_is_taken(toy, chooser):
    for by in ("syntactic", "bert", "both"):
        entries = chooser.select([toy.space.texts[11]], by, top=2, ties="first")[0].entries
        assert [e.index for e in entries] == [3, 11] and entries[0].score == entries[1].score
        assert entries[0].score == pytest.approx(1, abs=1e-5)


def test_the_finest_rule_is_by_vector_only_where_an_encoder_and_vectors_are(toy, chooser, monkeypatch):
    def missing():
        raise UserError("no sentence encoder is installed")

    assert [chooser.finest_ties(by) for by in ("syntactic", "both", "centroid")] == ["vector", "vector", None]
    mute = dataclasses.replace(toy.space, sentence_vectors=None)
    assert Selector(mute, toy.encoder, toy.parser).finest_ties("syntactic") == WAYS["syntactic"].ties
    monkeypatch.setattr("prosody_vae.linguistics.bert.find_encoder", missing)
    assert Selector(toy.space, parser=toy.parser).finest_ties("syntactic") == WAYS["syntactic"].ties


@pytest.mark.parametrize("options", [{"rule": "truncate"}, {"rule": "resample"}, {"combine": "z"}])
def test_options_of_the_score_reach_the_choice(toy, options):
    chooser = Selector(toy.space, toy.encoder, toy.parser, **options)
    parts = similarities(toy, options.get("rule", "zero-pad"))
    expected = scores.combine(parts, options.get("combine", "mean"))
    np.testing.assert_allclose(chooser.similarity(toy.texts, "both"), expected, atol=1e-5)
    for row, choice in zip(expected, chooser.select(toy.texts, "both", top=3), strict=True):
        np.testing.assert_allclose([e.score for e in choice.entries], np.sort(row)[::-1][:3], atol=1e-5)
        assert choice.entries[0].scores["syntactic"] == pytest.approx(
            parts["syntactic"][toy.texts.index(choice.text), choice.entries[0].index], abs=1e-5
        )


def test_the_centroid_is_the_mean_of_all_and_chooses_nothing(toy):
    choice = Selector(toy.space).select(toy.texts[:1], "centroid")[0]
    np.testing.assert_allclose(choice.embedding, toy.space.mean.mean(axis=0), atol=1e-6)
    assert choice.entries == ()
    with pytest.raises(UserError, match="centroid compares no"):
        Selector(toy.space).similarity(toy.texts, "centroid")


def test_random_and_length_need_no_parser_and_are_the_same_in_any_company(toy):
    bare = dataclasses.replace(toy.space, sentence_vectors=None, distances=None, trees=None)
    words = np.array([len(t.split()) for t in toy.space.texts])
    for by in ("random", "length"):
        chooser = Selector(bare)
        alone = [chooser.select([text], by, top=1)[0].entries[0].index for text in toy.texts]
        together = [c.entries[0].index for c in Selector(toy.space).select(toy.texts[::-1], by, top=1)][::-1]
        assert alone == together
        if by == "length":
            wanted = [len(t.split()) for t in toy.texts]
            apart = np.abs(words[alone] - wanted)
            np.testing.assert_array_equal(apart, [np.abs(words - w).min() for w in wanted])
    assert any(
        a.entries[0].id != b.entries[0].id
        for a, b in zip(
            Selector(bare, seed=1).select(toy.texts, "random"), Selector(bare).select(toy.texts, "random"), strict=True
        )
    )


def test_both_systems_of_the_paper_are_limits_of_shrinking(toy):
    def embeddings(by, **options):
        chosen = Selector(toy.space, toy.encoder, toy.parser, **options).select(toy.texts, by)
        return np.stack([choice.embedding for choice in chosen])

    centroid = embeddings("shrunk", shrink=shrink.Shrink(8, 0.0, 0.1))
    np.testing.assert_array_equal(centroid, embeddings("centroid"))
    nearest = embeddings("shrunk", shrink=shrink.Shrink(1, 1.0, 0.1))
    np.testing.assert_allclose(nearest, embeddings("both"), atol=1e-6)
    sharp = embeddings("shrunk", shrink=shrink.Shrink(8, 1.0, 1e-7))
    np.testing.assert_allclose(sharp, embeddings("both"), atol=1e-4)
    flat = Selector(toy.space, toy.encoder, toy.parser, shrink=shrink.Shrink(40, 1.0, float("inf")))
    np.testing.assert_allclose(flat.select(toy.texts, "shrunk")[0].embedding, centroid[0], atol=1e-5)


def test_shrinking_is_fitted_on_held_out_sentences_and_beats_its_limits_there(toy, chooser):
    held_out = np.arange(0, 40, 4)

    def similarity(rows):
        return cosine(toy.space.sentence_vectors[rows], toy.space.sentence_vectors)

    fitted = shrink.fit_shrink(toy.space, similarity, held_out, "bert")
    assert (
        fitted.by == "bert"
        and 0 < fitted.weight <= 1
        and fitted == shrink.fit_shrink(toy.space, similarity, held_out, "bert")
    )
    rest = np.setdiff1d(np.arange(40), [*held_out, 3, 11])  # utt003 and utt011 say the same; neither is held out
    rest = np.union1d(rest, [3, 11])
    highest, picks = scores.best(similarity(held_out)[:, rest], fitted.k)
    means, centroid = toy.space.mean[rest], toy.space.mean[rest].mean(axis=0)

    def error(embeddings):
        return float(np.square(embeddings - toy.space.mean[held_out]).sum())

    found = error(shrink.shrunk(highest, means[picks], centroid, fitted))
    assert found <= error(centroid[None, :]) and found <= error(means[picks[:, 0]])
    assert chooser.bank.shrink.by == "both" and chooser.select(toy.texts[:1], "shrunk")[0].entries
    with pytest.raises(UserError, match="held out"):
        shrink.fit_shrink(toy.space, similarity, np.arange(40))


def test_locked_and_excluded(toy, chooser):
    free = chooser.select(toy.texts, "both", top=2)
    best = free[0].entries[0].id
    without = chooser.select(toy.texts, "both", top=2, exclude=[best])
    assert all(best not in [e.id for e in choice.entries] for choice in without)
    assert without[0].entries[0].id == free[0].entries[1].id
    for by, way in WAYS.items():
        if way.learns:
            continue
        locked = chooser.select(toy.texts, by, top=2, lock={1: "utt020"})
        assert locked[1].locked and locked[1].entries[0].id == "utt020" and not locked[0].locked
        np.testing.assert_array_equal(locked[1].embedding, toy.space.mean[20])
    entry = chooser.select(toy.texts, "both", lock={0: "utt020"})[0].entries[0]
    assert entry.score == pytest.approx(float(chooser.similarity(toy.texts, "both")[0, 20]), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top": 41}, "41 entries were asked for, 40 are there"),
        ({"top": 40, "exclude": ["utt001"]}, "40 entries were asked for, 39"),
        ({"top": 0}, "0 entries"),
        ({"lock": {0: "utt0200"}}, "lock: the space has no utterance 'utt0200'. Did you mean 'utt020'"),
        ({"exclude": ["no such"]}, "exclude: the space has no utterance"),
        ({"lock": {6: "utt001"}}, "no sentence 6"),
        ({"lock": {0: "utt001"}, "exclude": ["utt001"]}, "locked and excluded"),
        ({"by": "sintactic"}, "Did you mean 'syntactic'"),
        ({"by": "learned"}, "no learned selector"),
    ],
)
def test_mistakes_are_one_clear_line(toy, chooser, arguments, message):
    with pytest.raises(UserError, match=message):
        chooser.select(toy.texts, **arguments)
    if "top" not in arguments and arguments.get("by") != "sintactic":
        with pytest.raises(UserError, match=message):
            chooser.paragraph(toy.texts, **arguments)


def test_sentences_that_cannot_be_spoken_and_spaces_that_lack_something(toy, chooser):
    for text in ("", "  ", "?!"):
        with pytest.raises(UserError):
            chooser.select([text], "centroid")
    with pytest.raises(UserError, match="one text"):
        chooser.select(toy.texts[0])
    bare = dataclasses.replace(toy.space, sentence_vectors=None)
    with pytest.raises(UserError, match="no sentence vectors"):
        Selector(bare, toy.encoder, toy.parser).select(toy.texts, "both")
    assert Selector(bare, toy.encoder, toy.parser).select(toy.texts, "shrunk")[0].by == "shrunk"
    other = SimpleNamespace(label="toy", fingerprint="another", encode=toy.encoder.encode)
    with pytest.raises(UserError, match="sentence vectors by toy toy-enco, the encoder given is toy another"):
        Selector(toy.space, other)
    spoilt = np.array(toy.space.sentence_vectors)
    spoilt[5, 1] = np.nan
    lost = np.array(toy.space.mean)
    lost[7, 0] = np.inf
    with pytest.raises(UserError, match=r"embedding of 'utt007' \(row 7\) is not finite"):
        Selector(dataclasses.replace(toy.space, mean=lost))
    with pytest.raises(UserError, match=r"sentence vector of 'utt005' \(row 5\) is not finite"):
        Selector(dataclasses.replace(toy.space, sentence_vectors=spoilt), toy.encoder).select(toy.texts, "bert")


def test_another_parser_is_a_warning(toy, capsys):
    parser = SimpleNamespace(label="stanza 1.11", parse=toy.parser.parse)
    Selector(toy.space, toy.encoder, parser)
    assert "parsed by toy parser, sentences now by stanza 1.11" in capsys.readouterr().err


def test_only_what_a_score_needs_is_opened(toy, monkeypatch):
    def refuse(*_, **__):
        raise UserError("nothing installed")

    monkeypatch.setattr("prosody_vae.linguistics.bert.find_encoder", refuse)
    monkeypatch.setattr("prosody_vae.linguistics.syntax.open_parser", refuse)
    chooser = Selector(toy.space)
    for by in ("centroid", "random", "length"):
        chooser.select(toy.texts, by)
    for by in ("syntactic", "bert", "both", "shrunk"):
        with pytest.raises(UserError, match="nothing installed"):
            chooser.select(toy.texts, by)
    assert Selector(toy.space, toy.encoder).select(toy.texts, "bert")[0].entries[0].scores.keys() == {"bert"}


class Linear:
    """Stands in for the learned selector: log-likelihood under a unit Gaussian around a linear prediction."""

    reads = ("sentence", "distance")

    def distribution(self, vectors, distances):
        mean = np.asarray(vectors)[:, :6] + np.asarray(distances).sum(axis=1, keepdims=True) * 0.01
        return mean, np.zeros_like(mean)

    def queries(self, vectors, distances):
        mean, _ = self.distribution(vectors, distances)
        constant = -0.5 * np.square(mean).sum(axis=1) - 3 * np.log(2 * np.pi)
        return SimpleNamespace(vectors=np.concatenate([np.full_like(mean, -0.5), mean], axis=1), constant=constant)

    def likelihood_rows(self, means):
        return np.concatenate([np.square(means), means], axis=1)


def test_the_learned_way_takes_the_likeliest_entry_or_the_predicted_mean(toy):
    chooser = Selector(toy.space, toy.encoder, toy.parser, Linear())
    predicted = chooser.select(toy.texts, "learned mean")
    for choice, other in zip(chooser.select(toy.texts, "learned"), predicted, strict=True):
        likelihood = -0.5 * np.square(toy.space.mean - other.embedding).sum(axis=1) - 3 * np.log(2 * np.pi)
        assert choice.entries[0].index == likelihood.argmax()
        np.testing.assert_allclose([e.score for e in choice.entries], np.sort(likelihood)[::-1][:5], rtol=1e-4)
    # In a paragraph likelihoods are weighed as numbers up to 1, 0 for the mean of the bank.
    weighed, plain = (chooser.similarity(toy.texts, "learned", w) for w in (True, False))
    np.testing.assert_allclose(weighed.max(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(weighed.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_array_equal(weighed.argsort(axis=1)[:, -3:], plain.argsort(axis=1)[:, -3:])
    found = [choice.entries[0].index for choice in chooser.paragraph(toy.texts, "learned", 0.7)]
    np.testing.assert_array_equal(found, paths.greedy(weighed, chooser.plane.positions, 0.7))
    np.testing.assert_array_equal(chooser.similarity(toy.texts, "both", True), chooser.similarity(toy.texts, "both"))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_paragraph_is_the_path_of_its_similarities(toy, chooser, exact, scaled):
    plane = paths.fit_plane(toy.space.mean)
    scale = plane.scale if scaled else 1.0
    similarity = chooser.similarity(toy.texts, "both")
    walk = paths.best_path if exact else paths.greedy
    expected = walk(similarity, plane.positions, 0.8, scale=scale)
    choices = chooser.paragraph(toy.texts, "both", 0.8, scaled, exact, top=3)
    found = [choice.entries[0].index for choice in choices]
    np.testing.assert_array_equal(found, expected)
    far = [choice.entries[0].acoustic for choice in choices]
    assert far[0] is None
    np.testing.assert_allclose(far[1:], paths.steps(expected, plane.positions) / scale, rtol=1e-5)
    assert all(len({e.index for e in c.entries}) == 3 for c in choices)


def test_a_paragraph_keeps_locks_and_exclusions_and_at_weight_1_is_a_list_of_sentences(toy, chooser):
    plain = chooser.paragraph(toy.texts, "both", lsw=1.0, top=2)
    for one, other in zip(plain, chooser.select(toy.texts, "both", top=2), strict=True):
        assert [e.index for e in one.entries] == [e.index for e in other.entries]
    barred = plain[2].entries[0].id
    for exact in (False, True):
        kept = chooser.paragraph(toy.texts, "both", 0.9, exact=exact, top=4, lock={3: "utt020"}, exclude=[barred])
        assert kept[3].locked and kept[3].entries[0].id == "utt020"
        assert all(barred != entry.id for choice in kept for entry in choice.entries)
    for by in ("shrunk", "random", "length", "centroid"):
        assert len(chooser.paragraph(toy.texts, by)) == len(toy.texts)
    assert chooser.paragraph([], "both") == []


def test_choices_are_json(toy, chooser):
    for choice in chooser.paragraph(toy.texts, "both", top=2):
        record = json.loads(json.dumps(choice.to_dict()))
        assert record["entries"][0]["id"] == choice.entries[0].id
        np.testing.assert_allclose(record["embedding"], choice.embedding, atol=1e-6)


@pytest.fixture(scope="module")
def folder(toy, tmp_path_factory):
    """The space on disk, and its trees and those of the new sentences in a file."""
    place = tmp_path_factory.mktemp("toy")
    write_space(place / "space", toy.space)

    trees = {text: to_brackets(tree) for text, tree in zip(toy.texts, toy.parser.parse(toy.texts), strict=True)}
    (place / "trees.json").write_text(json.dumps(trees))
    (place / "book.txt").write_text(" ".join(toy.texts[:4]) + "\n\n" + " ".join(toy.texts[4:]) + "\n")
    return place


def run(verb, *arguments):
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    verb.run(parser.parse_args([str(a) for a in arguments]))


def test_prosody_select_prints_a_table_and_json(toy, folder, capsys):
    options = ("--space", folder / "space", "--trees", folder / "trees.json")
    expected = Selector(toy.space, None, toy.parser).select(toy.texts[:1], "syntactic", top=3)[0]
    run(select_verb, toy.texts[0], *options, "--by", "syntactic", "--top", 3)
    shown = capsys.readouterr().out
    assert [e.id in shown for e in expected.entries] == [True] * 3 and "centroid: the mean of 40" in shown
    bounds = ("--lock", "utt007", "--exclude", "utt001, utt002")
    run(select_verb, toy.texts[0], *options, "--by", "syntactic", "--json", *bounds)
    record = json.loads(capsys.readouterr().out)
    assert record["locked"] and record["entries"][0]["id"] == "utt007" and len(record["entries"]) == 5
    assert record["parser"] == "recorded trees.json" and record["length_rule"] == "zero-pad"
    run(select_verb, toy.texts[0], "--space", folder / "space", "--by", "centroid")
    assert "centroid: the mean of 40" in capsys.readouterr().out
    with pytest.raises(UserError, match="Did you mean 'both'"):
        run(select_verb, "Hello.", *options, "--by", "bot")


def test_a_shrunk_choice_is_json_too(toy, folder, tmp_path, capsys, monkeypatch):
    write_space(tmp_path / "mute", dataclasses.replace(toy.space, sentence_vectors=None))
    monkeypatch.setattr(Bank, "shrink", shrink.Shrink(4, 0.5, float("inf"), "syntactic"))
    arguments = (toy.texts[0], "--space", tmp_path / "mute", "--trees", folder / "trees.json", "--by", "shrunk")
    run(select_verb, *arguments)
    assert "4 nearest by syntactic, all alike, weight 0.50" in capsys.readouterr().out
    run(select_verb, *arguments, "--json")
    record = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert record["shrink"] == {"k": 4, "weight": 0.5, "temperature": None, "by": "syntactic"}


def test_prosody_sweep_prints_and_draws_the_curves(toy, folder, tmp_path, capsys):
    options = ("--space", folder / "space", "--trees", folder / "trees.json", "--by", "syntactic")
    out, record = tmp_path / "sweep.png", tmp_path / "sweep.json"
    run(sweep_verb, folder / "book.txt", *options, "--out", out, "--json", record, "--scaled")
    shown = capsys.readouterr().out
    assert "6 sentences in 2 paragraphs" in shown and "greedy: monotone" in shown
    assert out.read_bytes().startswith(b"\x89PNG")
    rows = json.loads(record.read_text())["rows"]
    assert [row["lsw"] for row in rows] == list(sweep_verb.PAPER_WEIGHTS)
    assert all(row["exact_loss"] <= row["greedy_loss"] for row in rows)
    with pytest.raises(UserError, match="folder does not exist"):
        run(sweep_verb, folder / "book.txt", *options, "--out", tmp_path / "no" / "sweep.png")
