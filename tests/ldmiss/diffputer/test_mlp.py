"""DiffPuter's network: its size and its noise embedding."""

import math

import pytest
import torch

from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.networks.layers import build, init_torch_default


def test_number_of_parameters() -> None:
    """12,100,368 on 784 pixels with 1024 hidden units, as the authors' network."""
    with torch.device("meta"):
        assert sum(p.numel() for p in DiffPuterMLP(num_features=784, hidden=1024).parameters()) == 12_100_368


def test_noise_level_shared_or_per_row() -> None:
    """One level for all rows gives what it gives row by row; levels matter; rows keep their own."""
    network = build(lambda: DiffPuterMLP(num_features=6, hidden=16), "cpu", init_torch_default, torch.Generator())
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    shared = network(x, torch.tensor(-0.2))
    assert shared.shape == x.shape
    torch.testing.assert_close(network(x, torch.full((3,), -0.2)), shared)
    mixed = network(x, torch.tensor([-0.2, 0.5, -0.2]))
    torch.testing.assert_close(mixed[[0, 2]], shared[[0, 2]])
    assert not torch.allclose(mixed[1], shared[1], atol=1e-4)


def test_noise_embedding_against_its_formula() -> None:
    """Sines then cosines of c_noise * 10000^(-k / (hidden/2)), the endpoint left out, seen through the network."""
    network = build(lambda: DiffPuterMLP(num_features=4, hidden=8), "cpu", init_torch_default, torch.Generator())
    angles = [0.7 * 10000 ** (-k / 4) for k in range(4)]
    embedding = torch.tensor([[math.sin(a) for a in angles] + [math.cos(a) for a in angles]])
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    expected = network.layers(network.proj(x) + network.embed(embedding))
    torch.testing.assert_close(network(x, torch.tensor([0.7])), expected)


def test_gradient_reaches_every_weight() -> None:
    """No layer is left out of the forward pass."""
    network = build(lambda: DiffPuterMLP(num_features=4, hidden=8), "cpu", init_torch_default, torch.Generator())
    network(torch.ones(2, 4), torch.tensor([0.1, 0.2])).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("batch", [1, 5])
def test_rows_are_independent(batch: int) -> None:
    """A row's output does not depend on the others (float32: other batch sizes round apart)."""
    network = build(lambda: DiffPuterMLP(num_features=4, hidden=8), "cpu", init_torch_default, torch.Generator())
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(x[:batch], torch.tensor(0.3)), network(x, torch.tensor(0.3))[:batch])
