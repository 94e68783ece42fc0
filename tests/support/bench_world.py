"""The benchmark at a size at which every row runs in a moment."""

import torch

from benchmarks.setting import Setting, Sizes
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config import params
from support import tiny

SIZES = Sizes(
    pixel=2, latent=2, vae=2, sample=2, sample_steps=2, guide_pixel=2, guide_latent=2, guide_steps=2,
    em_rows=8, em_batch=4, e_step_rows=4, e_step_levels=3, e_step_resamples=2,
    linear_rows=40, linear_features=(4,),
)  # fmt: skip


def setting(dtype: torch.dtype = torch.bfloat16) -> Setting:
    """Narrow networks without dropout, on the CPU."""
    no_dropout = {"network": {"dropout": 0.0}}
    document = tiny.document(ldmiss=no_dropout, ddpm=no_dropout)
    return Setting(
        Runtime(torch.device("cpu"), dtype, 1, deterministic=False), params.validate(document, "tiny"), SIZES
    )
