"""`prosody export torch`: the voice's weights under PyTorch's names, and the two module files that load them."""

import math
from collections.abc import Sequence
from pathlib import Path

from copycat_jax.bundle.bundle import Bundle
from copycat_jax.export import torch_folder
from copycat_jax.export.onnx_folder import convention_files
from copycat_jax.files import json_text
from copycat_jax.text.phrasing import BREAKS
from prosody_vae.export.onnx_folder import Styles, spoken_files
from prosody_vae.space.table import KIND
from prosody_vae.tts.config import VaeConfig
from prosody_vae.tts.modules import LOG_FRAMES
from prosody_vae.tts.plan import CUT_S, EDGE_PAUSE_S

HERE = Path(__file__).parent
# Where the module of the voice finds that of the transfer, in the package and in the folder.
_HERE, _THERE = "copycat_jax.export.torch_model", "copycat_torch"

_README = """# The voice of a prosody space in PyTorch

`voice_torch.py` and `copycat_torch.py` hold the modules, `weights.safetensors` their weights (float16, as in the
bundle). They need torch and safetensors, and nothing of the package that wrote them.

```python
import json, torch
from voice_torch import load

voice, vocoder = load(".")
text, styles, voices = (json.load(open(f"{{name}}.json")) for name in ("sentences", "styles", "voices"))
piece = text[0]["pieces"][0]
phonemes, breaks = (torch.tensor([piece[name]]) for name in ("phonemes", "breaks"))
z, speaker = torch.tensor([styles["{style}"]]), torch.tensor([next(iter(voices.values()))["centroid"]])
mel, plan = voice(phonemes, breaks, torch.ones_like(phonemes, dtype=bool), z, speaker)
samples = vocoder(mel, vocoder.read_f0(mel))
```

`plan` is how it was spoken, phoneme by phoneme; changed, it is spoken by `voice.render`. `voice.encode` gives the
embedding of a recording's mel.
"""


def torch_files(bundle: Bundle, voice_of: Bundle, styles: Styles, texts: Sequence[str]) -> dict[str, bytes]:
    """The files of the folder by name; arguments as in `onnx_folder.onnx_files`."""
    frames_a_second = bundle.spec.frame_rate_hz
    config = VaeConfig.from_dict(bundle.config[KIND]).to_dict() | {
        "marks": BREAKS,
        "log_frames": LOG_FRAMES,
        "edge_frames": max(1.0, EDGE_PAUSE_S * frames_a_second),
        "cut_frames": math.ceil(CUT_S * frames_a_second),
    }
    groups = {KIND: bundle.params[KIND], "vocoder": voice_of.params["vocoder"]}
    module = (HERE / "torch_model.py").read_text(encoding="utf-8").replace(f"from {_HERE} ", f"from {_THERE} ")
    return {
        **convention_files(bundle),
        **spoken_files(styles, texts),
        "config.json": json_text({KIND: config, "vocoder": torch_folder.vocoder_fields(voice_of)}).encode(),
        "weights.safetensors": torch_folder.weights_file(groups, torch_folder.vocoder_constants(voice_of)),
        "copycat_torch.py": (torch_folder.HERE / "torch_model.py").read_bytes(),
        "voice_torch.py": module.encode(),
        "README.md": _README.format(style=next(iter(styles))).encode(),
    }
