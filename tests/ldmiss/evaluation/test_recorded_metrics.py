"""Metrics as recorded before images had channels and truths could be incomplete (commit bd4d4b7): they are the same."""

import numpy as np
import pytest
import torch

from ldmiss.classifier.network import Classifier
from ldmiss.evaluation.measurement import Truth, measure_imputation
from ldmiss.evaluation.reference import ReferenceMetrics
from ldmiss.networks.layers import build, init_torch_default

OF_PIXELS = {
    "mse": 0.025656879623198518, "mse_se": 0.001587587404221731,
    "mse_draw": 0.02318324075690309, "mse_draw_se": 0.0010763846813249649,
    "mse_mean": 0.007253322431329226, "mse_mean_se": 0.00043775035522125886, "mse_all": 0.02712290191444004,
    "crps": 0.03154403181125721, "coverage": 0.8360561056105611, "coverage_level": 2 / 3,
    "coverage_share": 0.9619047619047619, "calibration": 0.5509549460565073,
}  # fmt: skip
OF_IMAGES = {
    "fid": 0.01372431881417174, "fid_se": 0.0019395077767078693, "is": 1.000024104287757, "is_se": 3.274194e-06,
    "accuracy": 0, "accuracy_se": 0,
}  # fmt: skip
CURVE = [
    [1.24996718e-01, 1.00764098e-02, 64], [1.58372720e-01, 3.19733886e-02, 92], [1.47403552e-01, 6.95460077e-02, 257],
    [1.47245008e-01, 1.03815236e-01, 309], [1.69459274e-01, 1.09734531e-01, 180], [1.86545281e-01, 1.12635864e-01, 105],
    [1.95672175e-01, 1.08751445e-01, 30], [2.22277070e-01, 1.05533815e-01, 11], [1.20536537e-01, 7.28233798e-02, 2],
]  # fmt: skip


def test_metrics_of_grey_images_of_8_bits_are_those_recorded() -> None:
    rng = np.random.default_rng(2026)
    images = rng.integers(0, 256, (30, 12, 12), dtype=np.uint8)
    images[rng.random(images.shape) < 0.5] = 0
    labels, observed = rng.integers(0, 10, 30), rng.random(images.shape) < 0.5
    rows, subset = np.arange(0, 30, 3), np.array([0, 4, 7])
    unit = (images / 255).astype(np.float32)
    draws = (unit[rows][subset][:, None] + rng.normal(0, 0.2, (3, 5, 12, 12))).clip(0, 1).astype(np.float16)
    completed = (unit[rows] + rng.normal(0, 0.2, (10, 12, 12))).clip(0, 1).astype(np.float16)
    classifier = build(
        lambda: Classifier(shape=(1, 12, 12), num_classes=10), "cpu", init_torch_default,
        torch.Generator().manual_seed(1),
    )  # fmt: skip
    of_images = images[:, None] / np.float32(255)
    reference = ReferenceMetrics(classifier, of_images, labels, layer="penultimate", seed=7)
    truth = Truth(of_images[rows], ~observed[rows, None])
    metrics, curve = measure_imputation(
        completed[:, None], subset, draws[:, :, None], truth, seed=7, reference=reference, rows=rows
    )
    assert {name: metrics[name] for name in OF_PIXELS} == pytest.approx(OF_PIXELS, rel=1e-12)
    assert {name: metrics[name] for name in OF_IMAGES} == pytest.approx(OF_IMAGES, rel=1e-3)  # float32, any processor
    assert set(metrics) == {*OF_PIXELS, *OF_IMAGES}
    np.testing.assert_allclose(curve, CURVE, rtol=1e-8)
