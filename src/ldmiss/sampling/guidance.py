"""Self-guidance: the score conditioned on the observed pixels by the model's own prediction (paper Eq. 4-6)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ldmiss.core.shapes import append_dims
from ldmiss.diffusion.parameterization import Denoiser, ScoreFn

_MIN_NORM = 1e-12


def self_guided_score(
    denoiser: Denoiser,
    decode: Callable[[Tensor], Tensor],
    x_obs: Tensor,
    observed: Tensor,
    *,
    weight: float = 1.0,
    t_max: float = 1.0,
    backprop_score: bool = True,
) -> ScoreFn:
    """The score of p_t(. | x_obs) = unconditional score + guidance, the guidance scaled to the score's norm.

    Guidance is the gradient of -1/2 |m * (x_obs - D(E[z_0 | z_t]))|^2 with respect to z_t, through the decoder and
    the score network (Eq. 6; Eq. 5 with D the identity). It is rescaled per sample to the L2 norm of the
    unconditional score ("equal magnitude", section 5), so that the 1/sigma^2 of Eq. 5 and 6 has no effect, and one
    row's result does not depend on its batch-mates.

    The push never fades near the constraint, so draws are less dispersed than the posterior.

    Args:
        denoiser: score and posterior mean in diffusion space.
        decode: from diffusion space to pixels (B, C, H, W), differentiable, not clipped.
        x_obs: the observation in pixels, (B, C, H, W); values at missing positions are never used.
        observed: bool (B, C, H, W).
        weight: factor on the rescaled guidance; 1 in the paper.
        t_max: guidance acts at t <= t_max only. Near t = 1 the posterior mean is the network's error times
            1/alpha_t = 152, and full-strength guidance points anywhere; 1 in the paper.
        backprop_score: whether the gradient runs through the score network (the paper's gradient with respect to z_t)
            or stops at the posterior mean, a third cheaper.
    """

    def score_fn(z_t: Tensor, t: Tensor) -> Tensor:
        if t_max < 1.0 and float(t) > t_max:
            return denoiser.score(z_t, t)
        with torch.enable_grad():
            if backprop_score:
                at = z_t.detach().requires_grad_(True)
                score, z_0 = denoiser.score_and_x_0(at, t)
            else:  # the gradient stops at z_0; its factor 1/alpha_t has no effect, because of the rescaling
                with torch.no_grad():
                    score, at = denoiser.score_and_x_0(z_t, t)
                z_0 = at = at.requires_grad_(True)
            residual = torch.where(observed, x_obs - decode(z_0), 0.0)
            (guidance,) = torch.autograd.grad(-0.5 * residual.square().sum(), at)
        score = score.detach()
        return score + weight * rescale_to(guidance, score)

    return score_fn


def rescale_to(vectors: Tensor, reference: Tensor) -> Tensor:
    """Each row of `vectors` (B, ...) scaled to the L2 norm of the same row of `reference`; a zero row stays zero."""
    norm = vectors.flatten(1).norm(dim=1).clamp(min=_MIN_NORM)
    return vectors * append_dims(reference.flatten(1).norm(dim=1) / norm, vectors)
