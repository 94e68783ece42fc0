"""Make the test images incomplete, once: all rates, seeds and methods complete the same images (paper 6.2)."""

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.rates import missing_share
from ldmiss_pipeline.artifacts.observed import save_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, RAW
from ldmiss_pipeline.datasets.incomplete import make_incomplete
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/observed/test.npz`."""
    missing, dataset = context.params.missing, context.params.dataset.name
    rng = numpy_generator(missing.test_seed, "test observed")
    images, observed = make_incomplete(dataset, RAW, "test", missing.mechanism, missing.test_rate, rng)
    save_observed(OBSERVED_TEST, images, observed, metadata={"dataset": dataset, **context.stamp})
    return f"{missing_share(observed):.1%} missing"
