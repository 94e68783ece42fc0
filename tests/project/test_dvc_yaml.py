"""`dvc.yaml` says the truth: dependencies are what is imported, params are what is read, training sees no raw data."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.imports import ROOT, closure

from ldmiss_pipeline.artifacts.paths import CELLS, CLASSIFIER, CLASSIFIER_FACTS, CURVES, SUMMARY, TABLE, Item
from ldmiss_pipeline.config.registry import GENERATORS, METHODS, STAGES

PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
DEFINITIONS: dict[str, Any] = PIPELINE["stages"]
METHODS_OF = {"sample": GENERATORS, "impute": list(METHODS)}
TRUTH = "data/raw/${dataset.name}"


def code_deps(stage: str) -> set[Path]:
    """The dependencies of a stage that are source files."""
    return {Path(dep) for dep in DEFINITIONS[stage]["deps"] if dep.endswith(".py")}


def test_stages_are_those_of_the_table() -> None:
    """Every stage of dvc.yaml can be run, and every stage of the table is in dvc.yaml, with a description."""
    assert set(DEFINITIONS) == set(STAGES)
    assert all(definition["desc"] for definition in DEFINITIONS.values())


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_exactly_what_is_imported(stage: str) -> None:
    """DVC does not follow imports, so dvc.yaml has to name them: neither too few (stale results) nor too many."""
    imported = closure(f"stages.{stage}")
    for method in METHODS_OF.get(stage, []):
        imported |= closure(METHODS[method]) - {Path(f"stages/methods/{method}.py")}
    if stage in METHODS_OF:
        imported.add(Path("stages/methods/${item.method}.py"))
    declared = code_deps(stage)
    assert declared == imported, f"missing: {sorted(imported - declared)}, too many: {sorted(declared - imported)}"


def test_schema_and_runner_supply_nothing() -> None:
    """They are no dependency of any stage: adding a param or a method must not retrain everything."""
    for stage in STAGES:
        assert not code_deps(stage) & {Path(f"stages/{name}.py") for name in ("params", "table", "work", "__main__")}
        assert Path("stages/schema") not in {path.parent for path in code_deps(stage)}


@pytest.mark.parametrize(
    "stage", [name for name in STAGES if name.startswith(("train_", "impute", "encode", "sample"))]
)
def test_only_mask_evaluate_and_the_classifier_see_the_truth(stage: str) -> None:
    """No training and no imputing stage may depend on the raw data."""
    sees_truth = any(dep.startswith("data/raw") for dep in DEFINITIONS[stage]["deps"])
    assert sees_truth == (stage == "train_classifier")


def test_stages_that_see_the_truth() -> None:
    """The whole list."""
    seeing = {name for name, definition in DEFINITIONS.items() if TRUTH in definition["deps"]}
    assert seeing == {"train_classifier", "mask", "evaluate"}


def test_rate_and_seed_are_no_params_of_a_matrix_stage() -> None:
    """Listing them would re-run every cell when one changes; they enter by `${item.*}` only."""
    for definition in DEFINITIONS.values():
        for param in definition.get("params", []):
            assert not re.match(r"(missing_rate|seed)$", param)
            assert "matrix" not in definition or not param.startswith("grid")


def test_paths_are_those_of_the_code() -> None:
    """Each path of src/ldmiss_pipeline/artifacts/paths.py is an out of the stage that makes it."""
    item = Item("${item.missing_rate}", "${item.seed}", "${item.method}")  # type: ignore[arg-type]
    method = "${item.method}"
    expected = {
        "train_classifier": [CLASSIFIER, CLASSIFIER_FACTS, CURVES / "classifier.csv"],
        "mask": [item.observed("train"), item.observed("test")],
        "train_vae": [item.model("vae"), item.curve("vae")],
        "encode_latents": [item.latents()],
        "train_ldm": [item.model("ldmiss"), item.curve("ldmiss")],
        "train_ddpm": [item.model("ddpm"), item.curve("ddpm")],
        "train_diffputer": [item.model("diffputer"), item.curve("diffputer")],
        "train_baselines": [item.model("baselines")],
        "sample": [item.samples(method)],
        "impute": [item.imputed(method)],
        "evaluate": [item.metrics(), item.sheet()],
    }
    for stage, paths in expected.items():
        assert DEFINITIONS[stage]["outs"] == [str(path) for path in paths], stage
    assert str(TABLE) in DEFINITIONS["plot"]["outs"]
    assert DEFINITIONS["plot"]["metrics"] == [{str(SUMMARY): {"cache": False}}]
    assert DEFINITIONS["plot"]["deps"][-2:] == [str(CELLS), str(CURVES)]


def test_a_change_to_imputation_trains_no_score_network_again() -> None:
    """Samplers, guidance and the imputers are no dependency of training; the training loop none of inference."""
    inference = {
        Path(f"src/ldmiss/{name}.py") for name in ("diffusion/guidance", "diffusion/samplers", "imputation/baselines")
    }
    for stage in ("train_vae", "train_ldm", "train_ddpm"):
        assert not code_deps(stage) & inference
    for stage in ("sample", "impute", "evaluate", "encode_latents"):
        assert Path("src/ldmiss_pipeline/running/training.py") not in code_deps(stage)


def test_no_output_escapes_the_cache() -> None:
    """`persist` or `cache: false` on an out would make DVC run the stage again on return to earlier params."""
    for definition in DEFINITIONS.values():
        assert all(isinstance(out, str) for out in definition.get("outs", []))
        assert definition["deps"], "a stage without dependencies is never restored from the run cache"
