"""IS, KID and precision / recall of the evaluation classifier's features, by torch-fidelity's functions (A.3).

The FID is in `ldmiss.classifier.frechet`: the classifier's own metadata need it.

Features are extracted once per set; torch-fidelity's statistics functions do the rest. Its cache is never used: its
key omits the extractor's weights.
"""

from typing import Any

import torch
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from ldmiss.core.subsets import evenly_spread

_ISC_SHUFFLE_SEED = 2020
KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000
PRC_SIZE = 5000
_PRC_BATCH_SIZE = 1000


def inception_score(logits: Tensor, *, splits: int = 1) -> float:
    """exp E KL(p(y|x) || p(y)) of classifier logits (N, C) (Salimans et al. 2016); one split: no small-sample bias."""
    result = isc_features_to_metric(logits.double(), splits, True, _ISC_SHUFFLE_SEED)
    return float(result["inception_score_mean"])


def kid(features: Tensor, reference: Tensor) -> float:
    """Kernel distance, unbiased in the number of images (Binkowski et al. 2018), of features (N, F) and (M, F).

    torch-fidelity's defaults: the mean over 100 random subsets of 1000 images, polynomial kernel of degree 3; all of
    the smaller set where it has fewer than 1000. May be slightly negative; grows with the sixth power of the features'
    scale, so that it compares under one classifier only.
    """
    size = min(KID_SUBSET_SIZE, len(features), len(reference))
    result = kid_features_to_metric(
        features.double(), reference.double(), kid_subsets=KID_SUBSETS, kid_subset_size=size, verbose=False
    )
    return float(result["kernel_inception_distance_mean"])


def precision_recall(features: Tensor, reference: Tensor) -> tuple[float, float]:
    """Share of images within the reference's manifold, and of the reference within theirs (Kynkaanniemi et al. 2019).

    Manifolds are balls to the third neighbour. Their size falls with the number of images and the cost grows with its
    square, so both sides are cut to one number, at most 5000, spread evenly over each set (not its first part: the
    first half of MNIST's test set is the easier one).

    Args:
        features: (N, F), of generated images.
        reference: (M, F), of real images.
    """
    size = min(PRC_SIZE, len(features), len(reference))
    if size < 4:
        raise ValueError(f"precision_recall: {size} images on one side; the third neighbour needs at least 4")
    cut = [side[evenly_spread(len(side), size)] for side in (features, reference)]
    result = prc_features_to_metric(*cut, save_cpu_ram=True, prc_batch_size=_PRC_BATCH_SIZE, verbose=False)
    return float(result["precision"]), float(result["recall"])


def class_shares(logits: Tensor, *, min_confidence: float) -> dict[str, Any]:
    """Diversity and clarity of generated images, from logits (N, C).

    Returns:
        "confident": share with a class probability above `min_confidence`; "smallest_class": share of the rarest
        predicted class.
    """
    confident = logits.softmax(1).amax(1) > min_confidence
    counts = torch.bincount(logits.argmax(1), minlength=logits.shape[1])
    return {"confident": float(confident.double().mean()), "smallest_class": float(counts.min()) / len(logits)}
