"""Gaussian noise for torch: a seeded `torch.Generator` for training, and counter-based noise per row for inference.

A sample must not depend on its batch: the same image index has to give the same draw at any batch size, and a run
that was cut short has to go on with the same numbers. A counter-based generator does both without any state to save:
noise = f(seed, row, draw, call), computed for all rows at once.

Reference: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10, checked against the
known answers of its Random123 library in the tests).
"""

import math

import torch
from torch import Tensor

from ldmiss.randomness import derive_seed

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_NUM_ROUNDS = 10


def torch_generator(device: torch.device | str, seed: int, *purpose: str | int) -> torch.Generator:
    """A `torch.Generator` on `device` of its own for (seed, purpose...)."""
    generator = torch.Generator(device=device)
    generator.manual_seed(derive_seed(seed, *purpose))
    return generator


def philox4x32(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox4x32-10: four int64 tensors holding 32-bit words (broadcastable) and a two-word key to four random words.

    Products of two 32-bit words wrap around in int64; masking after the shift makes the high word right again.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_NUM_ROUNDS):
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((product1 >> 32) & _MASK32) ^ c1 ^ k0,
            product1 & _MASK32,
            ((product0 >> 32) & _MASK32) ^ c3 ^ k1,
            product0 & _MASK32,
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & _MASK32, (k1 + _KEY_STEPS[1]) & _MASK32
    return c0, c1, c2, c3


class RowNoise:
    """Standard normal noise whose row i depends only on (seed, rows[i], draws[i], number of the call).

    Args:
        seed: the root of these draws, as from `derive_seed`.
        rows: int64 (B,), the index of each row's image in its data set, 0 <= row < 2**32.
        draws: int64 (B,), which of several draws for that image; default 0.
    """

    def __init__(self, seed: int, rows: Tensor, draws: Tensor | None = None) -> None:
        self._key = (seed & _MASK32, (seed >> 32) & _MASK32)
        self._rows = rows.long()[:, None]
        self._draws = torch.zeros_like(self._rows) if draws is None else draws.long()[:, None]
        self._call = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Fresh float32 noise of the shape (B, ...) and on the device of `x`."""
        num_rows, num_elements = x.shape[0], x[0].numel()
        blocks = torch.arange((num_elements + 3) // 4, device=x.device)[None, :]
        call = torch.full_like(blocks, self._call)
        self._call += 1
        words = philox4x32((blocks, call, self._rows.to(x.device), self._draws.to(x.device)), self._key)
        # Box-Muller on (0, 1]: 32-bit words reach |z| = 6.7. The half step keeps log's argument off zero.
        u0, u1, u2, u3 = (word.float() * 2.0**-32 + 2.0**-33 for word in words)
        radius0, radius1 = (-2 * u0.log()).sqrt(), (-2 * u2.log()).sqrt()
        angle0, angle1 = 2 * math.pi * u1, 2 * math.pi * u3
        normal = torch.stack(
            (radius0 * angle0.cos(), radius0 * angle0.sin(), radius1 * angle1.cos(), radius1 * angle1.sin()), dim=-1
        )
        return normal.reshape(num_rows, -1)[:, :num_elements].reshape(x.shape)
