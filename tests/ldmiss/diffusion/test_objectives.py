"""What score networks minimise on a batch: values behind missing pixels never matter, and each loss is what it says."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.diffusion.losses import sample_times
from ldmiss.diffusion.objectives import latent_score_loss, pixel_score_loss
from ldmiss.diffusion.sde import VPSDE

SDE = VPSDE()
SEEDED = torch.Generator().manual_seed(0)
IMAGES = torch.rand(6, 1, 4, 4, generator=SEEDED)
OBSERVED = torch.rand(6, 1, 4, 4, generator=SEEDED) < 0.6
BLACK = torch.zeros(1, 1, 1)
BATCH = torch.tensor([4, 0, 5])


def eps_fn(x_t: Tensor, t: Tensor, generator: torch.Generator | None) -> Tensor:
    """Mixes neighbouring pixels, so that whatever it sees at a missing pixel reaches observed ones."""
    del generator
    return x_t.roll(1, dims=-1) * t.reshape(-1, 1, 1, 1)


def pixel(images: Tensor, observed: Tensor = OBSERVED) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Eq. 3 with a black fill."""
    return pixel_score_loss(eps_fn, SDE, images, observed, tau=1e-3, fill=BLACK, value_range="symmetric")


def test_missing_pixels_never_enter() -> None:
    """The loss is bit-identical with other values behind missing pixels, and not with others at observed ones."""

    def loss(images: Tensor) -> Tensor:
        return pixel(images)(BATCH, torch.Generator().manual_seed(1))

    assert torch.equal(loss(torch.where(OBSERVED, IMAGES, 1 - IMAGES)), loss(IMAGES))
    assert not torch.equal(loss(torch.where(OBSERVED, 1 - IMAGES, IMAGES)), loss(IMAGES))


def test_missing_outputs_get_no_gradient() -> None:
    """Eq. 3: the network's output at a missing pixel has gradient exactly 0, at an observed one not."""
    output = torch.zeros(6, 1, 4, 4, requires_grad=True)
    loss = pixel_score_loss(
        lambda x_t, t, g: output, SDE, IMAGES, OBSERVED, tau=1e-3, fill=BLACK, value_range="symmetric"
    )
    loss(torch.arange(6), torch.Generator().manual_seed(0)).backward()
    assert output.grad is not None
    assert torch.equal(output.grad != 0, OBSERVED)


def replay(x_0: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """The times and noise that a step's generator gives, and the x_t they make."""
    generator = torch.Generator().manual_seed(seed)
    t = sample_times(len(x_0), 1e-3, generator)
    eps = torch.randn(x_0.shape, generator=generator)
    return SDE.perturb(x_0, t, eps), t, eps


def test_pixel_score_loss_by_hand() -> None:
    """Normalised per image by its own number of observed pixels, then averaged over images."""
    x_0 = torch.where(OBSERVED, 2 * IMAGES - 1, -1.0)[BATCH]
    x_t, t, eps = replay(x_0, 2)
    error = (eps_fn(x_t, t, None) - eps) ** 2
    rows = [e[known].mean() for e, known in zip(error, OBSERVED[BATCH], strict=True)]
    torch.testing.assert_close(pixel(IMAGES)(BATCH, torch.Generator().manual_seed(2)), torch.stack(rows).mean())


def test_nothing_missing_is_plain_score_matching() -> None:
    """At rate 0 Eq. 3 is Eq. 2: the pixel loss equals the latent loss on the same numbers."""
    everything = torch.ones_like(OBSERVED)
    plain = latent_score_loss(eps_fn, SDE, 2 * IMAGES - 1, tau=1e-3)
    losses = [loss(BATCH, torch.Generator().manual_seed(3)) for loss in (pixel(IMAGES, everything), plain)]
    torch.testing.assert_close(losses[0], losses[1])


def test_latent_score_loss_by_hand() -> None:
    """The mean over all latent dimensions of the batch's rows."""
    latents = torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    x_t, t, eps = replay(latents[BATCH], 4)
    loss = latent_score_loss(eps_fn, SDE, latents, tau=1e-3)(BATCH, torch.Generator().manual_seed(4))
    torch.testing.assert_close(loss, ((eps_fn(x_t, t, None) - eps) ** 2).mean())


def test_dropout_draws_from_the_steps_generator() -> None:
    """The network is handed the generator of the step, and nothing else is random."""
    handed = []

    def forward(x_t: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
        handed.append(generator)
        return x_t

    generator = torch.Generator().manual_seed(0)
    latent_score_loss(forward, SDE, torch.zeros(6, 1, 2, 2), tau=1e-3)(BATCH, generator)
    assert handed == [generator]
