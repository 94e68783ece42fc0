"""Training and sampling with diffusers as its documents say (0.42: "Train a diffusion model", `DDPMPipeline`).

What favours them is kept: the batch lies on the device already, and has nothing missing, so that their loss is a plain
mean. `documented` adds what their training loop has and ours has not: clipping of gradients, a schedule's step.
"""

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.optimization import get_cosine_schedule_with_warmup
from diffusers.pipelines.ddpm.pipeline_ddpm import DDPMPipeline
from diffusers.schedulers.deprecated.scheduling_sde_vp import ScoreSdeVpScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.utils import logging
from torch import Tensor

from benchmarks.timing import Run

logging.set_verbosity_error()  # of what happens to a model in bfloat16: it is meant

NUM_TIMESTEPS = 1000
LR = 1e-4


def noise_prediction_loss(
    model: UNet2DModel, scheduler: DDPMScheduler, clean: Tensor, noise: Tensor, timesteps: Tensor, dtype: torch.dtype
) -> Tensor:
    """Their loss on a batch (B, C, H, W) with int64 timesteps (B,); `accelerate`'s mixed precision is this autocast."""
    noisy = scheduler.add_noise(clean, noise, timesteps)
    with torch.autocast(clean.device.type, dtype, enabled=dtype != torch.float32):
        noise_pred = model(noisy, timesteps, return_dict=False)[0]
    return F.mse_loss(noise_pred.float(), noise)


def training_step(model: UNet2DModel, clean: Tensor, *, dtype: torch.dtype, documented: bool = False) -> Run:
    """One step of their training loop."""
    scheduler = DDPMScheduler(num_train_timesteps=NUM_TIMESTEPS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    lr_scheduler = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=500, num_training_steps=10**6)
    generator = torch.Generator(clean.device).manual_seed(0)

    def step() -> None:
        noise = torch.randn(clean.shape, device=clean.device, generator=generator)
        timesteps = torch.randint(0, NUM_TIMESTEPS, (len(clean),), device=clean.device, generator=generator)
        noise_prediction_loss(model, scheduler, clean, noise, timesteps, dtype).backward()  # type: ignore[no-untyped-call]
        if documented:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if documented:
            lr_scheduler.step()
        optimizer.zero_grad()

    return step


def autoencoder_loss(
    model: AutoencoderKL, x: Tensor, generator: torch.Generator, *, kl_weight: float, dtype: torch.dtype
) -> Tensor:
    """Squared error and KL, both summed per image, through the methods of their class; x (B, 1, H, W)."""
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        posterior = model.encode(x).latent_dist
        x_hat = model.decode(posterior.sample(generator)).sample
    loss = F.mse_loss(x_hat.float(), x, reduction="sum") / len(x) + kl_weight * posterior.kl().float().mean()
    assert isinstance(loss, Tensor)
    return loss


def autoencoder_training_step(model: AutoencoderKL, x: Tensor, *, kl_weight: float, dtype: torch.dtype) -> Run:
    """One training step; diffusers documents none for the autoencoder, so it is the loop of the U-Net."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    generator = torch.Generator(x.device).manual_seed(0)

    def step() -> None:
        autoencoder_loss(model, x, generator, kl_weight=kl_weight, dtype=dtype).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step


@torch.no_grad()
def sample_sde_vp(model: UNet2DModel, x: Tensor, *, num_steps: int, generator: torch.Generator) -> Tensor:
    """Euler-Maruyama for the reverse VP-SDE by their `ScoreSdeVpScheduler`, from the prior's x (B, C, H, W).

    The scheduler that integrates the same equation as ours. A model in bfloat16 gets its input so; the state stays
    float32. Returns the mean of the last step.
    """
    scheduler = ScoreSdeVpScheduler()
    scheduler.set_timesteps(num_steps, device=x.device)
    mean = x
    for t in scheduler.timesteps:
        output = model(x.to(model.dtype), (NUM_TIMESTEPS - 1) * t.expand(len(x))).sample
        x, mean = scheduler.step_pred(output.float(), x, t, generator=generator)
    return mean


def pipeline_run(model: UNet2DModel, *, num_images: int, num_steps: int) -> Run:
    """Their documented pipeline with its default precision."""
    pipeline = DDPMPipeline(unet=model, scheduler=DDPMScheduler(num_train_timesteps=NUM_TIMESTEPS))
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator(model.device).manual_seed(0)
    return lambda: pipeline(
        batch_size=num_images, num_inference_steps=num_steps, generator=generator, output_type="pt", return_dict=False
    )
