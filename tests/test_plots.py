import os
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from reference import import_librosa

from copycat_jax import plots
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN

PHONEMES, DURATIONS = ("SIL", "HH", "AH0", "L", "OW1", "SIL"), np.array([5, 10, 12, 8, 20, 5], np.int32)
FRAMES = int(DURATIONS.sum())


def result(voice="af_heart", samples=None, f0=150.0, start_s=0.0):
    """A transfer as pictures see it; a buzz by default."""
    rng = np.random.default_rng(0)
    time = np.arange(FRAMES * 256) / 22050
    own, buzz = (0.1 * sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 8)) for hz in (f0, 180))
    silence = np.zeros(round(start_s * 22050))
    analysis = SimpleNamespace(
        mel=rng.uniform(-11, 1, (FRAMES, 80)).astype(np.float32),
        samples=own.astype(np.float32),
        durations=DURATIONS,
        phonemes=PHONEMES,
    )
    return SimpleNamespace(
        source=SimpleNamespace(analysis=analysis),
        samples=np.concatenate([silence, buzz if samples is None else samples, silence]).astype(np.float32),
        sample_rate=22050,
        start_s=start_s,
        mel=rng.uniform(-11, 1, (FRAMES, 80)).astype(np.float32),
        voice=voice,
        ratio=1.2,
    )


@pytest.fixture(scope="module")
def figure():
    return plots.transfer_figure([result(), result("bf_emma")], HIFIGAN, "hello")  # type: ignore


def test_rows_share_one_time_axis(figure):
    spectrograms = [axis for axis in figure.axes if axis.images]
    assert len(spectrograms) == 3  # source and two voices
    seconds = FRAMES * 256 / 22050
    assert all(axis.get_xlim() == pytest.approx((0, seconds)) for axis in figure.axes)
    assert {axis.images[0].get_clim() for axis in spectrograms}.__len__() == 1


def test_every_phoneme_is_named_where_it_sounds(figure):
    source = next(axis for axis in figure.axes if axis.images)
    at = {text.get_text(): text.xy[0] for text in source.texts}
    middles = (np.cumsum(DURATIONS) - DURATIONS / 2) * 256 / 22050
    assert at == pytest.approx({p: m for p, m in zip(PHONEMES, middles, strict=True) if p != "SIL"})


def test_everything_stands_where_it_sounds_in_the_file():
    plain, moved = (plots.transfer_figure(result(start_s=start_s), HIFIGAN) for start_s in (0.0, 0.5))  # type: ignore
    seconds = FRAMES * 256 / 22050
    assert all(axis.get_xlim() == pytest.approx((0, seconds + 1.0), abs=1e-4) for axis in moved.axes)
    for one, other in zip(plain.axes, moved.axes, strict=True):
        for image, later in zip(one.images, other.images, strict=True):
            np.testing.assert_allclose(np.subtract(later.get_extent(), image.get_extent()), [0.5, 0.5, 0, 0])
        for text, later in zip(one.texts, other.texts, strict=True):
            assert later.xy[0] == pytest.approx(text.xy[0] + 0.5)
        for line, later in zip(one.lines, other.lines, strict=True):
            np.testing.assert_allclose(np.subtract(later.get_xdata(), line.get_xdata()), 0.5)
    np.testing.assert_allclose(moved.axes[2].lines[1].get_ydata(), plain.axes[2].lines[1].get_ydata(), rtol=0.01)


def test_melodies_are_drawn_in_hertz_on_a_log_axis(figure):
    melody = figure.axes[3]
    assert melody.get_yscale() == "log"
    curves = [line.get_ydata() for line in melody.lines if len(line.get_ydata()) == FRAMES]
    assert [round(float(np.nanmedian(curve))) for curve in curves] == pytest.approx([150, 180, 180], abs=2)
    assert [text.get_text() for text in melody.get_legend().get_texts()][1] == "af_heart (+3.2 semitones)"


def test_a_frequency_stands_where_its_mel_bin_lies():
    bins = plots.mel_bin_of(np.array([500.0, 1000.0, 4000.0]), HIFIGAN)
    assert np.all(np.diff(bins) > 0)
    mel_frequencies = import_librosa().mel_frequencies

    centres = mel_frequencies(n_mels=82, fmin=0, fmax=8000)[1:-1]
    np.testing.assert_allclose(bins, np.interp([500, 1000, 4000], centres, np.arange(80)), atol=0.3)


def test_unvoiced_speech_and_any_title_can_be_drawn():
    silent = result(samples=np.zeros(FRAMES * 256), f0=0.0)
    figure = plots.transfer_figure(silent, HIFIGAN, "It costs $5 and $6 \N{CAT FACE} \N{MUSICAL SYMBOL G CLEF}")  # type: ignore
    assert plots.figure_pixels(figure).shape[2] == 3


def test_training_figures_are_images():
    mels = {name: result().mel for name in ("target", "own embedding", "centroid")}
    f0_hz = {"target": np.full(FRAMES, 120.0), "centroid": np.zeros(FRAMES)}
    image = plots.training_figure(mels, f0_hz, HIFIGAN, "step 100")
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    assert image.min() < 50 and image.max() == 255
    np.testing.assert_array_equal(image, plots.training_figure(mels, f0_hz, HIFIGAN, "step 100"))
    assert plots.training_figure({"target": result().mel}, {}, HIFIGAN).shape[0] < image.shape[0]


def test_png_files_are_whole_or_not_there(figure, tmp_path):
    plots.write_png(tmp_path / "a.png", figure)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "folder.png").mkdir()
    for bad in (tmp_path / "absent" / "a.png", tmp_path / "folder.png"):
        with pytest.raises(UserError, match="cannot be written"):
            plots.write_png(bad, figure)
    assert sorted(os.listdir(tmp_path)) == ["a.png", "folder.png"]


def test_pyplot_is_never_imported_and_no_home_is_needed(tmp_path):
    draw = "import numpy as np; training_figure({'target': np.zeros((20, 80), np.float32)}, {}, HIFIGAN)"
    load = "import sys; from copycat_jax.mel_spec import HIFIGAN; from copycat_jax.plots import training_figure"
    code = f"{load}; {draw}; print('matplotlib.pyplot' in sys.modules)"
    names = ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    homeless = {name: value for name, value in os.environ.items() if name not in names}
    homeless |= {"HOME": str(tmp_path / "file" / "home"), "TMPDIR": str(tmp_path)}
    (tmp_path / "file").touch()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=homeless)
    assert done.stdout.strip() == "False"
    assert not [word for word in ("mkdir", "not a writable", "temporary cache") if word in done.stderr]


def test_training_is_rendered_for_tasks_that_synthesize():
    from copycat_jax.data.synthetic import synthetic_batch
    from copycat_jax.task import Task

    batch = synthetic_batch(3, 40, 6)
    blank = np.array([True, False, True])  # the second row only fills up
    voices = np.array([[1.0], [5.0], [9.0]], np.float32) * np.ones_like(batch.centroid)
    batch = batch._replace(speaker=np.array([0, 1, 2], np.int32), centroid=voices, mask=batch.mask & blank[:, None])

    heard = []

    def synthesize(params, row):
        note = lambda speaker, vector: heard.append((int(speaker), float(vector)))  # noqa: E731
        jax.debug.callback(note, row.speaker[0], row.speaker_vector.mean())
        return row.mel + row.speaker_vector.mean() * params

    fields = {"name": "t", "init": lambda rng, batch: {}, "loss": {}, "evaluate": lambda params, batch: {}}
    config = {"mel_spec": HIFIGAN.to_dict()}
    assert plots.training_renderer(Task(**fields), config, lambda: batch) is None
    render = plots.training_renderer(Task(**fields, synthesize=synthesize), config, lambda: batch)
    items = render(7, 0.0)
    assert items["reconstruction"].dtype == np.uint8
    sounds = {name: item for name, item in items.items() if name != "reconstruction"}
    assert set(sounds) == {"audio/target", "audio/own embedding", "audio/centroid", "audio/another voice"}
    assert heard[1:] == [(0, 1.0), (2, 9.0)]
    assert all(rate == 22050 and len(samples) == 40 * 256 for samples, rate in sounds.values())
