"""The JAX generator is PyTorch's generator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from copycat_jax.errors import UserError
from copycat_jax.vocoder.hifigan import CONFIGS, HifiganConfig, generator_config, hifigan, init, layer_shapes

TINY = HifiganConfig(8, (16, 16), (32, 32), (3,), ((1, 3),))
generate = jax.jit(hifigan, static_argnums=2)


def test_named_sizes_have_the_published_numbers_of_parameters():
    counts = {
        name: sum(np.prod(shape) + shape[2] for shape in layer_shapes(config).values())
        for name, config in CONFIGS.items()
    }
    assert {name: round(count / 1e6, 2) for name, count in counts.items()} == {"v1": 13.93, "v2": 0.93, "v3": 1.46}
    assert all(config.hop_samples == 256 for config in CONFIGS.values())
    with pytest.raises(UserError, match="Did you mean 'v1'"):
        generator_config("v11")


def test_every_frame_gives_256_samples_and_rows_are_independent():
    params = jax.jit(init, static_argnums=1)(jax.random.key(0), TINY)
    mel = jax.random.normal(jax.random.key(1), (2, 40, 80))
    made = generate(params, mel, TINY)
    assert made.shape == (2, 40 * 256) and np.abs(made).max() <= 1
    np.testing.assert_allclose(generate(params, mel[::-1], TINY)[0], made[1], atol=1e-6)


def test_what_comes_later_than_its_reach_does_not_matter():
    params = jax.jit(init, static_argnums=1)(jax.random.key(0), TINY)
    mel = jax.random.normal(jax.random.key(1), (2, 40, 80))
    changed = mel.at[:, 35:].set(3.0)
    a, b = generate(params, mel, TINY), generate(params, changed, TINY)
    np.testing.assert_allclose(a[:, : 20 * 256], b[:, : 20 * 256], atol=1e-6)
    assert np.abs(a - b).max() > 1e-4


def torch_generator(torch, config: HifiganConfig):
    """The generator of the paper written plainly in PyTorch, with the published names."""
    from torch import nn
    from torch.nn.functional import leaky_relu
    from torch.nn.utils.parametrizations import weight_norm

    class Residual(nn.Module):
        def __init__(self, width, kernel, dilations):
            super().__init__()

            def conv(d):
                return weight_norm(nn.Conv1d(width, width, kernel, dilation=d, padding=(kernel - 1) * d // 2))

            if config.paired:
                self.convs1 = nn.ModuleList(conv(d) for d in dilations)
                self.convs2 = nn.ModuleList(conv(1) for _ in dilations)
            else:
                self.convs = nn.ModuleList(conv(d) for d in dilations)

        def forward(self, x):
            if not config.paired:
                for conv in self.convs:
                    x = x + conv(leaky_relu(x, 0.1))
                return x
            for first, second in zip(self.convs1, self.convs2, strict=True):
                x = x + second(leaky_relu(first(leaky_relu(x, 0.1)), 0.1))
            return x

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            width = config.channels
            self.conv_pre = weight_norm(nn.Conv1d(config.mel_bins, width, 7, padding=3))
            self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
            for rate, kernel in zip(config.rates, config.kernels, strict=True):
                up = nn.ConvTranspose1d(width, width // 2, kernel, rate, padding=(kernel - rate) // 2)
                self.ups.append(weight_norm(up))
                width //= 2
                for residual, dilations in zip(config.residual_kernels, config.dilations, strict=True):
                    self.resblocks.append(Residual(width, residual, dilations))
            self.conv_post = weight_norm(nn.Conv1d(width, 1, 7, padding=3))

        def forward(self, mel):
            x, each = self.conv_pre(mel), len(config.residual_kernels)
            for level, up in enumerate(self.ups):
                x = up(leaky_relu(x, 0.1))
                blocks = self.resblocks[level * each : (level + 1) * each]
                x = sum(block(x) for block in blocks) / each
            return torch.tanh(self.conv_post(leaky_relu(x)))[:, 0]

    return Generator()


@pytest.mark.parity
@pytest.mark.parametrize("size", CONFIGS)
def test_parity_with_pytorch(tmp_path, size):
    torch = pytest.importorskip("torch")
    from copycat_jax.vocoder.torch_weights import load_hifigan

    torch.manual_seed(0)
    generator = torch_generator(torch, CONFIGS[size])
    with torch.no_grad():
        for parameter in generator.parameters():
            if parameter.ndim == 1:
                parameter.normal_(std=0.01)
        mel = 3 * torch.randn(2, 80, 12)
        # Loud enough for the comparison to mean something.
        generator.conv_post.parametrizations.weight.original0 *= 0.3 / generator(mel).std()
        expected = generator(mel).numpy()
    torch.save({"generator": generator.state_dict()}, tmp_path / "generator.pth.tar")
    params, config = load_hifigan(tmp_path / "generator.pth.tar")
    assert config == CONFIGS[size]
    made = np.asarray(generate(params, jnp.asarray(mel.numpy().transpose(0, 2, 1)), config))
    assert expected.std() > 0.1
    np.testing.assert_allclose(made, expected, atol=1e-4)
