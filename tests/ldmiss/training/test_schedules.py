"""Learning-rate schedules: end points, and the plateau rule against torch's own scheduler."""

import itertools
import math

import pytest
import torch

from ldmiss.training.schedules import lr_at, plateau_factor


def test_constant_and_cosine() -> None:
    """Constant is constant; cosine falls from lr through lr/2 at half-time towards 0."""
    assert {lr_at("constant", step, 100, 0.3) for step in (0, 50, 99)} == {0.3}
    assert [lr_at("cosine", step, 100, 2.0) for step in (0, 50, 100)] == pytest.approx([2.0, 1.0, 0.0])


def test_warmup_cosine() -> None:
    """Over the first tenth a straight line to the full rate, never 0; then a cosine towards 0."""
    rates = [lr_at("warmup_cosine", step, 100, 2.0) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert max(rates) == rates[9] == rates[10] == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert rates[-1] > 0


@pytest.mark.parametrize("schedule", ["constant", "cosine", "warmup_cosine"])
@pytest.mark.parametrize("num_steps", [1, 2, 5])
def test_short_runs(schedule: str, num_steps: int) -> None:
    """Even a single step has a usable rate."""
    assert all(0 < lr_at(schedule, step, num_steps, 1.0) <= 1 for step in range(num_steps))


def test_unknown_schedule() -> None:
    """Refused by name."""
    with pytest.raises(ValueError, match="'linear'"):
        lr_at("linear", 0, 10, 1.0)


@pytest.mark.parametrize("patience", [0, 3, 50])
@pytest.mark.parametrize("trend", [-0.02, 0.0, 0.01])
def test_plateau_is_torchs(trend: float, patience: int) -> None:
    """After every epoch the same factor as ReduceLROnPlateau(factor=0.9), on falling, flat and rising losses."""
    noise = torch.rand(300, generator=torch.Generator().manual_seed(0)).tolist()
    losses = [math.exp(trend * epoch) + 0.1 * value for epoch, value in enumerate(noise)] + [2e3] * 60
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.9, patience=patience, eps=0.0)
    factors = []
    for epoch, loss in enumerate(losses):
        scheduler.step(loss)
        factors.append(plateau_factor(losses[: epoch + 1], patience=patience))
        assert factors[-1] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert factors[-1] < 1  # the rule did come into play


def test_plateau_by_hand() -> None:
    """Nothing yet is a factor of 1; the 51st epoch without a new best multiplies by 0.9; a gain of 1e-5 is no gain."""
    assert plateau_factor([]) == 1.0
    assert plateau_factor([1.0] * 51) == 1.0
    assert plateau_factor([1.0] * 52) == 0.9
    assert plateau_factor([1.0 - 1e-6 * i for i in range(52)]) == 0.9
    assert plateau_factor([1.0 - 1e-3 * i for i in range(52)]) == 1.0
