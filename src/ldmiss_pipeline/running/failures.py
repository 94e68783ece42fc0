"""What a GPU's failures become: one line, with what to lower or to do. Imports no torch, as the runner does not."""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ldmiss.errors import DeviceMemoryError, DeviceMemoryWarning, InputError, one_line

_OF_CUDA = re.compile(r"(CUDA|CUDA driver|cuDNN) error")


def device_failure(error: RuntimeError) -> str | None:
    """The line for an error of the device; None for any other error.

    After an error of CUDA's everything that the process asks of the device fails, or is wrong. So nothing may go on in
    it: the process says so and ends.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return "the device's memory is too small for what is computed in one piece: free what else uses it, run again"
    if (torch is not None and isinstance(error, torch.AcceleratorError)) or _OF_CUDA.match(str(error)):
        first = one_line(str(error).partition("\n")[0])
        return f"the GPU failed ({first}); run again, in a new process, to go on from the last checkpoint"
    return None


@contextmanager
def device_memory_named(params: dict[str, Any], used: dict[str, Any]) -> Iterator[None]:
    """Too little device memory, as a user of the params reads it.

    Args:
        params: those that the stage declares, by their dotted names.
        used: the run's record; a warning of smaller chunks goes there too.

    Raises:
        InputError: names the params to lower, in `DeviceMemoryError`'s stead.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", DeviceMemoryWarning)
        before = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, DeviceMemoryWarning):
                return before(message, category, *where, **more)
            used.setdefault("warnings", []).append(str(message))
            return print(f"warning: {message}", file=sys.stderr)

        warnings.showwarning = show
        try:
            yield
        except DeviceMemoryError as error:
            raise InputError(f"{error} ({', '.join(_named(params, error.setting))})") from None


def _named(params: dict[str, Any], name: str, prefix: str = "") -> list[str]:
    """The dotted names of all params called `name`."""
    found = []
    for key, value in params.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            found += _named(value, name, f"{path}.")
        elif path.rpartition(".")[2] == name:
            found.append(path)
    return found
