"""Rows chunk by chunk: the same whatever is computed together, in how many threads, and from where it goes on."""

from typing import Any

import pytest
import torch
from support.memory_checkpoint import MemoryCheckpoint, result_of_cut_runs
from torch import Tensor

from ldmiss.core.batching import in_chunks
from ldmiss.errors import DivergenceError


def squares(rows: slice) -> Tensor:
    return torch.arange(rows.start, rows.stop).square()


@pytest.mark.parametrize("num_at_a_time", [1, 3])
@pytest.mark.parametrize("chunk_size", [1, 4, 100])
def test_rows_do_not_depend_on_chunks_threads_or_cuts(chunk_size: int, num_at_a_time: int) -> None:
    """In their order, in one go or cut after every chunk; a chunk that was kept is not computed again."""
    computed: list[int] = []

    def compute(rows: slice) -> Tensor:
        computed.append(rows.start)
        return squares(rows)

    settings: dict[str, Any] = {"chunk_size": chunk_size, "name": "rows", "num_at_a_time": num_at_a_time}
    expected = squares(slice(0, 23))
    assert torch.equal(in_chunks(compute, 23, **settings), expected)
    assert sorted(computed) == list(range(0, 23, chunk_size))
    computed.clear()
    result, num_cuts = result_of_cut_runs(lambda checkpoint: in_chunks(compute, 23, **settings, checkpoint=checkpoint))
    assert torch.equal(result, expected)
    assert num_cuts == -(-23 // chunk_size)
    if num_at_a_time == 1:
        assert computed == list(range(0, 23, chunk_size))


def test_rows_that_are_not_finite_are_refused() -> None:
    """With their name and numbers."""

    def compute(rows: slice) -> Tensor:
        return torch.tensor([0.0, float("nan")]) if rows.start == 2 else torch.zeros(2)

    def run(checkpoint: MemoryCheckpoint) -> Tensor:
        return in_chunks(compute, 6, chunk_size=2, name="ddpm-guidance", checkpoint=checkpoint)

    with pytest.raises(DivergenceError, match=r"ddpm-guidance, rows 2 to 3: values that are not finite"):
        result_of_cut_runs(run)
    checkpoint = MemoryCheckpoint()
    checkpoint.slots = {
        "ddpm-guidance-0": {"rows": torch.zeros(2)},
        "ddpm-guidance-2-steps": {"state0": torch.zeros(2)},
    }
    with pytest.raises(DivergenceError):
        run(checkpoint)
    assert list(checkpoint.slots) == ["ddpm-guidance-0"], "running again would go on from a state that is not finite"
