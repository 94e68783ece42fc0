"""Learning-rate schedules as pure functions of the step or the loss curve: there is no scheduler state to save."""

import math
from collections.abc import Sequence

LR_SCHEDULES = ("constant", "cosine", "warmup_cosine", "plateau")
"""Schedules by name: those of `lr_at`, and "plateau", a constant rate times `plateau_factor`."""

WARMUP_SHARE = 0.1
"""Share of the steps in which `warmup_cosine` rises linearly to the full rate."""


def lr_at(schedule: str, step: int, num_steps: int, lr: float) -> float:
    """The learning rate of step `step` in [0, num_steps).

    Args:
        schedule: "constant"; "cosine" (from lr to 0); "warmup_cosine" (linear rise over the first tenth, then cosine).
        lr: the full rate.

    Raises:
        ValueError: unknown schedule.
    """
    if schedule == "constant":
        return lr
    if schedule == "cosine":
        return lr * 0.5 * (1 + math.cos(math.pi * step / num_steps))
    if schedule == "warmup_cosine":
        warmup = max(1, int(WARMUP_SHARE * num_steps))
        if step < warmup:
            return lr * (step + 1) / warmup
        return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (num_steps - warmup)))
    raise ValueError(f"unknown learning-rate schedule {schedule!r}")


def plateau_factor(
    losses: Sequence[float], *, factor: float = 0.9, patience: int = 50, threshold: float = 1e-4
) -> float:
    """What `torch.optim.lr_scheduler.ReduceLROnPlateau` has multiplied the rate by after these epoch losses.

    DiffPuter's M-step uses factor 0.9 and patience 50 (Zhang et al. 2025, `main.py`); the threshold is torch's default.
    """
    best, num_bad, result = math.inf, 0, 1.0
    for loss in losses:
        if loss < best * (1 - threshold):
            best, num_bad = loss, 0
        else:
            num_bad += 1
        if num_bad > patience:
            result, num_bad = result * factor, 0
    return result
