"""FID and Inception Score on the evaluation classifier's features, by torch-fidelity's own functions (paper A.3).

Features are extracted once per set; torch-fidelity's statistics functions do the rest. Its cache is never used: its
key omits the extractor's weights (METHODS section 6).
"""

import contextlib
import io
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric

_ISC_SHUFFLE_SEED = 2020


def fid_statistics(features: Tensor) -> dict[str, Any]:
    """Mean and covariance of features (N, F), computed in float64."""
    return fid_features_to_statistics(features.double())


def fid(statistics: dict[str, Any], reference: dict[str, Any]) -> float:
    """Frechet distance between two sets' Gaussian statistics (Heusel et al. 2018)."""
    with contextlib.redirect_stdout(io.StringIO()):
        result = fid_statistics_to_metric(statistics, reference, False)
    return float(result["frechet_inception_distance"])


def inception_score(logits: Tensor, *, splits: int = 1) -> float:
    """exp E KL(p(y|x) || p(y)) of classifier logits (N, C) (Salimans et al. 2016); one split: no small-sample bias."""
    result = isc_features_to_metric(logits.double(), splits, True, _ISC_SHUFFLE_SEED)
    return float(result["inception_score_mean"])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is their label; logits (N, C), labels (N,)."""
    return float((logits.argmax(1) == labels).double().mean())


def class_shares(logits: Tensor, *, min_confidence: float) -> dict[str, Any]:
    """Diversity and clarity of generated digits, from logits (N, C).

    Returns:
        "confident": share with a class probability above `min_confidence`; "smallest_class": share of the rarest
        predicted class.
    """
    confident = logits.softmax(1).amax(1) > min_confidence
    counts = torch.bincount(logits.argmax(1), minlength=logits.shape[1])
    return {"confident": float(confident.double().mean()), "smallest_class": float(counts.min()) / len(logits)}
