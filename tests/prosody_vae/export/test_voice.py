"""The voice's ONNX graphs plan and speak as the voice does, whatever its options; what is given is spoken."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from exported import NATS, bundle_of, random_params

from copycat_jax.export.session import open_model
from copycat_jax.mel_spec import HIFIGAN
from prosody_vae.export.voice import encoder_graph, voice_graph
from prosody_vae.tts import model
from prosody_vae.tts.plan import TextPiece, make_speech_plan

pytest.importorskip("onnx")

OPTIONS = (
    {},
    {"variance": False, "speaker": False, "decoder_norm": "instance", "pooling": "last"},
    {"decoder_norm": "none", "kernel": 4, "pitch": (5.0, 0.2), "time_strides": (1, 3)},
)


def tiny(**options):
    config = dataclasses.replace(model.SIZES["tiny"], **options)
    task = model.make_task(config.to_dict(), {})
    params = random_params(lambda key: task.init(key, None)["model"], spread=0.2)
    return bundle_of("prosody_vae", {"prosody_vae": params}, {"prosody_vae": config}), config, params


def sentences(config, lengths=(13, 7)):
    """Inputs of two texts of mixed length, the second not the last of its text, at different rates."""
    rng, size = np.random.default_rng(3), max(lengths)
    mask = np.arange(size)[None] < np.array(lengths)[:, None]
    breaks = np.where(mask & (np.arange(size) % 3 == 2), rng.integers(1, 4, mask.shape), 0)
    unknown = np.full((1, 1), np.nan, np.float32)
    inputs = {
        "phonemes": np.where(mask, rng.integers(3, 72, mask.shape), 0).astype(np.int32),
        "breaks": breaks.astype(np.int32),
        "mask": mask,
        "z": rng.standard_normal((2, config.latent)).astype(np.float32),
        "speaker": rng.standard_normal((2, config.embedding)).astype(np.float32),
        "rate": np.array([1.0, 1.3], np.float32),
        "last": np.array([True, False]),
        "durations": np.zeros((1, 1), np.int32),
        "pauses": np.full((1, 1), -1, np.int32),
        "log_f0": unknown,
        "energy": unknown,
    }
    left_out = {"speaker": config.speaker, "log_f0": config.variance, "energy": config.variance}
    return {name: value for name, value in inputs.items() if left_out.get(name, True)}


@pytest.mark.parametrize("options", OPTIONS, ids=["tiny", "bare", "other"])
def test_plan_and_mel_are_those_of_the_voice(options):
    bundle, config, params = tiny(**options)
    inputs = sentences(config)
    run = open_model(voice_graph(bundle).SerializeToString(), 1)
    out = run(**inputs)
    speaker = inputs.get("speaker", np.zeros((2, config.embedding), np.float32))
    text = [inputs[name] for name in ("phonemes", "breaks", "mask", "z")]
    predicted = jax.jit(lambda p, *i: model.predict(p, config, *i))(params, *text, speaker)
    for row in range(2):
        count = int(inputs["mask"][row].sum())
        piece = TextPiece(*(inputs[name][row, :count] for name in ("phonemes", "breaks")))
        values = [np.asarray(value)[row, :count] for value in predicted]
        plan = make_speech_plan(piece, values, float(inputs["rate"][row]), HIFIGAN.frame_rate_hz, row == 0)
        np.testing.assert_array_equal(out["spoken_durations"][row, :count], plan.durations)
        np.testing.assert_array_equal(out["spoken_pauses"][row, :count], plan.pauses)
        assert out["frames"][row] == plan.frames and not out["spoken_durations"][row, count:].any()
    spoken = [out[f"spoken_{name}"] for name in ("durations", "pauses")]
    if config.variance:
        np.testing.assert_allclose(out["spoken_log_f0"], predicted.log_f0, atol=1e-4)
    variance = [np.asarray(predicted.log_f0), np.asarray(predicted.energy)]
    frames = out["mel"].shape[1]
    mel, real = jax.jit(lambda p, *i: model.render_mel(p, config, *i, frames=frames))(
        params, *text[:2], *spoken, *variance, inputs["z"], speaker
    )
    wanted = np.where(np.asarray(real)[..., None], mel, np.float32(math.log(HIFIGAN.floor)))
    np.testing.assert_allclose(out["mel"], wanted, atol=NATS * max(1.0, np.abs(wanted).max() / 10))


def test_what_is_given_is_spoken_and_the_rest_stays():
    bundle, config, _ = tiny()
    inputs, run = sentences(config), open_model(voice_graph(bundle).SerializeToString(), 1)
    before, shape = run(**inputs), inputs["mask"].shape
    given = {"durations": 9, "pauses": 4, "log_f0": 5.5, "energy": -3.0}
    for name, value in given.items():
        known = np.array(np.broadcast_to(inputs[name], shape))
        known[0, 3] = value
        after = run(**{**inputs, name: known})
        assert after[f"spoken_{name}"][0, 3] == np.float32(value)
        for other in given:
            changed = after[f"spoken_{other}"] != before[f"spoken_{other}"]
            assert changed.sum() == (other == name), (name, other)
        assert after["mel"].shape != before["mel"].shape or np.abs(after["mel"] - before["mel"]).max() > 1e-3


def test_nothing_on_padding_changes_a_bit():
    bundle, config, _ = tiny()
    inputs, run = sentences(config), open_model(voice_graph(bundle).SerializeToString(), 1)
    spoilt = {name: np.where(inputs["mask"], inputs[name], 99).astype(np.int32) for name in ("phonemes", "breaks")}
    for name, value in run(**inputs).items():
        np.testing.assert_array_equal(run(**{**inputs, **spoilt})[name], value)


@pytest.mark.parametrize("options", OPTIONS[1:], ids=["last", "mean"])
def test_the_encoder_hears_the_same(options):
    bundle, config, params = tiny(**options)
    rng = np.random.default_rng(4)
    mel = (2 * rng.standard_normal((2, 40, 80)) - 5).astype(np.float32)
    mask = np.arange(40)[None] < np.array([40, 23])[:, None]
    wanted = jax.jit(lambda *i: model.encode(i[0], config, *i[1:]))(params, mel, mask)
    spoilt = np.where(mask[..., None], mel, np.float32(np.nan))
    out = open_model(encoder_graph(bundle).SerializeToString(), 1)(mel=spoilt, mask=mask)
    for got, want in zip(out.values(), wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 * max(1.0, np.abs(want).max()))
