"""`make bench`: median ratios of a baseline's time to ours, with their spread, to `benchmarks/results/<device>.json`.

The rows say what the choices in the code are worth on this machine; comparisons with other libraries are still to come.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml

from ldmiss.diffusion.sde import VPSDE
from ldmiss.networks.layers import at_precision, build, init_fan_avg
from ldmiss.networks.unet import UNet
from ldmiss.noise import RowNoise, torch_generator
from ldmiss.training.score_objectives import latent_score_loss
from stages import params
from stages.build.unet import unet_config
from stages.compose import composed
from stages.runtime import resolve

if TYPE_CHECKING:
    from stages.schema import UNetNetwork

NUM_ROUNDS = 7
BATCH = 128
RESULTS = Path(__file__).parent / "results"
Step = Callable[[], object]


def measure(ours: Step, baseline: Step) -> dict[str, float]:
    """Both alternating, one warm-up each: median of baseline / ours, its range, and ours in milliseconds."""
    ours(), baseline()
    times: dict[str, list[float]] = {"ours": [], "baseline": []}
    for _ in range(NUM_ROUNDS):
        for name, step in (("ours", ours), ("baseline", baseline)):
            start = time.perf_counter()
            step()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    ratios = [baseline / own for own, baseline in zip(times["ours"], times["baseline"], strict=True)]
    return {
        "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios),
        "ours_ms": 1000 * statistics.median(times["ours"]),
    }  # fmt: skip


def main() -> None:
    """All rows."""
    settings, _ = params.load()
    runtime = resolve(settings.compute)
    paper = params.validate(yaml.safe_load(composed(["profile=paper"])), "profile=paper")

    def built(section: "UNetNetwork", shape: tuple[int, int, int]) -> UNet:
        config = unet_config(section, shape)
        return build(lambda: UNet(**config), runtime.device, init_fan_avg, torch_generator("cpu", 0, "bench"))

    network = built(paper.ldmiss.network, (2, 7, 7))
    latents = torch.randn(BATCH, 2, 7, 7, generator=torch_generator("cpu", 0, "latents")).to(runtime.device)
    batch = torch.arange(BATCH, device=runtime.device)

    def training_step(
        dtype: torch.dtype, *, fused: bool, network: UNet = network, data: torch.Tensor = latents
    ) -> Step:
        loss = latent_score_loss(at_precision(network, dtype), VPSDE(), data, weighting="simple", tau=1e-3)
        optimizer = torch.optim.Adam(network.parameters(), lr=0.0, fused=fused)

        def step() -> None:
            optimizer.zero_grad()
            torch.autograd.backward(loss(batch, torch_generator(runtime.device, 0, "step")))
            optimizer.step()

        return step

    def deterministic_or_not(deterministic: bool) -> Step:
        step = training_step(runtime.dtype, fused=True, network=pixel_network, data=pixels)

        def run() -> None:
            torch.use_deterministic_algorithms(deterministic)
            step()

        return run

    eps = at_precision(network, runtime.dtype)
    shared, per_row = torch.tensor(0.5, device=runtime.device), torch.full((BATCH,), 0.5, device=runtime.device)

    def noise_per_row() -> list[torch.Tensor]:
        return [torch.randn(2, 7, 7, generator=torch_generator("cpu", 0, row)) for row in range(BATCH)]

    rows = {
        f"latent training step: {runtime.dtype} against float32": measure(
            training_step(runtime.dtype, fused=True), training_step(torch.float32, fused=True)
        ),
        "latent training step: fused Adam against torch's default": measure(
            training_step(runtime.dtype, fused=True), training_step(runtime.dtype, fused=False)
        ),
        "latent network: one time embedding for all rows against one per row": measure(
            torch.no_grad()(lambda: eps(latents, shared)), torch.no_grad()(lambda: eps(latents, per_row))
        ),
        "noise per row: counter-based against one torch.Generator per row": measure(
            lambda: RowNoise(0, batch)(latents), noise_per_row
        ),
    }
    if runtime.device.type == "cuda":
        pixel_network, pixels = built(paper.ddpm.network, (1, 28, 28)), torch.rand(BATCH, 1, 28, 28).to(runtime.device)
        rows["pixel training step: compute.deterministic against torch's own choice of algorithms"] = measure(
            deterministic_or_not(True), deterministic_or_not(False)
        )
        torch.use_deterministic_algorithms(runtime.deterministic)
    else:
        print("skipped: the cost of compute.deterministic, which matters on CUDA alone, and there is none here")
    for name, row in rows.items():
        print(f"{row['ratio']:6.2f}x  ({row['lowest']:.2f} to {row['highest']:.2f})  {row['ours_ms']:8.2f} ms  {name}")
    record = {**runtime.record(), "torch": torch.__version__, "python": platform.python_version(), "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    device = record["device"].lower().replace(" ", "-")
    (RESULTS / f"{device}.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
