"""Make the training images incomplete: observed-indicators, and images without what is missing.

The truth behind a missing pixel goes no further than this stage (and `evaluate`, which reads the raw test images).
"""

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.rates import missing_share
from ldmiss_pipeline.artifacts.observed import save_observed
from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.datasets.incomplete import make_incomplete
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/observed/<cell>.npz`: one draw per image for the whole run, nested across rates."""
    item, mechanism, dataset = context.item, context.params.missing.mechanism, context.params.dataset.name
    assert item.missing_rate is not None
    rng = numpy_generator(item.root_seed, "observed")
    images, observed = make_incomplete(dataset, RAW, "train", mechanism, item.missing_rate, rng)
    save_observed(item.observed(), images, observed, metadata={"dataset": dataset, **context.stamp})
    return f"{missing_share(observed):.1%} missing"
