"""Make the training images incomplete: observed-indicators, images without what is missing, and the scale of the rest.

The truth behind a missing pixel goes no further than this stage (and `evaluate`, which reads the raw test images).
"""

from ldmiss.core.randomness import numpy_generator
from ldmiss.core.scaling import Scaler
from ldmiss.missingness.mechanisms import remove_missing
from ldmiss.missingness.rates import missing_share
from ldmiss_pipeline.artifacts.observed import load_observed, save_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST, RAW
from ldmiss_pipeline.datasets.incomplete import mechanism_settings, observe
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/observed/<cell>.npz`: one draw per image for the whole run, nested across rates (docs/mechanisms.md).

    Where the test images are some of these, what is hidden from them is hidden here, too.
    """
    item, params = context.item, context.params
    missing, dataset = params.missing, params.dataset
    assert item.missing_rate is not None
    train, rows = load_split(dataset.name, RAW, "train"), load_split(dataset.name, RAW, "test").rows
    if rows is not None:  # first, for a mechanism may look at what is known
        assert train.observed is not None
        train.observed[rows] &= load_observed(OBSERVED_TEST)[1]
    rng, settings = numpy_generator(item.root_seed, "observed"), mechanism_settings(missing, missing.mechanism)
    observed = observe(train, "training", missing.mechanism, item.missing_rate, rng, settings)
    scaler = Scaler.fit(train.images, observed, dataset.bounds)
    metadata = {"dataset": dataset.name, "scaler": scaler.to_dict(), **context.stamp}
    save_observed(item.observed(), remove_missing(train.images, observed), observed, metadata=metadata)
    return f"{missing_share(observed):.1%} missing"
