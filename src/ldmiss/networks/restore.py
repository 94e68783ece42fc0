"""Networks made again from their configuration and weights, for everything that comes after training."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ldmiss.errors import InputError

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def restore_network(
    make: Callable[..., NetworkT],
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    device: torch.device | str = "cpu",
    where: object = "weights",
) -> NetworkT:
    """A network with the given weights; frozen, in evaluation mode, on `device`.

    Args:
        make: class of the network.
        config: its arguments.
        weights: its state by name.
        device: where it computes.
        where: file or argument that the weights are from, for the message of an error.

    Raises:
        InputError: the weights do not fit the configuration.
    """
    with torch.device("meta"):
        network = make(**config)
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise InputError(f"{where}: weights of another architecture ({' '.join(str(error).split())[:200]})") from None
    return network.to(device).eval().requires_grad_(False)
