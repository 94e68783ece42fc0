"""What the classifier minimises."""

import torch
from torch import Tensor

from ldmiss.classifier.objective import classifier_loss

SEEDED = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (6, 1, 4, 4), generator=SEEDED, dtype=torch.uint8)
BATCH = torch.tensor([4, 0, 5])


def test_classifier_loss_by_hand() -> None:
    """The cross entropy of the batch's images in [0, 1] and their labels."""
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    seen = []

    def forward(x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        seen.append(x)
        return x, x.flatten(1)[:, :4]

    loss = classifier_loss(forward, IMAGES, labels)(BATCH, torch.Generator())
    log_shares = (IMAGES[BATCH] / 255).flatten(1)[:, :4].log_softmax(1)
    torch.testing.assert_close(loss, -log_shares[torch.arange(3), labels[BATCH]].mean())
    assert seen[0].max() <= 1
