"""`python -m benchmarks.scaling`: slopes, the report, and each measurement at a size that takes a moment."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from benchmarks import scaling, scaling_dvc, scaling_point, scaling_report
from benchmarks.scaling import Axis
from benchmarks.usage import usage
from stages import impute


def series(**changes: Any) -> scaling_report.Series:
    """Seconds that are constant up to 10 images and then in proportion."""
    shape = {"x": [5, 10, 20, 40], "y": [3.0, 3.0, 6.0, 12.0], "fit_from": 10, "expected": [0.9, 1.1]}
    return {"what": "sampling", "against": "images", "quantity": "seconds", **shape, **changes}


def record(*found: scaling_report.Series) -> dict[str, Any]:
    """As the command writes it."""
    machine = {
        "cores": 2,
        "cpu": "any",
        "device": "cpu",
        "dtype": "bfloat16",
        "num_threads": 2,
        "torch": "2",
        "dvc": "3",
    }
    return {"machine": machine, "series": list(found), "notes": ["A note."]}


def test_slope_is_the_exponent() -> None:
    """y = 3 x^2 has slope 2; between a point above and one below the line, least squares; no line through one x."""
    assert scaling_report.slope([1, 10, 100], [3, 300, 30000]) == pytest.approx(2)
    assert scaling_report.slope([1, 10, 100], [1, 20, 100]) == pytest.approx(1)
    for x, y in (([2.0, 2.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 1.0])):
        with pytest.raises(ValueError, match="no slope"):
            scaling_report.slope(x, y)


def test_slope_counts_from_where_it_should() -> None:
    """Below a chunk it does not."""
    assert scaling_report.fitted(series()) == pytest.approx(1)
    assert scaling_report.holds(series())
    assert not scaling_report.holds(series(fit_from=5))


def test_the_report_states_what_does_not_hold(tmp_path: Path) -> None:
    """The slope, what was expected, and the verdict of each series; a figure with a line for each."""
    memory = series(quantity="MB", expected=[-0.05, 0.05])
    text = scaling_report.markdown(record(series(), memory))
    assert (
        "| sampling | images | 3 seconds at 5 images, 12 seconds at 40 images | 1.00 | 10 | 0.9 to 1.1 | holds |"
        in text
    )
    assert "| 1.00 | 10 | -0.05 to 0.05 | **does not hold** |" in text
    assert "Not as expected: sampling, MB against images." in text
    assert "- A note." in text
    assert "All slopes are as expected." in scaling_report.markdown(record(series()))
    scaling_report.draw(record(series(), memory), tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 1000


def test_the_figure_has_each_series_in_its_panel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seconds above, memory below; images left of cells."""
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: drawn.append(figure))
    scaling_report.draw(record(series(), series(quantity="MB", against="cells")), tmp_path / "none.png")
    lines = [len(axes.lines) for axes in drawn[0].axes]
    assert lines == [1, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("stage", ["sample", "impute"])
def test_a_point_times_the_chunks_of_the_stage(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """All rows are computed, and the stage is left as it was."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    monkeypatch.chdir(folder)
    before = impute.in_chunks
    assert 0 < scaling_point.timed(stage) < 60
    assert impute.in_chunks is before
    assert "ldmiss" in (folder / "runs/records.jsonl").read_text().splitlines()[-1]


def test_points_are_the_least_of_the_rounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whole rounds after each other; seconds and memory each the least; every point with the overrides of its value."""
    asked: list[tuple[str, list[str]]] = []
    answers = iter([(0.0, 1.0), (5.0, 10.0), (9.0, 30.0), (4.0, 11.0), (10.0, 20.0)])

    def answer(project: Path, what: str, overrides: list[str]) -> tuple[float, float]:
        asked.append((what, overrides))
        return next(answers)

    monkeypatch.setattr(scaling, "run_point", answer)
    axis = Axis("sampling", "images", "sample", (1, 2), 1, lambda n: [f"n={n}"])
    seconds, memory = scaling.measure(tmp_path, [axis], 2, ["fixed"])
    assert (seconds["y"], memory["y"]) == ([4.0, 9.0], [10.0, 20.0])
    assert asked == [("prepare", ["fixed"]), *[("sample", ["fixed", f"n={n}"]) for n in (1, 2, 1, 2)]]


def test_the_share_of_dvc() -> None:
    """10 s besides 20 items of 4 s for the last and half of it on average are 50 s, a third where 2 cells take 50 s."""
    text = scaling_dvc.share(2, 20, 10.0, 4.0, 50.0)
    assert "33.3%" in text
    assert "10.0 s where nothing is to do" in text


def test_usage_of_a_command(tmp_path: Path) -> None:
    """Seconds, output, and the memory of the command alone, not of this process; one that fails is an error."""
    size = 60
    code = f"import time; x = bytearray({size} * 2**20); time.sleep(0.2); print(1); print(2)"
    seconds, megabytes, lines = usage([sys.executable, "-c", code], tmp_path)
    assert 0.2 < seconds < 20
    assert size < megabytes < size + 40
    assert lines == ["1", "2"]
    with pytest.raises(RuntimeError, match="no such thing"):
        usage([sys.executable, "-c", "raise ValueError('no such thing')"], tmp_path)


@pytest.mark.slow
def test_points_in_processes_of_their_own(tmp_path: Path) -> None:
    """Prepared and measured as the command does it, at one small point of each stage."""
    project = scaling.make_project(tmp_path)
    fixed = [*scaling.FIXED, "compute.num_threads=1"]
    scaling.run_point(project, "prepare", fixed)
    for axis in (scaling.AXES[0], scaling.AXES[-1]):
        seconds, peak = scaling.run_point(project, axis.stage, [*fixed, *axis.overrides(axis.values[0])])
        assert 0 < seconds < 120
        assert 100 < peak < 4000


@pytest.mark.slow
def test_dvc_is_measured() -> None:
    """At one and two cells: nothing to do, and one item that runs."""
    found, notes = scaling_dvc.measure(1, 100.0, {1: (1, 1), 2: (2, 1)})
    assert all(one["x"] == [1, 2] and min(one["y"]) > 0 for one in found)
    assert len(notes) == 2
