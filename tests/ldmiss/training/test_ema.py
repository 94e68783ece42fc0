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


def test_all_at_once_is_one_by_one_to_the_bit() -> None:
    """Whatever the shapes and the order in memory; a shadow that was restored may have another order of names."""
    shapes = ((3, 5, 3, 3), (7,), (64, 33), ())
    steps = [{str(shape): torch.randn(shape) for shape in shapes} for _ in range(20)]
    steps = [step | {"transposed": step[str((64, 33))].T} for step in steps]
    ema = EMA(steps[0], decay=0.99)
    ema.shadow = dict(sorted(ema.shadow.items(), reverse=True))
    expected = {name: value.clone() for name, value in ema.shadow.items()}
    for n, values in enumerate(steps):
        ema.update(values, n)
        for name, value in values.items():
            expected[name].lerp_(value, 1 - min(0.99, (1 + n) / (10 + n)))
    assert all(torch.equal(ema.shadow[name], value) for name, value in expected.items())


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
