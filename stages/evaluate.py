"""Measure one cell: generation by FID and IS, imputation by squared errors, FID, IS and accuracy (paper A.3).

Reads the raw test images: the only stage after `mask` that sees the truth, apart from the classifier's.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldmiss.errors import InputError
from ldmiss.evaluation.fidelity import accuracy, class_shares, fid, fid_statistics, inception_score
from ldmiss.evaluation.pixel import mse_all, mse_missing, mse_of_draws
from ldmiss.networks.classifier import Classifier
from stages.build.classifier import extract_features, restore_classifier
from stages.context import Context
from stages.datasets import load_split
from stages.io import load_arrays, load_json, load_observed, save_arrays, save_json
from stages.paths import CLASSIFIER, CLASSIFIER_FACTS, RAW

CONFIDENCE = 0.9
SHEET_IMAGES = 20
"""Images of each kind kept for the figures."""


class Yardstick:
    """The classifier and the statistics of the real test images under it."""

    def __init__(self, classifier: Classifier, test_images: NDArray[np.uint8]) -> None:
        self.classifier = classifier
        features, _ = extract_features(classifier, torch.tensor(test_images)[:, None] / 255)
        self.reference = fid_statistics(features)

    def measure(self, images: NDArray[np.float16]) -> tuple[dict[str, float], Tensor]:
        """FID and IS of images (N, H, W) in [0, 1], and their logits (N, 10)."""
        features, logits = extract_features(self.classifier, torch.from_numpy(images)[:, None].float())
        distance = fid(fid_statistics(features), self.reference)
        return {"fid": distance, "is": inception_score(logits)}, logits


def run(context: Context) -> str:
    """Write `metrics/cells/<cell>.json`, and in `.npz` the few images that the figures show."""
    item, params = context.item, context.params
    test = load_split(params.dataset.name, RAW, "test")
    images, observed = load_observed(item.observed("test"))
    yardstick = Yardstick(restore_classifier(CLASSIFIER, context.runtime.device), test.images)
    facts = load_json(CLASSIFIER_FACTS)
    sheet: dict[str, NDArray[Any]] = {"truth": test.images[:SHEET_IMAGES], "observed_images": images[:SHEET_IMAGES],
                                      "observed": observed[:SHEET_IMAGES]}  # fmt: skip
    generation = {}
    for method in params.sample.methods:
        (samples,) = load_arrays(item.samples(method), "images")
        generation[method] = _measure_generation(yardstick, samples)
        sheet[f"samples/{method}"] = _to_uint8(samples[:SHEET_IMAGES])
    imputation = {}
    for path in _imputed_files([item.imputed(method) for method in params.impute.methods]):
        completed, subset, draws = load_arrays(path, "images", "subset", "draws")
        imputation[path.stem] = _measure_imputation(yardstick, completed, subset, draws, test, observed)
        sheet[f"imputed/{path.stem}"] = _to_uint8(completed[:SHEET_IMAGES])
    save_arrays(item.sheet(), **sheet)
    metrics = {
        "missing_rate": item.missing_rate, "seed": item.seed,
        "generation": generation, "imputation": imputation, "classifier": facts,
    }  # fmt: skip
    save_json(item.metrics(), metrics)
    return f"{len(generation)} generators and {len(imputation)} imputers measured"


def _measure_generation(yardstick: Yardstick, samples: NDArray[np.float16]) -> dict[str, float]:
    metrics, logits = yardstick.measure(samples)
    return metrics | class_shares(logits, min_confidence=CONFIDENCE)


def _measure_imputation(
    yardstick: Yardstick,
    completed: NDArray[np.float16],
    subset: NDArray[np.int64],
    draws: NDArray[np.float16],
    test: Any,
    observed: NDArray[np.bool_],
) -> dict[str, float]:
    """Errors in [0, 1] units on one draw of all images, and on the subset's K draws."""
    num_images = len(completed)
    truth = (test.images[:num_images] / 255).astype(np.float32)
    known = observed[:num_images]
    metrics, logits = yardstick.measure(completed)
    mse_draw, mse_mean = mse_of_draws(draws.astype(np.float32), truth[subset], known[subset])
    return {
        "mse": mse_missing(completed.astype(np.float32), truth, known),
        "mse_draw": mse_draw, "mse_mean": mse_mean, "mse_all": mse_all(completed.astype(np.float32), truth),
        **metrics, "accuracy": accuracy(logits, torch.tensor(test.labels[:num_images])),
    }  # fmt: skip


def _imputed_files(folders: list[Path]) -> list[Path]:
    for folder in folders:
        if not any(folder.glob("*.npz")):
            raise InputError(f"{folder}: no imputed images; make them with `dvc repro`")
    return [path for folder in folders for path in sorted(folder.glob("*.npz"))]


def _to_uint8(images: NDArray[np.float16]) -> NDArray[np.uint8]:
    return np.round(images.astype(np.float32) * 255).astype(np.uint8)
