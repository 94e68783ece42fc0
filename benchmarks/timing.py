"""Ours and a peer timed in turn, in one process and one run, with the machine's own limit measured in between.

Other work on the machine comes and goes within seconds: only times taken next to each other are compared, so that every
number is a median over rounds of a ratio within a round.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

MIN_SECONDS = 0.05
"""A shorter run is repeated until it takes so long: the clock and the scheduler do not matter then."""


Run = Callable[[], object]


@dataclass(frozen=True)
class Timed:
    """Something to time.

    Attributes:
        run: does it once.
        num_units: what one run works off: images, image-steps, rows, items.
        dtype: of its matrix products; their limit is what it is compared with.
    """

    run: Run
    num_units: int
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Comparison:
    """Time of `peer` over time of `ours`, both per unit; above 1, ours is faster.

    Attributes:
        label: what is compared.
        ours, peer: names of what is timed.
        target: the ratio asked for, where one is.
        kind: its column in the short table; none where it stands in the full table alone.
    """

    label: str
    ours: str
    peer: str
    target: float | None = None
    kind: Literal["float32", "native", "as run"] | None = None


@dataclass(frozen=True)
class Case:
    """A row of the benchmark.

    Attributes:
        timed: what is timed, by name.
        comparisons: of any two of them.
        unit: the name of what `Timed.num_units` counts.
        remarks: called once, after the timing: lines that say what times do not, such as the quality of both.
        max_rounds: where one round is long.
    """

    timed: Mapping[str, Timed]
    comparisons: list[Comparison]
    unit: str
    remarks: Callable[[], list[str]] = list
    max_rounds: int | None = None


def measure(case: Case, *, rounds: int, device: torch.device) -> dict[str, Any]:
    """Everything known of a case, ready for JSON: operations, times, ratios, shares of the limit."""
    flop, peaks = {}, {}
    for name, timed in case.timed.items():  # also the warm-up
        flop[name], peaks[name] = count_flop(timed.run), peak_memory(timed.run, device)
    dtypes = {timed.dtype for name, timed in case.timed.items() if flop[name]}
    limits = {dtype: matrix_product(dtype, device) for dtype in sorted(dtypes, key=str)}
    runs = {name: timed.run for name, timed in case.timed.items()}
    runs |= {str(dtype): run for dtype, (run, _) in limits.items()}
    num_rounds = min(rounds, case.max_rounds or rounds)
    seconds = alternate(runs, num_rounds, device)
    results: dict[str, dict[str, Any]] = {}
    for name, timed in case.timed.items():
        times = seconds[name]
        results[name] = {
            "ms": 1000 * statistics.median(times),
            "ms_range": [1000 * min(times), 1000 * max(times)],
            "units": timed.num_units,
            "units_per_second": timed.num_units / statistics.median(times),
            **peaks[name],
        }
        if flop[name]:
            limit_times, limit_flop = seconds[str(timed.dtype)], limits[timed.dtype][1]
            shares = [flop[name] / own / (limit_flop / other) for own, other in zip(times, limit_times, strict=True)]
            results[name] |= {
                "dtype": str(timed.dtype).removeprefix("torch."),
                "flop_per_unit": flop[name] / timed.num_units,
                "flop_per_second": flop[name] / statistics.median(times),
                "share_of_limit": statistics.median(shares),
            }
    return {
        "unit": case.unit,
        "rounds": num_rounds,
        "limit_flop_per_second": {
            str(dtype).removeprefix("torch."): limits[dtype][1] / statistics.median(seconds[str(dtype)])
            for dtype in limits
        },
        "timed": results,
        "comparisons": [_compare(comparison, case.timed, seconds) for comparison in case.comparisons],
        "remarks": case.remarks(),
    }


def _compare(comparison: Comparison, timed: Mapping[str, Timed], seconds: Mapping[str, list[float]]) -> dict[str, Any]:
    ours, peer = comparison.ours, comparison.peer
    units = timed[ours].num_units / timed[peer].num_units
    ratios = [units * other / own for own, other in zip(seconds[ours], seconds[peer], strict=True)]
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return {
        "label": comparison.label, "ours": ours, "peer": peer, "target": comparison.target, "kind": comparison.kind,
        "ratio": quartiles[1], "quartiles": [quartiles[0], quartiles[2]], "range": [min(ratios), max(ratios)],
    }  # fmt: skip


def count_flop(run: Run) -> int:
    """Operations of one run, forward and backward: matrix products, convolutions and attention, two per product.

    What is compiled runs as it was before: the kernels of compiled code cannot be seen.
    """
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    with counter, torch.compiler.set_stance("force_eager"):
        run()
    return counter.get_total_flops()


def peak_memory(run: Run, device: torch.device) -> dict[str, float]:
    """The megabytes of a GPU's memory that `run` takes at most beside what is there after a first run."""
    if device.type != "cuda":
        return {}
    run()  # whatever an optimiser or a compiler makes at its first call
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    torch.cuda.synchronize(device)
    return {"peak_gpu_memory_mb": (torch.cuda.max_memory_allocated(device) - before) / 1e6}


class _NoModules:
    """In place of the tracker of modules, with which gradients with respect to an input cannot be taken."""

    parents = ("Global",)

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: object) -> None: ...


def matrix_product(dtype: torch.dtype, device: torch.device) -> tuple[Run, int]:
    """A large matrix product, and its operations: what the machine can do at most in this dtype.

    As a 1x1 convolution where that is faster: on a CPU the two come from different libraries.
    """
    size = 8192 if device.type == "cuda" else 1536
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(size, size, generator=generator, device=device).to(dtype) for _ in range(2))
    image, kernel = b.reshape(-1, size, 8, 8), a[:, :, None, None]
    candidates: list[Run] = [lambda: a @ b, lambda: torch.nn.functional.conv2d(image, kernel)]
    seconds = alternate({str(i): candidate for i, candidate in enumerate(candidates)}, 3, device)
    return min(zip(map(min, seconds.values()), range(2), candidates, strict=True))[2], 2 * size**3


def alternate(runs: Mapping[str, Run], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of each run in each round, all in turn, each round starting with another one; one warm-up before."""
    repeats = {}
    for name, run in runs.items():
        _seconds(run, 1, device)
        repeats[name] = max(1, math.ceil(MIN_SECONDS / _seconds(run, 1, device)))
    names = list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(_seconds(runs[name], repeats[name], device) / repeats[name])
    return times


def _seconds(run: Run, repeats: int, device: torch.device) -> float:
    _synchronise(device)
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
