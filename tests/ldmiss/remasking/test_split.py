"""Re-masking: what is given and what is hidden are parts of what is known, and lie as they should."""

import torch

from ldmiss.remasking.split import split_known

ROWS, SHAPE = 4000, (2, 6, 5)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_given_and_hidden_are_the_known_pixels() -> None:
    """Disjoint, and nothing that is missing is either."""
    observed = torch.rand(ROWS, *SHAPE, generator=generator()) < 0.4
    given, hidden = split_known(observed, generator(1), min_kept=0.2)
    assert not (given & hidden).any()
    assert torch.equal(given | hidden, observed)


def test_complete_images_lose_a_uniform_share() -> None:
    """There is nothing to borrow. A pixel goes with all its channels."""
    observed = torch.ones(ROWS, *SHAPE, dtype=torch.bool)
    given, _ = split_known(observed, generator(1), min_kept=0.2)
    share = given.flatten(1).double().mean(1)
    assert abs(float(share.mean()) - 0.6) < 0.02  # uniform on [.2, 1]
    assert abs(float(share.var()) - (0.8**2 / 12 + 0.6 * 0.4 / 30)) < 0.01  # and binomial about it
    assert torch.equal(given[:, 0], given[:, 1])


def test_channels_that_are_known_apart_are_hidden_apart() -> None:
    """As soon as an image knows one channel of a pixel and not another."""
    observed = torch.ones(ROWS, *SHAPE, dtype=torch.bool)
    observed[:, 1, 0, 0] = False
    given, _ = split_known(observed, generator(1), min_kept=0.2)
    apart = (given[:, 0, 1:] != given[:, 1, 1:]).flatten(1).any(1)
    assert apart.double().mean() > 0.9


def test_the_others_lose_what_another_image_lacks() -> None:
    """In images that lack their left or their right half, whole halves go missing."""
    observed = torch.zeros(ROWS, 1, 4, 4, dtype=torch.bool)
    observed[::2, ..., :2] = True
    observed[1::2, ..., 2:] = True
    given, hidden = split_known(observed, generator(1), min_kept=0.9)
    none_left = ~given.flatten(1).any(1)
    assert abs(float(none_left.double().mean()) - 0.25) < 0.03  # half borrow, half of these from the other kind
    assert hidden[~none_left].flatten(1).any(1).double().mean() > 0.2  # those that cannot borrow lose single pixels
    assert torch.equal(hidden[none_left], observed[none_left])


def test_the_same_seed_gives_the_same_split() -> None:
    """And another seed another."""
    observed = torch.rand(50, *SHAPE, generator=generator()) < 0.5
    one, same, other = (split_known(observed, generator(seed), min_kept=0.2)[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
