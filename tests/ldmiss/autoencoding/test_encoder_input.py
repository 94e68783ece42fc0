"""What the encoder sees: the paper's filled image, and the robust recipe."""

import torch

from ldmiss.autoencoding.encoder_input import EncoderInput, remask
from ldmiss.autoencoding.objective import autoencoder_loss

GREY = torch.full((1, 1, 1), 0.5)
X = torch.tensor([1.0, float("nan"), 0.25, float("nan")]).reshape(1, 1, 2, 2)


def test_faithful_is_the_filled_image() -> None:
    """One channel in the networks' range; nothing of a missing value."""
    seen = EncoderInput(torch.zeros(1, 1, 1), "symmetric", robust=False)(X, ~X.isnan())
    assert seen.flatten().tolist() == [1.0, -1.0, -0.5, -1.0]
    assert EncoderInput(GREY, "unit", robust=False)(X, ~X.isnan()).flatten().tolist() == [1.0, 0.5, 0.25, 0.5]


def test_robust_adds_the_observed_indicators() -> None:
    """Grey image, then the indicators as the range's ends."""
    seen = EncoderInput(GREY, "symmetric", robust=True)(X, ~X.isnan())
    assert seen.shape == (1, 2, 2, 2)
    assert seen[0, 0].flatten().tolist() == [1.0, 0.0, -0.5, 0.0]
    assert seen[0, 1].flatten().tolist() == [1.0, -1.0, 1.0, -1.0]


def test_remasking_hides_between_nothing_and_all_but_a_fifth() -> None:
    """Only observed pixels are hidden; the share that stays is uniform from a fifth to the image's own share."""
    generator = torch.Generator().manual_seed(0)
    observed = torch.rand(2000, 1, 28, 28, generator=generator) < 0.6
    kept = remask(observed, generator)
    assert not (kept & ~observed).any()
    shares = kept.flatten(1).double().mean(1)
    assert shares.min() > 0.13
    assert shares.max() < 0.68
    torch.testing.assert_close(shares.mean(), torch.tensor(0.4, dtype=torch.float64), rtol=0, atol=0.015)
    torch.testing.assert_close(shares.std(), torch.tensor(0.4 / 12**0.5, dtype=torch.float64), rtol=0, atol=0.015)


def test_an_image_with_less_than_a_fifth_stays_as_it_is() -> None:
    """There is nothing left to hide."""
    observed = torch.zeros(1, 1, 10, 10, dtype=torch.bool)
    observed[0, 0, 0, :5] = True
    assert torch.equal(remask(observed, torch.Generator().manual_seed(0)), observed)


def test_hidden_pixels_still_count_in_the_loss() -> None:
    """The robust objective sees fewer pixels than it is scored on, so the identity is no optimum."""
    seen = []

    def encoder(x: torch.Tensor) -> torch.Tensor:
        seen.append(x[:, 1] > 0)
        return torch.zeros(len(x), 2, 4, 4)

    images = torch.ones(3, 1, 8, 8)
    observed = torch.ones(3, 1, 8, 8, dtype=torch.bool)
    loss = autoencoder_loss(
        encoder, lambda z: torch.zeros(3, 1, 8, 8), images, observed,
        kl_weight=0.0, encoder_input=EncoderInput(GREY, "symmetric", robust=True),
    )(torch.arange(3), torch.Generator().manual_seed(1))  # fmt: skip
    assert seen[0].float().mean() < 0.9
    assert loss.item() == 64.0  # every pixel of each image is wrong by 1, hidden or not
