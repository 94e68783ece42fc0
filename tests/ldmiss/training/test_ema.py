"""The exponential moving average of weights."""

import pytest
import torch

from ldmiss.training.ema import EMA


def test_formula() -> None:
    """shadow <- d shadow + (1 - d) value with d = min(decay, (1 + n) / (10 + n)), n counting from 0."""
    values = [torch.tensor([float(n), -2.0 * n]) for n in range(1, 201)]
    ema = EMA({"w": torch.zeros(2)}, decay=0.9)
    expected = torch.zeros(2, dtype=torch.float64)
    for n, value in enumerate(values):
        ema.update({"w": value}, n)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
        torch.testing.assert_close(ema.shadow["w"].double(), expected, rtol=1e-5, atol=0)


def test_shadow_is_a_copy() -> None:
    """It starts at the weights, does not move when they do, and stands still where they do."""
    weights = {"w": torch.ones(3, requires_grad=True)}
    ema = EMA(weights, decay=0.9)
    with torch.no_grad():
        weights["w"] += 1
    assert ema.shadow["w"].tolist() == [1.0, 1.0, 1.0]
    assert not ema.shadow["w"].requires_grad
    ema.update({"w": torch.ones(3)}, 0)
    assert ema.shadow["w"].tolist() == [1.0, 1.0, 1.0]


def test_other_parameters_are_refused() -> None:
    """An average of another network's weights is a mistake."""
    with pytest.raises(ValueError, match="not those it was made for"):
        EMA({"w": torch.ones(1)}, 0.9).update({"v": torch.ones(1)}, 0)
