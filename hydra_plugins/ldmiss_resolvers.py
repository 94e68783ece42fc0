"""The resolvers that conf/ uses, which check while composing, before anything runs. DVC loads hydra_plugins/."""

from omegaconf import DictConfig, ListConfig, OmegaConf


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
    """The grid's rates; refuses a `missing_rate` beside them."""
    return _alone("missing_rate", missing_rate, [rate(value) for value in grid])


def seeds(single: object, grid: ListConfig) -> ListConfig:
    """The grid's seeds; refuses a `seed` beside them."""
    return _alone("seed", single, [seed(value) for value in grid])


def _alone(name: str, value: object, values: list[float] | list[int]) -> ListConfig:
    if value is not None:
        raise ValueError(f"{name}={value} has no place beside this grid, which runs {values}: leave one of them out")
    return OmegaConf.create(list(values))


def train_seeds(methods: ListConfig, *, _root_: DictConfig) -> ListConfig:
    """The grid's seeds where `sample` or `impute` names one of these methods, else none."""
    return OmegaConf.create(list(_root_.grid.seeds) if chosen(methods, _root_=_root_) else [])


def chosen(methods: ListConfig, *, _root_: DictConfig) -> ListConfig:
    """Those of the methods that `sample` or `impute` names."""
    named = {*_root_.sample.methods, *_root_.impute.methods}
    return OmegaConf.create([method for method in methods if method in named])


for resolver in (rate, seed, rates, seeds, train_seeds, chosen):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
