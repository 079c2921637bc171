"""Importing the package costs next to nothing."""

import subprocess
import sys


def test_the_package_is_cheap_to_import():
    code = "import sys, prosody_vae; assert not {'jax', 'numpy', 'flax'} & set(sys.modules); prosody_vae.ProsodySpace"
    code += "; assert not {'jax', 'flax', 'transformers'} & set(sys.modules); from prosody_vae import open_space"
    subprocess.run([sys.executable, "-c", code], check=True)
