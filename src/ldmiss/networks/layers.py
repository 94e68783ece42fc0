"""Building blocks shared by the networks, and initialisation from a passed generator.

Networks are built on the meta device (no memory, no draws from a global generator) and then filled, either by an
initialiser of this module or from a file.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def sinusoidal_embedding(positions: Tensor, dim: int, *, max_period: float = 10000.0) -> Tensor:
    """Sines then cosines of the positions at dim/2 frequencies from 1 to 1/max_period: (B,) -> (B, dim), float32.

    Source: Song et al. 2021, `get_timestep_embedding` (the last frequency is exactly 1/max_period).
    """
    half = dim // 2
    exponents = torch.arange(half, device=positions.device, dtype=torch.float32) / (half - 1)
    angles = positions.float()[:, None] * torch.exp(-math.log(max_period) * exponents)[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class GroupNorm(nn.GroupNorm):
    """Group normalisation with the number of groups reduced to a divisor of narrow channels, eps 1e-6."""

    def __init__(self, num_groups: int, num_channels: int) -> None:
        super().__init__(math.gcd(num_groups, num_channels), num_channels, eps=1e-6)


def zero_init(module: ModuleT) -> ModuleT:
    """Mark a layer whose weights start at zero, so that its branch starts as the identity."""
    module.starts_at_zero = True  # type: ignore[assignment]
    return module


class SelfAttention(nn.Module):
    """Single-head self-attention over pixels with a residual connection (Ho et al. 2020; Song et al. 2021).

    Args:
        channels: C of the (B, C, H, W) input and output.
        num_groups: groups of the normalisation.
        skip_scale: factor on the sum of input and output: 1/sqrt(2) in DDPM++, 1 in the autoencoder.
    """

    def __init__(self, channels: int, num_groups: int, *, skip_scale: float = 1.0) -> None:
        super().__init__()
        self.norm = GroupNorm(num_groups, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = zero_init(nn.Conv2d(channels, channels, 1))
        self.skip_scale = skip_scale

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, dim=-1)  # (B, 1, HW, C)
        h = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).reshape(x.shape)
        return (x + self.proj(h)) * self.skip_scale


def drop(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Dropout drawn from the passed generator; the identity where there is none (that is, outside training).

    Each element takes 16 random bits, four of them one number of the generator: drawing is serial on a CPU, and with a
    number per element it took a seventh of a step. p is rounded to a multiple of 2^-16, for the scale too.
    """
    if generator is None or p == 0.0:
        return x
    num_dropped = min(round(p * 2**16), 2**16 - 1)  # of the 2^16 values of the bits; one at least is kept
    numbers = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device)
    bits = numbers.random_(-(2**63), None, generator=generator).view(torch.int16)[: x.numel()].view(x.shape)
    return torch.where(bits >= num_dropped - 2**15, x * (2**16 / (2**16 - num_dropped)), 0)


def channels_last_on_cpu(x: Tensor) -> Tensor:
    """x (B, C, H, W), on a CPU with the channels last in memory: the order of convolutions, and then of what follows.

    Saves oneDNN's copies between orders, half of the time of narrow convolutions. Only activations lie so: weights and
    gradients keep their order, so that nothing that is stored or updated depends on it.
    """
    return x.contiguous(memory_format=torch.channels_last) if x.device.type == "cpu" else x


def build(
    make: Callable[[], ModuleT],
    device: torch.device | str,
    init: Callable[[nn.Module, torch.Generator], None],
    generator: torch.Generator,
) -> ModuleT:
    """Make a network and draw its initial weights from a CPU generator, so that every device starts from the same ones.

    Args:
        make: builds the network (called on the meta device).
        device: where it ends up.
        init: `init_fan_avg` or `init_torch_default`.
        generator: CPU generator of the weights.
    """
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    with torch.no_grad():
        init(network, generator)
    return network.to(device)


def init_fan_avg(network: nn.Module, generator: torch.Generator) -> None:
    """Uniform variance scaling by the average fan, zero biases, marked layers zero (Song's `default_init`)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            if getattr(module, "starts_at_zero", False):
                module.weight.zero_()
            else:
                nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.GroupNorm):
            module.reset_parameters()


def init_torch_default(network: nn.Module, generator: torch.Generator) -> None:
    """torch's own default for convolutions and linear layers, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), biases too."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            module.weight.uniform_(-bound, bound, generator=generator)
            if module.bias is not None:
                module.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.GroupNorm):
            module.reset_parameters()


def at_precision(network: nn.Module, dtype: torch.dtype) -> Callable[..., Any]:
    """The network's forward under autocast to `dtype` (float32: as it is), with float32 results (one, or a tuple).

    Weights stay float32 (on a GPU those of frozen layers do not, see `cast_frozen_layers`); norms, losses and samplers
    outside the network stay float32 too.
    """
    device_type = next(network.parameters()).device.type
    if device_type == "cuda" and dtype != torch.float32:
        cast_frozen_layers(network, dtype)

    def forward(*args: Tensor | torch.Generator | None) -> Any:
        with torch.autocast(device_type, dtype=dtype, enabled=dtype != torch.float32):
            output = network(*args)
        return tuple(part.float() for part in output) if isinstance(output, tuple) else output.float()

    return forward


def cast_frozen_layers(network: nn.Module, dtype: torch.dtype) -> None:
    """Cast the weights of layers without gradients once, in place, to what autocast casts them to at every call.

    Results keep their bits. Autocast keeps its copy of a weight only where that needs a gradient, and not beyond the
    call; so a frozen layer costs it two more kernels each time.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and not any(p.requires_grad for p in module.parameters()):
            module.to(dtype)
