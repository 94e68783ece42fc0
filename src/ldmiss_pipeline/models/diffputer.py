"""DiffPuter from its model file."""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from ldmiss.diffputer.edm import Preconditioned
from ldmiss.diffputer.em import SIGMA_DATA, DiffPuterModel, Normalizer
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.files.networks import restore_network
from ldmiss.files.tensors import load_tensors
from ldmiss.networks.layers import at_precision

if TYPE_CHECKING:
    from ldmiss_pipeline.compute.device import Runtime


def denoiser_from(network: nn.Module, runtime: "Runtime") -> Preconditioned:
    """The EDM denoiser around a network at the runtime's precision."""
    return Preconditioned(at_precision(network, runtime.dtype), SIGMA_DATA)


def restore_diffputer(path: Path, runtime: "Runtime") -> DiffPuterModel:
    """The fitted model in a file of kind "diffputer"."""
    tensors, facts = load_tensors(path, kind="diffputer")
    network = restore_network(DiffPuterMLP, facts["mlp"], tensors, prefix="mlp", path=path, device=runtime.device)
    normalizer = Normalizer(tensors["mean"].to(runtime.device), tensors["std"].to(runtime.device))
    return DiffPuterModel(denoiser_from(network, runtime), normalizer, facts["size"])
