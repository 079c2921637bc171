"""The ONNX graph of the speaker vector is the classifier's function, whatever its options."""

import numpy as np
import pytest
from exported import SPEAKER_OPTIONS, expected_vector, mixed_rows, tiny_copycat

from copycat_jax.export.session import open_model
from copycat_jax.export.speaker import speaker_graph

pytest.importorskip("onnx")


@pytest.mark.parametrize("options", SPEAKER_OPTIONS)
def test_every_option_is_the_same_function(options):
    bundle = tiny_copycat(heard=options)
    mel, mask = (mixed_rows()[name] for name in ("mel", "mask"))
    run = open_model(speaker_graph(bundle).SerializeToString(), 1)
    np.testing.assert_allclose(run(mel=mel, mask=mask)["vector"], expected_vector(bundle, mel, mask), atol=1e-5)
    spoilt = np.where(mask[..., None], mel, np.float32(np.nan))
    np.testing.assert_array_equal(run(mel=spoilt, mask=mask)["vector"], run(mel=mel, mask=mask)["vector"])
