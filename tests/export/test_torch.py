"""The module file for PyTorch, with weights under its names, is the models' function, whatever their options."""

import numpy as np
import pytest
from exported import (
    DECIBEL,
    OPTIONS,
    SPEAKER_OPTIONS,
    VOCODER_OPTIONS,
    decibel,
    expected_samples,
    expected_transfer,
    expected_vector,
    mixed_rows,
    tiny_copycat,
    tiny_vocoder,
    tolerance,
)

from copycat_jax.export.folder import write_export
from copycat_jax.export.prepared import Prepared
from copycat_jax.export.torch_folder import torch_files

PREPARED = Prepared(np.zeros((3, 80), np.float32), *np.ones((2, 3), np.int32), np.array(100, np.float32))


def test_files_say_all_that_is_needed(tmp_path):
    files = torch_files(tiny_copycat(), tiny_vocoder(), PREPARED)
    assert {"copycat_torch.py", "weights.safetensors", "config.json", "mel.json", "voices.json"} <= set(files)
    text = files["copycat_torch.py"].decode()
    assert "copycat_jax" not in text and "import jax" not in text


@pytest.mark.parity
@pytest.mark.parametrize("case", range(4))
def test_every_option_is_the_same_function(case, tmp_path):
    torch = pytest.importorskip("torch")
    from copycat_jax.export import torch_model

    bundle = tiny_copycat(OPTIONS[case], SPEAKER_OPTIONS[case % 2])
    sound, rows = tiny_vocoder(VOCODER_OPTIONS[case % 2]), mixed_rows()
    folder = write_export(tmp_path / "torch", "torch", torch_files(bundle, sound, PREPARED), {})
    models = torch_model.load(folder)
    given = {name: torch.from_numpy(value) for name, value in rows.items()}
    wanted = expected_transfer(bundle, rows)
    made = models.copycat(**given).numpy()
    np.testing.assert_allclose(made, wanted, atol=tolerance(wanted))
    spoilt = torch.where(given["mask"][..., None], given["mel"], torch.nan)
    np.testing.assert_array_equal(models.copycat(**{**given, "mel": spoilt}).numpy(), made)
    vector = models.speaker(given["mel"], given["mask"]).numpy()
    np.testing.assert_allclose(vector, expected_vector(bundle, rows["mel"], rows["mask"]), atol=1e-5)
    f0_hz = np.where(np.arange(45) % 9 < 6, np.linspace(80, 200, 45), 0).astype(np.float32)[None].repeat(3, 0)
    samples = models.vocoder(given["mel"], torch.from_numpy(f0_hz)).numpy()
    assert decibel(expected_samples(sound, rows["mel"], f0_hz), samples) > DECIBEL
