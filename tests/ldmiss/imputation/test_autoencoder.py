"""The autoencoder by itself, as an imputer."""

import torch

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.imputation.autoencoder import impute_autoencoder

GREY = EncoderInput(torch.full((1, 1, 1), 0.5), "symmetric", robust=False)


def test_imputation_decodes_the_posterior_mean_of_the_filled_image() -> None:
    """Encoder and decoder see the networks' range, the fill stands at missing pixels, the log-variance is ignored."""
    seen = []

    def encoder(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return torch.cat([0.5 * x, torch.full_like(x, float("nan"))], dim=1)

    x_obs = torch.tensor([1.0, float("nan")]).reshape(1, 1, 1, 2)
    x_hat = impute_autoencoder(encoder, lambda z: z - 0.25, x_obs, ~x_obs.isnan(), encoder_input=GREY)
    assert seen[0].flatten().tolist() == [1.0, 0.0]  # grey is 0 in [-1, 1]
    assert x_hat.flatten().tolist() == [0.625, 0.375]  # ((0.5 * 1 - 0.25) + 1) / 2 and ((0 - 0.25) + 1) / 2
