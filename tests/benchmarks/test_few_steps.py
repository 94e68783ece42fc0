"""`benchmarks.few_steps`: the rule by hand, and a measurement that goes on where it was cut."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import few_steps, few_steps_page, pages
from benchmarks.few_steps_page import groups_of, load_rows
from benchmarks.few_steps_rule import cheapest, equal_fid, not_worse
from ldmiss.evaluation.pixel import errors_by_image, mse
from ldmiss.evaluation.uncertainty import crps, scored_pixels

REFERENCE = ("euler_maruyama", 6)
FIDS = [100.0, 102.0, 104.0]  # mean 102, sd 2


@pytest.mark.parametrize(("fids", "holds"), [([106.0] * 3, True), ([106.1] * 3, False), ([20.0] * 3, True)])
def test_equal_fid_is_two_of_the_references_standard_deviations(fids: list[float], holds: bool) -> None:
    """102 + 2 x 2 is the limit, lower is as good; the setting's own spread does not help it."""
    verdict = equal_fid(fids, FIDS)
    assert (verdict.holds, verdict.unit) == (holds, pytest.approx(2.0))
    assert verdict.difference == pytest.approx(fids[0] - 102)
    assert not equal_fid([97.0, 107.0, 117.0], FIDS).holds


def test_two_seeds_are_too_few() -> None:
    """On either side."""
    for pair in ((FIDS[:2], FIDS), (FIDS, FIDS[:2])):
        with pytest.raises(ValueError, match="at least 3 sampling seeds"):
            equal_fid(*pair)


def around(mean: float, spread: float, num_images: int) -> np.ndarray[Any, Any]:
    """Numbers with this mean and standard deviation (ddof 1)."""
    values = np.resize([-1.0, 1.0], num_images)
    return mean + spread * values / values.std(ddof=1)


@pytest.mark.parametrize(
    ("mean", "spread", "holds"),
    [
        (0.0, 0.1, True),  # se .01: at most .02 worse, and 2 % is within the margin
        (0.015, 0.1, True),  # within 2 se, at most 3.5 % worse
        (0.025, 0.1, False),  # 2.5 se worse
        (0.035, 0.2, False),  # within 2 se of .02, but perhaps 7.5 % worse: too few images to tell
        (-0.2, 0.5, True),  # far better, however uncertain
    ],
)
def test_not_worse_is_neither_seen_nor_overlooked(mean: float, spread: float, holds: bool) -> None:
    """100 images, the reference 1 on average: two standard errors, and five percent."""
    reference = around(1.0, 0.4, 100)
    verdict = not_worse(reference + around(mean, spread, 100), reference)
    assert (verdict.difference, verdict.unit) == (pytest.approx(mean, abs=1e-12), pytest.approx(spread / 10))
    assert verdict.holds == holds


def test_not_worse_needs_the_same_images() -> None:
    """Pairs, and two of them."""
    for scores, reference in ((np.ones(3), np.ones(4)), (np.ones(1), np.ones(1))):
        with pytest.raises(ValueError, match="scores of the same images"):
            not_worse(scores, reference)


def test_the_cheapest_holds_with_all_more_steps_of_its_sampler() -> None:
    """One lucky setting below others that fail is not chosen."""
    evaluations = {("a", 5): 5, ("a", 10): 10, ("a", 20): 20, ("b", 8): 15}
    holds = {("a", 5): True, ("a", 10): False, ("a", 20): True, ("b", 8): True}
    assert cheapest(holds, evaluations) == ("b", 8)
    assert cheapest({**holds, ("a", 10): True}, evaluations) == ("a", 5)
    assert cheapest(dict.fromkeys(holds, False), evaluations) is None


def test_scores_are_those_of_the_library() -> None:
    """With as many pixels missing in each image, the means over images are the pooled MSE and CRPS."""
    rng = np.random.default_rng(0)
    draws, truth = rng.random((5, 3, 4, 4), dtype=np.float32), rng.random((5, 4, 4), dtype=np.float32)
    observed = np.arange(16).reshape(4, 4) % 2 == np.zeros((5, 1, 1))
    found = few_steps.scores(draws, truth, ~observed)
    singles = [mse(*errors_by_image(draws[:, k], truth, ~observed)) for k in range(3)]
    assert found["metrics"]["mse"] == pytest.approx(np.mean(singles), abs=1e-6)
    assert found["metrics"]["crps"] == pytest.approx(crps(*scored_pixels(draws, truth, ~observed)), abs=1e-6)
    assert len(found["by_image"]["mse"]) == len(found["by_image"]["crps"]) == 5


@pytest.fixture
def run(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command on the tiny project with a short reference; returns its rows."""
    monkeypatch.setattr(few_steps_page, "REFERENCE", REFERENCE)

    def command(*arguments: str) -> list[dict[str, Any]]:
        before = Path.cwd()
        sizes = ["--num-images", "6", "--num-imputed", "5", "--num-draws", "2"]
        given = ["--project", str(project), "--results", str(tmp_path / "cpu"), *sizes, *arguments]
        try:
            assert few_steps.main(given) == 0
        finally:
            os.chdir(before)
        return load_rows(tmp_path / "cpu/few_steps.jsonl")

    return command


@pytest.mark.slow
def test_measured_rows_are_kept(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every sampler in both tasks and methods; a second run measures only what is new; tables and figure are made."""
    page = pages.PAGE.read_text()
    first = run("--methods", "ldmiss", "ddpm", "--steps", "3", "--num-seeds", "1")
    assert len(first) == 2 * 2 * 6
    assert {row["num_evaluations"] for row in first} == {3, 5}
    assert "Not judged" in capsys.readouterr().out
    cut = "".join(json.dumps(row) + "\n" for row in first[:-1])
    (tmp_path / "cpu/few_steps.jsonl").write_text(cut)
    for sampler, num_steps in (("ddim", "3"), REFERENCE):
        again = run("--methods", "ldmiss", "ddpm", "--samplers", sampler, "--steps", str(num_steps))
    assert again[: len(first) - 1] == first[:-1]
    assert len(again) == len(first) - 1 + 2 * 2 * (2 + 3)
    identities = [few_steps.identity(row) for row in again]
    assert len(set(identities)) == len(identities)
    groups = groups_of(again, REFERENCE)
    assert {(group.shared["method"], group.shared["task"]) for group in groups} == {
        (method, task) for method in ("ldmiss", "ddpm") for task in ("generation", "imputation")
    }
    fids, scores = (
        next(group for group in groups if (group.shared["method"], group.shared["task"]) == ("ldmiss", task))
        for task in ("generation", "imputation")
    )
    assert set(fids.verdicts(("ddim", 3))) == {"fid"}
    assert fids.verdicts(("heun", 3)) == {}  # one seed decides nothing of an FID
    assert set(scores.verdicts(("heun", 3))) == {"mse", "crps"}  # images in pairs do
    assert scores.verdicts(REFERENCE)["mse"].difference == 0
    assert "| FID: steps | euler_maruyama |" in capsys.readouterr().out
    assert pages.PAGE.read_text() == page
    assert (tmp_path / "cpu/few_steps.png").stat().st_size > 10_000
    monkeypatch.setattr(few_steps.Case, "generation", None)  # nothing is left to be measured, and nothing is
    assert run("--steps", "3", "--samplers", "ddim") == again


def test_seeds_and_settings_differ(run: Any) -> None:
    """Another sampling seed, sampler or number of steps gives other numbers; without a reference nothing is judged."""
    rows = run("--methods", "ldmiss", "--tasks", "imputation", "--steps", "3", "4", "--num-seeds", "2")
    scores = [row["metrics"]["mse"] for row in rows]
    assert len(set(scores)) == len(scores) == 2 * 2 * 6
    (group,) = groups_of(rows, REFERENCE)
    assert group.chosen() is None
    assert group.verdicts(("ddim", 3)) == {}


def test_a_folder_without_a_project_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, nothing written."""
    before = Path.cwd()
    for folder in (tmp_path, tmp_path / "nowhere"):
        try:
            assert few_steps.main(["--project", str(folder), "--results", str(tmp_path / "out")]) == 1
        finally:
            os.chdir(before)
        assert capsys.readouterr().err.startswith("error: ")
    assert not (tmp_path / "out").exists()
