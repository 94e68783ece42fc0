"""Every number that a verdict on a claim depends on, stated once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Every number that a verdict depends on, and nothing else.

    Attributes:
        better: a difference counts if it exceeds so many of its standard errors (over seeds; one seed: of a bootstrap
            over images). "Degrades with every step" is monotone within as many.
        stable: FID at 0.5 is at most so many times FID at 0.
        robust: MSE at 0.8 is at most so many times MSE at 0.
        competitive: at most so many times the best.
        variance_seeds: claims about variance need so many seeds, and are at most `consistent`.
        span: a claim about every rate needs these: both ends of the paper's rates and the middle.
        low: rates up to here are "low"; `moderate`: up to here "low to moderate"; from `high` on "high".
    """

    better: float = 2.0
    stable: float = 1.5
    robust: float = 1.5
    competitive: float = 1.1
    variance_seeds: int = 3
    span: tuple[float, ...] = (0.0, 0.5, 0.8)
    low: float = 0.3
    moderate: float = 0.5
    high: float = 0.6


THRESHOLDS = Thresholds()
