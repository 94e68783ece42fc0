"""Measure one cell: generation by FID and IS, imputation by squared errors, FID, IS and accuracy (paper A.3), and more.

`ldmiss.evaluation.measurement` lists the metrics. Reads the raw images: the only stage after `mask` that sees the
truth, apart from the classifier's. Files of other methods are removed from the cell's input folders first (they stay in
DVC's cache): DVC hashes these folders as a whole.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldmiss.classifier.features import extract_features, unit_images
from ldmiss.core.subsets import evenly_spread
from ldmiss.errors import InputError
from ldmiss.evaluation.measurement import ReferenceMetrics, measure_generation, measure_imputation
from ldmiss_pipeline.artifacts.arrays import load_arrays, save_arrays
from ldmiss_pipeline.artifacts.json_files import save_checked_json
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, CLASSIFIER_METADATA, OBSERVED_TEST, RAW, remove_others
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.datasets.registry import load_split
from ldmiss_pipeline.models.classifier import load_classifier_metadata, restore_classifier
from ldmiss_pipeline.running.context import Context

SHOWN = 20
"""Images of each kind kept for the figures."""
_LEFT_OUT = {"device", "num_threads", "deterministic", "chunk_size", "methods"}
"""Params that say where and which, not what: at most low-order bits of a method's metrics change with them."""

Metrics = dict[str, dict[str, float]]
Grids = dict[str, NDArray[Any]]


def run(context: Context) -> str:
    """Write `metrics/cells/<cell>.json`, and in `.npz` the few images and the curves that the figures show.

    `reliability/<imputer>` there: float64 (B, 3), columns predicted, actual, count; (0, 3) for fewer than three draws.
    """
    item, params = context.item, context.params
    samples = [item.samples(method) for method in params.sample.methods]
    imputed = [item.imputed(method) for method in params.impute.methods]
    remove_others([*samples, *imputed])

    train, test = (load_split(params.dataset.name, RAW, split) for split in ("train", "test"))
    metadata = load_classifier_metadata(CLASSIFIER_METADATA)
    classifier = restore_classifier(CLASSIFIER, context.runtime.device, sha256=metadata["sha256"])
    layer = params.evaluate.fid_layer
    reference = ReferenceMetrics(classifier, test.images, test.labels, layer=layer, seed=item.root_seed)
    incomplete, observed = load_observed(OBSERVED_TEST)
    wanted = params.impute.num_images
    rows = evenly_spread(len(test.images), len(test.images) if wanted == "all" else wanted)

    generation, of_samples = _measure_samples(reference, samples)
    imputation, of_imputed = _measure_imputed(reference, imputed, observed)
    shown = rows[:SHOWN]
    truth = {"truth": test.images[shown], "observed_images": incomplete[shown], "observed": observed[shown]}
    save_arrays(item.image_grid(), metadata=context.stamp, **of_samples, **of_imputed, **truth)
    shares = {"train": load_observed(item.observed())[1], "test": observed}
    realised = {f"realised_{split}_rate": 1 - float(of_split.mean()) for split, of_split in shares.items()}
    settings = _settings(params, num_imputed=len(rows)) | realised
    floors = _floors(reference, train.images, params.sample.num_images, rows)
    save_checked_json(
        item.metrics(),
        {
            "missing_rate": item.missing_rate, "seed": item.seed,
            "generation": generation, "imputation": imputation,
            "classifier": _of_layer(metadata, layer) | floors,
            "run": settings | {"params_sha256": params_sha256(context.stage_item.params)},
            "stamp": context.stamp,
        },
    )  # fmt: skip
    return f"{len(generation)} generators and {len(imputation)} imputers measured"


def _measure_samples(reference: ReferenceMetrics, paths: list[Path]) -> tuple[Metrics, Grids]:
    """Metrics of each generator, and the images that the figures show."""
    metrics: Metrics = {}
    grids: Grids = {}
    for path in paths:
        (images,) = load_arrays(path, "images")
        metrics[path.stem] = measure_generation(reference, images)
        grids[f"samples/{path.stem}"] = _to_uint8(images[:SHOWN])
    return metrics, grids


def _measure_imputed(
    reference: ReferenceMetrics, folders: list[Path], observed: NDArray[np.bool_]
) -> tuple[Metrics, Grids]:
    """Metrics of each imputer, a file each in the methods' folders; the images and curves that the figures show.

    Raises:
        InputError: a folder without images.
    """
    metrics: Metrics = {}
    grids: Grids = {}
    for folder in folders:
        paths = sorted(folder.glob("*.npz"))
        if not paths:
            raise InputError(f"{folder}: no imputed images; make them with `dvc repro`")
        for path in paths:
            completed, rows, subset, draws = load_arrays(path, "images", "rows", "subset", "draws")
            metrics[path.stem], curve = measure_imputation(reference, completed, rows, subset, draws, observed)
            grids |= {f"reliability/{path.stem}": curve, f"imputed/{path.stem}": _to_uint8(completed[:SHOWN])}
    return metrics, grids


def _floors(
    reference: ReferenceMetrics, train_images: NDArray[np.uint8], num_generated: int, rows: NDArray[np.int64]
) -> dict[str, float]:
    """What real images get for an FID, which is larger for fewer images.

    The classifier's own `fid_floor` takes as many real training images as there are test images; `fid_floor_generated`
    as many as are generated; `fid_floor_imputed` the imputed test images as they really are: what a perfect imputer
    would get.
    """
    real = train_images[evenly_spread(len(train_images), min(num_generated, len(train_images)))]
    features, _ = extract_features(reference.classifier, unit_images(real), reference.layer)
    return {
        "fid_floor_generated": reference.floor(features),
        "fid_floor_imputed": reference.floor(reference.features[rows]),
    }


def _of_layer(metadata: dict[str, Any], layer: str) -> dict[str, Any]:
    """The classifier's metadata, with the FID floor of the layer in use."""
    others = {name: value for name, value in metadata.items() if name != "fid_floors"}
    return {**others, "fid_layer": layer, "fid_floor": metadata["fid_floors"][layer]}


def _settings(params: Params, *, num_imputed: int) -> dict[str, Any]:
    """What cells must share to be compared."""
    return {
        "profile": params.profile, "learning_rates": params.learning_rates, "inference": params.inference,
        "encoder_input": params.vae.encoder_input,
        "mechanism": params.missing.mechanism, "test_rate": params.missing.test_rate,
        "fill": params.missing.fill, "deterministic": params.compute.deterministic,
        "num_generated": params.sample.num_images, "num_imputed": num_imputed,
        "num_draws": params.impute.num_draws, "num_draw_images": params.impute.num_draw_images,
    }  # fmt: skip


def params_sha256(declared: Mapping[str, Any]) -> str:
    """Hash of all params that a metric follows from, given the classifier: cells of one grid have the same.

    Args:
        declared: the params that `dvc.yaml` declares for `evaluate`; its sections count, not the labels of the run.
    """
    sections = {name: _relevant(value) for name, value in declared.items() if isinstance(value, dict)}
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()


def _relevant(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _relevant(part) for key, part in value.items() if key not in _LEFT_OUT}


def _to_uint8(images: NDArray[np.float16]) -> NDArray[np.uint8]:
    return np.round(images.astype(np.float32) * 255).astype(np.uint8)
