"""A voice in PyTorch and in StableHLO plans and speaks as the voice does, whatever its options."""

import dataclasses

import jax
import numpy as np
import pytest
from exported import DECIBEL, NATS, bundle_of, random_params, tiny_vocoder
from one_line import refused

from copycat_jax.bundle.bundle import Speaker, write_bundle
from copycat_jax.cli import main
from copycat_jax.errors import UserError
from copycat_jax.export.folder import Export, write_export
from prosody_vae.export import parity
from prosody_vae.export.sherpa import sherpa_files
from prosody_vae.export.torch_folder import torch_files
from prosody_vae.tts import model

OPTIONS = (
    {},
    {"variance": False, "speaker": False, "decoder_norm": "instance", "pooling": "last"},
    {"decoder_norm": "none", "kernel": 4, "pitch": (5.0, 0.2), "time_strides": (1, 3)},
)
TEXTS = ["Who ate it?", "Bread, and cheese."]


def tiny(options=()):
    config = dataclasses.replace(model.SIZES["tiny"], **dict(options))
    task = model.make_task(config.to_dict(), {})
    params = random_params(lambda key: task.init(key, None)["model"], spread=0.2)
    bundle = bundle_of("prosody_vae", {"prosody_vae": params}, {"prosody_vae": config})
    centroid = tuple(np.random.default_rng(1).standard_normal(config.embedding).tolist())
    return bundle._replace(speakers={"reader": Speaker(centroid, 180.0, 3.5, 10, 60.0)})


def styles(bundle) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(2).standard_normal((2, bundle.config["prosody_vae"]["latent"]))
    return dict(zip(("calm", "lively"), drawn.astype(np.float32), strict=True))


def test_torch_files_need_nothing_of_this_package():
    files = torch_files(tiny(), tiny_vocoder(), styles(tiny()), TEXTS)
    for name in ("voice_torch.py", "copycat_torch.py"):
        assert "copycat_jax" not in files[name].decode() and "import jax" not in files[name].decode()
    assert b"from copycat_torch import" in files["voice_torch.py"]


@pytest.mark.parity
@pytest.mark.parametrize("options", OPTIONS, ids=["tiny", "bare", "other"])
def test_torch_is_the_same_function(options, tmp_path):
    torch = pytest.importorskip("torch")
    from prosody_vae.export import torch_model

    bundle = tiny(options)
    files = torch_files(bundle, tiny_vocoder(), styles(bundle), TEXTS)
    folder = write_export(tmp_path / "torch", "voice_torch", files, {})
    row = parity.check_voice(Export("voice_torch", {}, folder), bundle, tiny_vocoder())
    assert row.nats < NATS and row.decibel > DECIBEL
    voice, _ = torch_model.load(folder)
    rng = np.random.default_rng(4)
    mel = (2 * rng.standard_normal((2, 40, 80)) - 5).astype(np.float32)
    mask = np.arange(40)[None] < np.array([40, 23])[:, None]
    config = model.VaeConfig.from_dict(bundle.config["prosody_vae"])
    wanted = jax.jit(lambda *i: model.encode(i[0], config, *i[1:]))(bundle.params["prosody_vae"], mel, mask)
    spoilt = torch.tensor(np.where(mask[..., None], mel, np.float32(np.nan)))
    for got, want in zip(voice.encode(spoilt, torch.tensor(mask)), wanted, strict=True):
        np.testing.assert_allclose(got.numpy(), want, atol=1e-5 * max(1.0, np.abs(want).max()))
    # Rows of mixed length, what stands on padding being anything, are what each is alone.
    lengths, z = (11, 6), torch.tensor(rng.standard_normal((2, config.latent)).astype(np.float32))
    ids, breaks = (torch.tensor(rng.integers(1, most, (2, 11))) for most in (72, 4))
    speaker, mask = torch.ones((2, config.embedding)), torch.arange(11)[None] < torch.tensor(lengths)[:, None]
    both, plan = voice(ids, breaks, mask, z, speaker, rate=1.3, last=False)
    for row, length in enumerate(lengths):
        cut = slice(row, row + 1), slice(length)
        alone, own = voice(ids[cut], breaks[cut], mask[cut], z[cut[0]], speaker[cut[0]], rate=1.3, last=False)
        np.testing.assert_array_equal(plan.durations[cut], own.durations)
        np.testing.assert_array_equal(plan.pauses[cut], own.pauses)
        assert np.abs(both[row, : alone.shape[1]].numpy() - alone[0].numpy()).max() < 10 * NATS
        assert (both[row, alone.shape[1] :] == voice.floor).all()


@pytest.mark.slow
def test_a_voice_is_verified_in_jax_export_and_sherpa(capsys, monkeypatch, tmp_path, symbolic):
    """Whole and the same model passes; a plan that is another, a wave that is another, do not."""
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    bundle, sound = tiny(), tiny_vocoder()
    from prosody_vae.export.stablehlo import stablehlo_files

    folder = write_export(
        tmp_path / "hlo", "voice_stablehlo", stablehlo_files(bundle, sound, styles(bundle), TEXTS[:1]), {}
    )
    assert parity.check_voice(Export("voice_stablehlo", {}, folder), bundle, sound).nats < NATS
    changed = tiny()
    changed.params["prosody_vae"]["predictor"]["output"]["bias"][0] += 0.5
    with pytest.raises(UserError, match="not the same model"):
        parity.check_voice(Export("voice_stablehlo", {}, folder), changed, sound)
    voice, vocoder = (
        str(write_bundle(tmp_path / b.kind, b.kind, b.params, b.config, b.spec, b.speakers, "card"))
        for b in (bundle, sound)
    )
    from copycat_jax.bundle.bundle import read_bundle

    made = {"prosody_vae": read_bundle(voice).fingerprint, "vocoder": read_bundle(vocoder).fingerprint}
    write_export("sherpa", "sherpa", sherpa_files(bundle, sound, styles(bundle), {}), made)
    assert main(["verify", "sherpa", "--bundle", voice, "--vocoder", vocoder]) == 0
    assert "| onnxruntime |" in capsys.readouterr().out
    other = sherpa_files(changed, sound, styles(bundle), {})
    write_export("other", "sherpa", other, made)
    assert "not the same model" in refused(capsys, "verify", "other", "--bundle", voice, "--vocoder", vocoder)
