"""How many rows go through the networks at a time, where the params leave it to us (`chunk_size: auto`).

One number per stage, method and kind of device, never from the memory that happens to be free: the size changes
low-order bits, so the same machine has to give the same one each time. What "auto" means follows from the device and
from this file; both are in the key of the checkpoints.
"""

from typing import Literal

CHUNK_SIZES = {
    "cpu": {"sample": 200, "impute": 50, "train_diffputer": 2000},
    "cuda": {
        "sample": 2500, "sample diffputer": 20_000, "impute": 500, "impute ldmiss": 1500, "impute diffputer": 20_000,
        "train_diffputer": 20_000,
    },
}  # fmt: skip
"""Rows by kind of device and stage (that of `train_diffputer`: its E-step; `complete` and `calibrate` have those of
`impute`), for the paper's networks in float32 and images of 28 x 28; with a method's name where it has a number of its
own.

Megabytes per row, from the peaks of 50 to 200 rows on a CPU: self-guidance through the pixel network 24, because its
backward pass keeps all activations; through the latent network and the decoder 7; without a gradient 2.5 (pixel), 1.1
(latent) and 0.1 (DiffPuter). On a CPU more rows at a time are no faster, and a kill costs the chunks that were under
way.

The numbers for CUDA are for a GPU of 16 GB, counted and not tried on one: what lives at once in 500 rows of guidance,
on tensors that hold nothing, is 9.7 GB through the pixel network and 3.2 GB through the latent one. bfloat16 takes
little less, 8.6 and 2.7 GB: under autocast norms and activation functions keep theirs in float32. Small networks get
more rows, because at 500 the host would take longer to ask for their kernels than the GPU to compute them.
"""


NUM_PIXELS = 28 * 28
"""Of the images that the numbers are for; of larger ones, so many fewer at a time."""


def rows_at_a_time(
    device: str, stage: str, declared: int | Literal["auto"], num_pixels: int, method: str | None = None
) -> int:
    """The declared number, or ours for the kind of device ("cpu" or "cuda"), the stage, the images and the method."""
    if declared != "auto":
        return declared
    sizes, kind = CHUNK_SIZES[device], "impute" if stage in ("complete", "calibrate") else stage
    rows = sizes.get(f"{kind} {method}", sizes[kind])
    return max(1, rows * NUM_PIXELS // max(num_pixels, NUM_PIXELS))
