"""Checks at composition, before anything runs: the resolvers that conf/grid uses. Loaded by DVC from hydra_plugins/."""

import sys

from omegaconf import ListConfig, OmegaConf

_warned: set[str] = set()


def rate(value: object) -> float:
    """A missing rate as a float with at most four decimals, so that 0, 0.0 and 0.30 name one cell each."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"missing_rate must be a number in [0, 1), got {value!r}") from None
    if isinstance(value, bool) or not 0 <= number < 1:
        raise ValueError(f"missing_rate must be in [0, 1), got {value}")
    if abs(round(number, 4) - number) > 1e-9:
        raise ValueError(f"missing_rate can have at most 4 decimals, got {value}")
    return round(number, 4)


def seed(value: object) -> int:
    """A seed: an integer >= 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"seed must be an integer >= 0, got {value!r}")
    return value


def rates(missing_rate: object, grid: ListConfig) -> ListConfig:
    """The grid's rates; warns where `missing_rate` is not among them and so has no effect."""
    return _checked("missing_rate", rate(missing_rate), [rate(value) for value in grid])


def seeds(single: object, grid: ListConfig) -> ListConfig:
    """The grid's seeds; warns where `seed` is not among them and so has no effect."""
    return _checked("seed", seed(single), [seed(value) for value in grid])


def _checked(name: str, value: float, values: list[float] | list[int]) -> ListConfig:
    message = f"warning: {name}={value} has no effect: this grid runs {list(values)}"
    if value not in values and message not in _warned:
        _warned.add(message)  # a composition may resolve a value more than once
        print(message, file=sys.stderr)
    return OmegaConf.create(list(values))


for resolver in (rate, seed, rates, seeds):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
