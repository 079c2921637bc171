"""Windows are true pieces of their recordings, a function of (seed, step), and the same on any number of hosts."""

from pathlib import Path

import jax
import numpy as np
import pytest

from copycat_jax.audio.mel import extract_mel
from copycat_jax.cli.configuration import load_config, load_function
from copycat_jax.data.audio import AudioConfig, AudioWindows, audio_inputs, make_windows, window_draw, window_inputs
from copycat_jax.data.inputs import synthetic_corpus
from copycat_jax.data.plan import Share
from copycat_jax.errors import UserError
from copycat_jax.records import allocate
from copycat_jax.train.trainer import Trainer

PAGE = Path(__file__).parents[2] / "configs" / "vocoder.py"
DATA = AudioConfig(batch_size=6, window_frames=40)


@pytest.fixture(scope="module")
def corpus():
    return synthetic_corpus(1.5, audio=True)


def draw(corpus, data=DATA):
    return window_draw(corpus, np.flatnonzero(corpus.lengths >= data.window_frames), data)


def test_a_window_is_a_piece_of_its_recording(corpus):
    windows = make_windows(corpus, draw(corpus), DATA, seed=0)(3)
    assert windows.mel.shape == (6, 40, 80) and windows.samples.shape == (6, 40 * 256) and windows.mask.all()
    for row, index in enumerate(windows.index):
        whole = corpus.utterance(index)
        start = int(np.flatnonzero((whole.mel == windows.mel[row, 0].astype(np.float16)).all(1))[0])
        np.testing.assert_array_equal(windows.f0_hz[row], whole.f0_hz[start : start + 40])
        sound = windows.samples[row].astype(np.float32) / 32768
        inside = slice(4, -4)  # frames that see no edge of the window
        assert np.abs(extract_mel(sound, corpus.spec) - windows.mel[row])[inside].mean() < 0.03


def test_batches_are_a_function_of_seed_and_step_on_any_number_of_hosts(corpus):
    whole = make_windows(corpus, draw(corpus), DATA, seed=1)
    np.testing.assert_array_equal(whole(5).samples, make_windows(corpus, draw(corpus), DATA, seed=1)(5).samples)
    assert not np.array_equal(whole(5).samples, whole(6).samples)
    parts = [make_windows(corpus, draw(corpus), DATA, 1, Share(process, 3))(5).samples for process in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole(5).samples)


def test_balance_makes_speakers_equally_likely(corpus):
    for balance, spread in ((0.0, None), (1.0, 1e-9)):
        chosen = draw(corpus, AudioConfig(window_frames=40, balance_speakers=balance))
        shares = np.bincount(corpus.speaker[chosen.members], chosen.chances)
        assert shares.sum() == pytest.approx(1) and (spread is None or np.ptp(shares) < spread)


def test_other_mels_take_the_place_of_the_recordings_own(corpus):
    mels = {i: [np.full_like(corpus.utterance(i).mel, level) for level in (-2.0, -3.0)] for i in range(len(corpus))}
    for share, most in ((1.0, 0.0), (0.5, 0.9), (0.0, 1.0)):
        data = AudioConfig(batch_size=64, window_frames=40, bundle_share=share)
        config = {"data": data.to_dict(), "train": {"seed": 0, "eval_every": 0}}
        windows = window_inputs(corpus, config, Share(), mels).batches(0)
        others = [(windows.mel == level).all((1, 2)).mean() for level in (-2.0, -3.0)]
        assert windows.samples.any(1).all() and 1 - sum(others) <= most
        assert min(others) >= 0.25 * share


def test_an_evaluation_hears_each_held_out_recording_once_and_marks_what_fills_up(corpus):
    config = {"data": {**DATA.to_dict(), "held_out": 0.3}, "train": {"seed": 0, "eval_every": 1}}
    trained = {int(i) for step in range(60) for i in window_inputs(corpus, config, Share()).batches(step).index}
    sounds = {}
    for processes in (1, 2):
        parts = [window_inputs(corpus, config, Share(p, processes, 2)).held_out for p in range(processes)]
        batches = [make() for part in zip(*parts, strict=True) for make in part]
        windows = AudioWindows(*(np.concatenate(columns) for columns in zip(*batches, strict=True)))
        real = windows.mask.all(1)
        assert (windows.mask.any(1) == real).all() and not real.all()
        heard = windows.index[real]
        assert len(heard) == len(set(heard)) > 6 and not set(heard) & trained
        sounds[processes] = windows.samples[real]
    np.testing.assert_array_equal(sounds[1], sounds[2])


def test_a_batch_is_a_multiple_of_the_devices(corpus):
    config = {"data": DATA.to_dict(), "train": {"seed": 0, "eval_every": 0}}
    made = {n: window_inputs(corpus, config, Share(0, 1, n)) for n in (1, 2, 3, 16)}
    assert {n: len(inputs.batches(0).index) for n, inputs in made.items()} == {1: 6, 2: 6, 3: 6, 16: 16}
    assert made[1].config == made[2].config != made[16].config  # a run goes on where the batches are the same


def test_what_cannot_be_trained_on_is_refused(corpus, tmp_path):
    with pytest.raises(UserError, match="no utterance of"):
        draw(corpus, AudioConfig(window_frames=2000))
    with pytest.raises(UserError, match="not a built corpus"):
        audio_inputs(str(tmp_path), {"data": DATA.to_dict(), "train": {"seed": 0, "eval_every": 0}}, Share())


@pytest.mark.parametrize("variant", ["tiny", "shipped", "large", "shipped_adversarial"])
def test_every_variant_of_the_page_makes_a_trainer(corpus, variant):
    config = load_config(f"{PAGE}:{variant}")
    shapes = {"mel_spec": corpus.spec.to_dict()}
    frames, rows = config["data"]["window_frames"], config["data"]["batch_size"]
    batch = allocate(AudioWindows, {"B": rows, "T": frames, "N": frames * 256, "M": 80}, jax.ShapeDtypeStruct)
    task = load_function(config["task"])(dict(config["model"]), shapes)
    trainer = Trainer(task, {**config, "shapes": shapes}, batch)  # traces init and one whole step
    assert {f"loss/{group}" for group in task.groups} <= set(trainer.metrics()["terms"])
    size = sum(leaf.size for leaf in jax.tree.leaves(trainer.abstract.params["model"]))
    assert variant != "shipped" or 6e6 < size < 6.6e6


@pytest.mark.slow
def test_the_vocoder_trains_from_the_command_line_and_its_bundle_speaks(tmp_path, capsys):
    from copycat_jax.cli import main
    from copycat_jax.vocoder.registry import open_vocoder

    run, bundle = str(tmp_path / "run"), str(tmp_path / "bundle")
    flags = ["--synthetic", "--max-steps", "3", "--set", "mesh.data=8"]
    assert main(["train", "--config", f"{PAGE}:tiny", "--run-dir", run, *flags]) == 0
    again = [*flags, "--set", f"train.init_from={run}"]
    assert main(["train", "--config", f"{PAGE}:tiny_adversarial", "--run-dir", f"{run}2", *again]) == 0
    assert main(["export", "--run", f"{run}2", "--out", bundle]) == 0, capsys.readouterr().err
    samples = open_vocoder(bundle, synthetic_corpus(1.5).spec)(np.full((1, 64, 80), -4.0, np.float32))
    assert samples.shape == (1, 64 * 256) and np.isfinite(np.asarray(samples)).all()
