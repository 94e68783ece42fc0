"""`python -m benchmarks.scaling`: slopes, the report, and each measurement at a size that takes a moment."""

from typing import Any

import pytest
import torch
from support import bench_world
from torch import Tensor

from benchmarks import scaling, scaling_point, scaling_report
from benchmarks.scaling import Axis


def series(**changes: Any) -> scaling_report.Series:
    """Seconds that are constant up to 10 images and then in proportion."""
    shape = {"x": [5, 10, 20, 40], "y": [3.0, 3.0, 6.0, 12.0], "fit_from": 10, "expected": [0.9, 1.1]}
    return {"what": "sampling", "against": "images", "quantity": "seconds", **shape, **changes}


def record(*found: scaling_report.Series) -> dict[str, Any]:
    """As the command writes it."""
    machine = {"cores": 2, "cpu": "any", "device": "cpu", "dtype": "bfloat16", "num_threads": 2, "torch": "2"}
    return {"machine": machine, "series": list(found)}


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


def test_the_report_states_what_does_not_hold() -> None:
    """The slope, what was expected, and the verdict of each series."""
    memory = series(quantity="MB", expected=[-0.05, 0.05])
    text = scaling_report.markdown(record(series(), memory))
    assert (
        "| sampling | images | 3 seconds at 5 images, 12 seconds at 40 images | 1.00 | 10 | 0.9 to 1.1 | holds |"
        in text
    )
    assert "| 1.00 | 10 | -0.05 to 0.05 | **does not hold** |" in text
    assert "Not as expected: sampling, MB against images." in text
    assert "All slopes are as expected." in scaling_report.markdown(record(series()))


@pytest.mark.parametrize("task", [scaling.SAMPLING, scaling.IMPUTATION])
def test_a_point_computes_what_the_library_does(task: str) -> None:
    """Images in [0, 1], the same in chunks of any size, each another one; draws of an image agree where it is known."""
    setting = bench_world.setting(torch.float32)
    compute = scaling_point.computation(setting, task, images=2, steps=2, draws=2)
    rows = torch.arange(4)
    together = compute(rows)
    assert together.shape == (4, 1, 28, 28)
    assert together.isfinite().all()
    torch.testing.assert_close(torch.cat([compute(part) for part in torch.split(rows, 3)]), together)
    assert len(together.flatten(1).unique(dim=0)) == 4
    if task == scaling.IMPUTATION:
        _, observed = setting.incomplete(2)
        assert torch.equal(together[0][observed[0]], together[1][observed[0]])
        assert not torch.equal(together[1][observed[0]], together[2][observed[0]])


def test_all_rows_are_timed_after_a_warm_up() -> None:
    """One row first; then each row once, chunk by chunk."""
    seen: list[list[int]] = []

    def compute(rows: Tensor) -> Tensor:
        seen.append(rows.tolist())
        return rows

    assert scaling_point.timed(compute, 5, 2, torch.device("cpu")) > 0
    assert seen == [[0], [0, 1], [2, 3], [4]]


def test_points_are_the_least_of_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole rounds after each other; seconds and memory each the least; every point with its own arguments."""
    asked: list[dict[str, int]] = []
    answers = iter([(5.0, 10.0), (9.0, 30.0), (4.0, 11.0), (10.0, 20.0)])

    def answer(task: str, sizes: dict[str, int], where: list[str]) -> tuple[float, float]:
        assert (task, where) == (scaling.SAMPLING, ["here"])
        asked.append(sizes)
        return next(answers)

    monkeypatch.setattr(scaling, "run_point", answer)
    axis = Axis(scaling.SAMPLING, "images", (1, 2), 1, {"steps": 3})
    seconds, memory = scaling.measure([axis], 2, ["here"])
    assert (seconds["y"], memory["y"]) == ([4.0, 9.0], [10.0, 20.0])
    assert asked == [{"steps": 3, "images": n} for n in (1, 2, 1, 2)]


@pytest.mark.slow
def test_points_in_processes_of_their_own() -> None:
    """As the command does it, at the smallest point of each task; the memory is not that of this process."""
    held = torch.ones(2**30, dtype=torch.uint8)
    for axis in (scaling.AXES[0], scaling.AXES[-1]):
        sizes = {**axis.fixed, axis.against: axis.values[0]}
        seconds, megabytes = scaling.run_point(axis.task, sizes, ["--device", "cpu", "--threads", "1"])
        assert 0 < seconds < 120
        assert 100 < megabytes < 1000
    assert held.all()
