"""Package metadata; tool settings live in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', (HERE / "copycat_jax" / "__init__.py").read_text(), re.M)
NAMED = [
    "jax>=0.10.2,<0.13",
    "flax>=0.12.8",
    "optax>=0.2.8",
    "orbax-checkpoint>=0.12",
    "numpy>=2.0",
    "librosa>=0.11",
    "tensorflow-datasets>=4.9.10",
    "transformers>=5.0",
    "ml-collections>=1.1.0",
]
IMPLIED = [
    "grain>=0.2.18",
    "array-record>=0.8.3",
    "importlib_resources>=6.0",
    "safetensors>=0.5",
    "flatbuffers>=24.3",
    "soundfile>=0.13",
    "soxr>=0.5",
    "scipy>=1.14",
    "absl-py>=2.1",
    "tensorboardX>=2.6",
    "matplotlib>=3.8",
    "pillow>=10",
    "jaxtyping>=0.2.36",
    "tqdm>=4.66",
]
TEXT = ["gruut==2.4.0", "gruut-lang-en==2.0.1", "pocketsphinx>=5.1,<6", "num2words>=0.5.12", "anyascii>=0.3.2"]
EXTRAS = {
    "f0": ["pyworld>=0.3.5"],
    "beam": ["apache-beam>=2.77"],
    "asr": ["faster-whisper==1.2.1"],
    "eval": ["swift-f0==0.3.0", "onnxruntime>=1.20", "webrtcvad-wheels>=2.0.14"],
    "onnx": ["onnx>=1.17", "onnxruntime>=1.20"],
    "sherpa": ["sherpa-onnx>=1.12"],
    "parity": ["torch==2.13.0"],
}
EXTRAS["eval"] += EXTRAS["asr"]
EXTRAS["dev"] = (
    EXTRAS["beam"]
    + EXTRAS["onnx"]
    + EXTRAS["sherpa"]
    + [
        "pytest>=8",
        "pytest-xdist>=3.8",
        "hypothesis>=6.100",
        "beartype>=0.19",
        "ruff>=0.8",
        "pyright>=1.1.390",
        "import-linter>=2.1",
        "playwright>=1.45",
        "build>=1.2",
        "kubernetes-validate>=1.31",
    ]
)

setup(
    name="copycat-jax",
    version=VERSION,
    description="Speech synthesis in JAX that controls prosody: CopyCat transfer and linguistics-driven selection",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["copycat_jax", "copycat_jax.*", "prosody_vae", "prosody_vae.*"]),
    package_data={
        "copycat_jax": ["pretrained/*", "pretrained/*/*", "text/*.tsv", "bench/records/*", "py.typed"],
        "prosody_vae": ["pretrained/*/*", "pretrained/*/*/*", "py.typed"],
        "prosody_vae.web": ["static/*", "static/*/*", "runtime/*", "clips/*", "recorded/*"],
    },
    install_requires=NAMED + IMPLIED + TEXT,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["copycat = copycat_jax.entry:copycat", "prosody = prosody_vae.entry:prosody"]},
)
