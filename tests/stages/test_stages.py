"""Every stage in its real form on a tiny project: outputs, no leakage, determinism."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from support import tiny

from ldmiss.errors import InputError
from ldmiss.files.tensors import load_tensors
from ldmiss_pipeline.artifacts.arrays import load_arrays
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.artifacts.paths import OBSERVED_TEST


def test_metrics_have_the_documented_keys(project: Path) -> None:
    """metrics/summary.json under fixed keys, table.csv tidy."""
    summary = json.loads((project / "metrics/summary.json").read_text())
    assert set(summary["generation"]) == {"ldmiss", "ddpm", "diffputer"}
    assert set(summary["imputation"]) == tiny.IMPUTERS
    of_sets = {"fid", "is"}
    of_all = of_sets | {"accuracy", "mse_all", "mse", "mse_draw", "mse_mean"}
    of_draws = {"crps", "coverage", "coverage_level", "coverage_share", "calibration"}
    assert set(summary["generation"]["ldmiss"]) == of_sets | {
        "kid",
        "precision",
        "recall",
        "confident",
        "smallest_class",
    }
    assert set(summary["imputation"]["mean"]) == of_all
    assert set(summary["imputation"]["ldmiss-guidance"]) == of_all | of_draws
    assert summary["imputation"]["ldmiss-guidance"]["coverage_level"] == 0.5  # of three draws
    assert {"accuracy", "fid_floor", "fid_floor_generated", "fid_floor_imputed"} == set(summary["classifier"])
    table = pd.read_csv(project / "metrics/table.csv")
    assert list(table) == ["missing_rate", "seed", "task", "method", "metric", "value"]
    assert {"fid_se", "is_se", "mse_se", "mse_draw_se", "mse_mean_se", "accuracy_se"} <= set(table["metric"])
    assert {"sha256", "source", "dataset", "fid_layer"} <= set(table[table["task"] == "classifier"]["metric"])
    assert set(table[table["task"] == "run"]["metric"]) == {
        "profile", "learning_rates", "inference", "encoder_input", "test_rate", "fill", "deterministic",
        "num_generated",
        "num_imputed", "num_draws", "num_draw_images", "params_sha256", "mechanism", "test_mechanism",
        "realised_train_rate", "realised_test_rate", "units",
    }  # fmt: skip
    assert not (project / "ckpt").exists() or not any((project / "ckpt").iterdir())


def test_each_figure_lies_beside_its_table(project: Path) -> None:
    """Six PNGs and PDFs, each with a CSV that is not empty."""
    names = {path.stem for path in (project / "plots").glob("*.png")}
    assert {path.stem for path in (project / "plots").glob("*.pdf")} == names
    assert names == {"figure1", "figure2", "figure3", "figure4", "training_curves", "uncertainty"}
    assert all(len(pd.read_csv(project / f"plots/{name}.csv")) for name in names)


def test_claims_are_judged(project: Path) -> None:
    """metrics/claims.json has every claim with a verdict, under this project's classifier; one cell decides few."""
    document = json.loads((project / "metrics/claims.json").read_text())
    metadata = json.loads((project / "models/classifier.json").read_text())
    assert (document["table"]["sha256"], document["table"]["seeds"]) == (metadata["sha256"], {"0.5": [42]})
    assert len(document["claims"]) == 17
    assert {claim["verdict"] for claim in document["claims"][:14]} == {"not tested"}


def test_another_fid_layer_measures_again(project: Path, tmp_path: Path) -> None:
    """`evaluate.fid_layer` needs no other stage: the classifier's metadata have the floor of every layer."""
    folder = tmp_path / "logits"
    shutil.copytree(project, folder, symlinks=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.document(evaluate={"fid_layer": "logits"})))
    tiny.run(folder, lambda stage: stage == "evaluate")
    before, after = (json.loads((path / tiny.CELL.metrics()).read_text()) for path in (project, folder))
    floors = json.loads((project / "models/classifier.json").read_text())["fid_floors"]
    assert set(floors) == {"penultimate", "pre_relu", "logits"}
    for cell, layer in ((before, "penultimate"), (after, "logits")):
        assert cell["classifier"]["fid_layer"] == layer
        assert cell["classifier"]["fid_floor"] == floors[layer]
    for method, metrics in before["imputation"].items():
        for name, value in metrics.items():
            assert (after["imputation"][method][name] == value) == (name not in ("fid", "fid_se"))


def test_imputations_keep_what_was_observed(project: Path) -> None:
    """Observed pixels come back as given from every imputer, in every draw; sizes are those of the params."""
    images, observed = load_observed(project / OBSERVED_TEST)
    files = sorted((project / f"data/imputed/{tiny.CELL.cell}").rglob("*.npz"))
    assert {path.stem for path in files} == tiny.IMPUTERS
    for path in files:
        completed, subset, draws, chosen = load_arrays(path, "images", "subset", "draws", "rows")
        assert chosen.tolist() == [24 * i // 20 for i in range(20)]  # spread over the test images
        stochastic = path.stem in tiny.STOCHASTIC
        assert completed.shape == (20, 1, 28, 28)
        assert draws.shape == (4, 3 if stochastic else 1, 1, 28, 28)
        for result, rows in ((completed, chosen), *((draws[:, k], chosen[subset]) for k in range(draws.shape[1]))):
            assert np.array_equal(np.round(result.astype(float) * 255)[observed[rows]], images[rows][observed[rows]])
        assert np.array_equal(draws[:, 0], completed[subset])
        assert stochastic == (draws.shape[1] > 1 and not np.array_equal(draws[:, 0], draws[:, 1]))
        missing = ~observed[chosen]
        assert 0 <= completed.min() <= completed.max() <= 1
        assert (completed[missing] != 0).any(), "nothing was imputed"


def test_two_runs_are_identical(project: Path, raw: dict[str, Any], tmp_path: Path) -> None:
    """The same commit, params and machine: every file is the same, byte for byte."""
    again = tiny.make_project(tmp_path / "again", raw)
    tiny.run(again)
    assert tiny.fingerprints(again, *tiny.MADE) == tiny.fingerprints(project, *tiny.MADE)


def test_chunk_size_changes_no_random_number(project: Path, tmp_path: Path) -> None:
    """Samples and imputations agree up to rounding whatever is computed together."""
    other, folders = tmp_path / "other", ("data/samples", "data/imputed")
    shutil.copytree(project, other, symlinks=True)
    changed = tiny.document(sample={"chunk_size": 12}, impute={"chunk_size": 3})
    (other / "params.yaml").write_text(yaml.safe_dump(changed))
    for folder in folders:
        shutil.rmtree(other / folder)
    tiny.run(other, lambda stage: stage in ("sample", "impute"))
    paths = [path for folder in folders for path in (project / folder).rglob("*.npz")]
    assert len(paths) == 3 + len(tiny.IMPUTERS)
    for path in paths:
        expected, found = (load_arrays(root / path.relative_to(project), "images")[0] for root in (project, other))
        np.testing.assert_allclose(found.astype(float), expected.astype(float), atol=2e-3)


def test_models_carry_what_they_need(project: Path) -> None:
    """A method's file holds the networks it samples and imputes with, and their configuration."""
    tensors, metadata = load_tensors(project / tiny.CELL.model("ldmiss"), kind="ldmiss")
    latents, _ = load_tensors(project / tiny.CELL.latents(), kind="latents")
    assert torch.equal(tensors["scale"], latents["scale"])
    assert {name.split(".")[0] for name in tensors} == {"unet", "vae", "fill", "scale"}
    assert metadata["dataset"] == "mnist5k"
    with pytest.raises(InputError, match="expected 'ddpm'"):
        load_tensors(project / tiny.CELL.model("ldmiss"), kind="ddpm")
