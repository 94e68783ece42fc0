"""Our Adam is torch's, bit for bit."""

import copy

import pytest
import torch
from torch import nn

from ldmiss.training.adam import Adam


def network() -> nn.Module:
    """Weights of several shapes."""
    layers = nn.Sequential(nn.Conv2d(2, 5, 3), nn.Flatten(), nn.Linear(5 * 4 * 4, 37))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.uniform_(-0.1, 0.1, generator=generator)
    return layers


def test_the_weights_are_those_of_torchs_optimiser() -> None:
    """Over steps of different rates, from gradients of different scales."""
    ours = network()
    theirs = copy.deepcopy(ours)
    adam, reference = Adam(ours.parameters()), torch.optim.Adam(theirs.parameters(), fused=True)
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        x, rate = torch.randn(3, 2, 6, 6, generator=generator), 0.1 / (1 + step)
        for layers in (ours, theirs):
            layers.zero_grad()
            (10.0**-step * layers(x).square().sum()).backward()
        reference.param_groups[0]["lr"] = rate
        reference.step()
        adam.step(rate)
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(one, other)


def test_state_of_other_parameters_is_refused() -> None:
    """Too few of them, or of another shape."""
    one, other = Adam(network().parameters()), Adam(nn.Linear(3, 4).parameters())
    with pytest.raises(KeyError):
        one.restore(other.state())
    with pytest.raises(RuntimeError):
        other.restore(one.state())
