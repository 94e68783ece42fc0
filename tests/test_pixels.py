"""Pixel ranges and the fill."""

import torch

from ldmiss.fill import FILL_VALUES
from ldmiss.pixels import fill_missing, network_from_unit, unit_from_network, unit_from_uint8


def test_ranges() -> None:
    """0 and 255 become 0 and 1, then -1 and 1; every grey value comes back from the networks' range."""
    greys = torch.arange(256, dtype=torch.uint8)
    unit = unit_from_uint8(greys)
    assert (unit.dtype, unit.min(), unit.max()) == (torch.float32, 0, 1)
    network = network_from_unit(unit)
    assert (network.min(), network.max()) == (-1, 1)
    assert torch.equal((unit_from_network(network) * 255).round().to(torch.uint8), greys)
    assert unit_from_network(torch.tensor(3.0)) == 2  # not clipped


def test_fill_uses_no_missing_value() -> None:
    """Observed entries bit for bit, the fill elsewhere, even over NaN; black is -1 and grey 0 to a network."""
    x, observed = torch.tensor([[0.3, float("nan")]]), torch.tensor([[True, False]])
    assert torch.equal(fill_missing(x, observed, 0.5), torch.tensor([[0.3, 0.5]]))
    filled = {name: network_from_unit(fill_missing(x, observed, value))[0, 1] for name, value in FILL_VALUES.items()}
    assert filled == {"black": -1, "grey": 0}
