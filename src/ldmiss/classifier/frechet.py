"""Frechet distance between sets of features (FID), and accuracy: a classifier's own metadata need both (A.3)."""

import contextlib
import io
from typing import Any

from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric


def fid_statistics(features: Tensor) -> dict[str, Any]:
    """Mean and covariance of features (N, F), computed in float64."""
    return fid_features_to_statistics(features.double())


def fid(statistics: dict[str, Any], reference: dict[str, Any]) -> float:
    """Frechet distance between two sets' Gaussian statistics (Heusel et al. 2018)."""
    with contextlib.redirect_stdout(io.StringIO()):
        result = fid_statistics_to_metric(statistics, reference, False)
    return float(result["frechet_inception_distance"])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of images whose largest logit is their label; logits (N, C), labels (N,)."""
    return float((logits.argmax(1) == labels).double().mean())
