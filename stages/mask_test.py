"""Make the test images incomplete, once: all rates, seeds and methods complete the same images (paper 6.2)."""

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.mechanisms import draw_observed, remove_missing
from ldmiss_pipeline.artifacts.observed import save_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, RAW
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/observed/test.npz`."""
    missing, dataset = context.params.missing, context.params.dataset.name
    images = load_split(dataset, RAW, "test").images
    rng = numpy_generator(missing.test_seed, "test observed")
    observed = draw_observed(missing.mechanism, images, missing.test_rate, rng)
    metadata = {"dataset": dataset, **context.stamp}
    save_observed(OBSERVED_TEST, remove_missing(images, observed), observed, metadata=metadata)
    return f"{1 - observed.mean():.1%} missing"
