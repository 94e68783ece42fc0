"""The re-masked regression U-Net: what one pass and a squared error give (beyond the paper)."""

from ldmiss.files.tensors import load_tensors
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.regression import RegressionModel
from ldmiss.networks.layers import at_precision
from ldmiss.networks.restore import restore_network
from ldmiss.remasking.network import PatchUNet
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import Runtime
from ldmiss_pipeline.config.schema import Params


def load_imputers(item: Item, params: Params, runtime: Runtime) -> dict[str, Imputer]:
    """Means in one pass, deterministic, and draws about them."""
    del params  # it has no settings at imputation
    path = item.model("regression")
    tensors, metadata = load_tensors(path, kind="regression")
    network = restore_network(PatchUNet, metadata["network"], tensors, device=runtime.device, where=path)
    model = RegressionModel(at_precision(network, runtime.dtype), metadata["image_shape"])
    return {
        "unet-regression": Imputer(model.impute_mean, stochastic=False),
        "unet-regression-draws": Imputer(model.impute_draw, stochastic=True),
    }
