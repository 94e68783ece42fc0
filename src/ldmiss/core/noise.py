"""Gaussian noise for torch: a seeded `torch.Generator` for training, and counter-based noise per row for inference.

A sample must not depend on its batch: the same image index has to give the same draw at any batch size, and a run
that was cut short has to go on with the same numbers. A counter-based generator does both without any state to save:
noise = f(seed, row, draw, call), computed for all rows at once.

Reference: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10, checked against the
known answers of its Random123 library in the tests).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.checks import check_array, check_range
from ldmiss.core.randomness import derive_seed
from ldmiss.errors import InputError

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_NUM_ROUNDS = 10
_COUNTERS_AT_A_TIME = 2**17
"""Counters that a CPU computes at a time: the words of a block (1 MB each) stay in the cache, and no number changes."""


def torch_generator(device: torch.device | str, seed: int, *purpose: str | int) -> torch.Generator:
    """A `torch.Generator` on `device` of its own for (seed, purpose...)."""
    generator = torch.Generator(device=device)
    generator.manual_seed(derive_seed(seed, *purpose))
    return generator


def philox4x32(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox4x32-10: four int64 tensors holding 32-bit words (broadcastable) and a two-word key to four random words.

    Products of two 32-bit words wrap around in int64; masking after the shift makes the high word right again. The low
    words are masked only where they end up in a word that is multiplied or returned. The time is memory traffic, so
    what can is done in place.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_NUM_ROUNDS):
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0 = ((product1 >> 32) ^ c1).bitwise_xor_(k0).bitwise_and_(_MASK32)
        c2 = ((product0 >> 32) ^ c3).bitwise_xor_(k1).bitwise_and_(_MASK32)
        c1, c3 = product1, product0
        k0, k1 = (k0 + _KEY_STEPS[0]) & _MASK32, (k1 + _KEY_STEPS[1]) & _MASK32
    return c0, c1 & _MASK32, c2, c3 & _MASK32


def _box_muller(words: tuple[Tensor, ...]) -> Tensor:
    """Four random words (B, n) to four float32 normals each, (B, 4 n)."""
    # On (0, 1]: 32-bit words reach |z| = 6.7. The half step keeps log's argument off zero.
    u0, u1, u2, u3 = (word.float().mul_(2.0**-32).add_(2.0**-33) for word in words)
    radius0, radius1 = (u.log_().mul_(-2).sqrt_() for u in (u0, u2))
    angle0, angle1 = (u.mul_(2 * math.pi) for u in (u1, u3))
    normal = (radius0 * angle0.cos(), radius0 * angle0.sin(), radius1 * angle1.cos(), radius1 * angle1.sin())
    return torch.stack(normal, dim=-1).flatten(1)


class RowNoise:
    """Standard normal noise whose row i depends only on (seed, rows[i], draws[i], number of the call).

    Args:
        seed: the root of these draws, as from `derive_seed`.
        rows: int64 (B,), the index of each row's image in its data set, 0 <= row < 2**32.
        draws: int64 (B,), which of several draws for that image, in the same range; default 0.

    Attributes:
        num_calls: how often it was called; may be set, to go on with the numbers of a later call.

    Raises:
        InputError: rows or draws of another shape, dtype or range; when called, an `x` of another number of rows.
    """

    def __init__(self, seed: int, rows: Tensor, draws: Tensor | None = None) -> None:
        check_array("rows", rows, ("B",), "int64")
        check_range("rows", rows, 0, _MASK32)
        if draws is not None:
            check_array("draws", draws, (len(rows),), "int64")
            check_range("draws", draws, 0, _MASK32)
        self._key = (seed & _MASK32, (seed >> 32) & _MASK32)
        self._rows = rows.long()[:, None]
        self._draws = torch.zeros_like(self._rows) if draws is None else draws.long()[:, None]
        self.num_calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Fresh float32 noise of the shape (B, ...) and on the device of `x`."""
        if len(x) != len(self._rows):
            raise InputError(f"x: {len(x)} rows; allowed: the {len(self._rows)} that this noise is for")
        num_elements = x[0].numel()
        blocks = torch.arange((num_elements + 3) // 4, device=x.device)[None, :]
        call = torch.full_like(blocks, self.num_calls)
        self.num_calls += 1
        step = max(1, _COUNTERS_AT_A_TIME // blocks.shape[1]) if x.device.type == "cpu" else len(x)
        rows, draws = self._rows.to(x.device), self._draws.to(x.device)
        parts = [
            _box_muller(philox4x32((blocks, call, rows[some], draws[some]), self._key))[:, :num_elements]
            for some in (slice(start, start + step) for start in range(0, len(x), step))
        ]
        return torch.cat(parts).reshape(x.shape)


NoiseFn = Callable[[Tensor], Tensor]
"""x -> standard normal noise of the shape and on the device of x."""
