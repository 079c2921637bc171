"""Runs read, assembled and written; the verbs of both programs stand on this."""

import jax
import numpy as np
import pytest

from copycat_jax.bundle.bundle import read_bundle, unflatten
from copycat_jax.bundle.export import assemble_bundle, read_run, summary, write_assembled
from copycat_jax.bundle.shapes import flat_shapes, speaker_shapes
from copycat_jax.errors import UserError
from copycat_jax.mel_spec import HIFIGAN
from copycat_jax.models.speaker import SIZES, SpeakerConfig
from copycat_jax.train.checkpoint import Checkpoints
from copycat_jax.train.state import TrainState

CONFIGS = {"speaker": SpeakerConfig}
SHAPES = {"mel_bins": 80, "embedding": 12, "speakers": 3, "frame_rate_hz": 86.1}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A speaker's run whose module has moved since, and whose stored fields are fewer than today's."""
    folder = tmp_path_factory.mktemp("export") / "run"
    config = {"task": "gone.away:make_task", "model": {"states": 16}, "shapes": SHAPES, "mel_spec": HIFIGAN.to_dict()}
    raw, smooth = ({"w": value * np.ones((2, 3), np.float32)} for value in (1.0, 2.0))
    state = jax.tree.map(jax.numpy.asarray, TrainState(np.int32(7), {"model": raw}, {"model": {}}, smooth))
    with Checkpoints(folder, {"task": "speaker", "config": config}) as checkpoints:
        checkpoints.save(7, state)
    return folder


def test_a_run_is_known_by_the_name_of_its_task(run):
    trained = read_run(run, CONFIGS)
    assert (trained.task, trained.step, trained.spec) == ("speaker", 7, HIFIGAN)
    wanted = SpeakerConfig(states=16, embedding=12, speakers=3)
    assert SpeakerConfig.from_dict(trained.fields) == wanted and set(trained.fields) == set(SIZES["tiny"].to_dict())
    assert (trained.params["w"] == 2.0).all() and (read_run(run, CONFIGS, ema=False).params["w"] == 1.0).all()
    with pytest.raises(UserError, match=r"a run of 'speaker' makes no bundle here\. Known: other\."):
        read_run(run, {"other": SpeakerConfig})


def test_what_is_assembled_comes_back(run, tmp_path):
    trained = read_run(run, CONFIGS)
    config = SpeakerConfig.from_dict(trained.fields)
    shapes = flat_shapes(speaker_shapes(config, HIFIGAN))
    trained = trained._replace(params=unflatten({name: np.full(s, 2.0, np.float32) for name, s in shapes.items()}))
    bundle = assemble_bundle(trained, {}, {}, title="A classifier", preface="Preface. ")
    assert bundle.card.startswith("Preface. # A classifier")
    assert "Apache" not in bundle.card and "licence: not stated" in bundle.card  # whose voices are they?
    path = write_assembled(bundle, tmp_path / "bundle")
    assert "bundle: kind speaker, step 7" in summary(path, bundle, trained.step)
    back = read_bundle(tmp_path / "bundle", "speaker")
    assert back.config["speaker"] == trained.fields and (back.params["speaker"]["head"]["kernel"] == 2.0).all()
    with pytest.raises(UserError, match="is not a bundle"):
        write_assembled(bundle, run)
