"""Measure one cell: generation by FID and IS, imputation by squared errors, FID, IS and accuracy (paper A.3), and more.

`ldmiss.evaluation.measurement` lists the metrics. Reads the raw images: the only stage after `mask` that sees the
truth, apart from the classifier's. Files of other methods are removed from the cell's input folders first (they stay in
DVC's cache): DVC hashes these folders as a whole.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ldmiss.classifier.features import extract_features
from ldmiss.core.scaling import Scaler
from ldmiss.core.subsets import evenly_spread
from ldmiss.errors import InputError
from ldmiss.evaluation.measurement import Truth, measure_generation, measure_imputation
from ldmiss.evaluation.reference import ReferenceMetrics
from ldmiss.missingness.rates import missing_share
from ldmiss_pipeline.artifacts.arrays import load_arrays, save_arrays
from ldmiss_pipeline.artifacts.json_files import save_checked_json
from ldmiss_pipeline.artifacts.observed import load_observed, load_observed_metadata
from ldmiss_pipeline.artifacts.paths import CLASSIFIER, CLASSIFIER_METADATA, OBSERVED_TEST, RAW, Item, remove_others
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

    train, test = load_split(params.dataset.name, RAW, "train"), _load_test(item, params.dataset.name)
    metadata = load_classifier_metadata(CLASSIFIER_METADATA)
    reference = _reference(context, test, metadata)
    generation, of_samples = _measure_samples(reference, samples)
    imputation, of_imputed = _measure_imputed(reference, imputed, test, item.root_seed)
    available, wanted = len(test.values), params.impute.num_images
    rows = evenly_spread(available, available if wanted == "all" else min(wanted, available))
    save_arrays(item.image_grid(), metadata=context.stamp, **of_samples, **of_imputed, **_shown(test, rows[:SHOWN]))
    classifier = metadata | {"dataset": params.dataset.name}
    if reference is not None:
        floors = _floors(reference, test.scaler, train.images, params.sample.num_images, rows)
        classifier = _of_layer(metadata, params.evaluate.fid_layer) | floors
    realised = {
        "realised_train_rate": missing_share(load_observed(item.observed())[1], train.observed),
        "realised_test_rate": missing_share(test.observed, test.known),
    }
    units = "[0, 1]" if test.complete else "data"
    hidden = load_observed_metadata(OBSERVED_TEST, "mechanism", "rate")
    rate = realised["realised_test_rate"] if hidden["rate"] is None else hidden["rate"]  # no rate was asked for
    settings = _settings(params, test_mechanism=hidden["mechanism"], test_rate=rate, num_imputed=len(rows))
    settings |= {"units": units} | realised
    save_checked_json(
        item.metrics(),
        {
            "missing_rate": item.missing_rate, "seed": item.seed,
            "generation": generation, "imputation": imputation, "classifier": classifier,
            "run": settings | {"params_sha256": params_sha256(context.stage_item.params)},
            "stamp": context.stamp,
        },
    )  # fmt: skip
    return f"{len(generation)} generators and {len(imputation)} imputers measured"


@dataclass(frozen=True)
class _Test:
    """The test images.

    Attributes:
        values: their truth, float32 (M, C, H, W), scaled; 0 where it is not known.
        known, observed: bool (M, C, H, W): where the truth is known, and what imputers were given of it.
        labels: int64 (M,), or None.
        scaler: of the models.
        dtype: of the data.
        complete: whether the data set has all its pixels.
    """

    values: NDArray[np.float32]
    known: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    labels: NDArray[np.int64] | None
    scaler: Scaler
    dtype: np.dtype[Any]
    complete: bool

    def truth(self, rows: NDArray[np.int64]) -> Truth:
        """What completions of some of the images are compared with: of a person's own, in the data's units."""
        return Truth(
            self.values[rows], (self.known & ~self.observed)[rows], self.complete,
            to_units=None if self.complete else self.scaler.from_scaled,
            levels=int(self.scaler.scale[0]) + 1 if self.dtype == np.uint8 and self.scaler.scale[0] % 1 == 0 else None,
        )  # fmt: skip


def _load_test(item: Item, name: str) -> _Test:
    split = load_split(name, RAW, "test")
    scaler = Scaler.from_dict(load_observed_metadata(item.observed(), "scaler")["scaler"])
    known = np.ones(split.images.shape, bool) if split.observed is None else split.observed
    values = np.where(known, scaler.to_scaled(split.images), np.float32(0))
    _, observed = load_observed(OBSERVED_TEST)
    return _Test(values, known, observed, split.labels, scaler, split.images.dtype, split.observed is None)


def _reference(context: Context, test: _Test, metadata: dict[str, Any]) -> ReferenceMetrics | None:
    """What FID, IS and accuracy are measured with; None for images without labels."""
    if test.labels is None:
        return None
    classifier = restore_classifier(CLASSIFIER, context.runtime.device, sha256=metadata["sha256"])
    layer = context.params.evaluate.fid_layer
    return ReferenceMetrics(classifier, test.values, test.labels, layer=layer, seed=context.item.root_seed)


def _measure_samples(reference: ReferenceMetrics | None, paths: list[Path]) -> tuple[Metrics, Grids]:
    """Metrics of each generator, none without a classifier, and the images that the figures show."""
    metrics: Metrics = {}
    grids: Grids = {}
    for path in paths:
        (images,) = load_arrays(path, "images")
        metrics[path.stem] = {} if reference is None else measure_generation(reference, images)
        grids[f"samples/{path.stem}"] = _to_uint8(images[:SHOWN])
    return metrics, grids


def _measure_imputed(
    reference: ReferenceMetrics | None, folders: list[Path], test: _Test, seed: int
) -> tuple[Metrics, Grids]:
    """Metrics of each imputer, a file each in the methods' folders; the images and curves that the figures show.

    In the files, observed values have the precision of float16: here they are as given.

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
            images, rows, subset, drawn = load_arrays(path, "images", "rows", "subset", "draws")
            given, observed = test.values[rows], test.observed[rows]
            completed = np.where(observed, given, images.astype(np.float32))
            draws = np.where(observed[subset, None], given[subset, None], drawn.astype(np.float32))
            metrics[path.stem], curve = measure_imputation(
                completed, subset, draws, test.truth(rows), seed=seed, reference=reference, rows=rows
            )
            grids |= {f"reliability/{path.stem}": curve, f"imputed/{path.stem}": _to_uint8(completed[:SHOWN])}
    return metrics, grids


def _shown(test: _Test, rows: NDArray[np.int64]) -> Grids:
    """The test images that the figures show."""
    return {"truth": _to_uint8(test.values[rows]), "known": test.known[rows], "observed": test.observed[rows]}


def _floors(
    reference: ReferenceMetrics, scaler: Scaler, images: NDArray[Any], num_generated: int, rows: NDArray[np.int64]
) -> dict[str, float]:
    """What real images, some of the training images, get for an FID, which is larger for fewer images.

    The classifier's own `fid_floor` takes as many real training images as there are test images; `fid_floor_generated`
    as many as are generated; `fid_floor_imputed` the imputed test images as they really are: what a perfect imputer
    would get.
    """
    real = images[evenly_spread(len(images), min(num_generated, len(images)))]
    features, _ = extract_features(reference.classifier, torch.from_numpy(scaler.to_scaled(real)), reference.layer)
    return {
        "fid_floor_generated": reference.floor(features),
        "fid_floor_imputed": reference.floor(reference.features[rows]),
    }


def _of_layer(metadata: dict[str, Any], layer: str) -> dict[str, Any]:
    """The classifier's metadata, with the FID floor of the layer in use."""
    others = {name: value for name, value in metadata.items() if name != "fid_floors"}
    return {**others, "fid_layer": layer, "fid_floor": metadata["fid_floors"][layer]}


def _settings(params: Params, *, test_mechanism: str, test_rate: float, num_imputed: int) -> dict[str, Any]:
    """What cells must share to be compared."""
    return {
        "profile": params.profile, "learning_rates": params.learning_rates, "inference": params.inference,
        "encoder_input": params.vae.encoder_input,
        "mechanism": params.missing.mechanism, "test_mechanism": test_mechanism, "test_rate": test_rate,
        "fill": params.missing.fill, "deterministic": params.compute.deterministic,
        "num_generated": params.sample.num_images, "num_imputed": num_imputed,
        "num_draws": params.impute.num_draws, "num_draw_images": min(params.impute.num_draw_images, num_imputed),
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


def _to_uint8(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Scaled images as they are shown: what lies outside [0, 1] is clipped."""
    return np.round(images.astype(np.float32).clip(0, 1) * 255).astype(np.uint8)
