"""Out of memory on a device: fewer rows at a time and the same rows, or one line that says what to lower."""

import re
import threading
import warnings

import pytest
import torch
from support.memory_checkpoint import result_of_cut_runs
from torch import Tensor, nn

from ldmiss.core.batching import in_chunks
from ldmiss.errors import DeviceMemoryError, DeviceMemoryWarning
from ldmiss.training.fit import run_training
from ldmiss.training.loop import Recipe, Training


class Device:
    """Computes squares, and has room for so many rows; notes how many it was asked for."""

    def __init__(self, room: int) -> None:
        self.room, self.asked = room, list[int]()

    def __call__(self, rows: slice) -> Tensor:
        self.asked.append(rows.stop - rows.start)
        if self.asked[-1] > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")
        return torch.arange(rows.start, rows.stop).square()


def test_chunks_are_halved_until_they_fit() -> None:
    """Each too large size is tried once, and every row is there, in its order."""
    device = Device(room=3)
    with pytest.warns(DeviceMemoryWarning) as warned:
        found = in_chunks(device, 23, chunk_size=8, name="samples", progress=False)
    assert torch.equal(found, torch.arange(23).square())
    assert device.asked == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]
    assert [re.findall(r"\d+", str(one.message)) for one in warned] == [["8", "4"], ["4", "2"]]


def test_enough_room_is_no_warning() -> None:
    """A chunk goes through at once."""
    device = Device(room=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        in_chunks(device, 20, chunk_size=8, name="samples", progress=False)
    assert device.asked == [8, 8, 4]


@pytest.mark.filterwarnings("ignore::ldmiss.errors.DeviceMemoryWarning")
@pytest.mark.parametrize("num_at_a_time", [1, 2])
def test_halved_chunks_go_on_where_they_were_cut(num_at_a_time: int) -> None:
    """The checkpoint keeps whole chunks, whatever pieces they were made of; so do threads."""
    lock, device = threading.Lock(), Device(room=3)

    def compute(rows: slice) -> Tensor:
        with lock:
            return device(rows)

    found, num_cuts = result_of_cut_runs(
        lambda checkpoint: in_chunks(
            compute, 23, chunk_size=8, name="samples", num_at_a_time=num_at_a_time, checkpoint=checkpoint
        )
    )
    assert torch.equal(found, torch.arange(23).square())
    assert num_cuts == 3


@pytest.mark.filterwarnings("ignore::ldmiss.errors.DeviceMemoryWarning")
def test_no_room_for_a_row() -> None:
    """Nothing is left to halve."""
    with pytest.raises(DeviceMemoryError, match=r"^samples: .* too small for one row: lower chunk_size$"):
        in_chunks(Device(room=0), 23, chunk_size=8, name="samples", progress=False)


@pytest.mark.parametrize("error", [torch.AcceleratorError("CUDA error: out of memory"), RuntimeError("CUDA error: x")])
def test_nothing_goes_on_after_an_error_of_the_device(error: RuntimeError) -> None:
    """Only torch's own refusal of memory leaves the device as it was: any other error ends the computation at once."""
    asked: list[slice] = []

    def compute(rows: slice) -> Tensor:
        asked.append(rows)
        raise error

    with pytest.raises(type(error)):
        in_chunks(compute, 23, chunk_size=8, name="samples", progress=False)
    assert asked == [slice(0, 8)]


def test_a_batch_that_does_not_fit() -> None:
    """One line, with the size to lower."""

    def loss(batch: Tensor, generator: torch.Generator) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")

    training = Training(nn.Linear(2, 2), Recipe(epochs=1, batch_size=256, lr=1e-3), num_items=1000, seed=0)
    with pytest.raises(DeviceMemoryError, match=r"^vae: .* for training steps of 256 items: lower batch_size"):
        run_training(training, loss, name="vae", progress=False)
