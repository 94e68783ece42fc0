"""SDE and U-Net of a score model from params, for training."""

from typing import TYPE_CHECKING, Any

from ldmiss.diffusion.sde import VPSDE

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import Diffusion, UNetNetwork


def sde_from(diffusion: "Diffusion") -> VPSDE:
    """The SDE of the section `diffusion`."""
    return VPSDE(diffusion.beta_min, diffusion.beta_max)


def unet_config(network: "UNetNetwork", shape: tuple[int, int, int]) -> dict[str, Any]:
    """Arguments of `UNet` for a section `network` and data of shape (C, H, W)."""
    return {"in_channels": shape[0], "size": shape[1], **network.model_dump()}
