"""Pixel ranges and the fill."""

import torch

from ldmiss.core.fill import FILL_VALUES, fill_image
from ldmiss.core.pixels import fill_missing, network_from_scaled, scaled_from_network, unit_from_uint8


def test_ranges() -> None:
    """0 and 255 become 0 and 1, then -1 and 1; every grey value comes back from the networks' range."""
    greys = torch.arange(256, dtype=torch.uint8)
    unit = unit_from_uint8(greys)
    assert (unit.dtype, unit.min(), unit.max()) == (torch.float32, 0, 1)
    network = network_from_scaled(unit, "symmetric")
    assert (network.min(), network.max()) == (-1, 1)
    assert torch.equal((scaled_from_network(network, "symmetric") * 255).round().to(torch.uint8), greys)
    assert scaled_from_network(torch.tensor(3.0), "symmetric") == 2  # not clipped
    assert torch.equal(network_from_scaled(unit, "unit"), unit)
    assert torch.equal(scaled_from_network(unit, "unit"), unit)


def test_fill_uses_no_missing_value() -> None:
    """Observed entries bit for bit, the fill elsewhere, even over NaN; black is -1 and grey 0 to a network."""
    x, observed = torch.tensor([[0.3, float("nan")]]), torch.tensor([[True, False]])
    assert torch.equal(fill_missing(x, observed, torch.tensor(0.5)), torch.tensor([[0.3, 0.5]]))
    images, known = x[None, None], observed[None, None]
    filled = {name: network_from_scaled(fill_missing(images, known, fill_image(name, images, known)), "symmetric")
              for name in FILL_VALUES}  # fmt: skip
    assert {name: values[0, 0, 0, 1].item() for name, values in filled.items()} == {"black": -1, "grey": 0}


def test_mean_fill_is_the_mean_of_what_was_observed() -> None:
    """Pixel by pixel over the images in which it is known, the mean of all where it never is; nothing behind missing
    pixels is used."""
    x = torch.tensor([[0.2, float("nan"), 9.0], [0.6, 0.3, 9.0]]).reshape(2, 1, 1, 3)
    observed = torch.tensor([[True, False, False], [True, True, False]]).reshape(2, 1, 1, 3)
    torch.testing.assert_close(fill_image("mean", x, observed), torch.tensor([0.4, 0.3, 1.1 / 3]).reshape(1, 1, 3))


def test_float16_keeps_all_8_bit_values() -> None:
    """What files hold: up to 2.4e-4 off, a sixteenth of a grey level, so that rounding gives each value back."""
    values = torch.arange(256, dtype=torch.uint8)
    stored = unit_from_uint8(values).half()
    assert torch.equal((stored.double() * 255).round().to(torch.uint8), values)
    assert 1e-4 < (stored.double() - values.double() / 255).abs().max() <= 2**-12
    assert ((stored.double() * 255) - values).abs().max() <= 255 / 2**12 < 1 / 16
