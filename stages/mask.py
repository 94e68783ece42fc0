"""Make the training images incomplete: observed-indicators, and images without what is missing.

The truth behind a missing pixel goes no further than this stage (and `evaluate`, which reads the raw test images).
"""

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.mechanisms import draw_observed, remove_missing
from ldmiss_pipeline.artifacts.observed import save_observed
from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/observed/<cell>.npz`: one draw per image for the whole run, nested across rates."""
    item, dataset = context.item, context.params.dataset.name
    assert item.missing_rate is not None
    images = load_split(dataset, RAW, "train").images
    rng = numpy_generator(item.root_seed, "observed")
    observed = draw_observed(context.params.missing.mechanism, images, item.missing_rate, rng)
    metadata = {"dataset": dataset, **context.stamp}
    save_observed(item.observed(), remove_missing(images, observed), observed, metadata=metadata)
    return f"{1 - observed.mean():.1%} missing"
