"""Folders that a stage depends on as a whole hold what the params name, and nothing else, when it has run."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from support import tiny

from ldmiss.missingness.mechanisms import MECHANISMS
from ldmiss_pipeline.artifacts.arrays import load_array_metadata, save_arrays
from ldmiss_pipeline.artifacts.json_files import load_checked_json, load_json, save_checked_json
from ldmiss_pipeline.artifacts.observed import load_observed, save_observed
from ldmiss_pipeline.artifacts.paths import CURVES, OBSERVED_TEST, Item
from ldmiss_pipeline.paper.claims_command import merge
from ldmiss_pipeline.paper.outputs import CLAIMS, TABLE
from ldmiss_pipeline.running.pipeline import Pipeline
from stages.evaluate import params_sha256


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    """A copy of the finished project."""
    folder = tmp_path / "copy"
    shutil.copytree(project, folder, symlinks=True)
    return folder


def made_by(label: str, cell: dict[str, Any]) -> dict[str, str]:
    """The stamp of a cell, as another item's."""
    return {**cell["stamp"], "made_by": label}


def grid_arrays(folder: Path) -> dict[str, Any]:
    """The arrays that the figures show of the tiny cell."""
    with np.load(folder / tiny.CELL.image_grid()) as stored:
        return {name: stored[name] for name in stored.files if name != "facts"}


def test_cells_of_other_grids_are_left_out(project: Path, copy: Path) -> None:
    """A stale cell enters no mean; it, its curve and those of other methods are removed before DVC hashes them."""
    stale = copy / Item(0.1, 7).metrics()
    stale.write_text((copy / tiny.CELL.metrics()).read_text().replace('"mse": ', '"mse": 9'))
    shutil.copy(copy / tiny.CELL.curve("vae"), copy / Item(0.1, 7).curve("vae"))
    shutil.copy(copy / tiny.CELL.curve("vae"), copy / tiny.CELL.curve("a_method_no_more"))
    for emptied in (copy / Item(0.1, 7).samples("ddpm").parent, copy / Item(0.1, 7).imputed("ddpm").parent):
        emptied.mkdir()
    tiny.run(copy, lambda stage: stage == "plot")
    assert not [folder for folder in (copy / "data").rglob("*") if folder.is_dir() and not any(folder.iterdir())]
    assert tiny.fingerprints(copy, "metrics") == tiny.fingerprints(project, "metrics")


def test_two_seeds_that_are_one_float_are_two_cells(copy: Path) -> None:
    """Neighbours above 2**53 keep their digits in file names, cells, table and claims: nothing goes through a float."""
    seeds = [2**53, 2**53 + 1, 2**63 - 1]
    cell = load_checked_json(copy / tiny.CELL.metrics())
    for seed in seeds:
        item = Item(tiny.RATE, seed)
        save_checked_json(copy / item.metrics(), cell | {"seed": seed, "stamp": made_by(f"evaluate@{item.name}", cell)})
        save_arrays(copy / item.image_grid(), metadata=made_by(f"evaluate@{item.name}", cell), **grid_arrays(copy))
        for path in (copy / CURVES).glob(f"*-{tiny.CELL.cell}.csv"):
            shutil.copy(path, path.with_name(path.name.replace(tiny.CELL.cell, item.cell)))
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(grid={"seeds": seeds})))
    tiny.run(copy, lambda stage: stage == "plot")
    table = merge([copy / TABLE])
    assert list(table["seed"].drop_duplicates()) == seeds
    claims = load_json(copy / CLAIMS)["claims"]
    assert {claim["num_seeds"] for claim in claims if claim["num_seeds"]} <= {3}


def lower_three_quarters(
    images: NDArray[np.uint8], known: NDArray[np.bool_], rate: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """A mechanism that forgets a quarter of every image: it realises 3/4 of the rate."""
    observed = rng.random(images.shape) >= rate
    observed[:, :, : images.shape[2] // 4] = True
    return observed


@pytest.mark.slow
def test_a_realised_rate_is_measured_and_warned_of(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mechanism known to this test alone: `mask` warns for each split, cell and table say the rates there are."""
    monkeypatch.setitem(MECHANISMS, "lower", lower_three_quarters)
    mechanism = {"missing": {"mechanism": "lower", "test_mechanism": "lower"}}
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(**mechanism)))
    tiny.run(
        copy,
        lambda stage: (
            stage in ("mask", "mask_test", "train", "evaluate", "plot") or stage.startswith(("train_", "enc"))
        ),
    )
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: mechanism 'lower'")]
    assert [line.partition(" of the ")[2].split()[0] for line in warnings] == ["test", "training"]
    assert all("50.00% was asked for" in line for line in warnings)
    realised = load_checked_json(copy / tiny.CELL.metrics())["run"]
    table = merge([copy / TABLE])
    for split in ("train", "test"):
        _, observed = load_observed(copy / (OBSERVED_TEST if split == "test" else tiny.CELL.observed()))
        share = realised[f"realised_{split}_rate"]
        assert share == pytest.approx(1 - observed.mean())
        assert share == pytest.approx(0.375, abs=0.02)
        (value,) = table.loc[table["metric"] == f"realised_{split}_rate", "value"]
        assert float(value) == share


@pytest.mark.parametrize("known", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_nothing_missing_or_nothing_observed(copy: Path, known: bool) -> None:
    """What few test pixels leave by chance: metrics that are not defined are absent, in JSON, table and figures."""
    path = copy / OBSERVED_TEST
    images, observed = load_observed(path)
    observed[:] = known
    save_observed(path, images * observed, observed, metadata=load_array_metadata(path))
    tiny.run(copy, lambda stage: stage in ("impute", "evaluate", "plot"))
    measured = load_checked_json(copy / tiny.CELL.metrics())["imputation"]
    for metrics in measured.values():
        assert ("mse" in metrics) == (not known)
        assert "mse_all" in metrics
    assert ("crps" in measured["ldmiss-guidance"]) == (not known)


def test_no_warning_where_the_rate_is_as_asked(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MCAR realises its rate."""
    tiny.run(copy, lambda stage: stage in ("mask", "mask_test"))
    assert "warning" not in capsys.readouterr().err


def test_methods_that_are_not_measured_are_removed(project: Path, copy: Path) -> None:
    """What other params or a killed run left in the cell's folders is gone, and changes nothing that is measured."""
    samples, imputed = copy / tiny.CELL.samples("ldmiss"), copy / tiny.CELL.imputed("ldmiss")
    shutil.copy(samples, samples.with_name("other.npz"))
    samples.with_name(f".{samples.name}.1.tmp").write_bytes(b"half a fi")
    shutil.copytree(imputed, imputed.with_name("other"))
    tiny.run(copy, lambda stage: stage == "evaluate")
    folders = ("data/samples", "data/imputed", "metrics")
    assert tiny.fingerprints(copy, *folders) == tiny.fingerprints(project, *folders)


def test_one_method_less_is_one_method_less(copy: Path) -> None:
    """Its files go, those of the others and of other cells stay."""
    other = Item(0.1, 7)
    for folder in ("samples", "imputed"):
        shutil.copytree(copy / f"data/{folder}/{tiny.CELL.cell}", copy / f"data/{folder}/{other.cell}")
    fewer = {"sample": {"methods": ["ldmiss"]}, "impute": {"methods": ["ldmiss", "baselines"]}}
    (copy / "params.yaml").write_text(yaml.safe_dump(tiny.document(**fewer)))
    tiny.run(copy, lambda stage: stage == "evaluate")
    left = {path.name for path in copy.glob(f"data/*/{tiny.CELL.cell}/*") if "observed" not in path.parts}
    assert left == {"ldmiss.npz", "ldmiss", "baselines"}
    assert (copy / other.samples("ddpm")).exists()
    assert (copy / other.imputed("ddpm")).exists()


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"compute": {"num_threads": 2}, "sample": {"chunk_size": 7, "methods": ["ldmiss"]}}, True),
        ({"diffputer": {"em": {"e_step": {"chunk_size": 7}}}, "plot": {"num_columns": 2}, "seed": 43}, True),
        ({"ldmiss": {"sample": {"num_steps": 4}}}, False),
        ({"compute": {"dtype": "bfloat16"}}, False),
        ({"vae": {"train": {"lr": 0.5}}}, False),
    ],
)
def test_hash_of_the_params_behind_the_metrics(changes: dict[str, Any], same: bool) -> None:
    """It differs where cells do not belong to one grid, and not where they only ran in another way."""
    documents = [tiny.document(**changed) for changed in ({}, changes)]
    hashes = [params_sha256(Pipeline(document).stage_item("evaluate", tiny.CELL).params) for document in documents]
    assert (hashes[0] == hashes[1]) == same
