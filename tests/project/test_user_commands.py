"""The commands of the README, as a user types them, on a clone with the smoke profile (minutes: `make test-slow`)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.imports import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of HEAD with its own caches."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    for key, value in (("user.name", "test"), ("user.email", "test@example.invalid")):
        subprocess.run(["git", "-C", str(folder), "config", key, value], check=True)
    return folder


def dvc(clone: Path, *arguments: str, status: int = 0) -> str:
    """Run dvc in the clone; its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(clone.parent / "site"),
    }
    result = subprocess.run(
        ["dvc", *arguments], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout + result.stderr


def executed(output: str) -> list[str]:
    """The stages that ran."""
    return re.findall(r"Running stage '([^']+)'", output)


def test_experiments_metrics_and_return(clone: Path) -> None:
    """Another rate runs its cell only; going back runs nothing; the difference of every number is shown."""
    first = dvc(clone, "exp", "run", "-S", "profile=smoke", "-n", "half")
    assert len(executed(first)) == 26  # `check` reads nothing that a profile changes
    half = json.loads((clone / "metrics/summary.json").read_text())
    second = dvc(clone, "exp", "run", "-S", "profile=smoke", "-S", "missing_rate=0.8", "-n", "most")
    assert {stage.split("@")[0] for stage in executed(second)}.isdisjoint({"download", "train_classifier", "mask_test"})
    assert "mask@0.8-42" in executed(second)
    assert len(executed(second)) == 24
    difference = json.loads(dvc(clone, "metrics", "diff", "half", "most", "--json"))["metrics/summary.json"]
    changed = {key for key, change in difference.items() if change["old"] != change["new"]}
    assert "imputation.ldmiss-guidance.mse" in changed
    numbers = [change for key, change in difference.items() if not key.startswith("run.")]
    assert all(change["diff"] == pytest.approx(change["new"] - change["old"]) for change in numbers)
    assert (difference["run.missing_rates"]["old"], difference["run.missing_rates"]["new"]) == ("0.5", "0.8")

    back = dvc(clone, "exp", "run", "-S", "profile=smoke")
    assert executed(back) == ["check"]  # which takes a second, and has no outs to restore
    assert json.loads((clone / "metrics/summary.json").read_text()) == half
    assert "most" in dvc(clone, "exp", "show", "--csv")


def test_plots_page_needs_no_network(clone: Path) -> None:
    """The page holds the figures and the chart library itself, and names no host to load scripts from."""
    dvc(clone, "plots", "show")
    page = (clone / "dvc_plots/index.html").read_text()
    assert not re.findall(r"<script[^>]+src=", page)
    assert "figure4.png" in page
    assert "vegaEmbed" in page


def test_several_rates_side_by_side(clone: Path) -> None:
    """All rates of the grid, the cells already there reused."""
    for rate in ("0.5", "0.8"):
        dvc(clone, "exp", "run", "-S", "profile=smoke", "-S", f"missing_rate={rate}")
    command = ("exp", "run", "-S", "profile=smoke", "-S", "grid=rates", "-S", "grid.missing_rates=[0.5,0.8]")
    assert executed(dvc(clone, *command)) == ["check", "plot"]
    table = (clone / "metrics/table.csv").read_text()
    assert {line.split(",")[0] for line in table.splitlines()[1:]} == {"0.5", "0.8"}


def test_a_cell_edited_by_hand_is_refused(clone: Path) -> None:
    """Although all else is cached: what counts is the grid, which the edit left as it was."""
    params = clone / "params.yaml"
    dvc(clone, "exp", "run", "-S", "profile=smoke")
    before = params.read_text()
    for edit in (("missing_rate: 0.5\n", "missing_rate: 0.8\n"), ("seed: 42\ndataset", "seed: 7\ndataset")):
        params.write_text(before.replace(*edit))
        assert params.read_text() != before
        assert ", but grid." in dvc(clone, "repro", status=255)
        assert (clone / "plots/figure1.png").exists(), "DVC removes the outs of a stage before it runs"
    params.write_text(before)
    assert executed(dvc(clone, "repro")) == []


def test_a_forced_run_computes(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time: the same bytes prove that the computation is deterministic, not that it was left out."""
    monkeypatch.setenv("LDMISS_CHECKPOINT_SECONDS", "0")
    hashes = set()
    for _ in range(2):
        output = dvc(clone, "repro", "--force", "--single-item", "sample@0.5-42-diffputer")
        assert executed(output) == ["sample@0.5-42-diffputer"]
        record = json.loads((clone / "runs/records.jsonl").read_text().splitlines()[-1])
        assert (record["stage"], record["restored"]) == ("sample", [])
        hashes.add((clone / "data/samples/0.5-42/diffputer.npz").read_bytes())
    assert len(hashes) == 1


def test_another_test_rate_retrains_nothing(clone: Path) -> None:
    """And a run of one method alone trains that one alone."""
    ran = executed(dvc(clone, "exp", "run", "-S", "profile=smoke", "-S", "missing.test_rate=0.7"))
    assert {stage.split("@")[0] for stage in ran} == {"mask_test", "mask", "impute", "evaluate", "plot"}
    ran = executed(
        dvc(
            clone, "exp", "run", "-S", "profile=smoke", "-S", "seed=7", "-S", "sample.methods=[ldmiss]",
            "-S", "impute.methods=[ldmiss]",
        )
    )  # fmt: skip
    names = ["check", "mask", "train_vae", "encode_latents", "train_ldm", "sample", "impute", "evaluate", "plot"]
    assert [stage.split("@")[0] for stage in ran] == names


def test_one_item_and_a_plot_setting(clone: Path) -> None:
    """A target runs what it needs alone; a plot setting re-runs nothing but the plot."""
    dvc(clone, "exp", "run", "-S", "profile=smoke")
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("num_columns: 10", "num_columns: 5"))
    assert executed(dvc(clone, "repro")) == ["plot"]
    params.write_text(params.read_text().replace("kl_weight: 1.0e-06", "kl_weight: 1.0e-05"))
    assert executed(dvc(clone, "repro", "train_vae@0.5-42")) == ["train_vae@0.5-42"]


def test_bad_overrides_change_nothing(clone: Path) -> None:
    """Refused at composition: the params stay as they were."""
    before = (clone / "params.yaml").read_text()
    for override in ("missing_rate=1.5", "seed=x", "profile=huge", "bogus=1", "vae.train.epochs=0"):
        output = dvc(clone, "exp", "run", "-S", override, status=255)
        assert override.split("=")[0].rpartition(".")[2] in output
        if override != "vae.train.epochs=0":  # refused by the first stage, after composition
            assert (clone / "params.yaml").read_text() == before
