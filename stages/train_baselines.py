"""Fit the linear Gaussian to the incomplete training images; its file carries the autoencoder along (see METHODS)."""

import torch

from ldmiss.baselines.gaussian import fit_gaussian
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.files.tensors import load_tensors, save_tensors
from ldmiss_pipeline.artifacts.incomplete import load_observed
from ldmiss_pipeline.models.autoencoder import carried
from ldmiss_pipeline.running.context import Context


def run(context: Context) -> str:
    """Write `models/baselines/<cell>.safetensors`: all that the cheap imputers need, so imputing sees no data."""
    item = context.item
    images, observed = load_observed(item.observed("train"))
    rows = unit_from_uint8(torch.from_numpy(images)).flatten(1).numpy()
    mean, covariance = fit_gaussian(rows, observed.reshape(rows.shape), ridge=context.params.baselines.ridge)
    vae_tensors, vae_facts = load_tensors(item.model("vae"), kind="vae")
    moments = {"mean": torch.from_numpy(mean), "covariance": torch.from_numpy(covariance)}
    save_tensors(
        item.model("baselines"), moments | vae_tensors, kind="baselines", facts=carried(vae_facts) | context.stamp
    )
    return f"Gaussian in {len(mean)} dimensions, mean pixel {mean.mean():.4f}"
