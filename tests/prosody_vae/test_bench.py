"""The benchmarks compute what they say; how long it takes is never asked."""

import json

import numpy as np
import pytest

from copycat_jax.errors import UserError
from prosody_vae import bench
from prosody_vae.cli import main


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_inner_products_of_the_bank_are_means_of_two_cosines():
    bank = bench.random_bank(40)
    halves = np.split(bank, [bench.SENTENCE_WIDTH], axis=1)
    cosines = [(x @ x.T) / np.outer(*[np.linalg.norm(x, axis=1)] * 2) for x in halves]
    np.testing.assert_allclose(bank @ bank.T, (cosines[0] + cosines[1]) / 2, atol=1e-6)
    np.testing.assert_array_equal(bank, bench.random_bank(40))
    assert not np.array_equal(bank, bench.random_bank(40, seed=1))
    assert bench.random_bank(3, "bfloat16").dtype.itemsize == 2


def test_numpy_peer_sorts_all_scores():
    bank, queries = bench.random_bank(300), bench.random_bank(70, seed=1)
    label, search = bench.open_peer("numpy", bank, 7)
    scores, indices = search(queries)
    slow = np.argsort(-(queries @ bank.T), axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(indices, slow)
    np.testing.assert_allclose(scores, np.take_along_axis(queries @ bank.T, slow, axis=1), rtol=1e-5)
    assert label.startswith("numpy")


def test_compare_tells_another_order_of_equals_from_a_worse_list():
    rng = np.random.default_rng(0)
    bank, queries = rng.standard_normal((20, 5)).astype(np.float32), rng.standard_normal((2, 5)).astype(np.float32)
    bank[3] = bank[2]
    best = np.argsort(-(queries @ bank.T), axis=1, kind="stable")
    same = bench.compare_hits(best[:, :4], best[:, :4], bank, queries)
    assert same == {"identical_lists": 1.0, "worst_shortfall": 0.0, "equal": True}
    swapped = np.where(best == 2, 3, np.where(best == 3, 2, best))
    twins = bench.compare_hits(swapped, best, bank, queries)
    assert twins["equal"] and twins["worst_shortfall"] == 0.0 and twins["identical_lists"] == 0.0
    worse = best[:, :4].copy()
    worse[0, 3] = best[0, 5]
    found = bench.compare_hits(worse, best[:, :4], bank, queries)
    assert not found["equal"] and found["identical_lists"] == 0.5 and found["worst_shortfall"] > 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_topk_agrees_with_its_peer(dtype, capsys):
    flags = ["--rows", "3000", "--queries", "9", "--k", "5", "--repeats", "1", "--peer", "numpy", "--dtype", dtype]
    assert main(["bench", "topk", *flags, "--json"]) == 0
    (record,) = records(capsys)
    assert record["equal"] and record["worst_shortfall"] <= bench.SUMMATION_TOLERANCE
    assert record["rows"] == 3000 and record["width"] == 448 and record["dtype"] == dtype
    assert record["bank_mb"] == pytest.approx(3000 * 448 * (4 if dtype == "float32" else 2) / 1e6, abs=0.1)
    named = {
        "jax",
        "numpy",
        "copycat_jax",
        "commit",
        "device",
        "devices",
        "cores",
        "search_ms",
        "floor_ms",
        "copy_gb_per_s",
    }
    assert named <= set(record) and record["peer"].startswith("numpy")


def test_example_sentences_are_different_and_the_same_every_time():
    sentences = bench.example_sentences(10_000)
    assert len(set(sentences)) == 10_000 and sentences == bench.example_sentences(10_000)
    assert all(5 <= len(s.split()) <= 34 and s[0].isupper() and s.endswith(".") for s in sentences)


def test_random_trees_have_distances(capsys):
    from prosody_vae.linguistics.tree_distance import syntactic_distance

    for tree in bench.random_brackets(30, (1, 12)):
        assert len(syntactic_distance(tree)) == tree.count("(NN ")
    assert main(["bench", "distance", "--sentences", "20", "--repeats", "1"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["bench"] == "distance" and record["sentences"] == 20 and record["sentences_per_s"] > 0


def test_encoder_and_parser_are_measured_by_what_they_return(toy):
    sentences = bench.example_sentences(5)
    encoded = bench.measure_encode(toy.encoder, sentences, repeats=1)
    assert encoded["encoder"] == "toy" and encoded["sentences"] == 5 and encoded["sentences_per_s"] > 0
    parsed = bench.measure_parse(toy.parser, [*sentences, sentences[0]])
    assert parsed["parser"] == "toy parser" and parsed["sentences"] == 4 and parsed["sentences_per_s"] > 0


def test_mistakes_are_one_line(capsys):
    assert main(["bench", "topk", "--rows", "5", "--k", "6"]) == 2
    assert main(["bench", "topk", "--rows", "-1"]) == 2
    assert main(["bench", "topk", "--rows", "50", "--dtype", "int8"]) == 2
    assert main(["bench", "train", "--size", "huge"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 4 and "tiny, laptop, shipped, base, large" in lines[3]
    with pytest.raises(UserError, match="faiss, numpy"):
        bench.open_peer("annoy", np.zeros((2, 2), np.float32), 1)


@pytest.mark.slow
def test_a_training_step_is_measured(capsys):
    flags = ["--size", "tiny", "--batch", "8", "--frames", "32", "--phones", "8", "--repeats", "1", "--json"]
    assert main(["bench", "train", *flags]) == 0, capsys.readouterr().err
    (record,) = records(capsys)
    assert record["size"] == "tiny" and record["frames"] == 32 and record["frames_per_s"] > 0


@pytest.mark.slow
def test_speech_is_measured(tmp_path):
    from tiny_voice import write_tiny_voice

    record = bench.measure_synth(str(write_tiny_voice(tmp_path / "voice")), "A cat sings.", None, "griffin_lim", 2, 1)
    assert record["batch"] == 2 and record["audio_s"] > 0 and record["audio_per_s"] > 0
