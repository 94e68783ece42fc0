"""Make the data incomplete: observed-indicators, and images without what is missing.

The truth behind a missing pixel goes no further than this stage (and `evaluate`, which reads the raw test images).
"""

import sys

from ldmiss.core.randomness import numpy_generator
from ldmiss.missingness.mechanisms import draw_observed, remove_missing
from ldmiss.missingness.rates import is_off, missing_share
from ldmiss_pipeline.artifacts.observed import save_observed
from ldmiss_pipeline.artifacts.paths import RAW
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `data/observed/<cell>/{train,test}.npz`.

    Training: one draw per image for the whole run, from the cell's seed, nested across rates. Test: one draw from a
    constant seed, the same for all rates, seeds and methods. Warns where a mechanism realises another rate (`is_off`).
    """
    item, missing, dataset = context.item, context.params.missing, context.params.dataset.name
    assert item.missing_rate is not None
    draws = {
        "train": (item.missing_rate, numpy_generator(item.root_seed, "observed")),
        "test": (missing.test_rate, numpy_generator(missing.test_seed, "test observed")),
    }
    metadata = {"dataset": dataset, **context.stamp}
    shares = []
    for split, (rate, rng) in draws.items():
        images = load_split(dataset, RAW, split).images
        observed = draw_observed(missing.mechanism, images, rate, rng)
        save_observed(item.observed(split), remove_missing(images, observed), observed, metadata=metadata)
        if is_off(observed, rate):
            print(
                f"warning: mechanism {missing.mechanism!r} made {missing_share(observed):.2%} of the {split} pixels "
                f"missing, asked for were {rate:.2%}; chance does not explain that (more than 4 standard errors)",
                file=sys.stderr,
            )
        shares.append(f"{split} {missing_share(observed):.1%} missing")
    return ", ".join(shares)
