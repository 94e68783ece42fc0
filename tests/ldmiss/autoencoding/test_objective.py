"""What the autoencoder minimises: values behind missing pixels never matter, and the loss is what it says."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.autoencoding.encoder_input import EncoderInput
from ldmiss.autoencoding.objective import autoencoder_loss
from ldmiss.autoencoding.posterior import DiagonalGaussian

SEEDED = torch.Generator().manual_seed(0)
IMAGES = torch.rand(6, 1, 4, 4, generator=SEEDED)
OBSERVED = torch.rand(6, 1, 4, 4, generator=SEEDED) < 0.6
GREY = EncoderInput(torch.full((1, 1, 1), 0.5), "symmetric", robust=False)
BATCH = torch.tensor([4, 0, 5])


def encoder(x: Tensor) -> Tensor:
    """Mean and log-variance that mix pixels."""
    return torch.cat([x.roll(1, dims=-1), 0.1 * x], dim=1)


def vae(images: Tensor) -> Callable[[Tensor, torch.Generator], Tensor]:
    """The masked ELBO with a grey fill."""
    return autoencoder_loss(encoder, lambda z: z.tanh(), images, OBSERVED, kl_weight=0.3, encoder_input=GREY)


def test_missing_pixels_never_enter() -> None:
    """The loss is bit-identical with other values behind missing pixels, and not with others at observed ones."""

    def loss(images: Tensor) -> Tensor:
        return vae(images)(BATCH, torch.Generator().manual_seed(1))

    assert torch.equal(loss(torch.where(OBSERVED, IMAGES, 1 - IMAGES)), loss(IMAGES))
    assert not torch.equal(loss(torch.where(OBSERVED, 1 - IMAGES, IMAGES)), loss(IMAGES))


def test_autoencoder_loss_by_hand() -> None:
    """Squared error on observed pixels of the decoded sample, plus kl_weight times the KL; mean over images."""
    known = OBSERVED[BATCH]
    x = torch.where(known, 2 * IMAGES[BATCH] - 1, 0.0)
    posterior = DiagonalGaussian(*encoder(x).chunk(2, dim=1))
    eps = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    error = ((posterior.sample(eps).tanh() - x) ** 2 * known).flatten(1).sum(1)
    expected = (error + 0.3 * posterior.kl()).mean()
    torch.testing.assert_close(vae(IMAGES)(BATCH, torch.Generator().manual_seed(5)), expected)
