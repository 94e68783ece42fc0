"""Where a device's memory is too small: rows go through in smaller pieces, and a training step says what to lower."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ldmiss.errors import DeviceMemoryError, DeviceMemoryWarning


class RowsInPieces:
    """`compute` to the CPU; where the device's memory is too small, with half as many rows at a time from then on.

    A row's random numbers do not depend on what it is computed with, so smaller pieces give the same rows up to the
    last bits, which follow from the kernels that the device takes for so many rows.

    Args:
        compute: a slice of the rows -> their results.
        name: of these rows, for the warning and the error.
    """

    def __init__(self, compute: Callable[[slice], Tensor], name: str) -> None:
        self._compute, self._name = compute, name
        self._most: int | None = None  # rows at a time, once all of them were too many

    def __call__(self, rows: slice) -> Tensor:
        """The results of these rows, on the CPU.

        Raises:
            DeviceMemoryError: the device has no room for a single row.
        """
        parts, start = list[Tensor](), rows.start
        while start < rows.stop:
            stop = rows.stop if self._most is None else min(start + self._most, rows.stop)
            try:
                parts.append(self._compute(slice(start, stop)).cpu().contiguous())
            except torch.OutOfMemoryError:
                self._halve(stop - start)
            else:
                start = stop
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _halve(self, num_rows: int) -> None:
        if num_rows == 1:
            raise DeviceMemoryError(f"{self._name}: the device's memory is too small for one row", "chunk_size")
        self._most = num_rows // 2
        warnings.warn(
            f"{self._name}: the device's memory is too small for {num_rows} rows at a time; goes on with {self._most}, "
            "which gives the same images up to the last bits; a lower chunk_size avoids the failed attempt",
            DeviceMemoryWarning,
            stacklevel=2,
        )


@contextmanager
def naming_batch_size(name: str, batch_size: int) -> Iterator[None]:
    """Out of memory in this block is a matter of the batch size of the training called `name`.

    Raises:
        DeviceMemoryError: in torch's stead.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        text = f"{name}: the device's memory is too small for training steps of {batch_size} items"
        raise DeviceMemoryError(text, "batch_size") from None
