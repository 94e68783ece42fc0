"""`dvc.yaml` says the truth: it names all code that can change a result, what only runs a stage is none of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.imports import ROOT, closure

from ldmiss_pipeline.artifacts.paths import CELLS, CLASSIFIER, CLASSIFIER_METADATA, CURVES, OBSERVED_TEST, Item
from ldmiss_pipeline.config.registry import GENERATORS, METHODS, STAGES, TRAINED_BY_TRAIN
from ldmiss_pipeline.paper.outputs import SUMMARY, TABLE

PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
DEFINITIONS: dict[str, Any] = PIPELINE["stages"]
METHODS_OF = {"train": TRAINED_BY_TRAIN, "sample": GENERATORS, "impute": list(METHODS), "complete": list(METHODS)}
TRAINING = [name for name in STAGES if name.startswith("train")]
TRUTH = "data/raw/${dataset.name}"
RUNS_A_STAGE = (
    "src/ldmiss_pipeline/running/", "src/ldmiss_pipeline/config/",
    "src/ldmiss/errors.py", "src/ldmiss/checks.py", "src/ldmiss/progress.py", "src/ldmiss/checkpoints.py",
)  # fmt: skip
"""What changes no result: the runner, checkpoints, progress, checks (they supply nothing), errors' texts."""


def code_deps(stage: str, method: str = "${item.method}") -> set[Path]:
    """The dependencies of a stage's item that are code: folders, and files."""
    deps = (dep.replace("${item.method}", method) for dep in DEFINITIONS[stage]["deps"])
    return {Path(dep) for dep in deps if dep.startswith(("src/", "stages/"))}


def imported(stage: str, method: str | None) -> set[Path]:
    """Our files that an item of a stage imports, but those that only run it."""
    files = closure(f"stages.{stage}", RUNS_A_STAGE)
    text = (ROOT / f"stages/{stage}.py").read_text()
    for attribute, module in (("runtime", "device"), ("chunk_size", "chunk_size")):  # which the runner's room makes
        if f"context.{attribute}" in text:
            files |= closure(f"ldmiss_pipeline.compute.{module}", RUNS_A_STAGE)
    if method is not None:
        module = f"ldmiss.fitting.{method}" if stage == "train" else METHODS[method]
        files |= closure(module, RUNS_A_STAGE)
    return files


def covers(deps: set[Path], file: Path) -> bool:
    """Whether a file is among the dependencies, or in a folder that is."""
    return any(dep in (file, *file.parents) for dep in deps)


ITEMS = [(stage, method) for stage in STAGES for method in METHODS_OF.get(stage, [None])]


def test_stages_are_those_of_the_registry() -> None:
    """Every stage of dvc.yaml can be run, and every stage of the registry is in dvc.yaml, with a description."""
    assert list(DEFINITIONS) == STAGES
    assert all(definition["desc"] for definition in DEFINITIONS.values())


@pytest.mark.parametrize(("stage", "method"), ITEMS)
def test_no_imported_module_escapes(stage: str, method: str | None) -> None:
    """DVC does not follow imports: what is imported lies in what is declared, or results would be stale."""
    deps = code_deps(stage, method or "")
    assert all((ROOT / dep).exists() for dep in deps)
    assert not {file for file in imported(stage, method) if not covers(deps, file)}


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_declared_that_no_item_imports(stage: str) -> None:
    """A folder too many makes a stage run again for nothing (`train` names what methods to come will need)."""
    used = set().union(*(imported(stage, method) for method in METHODS_OF.get(stage, [None])))
    needless = set()
    for method in METHODS_OF.get(stage, [""]):
        needless |= {dep for dep in code_deps(stage, method) if not any(covers({dep}, file) for file in used)}
    to_come = {Path("src/ldmiss/networks"), Path("src/ldmiss/training")}
    assert needless <= (to_come if stage == "train" else set())


@pytest.mark.parametrize("stage", STAGES)
def test_what_runs_a_stage_is_no_dependency(stage: str) -> None:
    """A comment in the runner, another text of an error, a param or a method more: nothing runs again."""
    for room in RUNS_A_STAGE:
        assert not any(covers({dep}, Path(room)) or covers({Path(room)}, dep) for dep in code_deps(stage))


@pytest.mark.parametrize("stage", [*TRAINING, "encode_latents"])
def test_a_change_after_training_retrains_nothing(stage: str) -> None:
    """Sampling, imputation, evaluation, figures and the methods' modules are no dependency of training."""
    rooms = {f"src/ldmiss/{room}" for room in ("sampling", "imputation", "evaluation", "figures")}
    if stage == "train":  # whose `em_diffusion` samples while it trains
        rooms -= {"src/ldmiss/sampling"}
    rooms |= {"src/ldmiss_pipeline/methods", "src/ldmiss_pipeline/paper", "stages/impute.py", "stages/evaluate.py"}
    for room in map(Path, rooms):
        assert not any(covers({dep}, room) or covers({room}, dep) for dep in code_deps(stage))


def test_a_method_more_retrains_nothing() -> None:
    """Its files are dependencies of its own items alone: the fits are named one by one, its folder by its name."""
    for stage in TRAINING:
        assert not {Path("src"), Path("src/ldmiss"), Path("src/ldmiss/fitting")} & code_deps(stage)
    assert Path("src/ldmiss/${item.method}") in code_deps("train")
    assert Path("src/ldmiss/fitting/${item.method}.py") in code_deps("train")


@pytest.mark.parametrize("stage", [name for name in STAGES if name.startswith(("train", "impute", "encode", "sample"))])
def test_only_mask_evaluate_and_the_classifier_see_the_truth(stage: str) -> None:
    """No training and no imputing stage may depend on the raw data."""
    sees_truth = any(dep.startswith("data/raw") for dep in DEFINITIONS[stage]["deps"])
    assert sees_truth == (stage == "train_classifier")


def test_stages_that_see_the_truth() -> None:
    """The whole list; `complete` reads a person's own images, of which nobody knows the truth."""
    seeing = {name for name, definition in DEFINITIONS.items() if TRUTH in definition["deps"]}
    assert seeing == {"train_classifier", "mask", "mask_test", "complete", "evaluate"}


def test_rate_and_seed_are_no_params_of_a_matrix_stage() -> None:
    """Listing them would re-run every cell when one changes: there they enter by `${item.*}`.

    `check` lists them, so that a value edited by hand is noticed, and refused, where all else is cached.
    """
    for definition in DEFINITIONS.values():
        if "matrix" in definition:
            assert not [param for param in definition["params"] if re.match(r"(missing_rate|seed|grid.*)$", param)]
    assert {"missing_rate", "seed"} <= set(DEFINITIONS["check"]["params"])


def test_paths_are_those_of_the_code() -> None:
    """Each path of src/ldmiss_pipeline/artifacts/paths.py is an out of the stage that makes it."""
    item = Item("${item.missing_rate}", "${item.seed}", "${item.method}")  # type: ignore[arg-type]
    method = "${item.method}"
    expected = {
        "train_classifier": [CLASSIFIER, CLASSIFIER_METADATA, CURVES / "classifier.csv"],
        "mask": [item.observed()],
        "mask_test": [OBSERVED_TEST],
        "train_vae": [item.model("vae"), item.curve("vae")],
        "encode_latents": [item.latents()],
        "train_ldm": [item.model("ldmiss"), item.curve("ldmiss")],
        "train_ddpm": [item.model("ddpm"), item.curve("ddpm")],
        "train_diffputer": [item.model("diffputer"), item.curve("diffputer")],
        "train": [item.model(method), item.curve(method)],
        "calibrate": [item.model("posterior"), item.curve("posterior")],
        "sample": [item.samples(method)],
        "impute": [item.imputed(method)],
        "complete": [item.completed(method)],
        "evaluate": [item.metrics(), item.image_grid()],
    }
    for stage, paths in expected.items():
        assert DEFINITIONS[stage]["outs"] == [str(path) for path in paths], stage
    assert str(TABLE) in DEFINITIONS["plot"]["outs"]
    assert DEFINITIONS["plot"]["metrics"] == [{str(SUMMARY): {"cache": False}}]
    assert DEFINITIONS["plot"]["deps"][-2:] == [str(CELLS), str(CURVES)]


def test_no_output_escapes_the_cache() -> None:
    """`persist` or `cache: false` on an out would make DVC run the stage again on return to earlier params."""
    for definition in DEFINITIONS.values():
        assert all(isinstance(out, str) for out in definition.get("outs", []))
        assert definition["deps"], "a stage without dependencies is never restored from the run cache"
