"""Networks made from the configuration that a model file carries."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from ldmiss.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


NetworkT = TypeVar("NetworkT", bound=nn.Module)


def restore_network(
    make: Callable[..., NetworkT],
    config: dict[str, Any],
    tensors: dict[str, "Tensor"],
    *,
    prefix: str,
    path: "Path",
    device: torch.device,
) -> NetworkT:
    """A network with the weights stored under `prefix.`; frozen, in evaluation mode, on `device`.

    Raises:
        InputError: the weights do not fit the configuration that the file carries.
    """
    with torch.device("meta"):
        network = make(**config)
    try:
        network.load_state_dict(without_prefix(prefix, tensors), assign=True)
    except RuntimeError as error:
        raise InputError(f"{path}: weights of another architecture ({' '.join(str(error).split())[:200]})") from None
    return network.to(device).eval().requires_grad_(False)


def with_prefix(prefix: str, weights: dict[str, "Tensor"]) -> dict[str, "Tensor"]:
    """The weights under `prefix.<name>`, so that several networks share one file."""
    return {f"{prefix}.{name}": value for name, value in weights.items()}


def without_prefix(prefix: str, tensors: dict[str, "Tensor"]) -> dict[str, "Tensor"]:
    """Of the tensors, those that `with_prefix` put under this prefix, by their own names."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
