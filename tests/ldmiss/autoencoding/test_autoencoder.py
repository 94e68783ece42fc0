"""The autoencoder: sizes, padding, and a use for every weight."""

from typing import Any

import pytest
import torch

from ldmiss.autoencoding.autoencoder import Autoencoder, Downsample
from ldmiss.networks.layers import build, init_torch_default

CONFIG: dict[str, Any] = {
    "size": (28, 28),
    "in_channels": 1, "out_channels": 1, "latent_channels": 2, "base_channels": 8, "channel_multipliers": [1, 2, 4],
    "num_res_blocks": 1, "num_groups": 8, "mid_attention": True,
}  # fmt: skip


def make(**changes: Any) -> Autoencoder:
    """An autoencoder with random weights."""
    config = {**CONFIG, **changes}
    return build(lambda: Autoencoder(**config), "cpu", init_torch_default, torch.Generator()).requires_grad_(False)


@pytest.mark.parametrize("changes", [{}, {"mid_attention": False}, {"latent_channels": 3, "num_res_blocks": 2}])
def test_28_to_7_and_back(changes: dict[str, Any]) -> None:
    """1 x 28 x 28 -> mean and log-variance of 2 x 7 x 7 -> 1 x 28 x 28."""
    network, latent_channels = make(**changes), changes.get("latent_channels", 2)
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    encoded = network.encoder(x)
    assert encoded.shape == (2, 2 * latent_channels, 7, 7)
    assert network.decoder(encoded.chunk(2, dim=1)[0]).shape == (2, 1, 28, 28)


@pytest.mark.parametrize(("channels", "size"), [(1, (8, 11)), (3, (33, 20)), (1, (112, 92)), (2, (30, 29))])
def test_any_size_and_back(channels: int, size: tuple[int, int]) -> None:
    """What cannot be halved twice is padded on the way in and cropped on the way out: to a quarter, rounded up."""
    network = make(size=size, in_channels=channels, out_channels=channels)
    encoded = network.encoder(torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0)))
    assert encoded.shape == (2, 4, -(-size[0] // 4), -(-size[1] // 4))
    assert network.decoder(encoded[:, 2:]).shape == (2, channels, *size)


def test_padding_is_zeros_at_the_right_and_the_bottom() -> None:
    """An image of 30 x 29 is encoded as the one of 32 x 32 with zeros there; the decoded one is cropped."""
    odd, even = make(size=(30, 29)), make(size=(32, 32))
    x = torch.rand(2, 1, 30, 29, generator=torch.Generator().manual_seed(0))
    padded = torch.zeros(2, 1, 32, 32)
    padded[..., :30, :29] = x
    encoded = odd.encoder(x)
    assert torch.equal(encoded, even.encoder(padded))
    assert torch.equal(odd.decoder(encoded[:, 2:]), even.decoder(encoded[:, 2:])[..., :30, :29])


def test_downsampling_pads_right_and_bottom() -> None:
    """Rombach's asymmetric padding: a kernel that picks its centre takes pixels 1, 3, ...; one that picks its last
    column and row sees zeros at the right and lower edge only."""
    down = Downsample(1).requires_grad_(False)
    x = torch.arange(1.0, 17.0).reshape(1, 1, 4, 4)
    down.conv.bias.zero_()
    for place, expected in (((1, 1), [6, 8, 14, 16]), ((2, 2), [11, 0, 0, 0]), ((0, 0), [1, 3, 9, 11])):
        down.conv.weight.zero_()
        down.conv.weight[0, 0, place[0], place[1]] = 1
        assert down(x).flatten().tolist() == expected


def test_an_input_channel_more_for_indicators() -> None:
    """The encoder takes as many channels as asked for; the decoder gives its own."""
    network = make(in_channels=2)
    assert network.encoder(torch.zeros(1, 2, 28, 28)).shape == (1, 4, 7, 7)
    assert network.decoder(torch.zeros(1, 2, 7, 7)).shape == (1, 1, 28, 28)


def test_gradient_reaches_every_weight() -> None:
    """No layer of either half is left out of the forward pass."""
    network = make().requires_grad_(True)
    x = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    network.decoder(network.encoder(x)[:, 2:]).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
