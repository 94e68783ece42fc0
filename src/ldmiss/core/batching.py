"""Rows computed chunk by chunk, some side by side, and saved from time to time."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from ldmiss.checkpoints import NO_CHECKPOINT, Checkpoint
from ldmiss.core.device_memory import RowsInPieces
from ldmiss.errors import DivergenceError
from ldmiss.progress import progress_bar


def in_chunks(
    compute: Callable[[slice], Tensor],
    num_rows: int,
    *,
    chunk_size: int,
    name: str,
    num_at_a_time: int = 1,
    checkpoint: Checkpoint = NO_CHECKPOINT,
    progress: bool = True,
) -> Tensor:
    """Rows computed chunk by chunk, and saved from time to time: (num_rows, ...), CPU.

    Args:
        compute: a slice of the rows -> their results; called in several threads where `num_at_a_time` is above 1.
        num_rows: how many there are.
        chunk_size: rows at a time; fewer where the device's memory is too small for them, see `RowsInPieces`.
        name: of these rows, for the checkpoint, the progress bar and errors.
        num_at_a_time: chunks that are computed side by side. The results do not depend on it.
        checkpoint: where finished rows are kept; within a chunk, `compute` may keep what it has in `steps_slot`.
        progress: show a bar on a terminal.

    Raises:
        DivergenceError: values that are not finite.
        DeviceMemoryError: the device's memory is too small for one row.
    """
    parts: list[Tensor] = []
    start = 0
    group = _Group(checkpoint, name, start)
    with (
        progress_bar(name, num_rows, "row", shown=progress) as bar,
        _side_by_side(compute, num_rows, chunk_size, num_at_a_time, name) as computed,
    ):
        while start < num_rows:
            stored = checkpoint.load(f"{name}-{start}")
            if stored is not None:
                parts.append(stored["rows"])
                start += len(parts[-1])
                group = _Group(checkpoint, name, start)
            else:
                rows = slice(start, min(start + chunk_size, num_rows))
                parts.append(computed(rows))
                if not bool(torch.isfinite(parts[-1]).all()):
                    checkpoint.drop(steps_slot(name, rows))  # or running again would go on from what is not finite
                    where = f"{name}, rows {rows.start} to {rows.stop - 1}"
                    raise DivergenceError(
                        f"{where}: values that are not finite: the sampler diverged; more num_steps or more training"
                    )
                if group.is_saved:
                    group.drop_steps()
                    group = _Group(checkpoint, name, start)
                start = rows.stop
                group.add(rows, parts[-1])
            bar.update(len(parts[-1]))
    return torch.cat(parts)


@contextmanager
def _side_by_side(
    compute: Callable[[slice], Tensor], num_rows: int, chunk_size: int, num_at_a_time: int, name: str
) -> Iterator[Callable[[slice], Tensor]]:
    """`compute` to the CPU, with the chunks that come next begun in other threads meanwhile.

    Threads do, and processes need not: torch holds Python's lock only between its operations. On the way out nothing
    is waited for, so that a stage that is asked to leave does.
    """
    on_cpu = RowsInPieces(compute, name)
    if num_at_a_time == 1:
        yield on_cpu
        return
    begun: dict[int, Future[Tensor]] = {}
    # A new thread of Python's takes torch's number of threads only with its first operation of some kinds.
    pool = ThreadPoolExecutor(num_at_a_time, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),))

    def computed(rows: slice) -> Tensor:
        for start in range(rows.start, min(rows.start + num_at_a_time * chunk_size, num_rows), chunk_size):
            if start not in begun:
                begun[start] = pool.submit(on_cpu, slice(start, min(start + chunk_size, num_rows)))
        return begun.pop(rows.start).result()

    try:
        yield computed
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Group:
    """Consecutive chunks that are saved together, under the number of their first row."""

    def __init__(self, checkpoint: Checkpoint, name: str, start: int) -> None:
        self._checkpoint, self._name, self._start = checkpoint, name, start
        self._chunks: list[Tensor] = []
        self._rows: list[slice] = []
        self._num_saved = 0

    @property
    def is_saved(self) -> bool:
        """Whether all its chunks were saved, and it has some."""
        return 0 < self._num_saved == len(self._chunks)

    def add(self, rows: slice, chunk: Tensor) -> None:
        self._rows.append(rows)
        self._chunks.append(chunk)
        chunks = list(self._chunks)

        def make() -> dict[str, Tensor]:
            self._num_saved = len(chunks)
            return {"rows": torch.cat(chunks)}

        self._checkpoint.offer(f"{self._name}-{self._start}", make)

    def drop_steps(self) -> None:
        """Remove what the chunks had kept on the way."""
        for rows in self._rows:
            self._checkpoint.drop(steps_slot(self._name, rows))


def steps_slot(name: str, rows: slice) -> str:
    """The slot for the state within the computation of these rows."""
    return f"{name}-{rows.start}-steps"
