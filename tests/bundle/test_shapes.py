"""The shapes that a bundle is checked against are those of the models' own parameters."""

import dataclasses

import jax
import pytest

from copycat_jax.bundle.shapes import copycat_shapes, flat_shapes, speaker_shapes, vocoder_shapes
from copycat_jax.mel_spec import HIFIGAN, PAPER_24K
from copycat_jax.models import copycat, speaker, vocoder
from prosody_vae.tts import model
from prosody_vae.tts.shapes import voice_shapes

CASES = [
    (copycat, copycat_shapes, HIFIGAN, {}),
    (copycat, copycat_shapes, HIFIGAN, {"speaker_in_phoneme_encoder": True, "decoder_norm": "instance", "kernel": 3}),
    (copycat, copycat_shapes, HIFIGAN, {"decoder_norm": "none", "instance_norm": False, "variational": False}),
    (speaker, speaker_shapes, HIFIGAN, {"head": "margin", "bin_strides": (3, 7)}),
    (speaker, speaker_shapes, HIFIGAN, {"speakers": 5}),
    (vocoder, vocoder_shapes, HIFIGAN, {}),
    (vocoder, vocoder_shapes, PAPER_24K, {"spectra": 2, "kernel": 5, "f0_blocks": 2}),
    (model, voice_shapes, HIFIGAN, {}),
    (model, voice_shapes, HIFIGAN, {"variance": False, "speaker": False, "decoder_norm": "instance"}),
]


@pytest.mark.parametrize(("module", "shapes", "spec", "options"), CASES)
def test_shapes_are_those_of_the_model(module, shapes, spec, options):
    config = dataclasses.replace(module.SIZES["tiny"], **options)
    task = module.make_task(config.to_dict(), {"mel_spec": spec.to_dict()})
    made = jax.eval_shape(lambda key: task.init(key, None)["model"], jax.random.key(0))
    wanted = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in leaves(made)}
    assert flat_shapes(shapes(config, spec)) == wanted


def leaves(tree):
    return jax.tree_util.tree_flatten_with_path(tree)[0]
