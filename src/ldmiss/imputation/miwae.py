"""Imputation by importance weights: means, and draws by resampling (Mattei & Frellsen 2019, sections 3.2 and 3.3)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ldmiss.checks import check_count, check_images_to_complete
from ldmiss.core.noise import RowNoise
from ldmiss.core.saved_steps import NOT_SAVED, SavedSteps
from ldmiss.core.shapes import append_dims
from ldmiss.imputation.imputer import check_shape
from ldmiss.miwae.importance import encode, log_weights, to_scaled


@dataclass(frozen=True)
class MIWAEModel:
    """A trained encoder and decoder, see `importance_weighted_loss`, for images of a given shape, (C, H, W)."""

    encoder: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]
    shape: tuple[int, int, int]

    @torch.no_grad()
    def impute_mean(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, num_samples: int
    ) -> Tensor:
        """The self-normalised average of the decoded means; x_obs, scaled, and observed (B, C, H, W) -> (B, C, H, W).

        Args:
            x_obs, observed, noise, saved: see `Imputer`.
            num_samples: importance samples of each image.

        Raises:
            InputError: as `Imputer`, images of another shape than the model's, or a number out of range.
        """
        del saved
        total, top, summed = None, None, torch.zeros_like(x_obs)
        for log_weight, mean, _ in self._samples(x_obs, observed, noise, num_samples):
            highest = log_weight if top is None else torch.maximum(top, log_weight)
            weight = (log_weight - highest).exp()
            kept = torch.zeros_like(weight) if top is None else (top - highest).exp()
            summed = append_dims(kept, summed) * summed + append_dims(weight, mean) * mean
            total = weight if total is None else kept * total + weight
            top = highest
        assert total is not None
        return to_scaled(summed / append_dims(total, summed))

    @torch.no_grad()
    def impute_draw(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, saved: SavedSteps = NOT_SAVED, *, num_samples: int
    ) -> Tensor:
        """A draw: one of the samples, with the chances of their weights, and the noise of its pixels.

        Arguments and errors as `impute_mean`.
        """
        del saved
        top = torch.full((len(x_obs),), -torch.inf, device=x_obs.device)
        chosen_mean, chosen_sd = torch.zeros_like(x_obs), torch.ones_like(x_obs)
        for log_weight, mean, sd in self._samples(x_obs, observed, noise, num_samples):
            # The largest of log-weights with Gumbel noise is a draw with the chances of the weights (Gumbel 1954).
            uniform = torch.special.ndtr(noise(log_weight[:, None])[:, 0].double()).clamp(1e-12, 1 - 1e-12)
            race = log_weight - (-uniform.log()).log().float()
            wins = append_dims(~(race <= top), mean)  # NaN wins, and is seen
            chosen_mean, chosen_sd = torch.where(wins, mean, chosen_mean), torch.where(wins, sd, chosen_sd)
            top = torch.maximum(top, race)
        return to_scaled(chosen_mean + chosen_sd * noise(chosen_mean))

    def _samples(
        self, x_obs: Tensor, observed: Tensor, noise: RowNoise, num_samples: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        check_images_to_complete(x_obs, observed)
        check_shape(x_obs, self.shape)
        check_count("num_samples", num_samples)
        proposal = encode(self.encoder, x_obs, observed)
        for _ in range(num_samples):
            yield log_weights(proposal, noise(proposal.mean), self.decoder, x_obs, observed)
