"""Make the test images incomplete, once: all rates, seeds and methods complete the same images (paper 6.2)."""

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.hold_out import hold_out
from ldmiss.missingness.mechanisms import remove_missing
from ldmiss.missingness.rates import missing_share
from ldmiss_pipeline.artifacts.observed import save_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, RAW
from ldmiss_pipeline.datasets.incomplete import mechanism_settings, observe
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/observed/test.npz`; of a person's own images, what is left of those of which pixels are held out."""
    missing, dataset = context.params.missing, context.params.dataset.name
    test, mechanism = load_split(dataset, RAW, "test"), missing.test_mechanism
    rng = numpy_generator(missing.test_seed, "test observed")
    if test.rows is not None and mechanism == "borrowed":
        known = load_split(dataset, RAW, "train").observed
        assert known is not None
        observed, mechanism = hold_out(known, test.rows, rng)
        rate: float | None = None  # as holes have it
    else:
        rate = missing.test_rate
        observed = observe(test, "test", mechanism, rate, rng, mechanism_settings(missing, mechanism))
    metadata = {"dataset": dataset, "mechanism": mechanism, "rate": rate, **context.stamp}
    save_observed(OBSERVED_TEST, remove_missing(test.images, observed), observed, metadata=metadata)
    return f"{missing_share(observed, test.observed):.1%} of the known pixels missing, by mechanism {mechanism}"
