"""Train the KL-regularised autoencoder on incomplete images (paper sections 3, 4.1 and A.1.2)."""

from ldmiss.autoencoding.objective import autoencoder_loss
from ldmiss.files.networks import with_prefix
from ldmiss.files.tensors import save_tensors
from ldmiss.networks.autoencoder import Autoencoder
from ldmiss.networks.layers import at_precision, init_torch_default
from ldmiss_pipeline.artifacts.incomplete import load_dataset_name, load_incomplete
from ldmiss_pipeline.models.autoencoder import autoencoder_config, encoder_input_from
from ldmiss_pipeline.running.context import Context
from ldmiss_pipeline.running.training import new_network, train_network


def run(context: Context) -> str:
    """Write `models/vae/<cell>.safetensors` and its loss curve."""
    item, params, runtime = context.item, context.params.vae, context.runtime
    images, observed = load_incomplete(item.observed("train"), runtime.device)
    encoder_input = encoder_input_from(context.params, images, observed)
    config = autoencoder_config(params)
    network = new_network(context, "vae", lambda: Autoencoder(**config), init_torch_default)
    encoder, decoder = (at_precision(part, runtime.dtype) for part in (network.encoder, network.decoder))

    batch_loss = autoencoder_loss(
        encoder, decoder, images, observed, kl_weight=params.kl_weight, encoder_input=encoder_input
    )
    training = train_network(context, "vae", network, params.train, len(images), batch_loss)
    save_tensors(
        item.model("vae"),
        with_prefix("vae", training.result()) | {"fill": encoder_input.fill.cpu()},
        kind="vae",
        facts={
            "vae": config, "value_range": encoder_input.value_range, "robust": encoder_input.robust,
            "dataset": load_dataset_name(item.observed("train")), **context.stamp,
        },
    )  # fmt: skip
    return f"autoencoder, final loss {training.curve[-1]:.3f} per image"
