"""The ONNX graph of the speaker vector is the classifier's function, whatever its options."""

import dataclasses

import jax
import numpy as np
import pytest
from exported import bundle_of, mixed_rows, random_params

from copycat_jax.export.session import open_model
from copycat_jax.export.speaker import speaker_graph
from copycat_jax.models import speaker

pytest.importorskip("onnx")


@pytest.mark.parametrize("options", [{}, {"pooling": "mean", "cepstra": 13, "time_strides": (2, 3)}])
def test_every_option_is_the_same_function(options):
    config = dataclasses.replace(speaker.SIZES["tiny"], **options)
    task = speaker.make_task(config.to_dict(), {})
    params = random_params(lambda key: task.init(key, None)["model"])
    bundle = bundle_of("speaker", {"speaker": params}, {"speaker": config})
    mel, mask = (mixed_rows()[name] for name in ("mel", "mask"))
    wanted = jax.jit(lambda *inputs: speaker.embed(inputs[0], config, *inputs[1:]))(params, mel, mask)
    run = open_model(speaker_graph(bundle).SerializeToString(), 1)
    np.testing.assert_allclose(run(mel=mel, mask=mask)["vector"], wanted, atol=1e-5)
    spoilt = np.where(mask[..., None], mel, np.float32(np.nan))
    np.testing.assert_array_equal(run(mel=spoilt, mask=mask)["vector"], run(mel=mel, mask=mask)["vector"])
