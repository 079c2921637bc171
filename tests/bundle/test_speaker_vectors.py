import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_bundle import tiny_contents

from copycat_jax.bundle.bundle import read_bundle, write_bundle
from copycat_jax.bundle.speaker_vectors import read_classifier
from copycat_jax.errors import UserError
from copycat_jax.train.checkpoint import Checkpoints
from copycat_jax.train.state import TrainState
from copycat_jax.types import HIFIGAN

SHAPES = {"mel_bins": 80, "embedding": 12, "speakers": 3}


def write_run(folder, task):
    """A run whose module has moved since."""
    config = {"task": "gone.away:make_task", "model": {}, "shapes": SHAPES, "mel_spec": HIFIGAN.to_dict()}
    weights = {"w": jnp.full((2, 3), 1.0001)}
    state = TrainState(jnp.int32(7), {"model": weights}, {"model": {}}, {})
    with Checkpoints(folder, {"task": task, "config": config}) as checkpoints:
        checkpoints.save(7, state)
    return folder


def test_a_classifier_comes_from_a_bundle_or_a_run(tmp_path):
    path = write_bundle(tmp_path / "whole", "copycat", **tiny_contents())
    found, stored = read_classifier(path), read_bundle(path)
    assert found.hash == stored.fingerprint and found.fields == stored.config["speaker"]
    jax.tree.map(np.testing.assert_array_equal, found.params, stored.params["speaker"])
    found = read_classifier(write_run(tmp_path / "run", "speaker"))
    assert (found.spec, found.fields["embedding"], len(found.hash)) == (HIFIGAN, 12, 64)
    np.testing.assert_array_equal(found.params["w"], np.float32(np.float16(1.0001)))  # as a bundle would round it
    with pytest.raises(UserError, match=r"a run of 'copycat' .*Give the speaker classifier's run\."):
        read_classifier(write_run(tmp_path / "other", "copycat"))
    with pytest.raises(UserError, match="no such bundle or run"):
        read_classifier(tmp_path / "absent")
