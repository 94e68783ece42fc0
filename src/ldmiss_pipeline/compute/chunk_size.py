"""How many rows go through the networks at a time, where the params leave it to us (`chunk_size: auto`).

One number per stage and kind of device, never from the memory that happens to be free: the size changes low-order bits,
so the same machine has to give the same one each time. What "auto" means follows from the device and from this file;
both are in the key of the checkpoints.
"""

from typing import Literal

CHUNK_SIZES = {
    "cpu": {"sample": 200, "impute": 50, "train_diffputer": 2000},
    "cuda": {"sample": 2500, "impute": 500, "train_diffputer": 20_000},
}
"""Rows by kind of device and stage (that of `train_diffputer`: its E-step), for the paper's networks in float32.

Megabytes per row, from the peaks of 50 to 200 rows on a CPU: self-guidance through the pixel network 24, because its
backward pass keeps all activations; through the latent network and the decoder 7; without a gradient 2.5 (pixel), 1.1
(latent) and 0.1 (DiffPuter). bfloat16 takes half of it. On a CPU more rows at a time are no faster, and a kill costs
the chunks that were under way. The numbers for CUDA are for a GPU of 16 GB by the same count, not tried on one.
"""


def rows_at_a_time(device: str, stage: str, declared: int | Literal["auto"]) -> int:
    """The declared number, or ours for the kind of device ("cpu" or "cuda")."""
    return CHUNK_SIZES[device][stage] if declared == "auto" else declared
