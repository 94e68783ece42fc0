"""One point of `benchmarks.scaling`, in a process of its own, so that its peak memory is its own.

LDMiss with the networks of the profile `quick` and random weights, which cost as much to evaluate as trained ones. All
rows are computed chunk by chunk and all results kept, as the stages do. Prints the seconds of the chunks, after a
warm-up with one row, and the peak memory in megabytes: of the process, or on a GPU of the GPU.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import ours
from benchmarks.setting import Setting, setting_of, unet_config
from ldmiss.core.noise import RowNoise
from ldmiss.imputation.imputer import Imputer
from ldmiss.imputation.score_based import ScoreModel

CHUNK_SIZES = {"sampling": 100, "guided imputation": 25}
"""Rows at a time; up to there memory grows, and time grows by less."""
SEED = 0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling_point", description=__doc__.split("\n")[0])
    parser.add_argument("task", choices=[*CHUNK_SIZES])
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--draws", type=int, default=1, help="of each imputed image")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", default="auto")
    args = parser.parse_args()
    setting = setting_of("quick", device=args.device, num_threads=args.threads)
    compute = computation(setting, args.task, args.images, args.steps, args.draws)
    seconds = timed(compute, args.images * args.draws, CHUNK_SIZES[args.task], setting.device)
    print(json.dumps([seconds, peak_megabytes(setting.device)]))


def computation(setting: Setting, task: str, images: int, steps: int, draws: int) -> Callable[[Tensor], Tensor]:
    """Row numbers (B,) to results (B, 1, 28, 28); rows are samples, or images x draws of an imputation."""
    model = ldmiss_model(setting)
    if task == "sampling":
        return lambda rows: model.generate(len(rows), RowNoise(SEED, rows), num_steps=steps)
    x_obs, observed = setting.incomplete(images)
    imputer = Imputer(partial(model.impute_by_guidance, num_steps=steps), stochastic=True)

    def impute(rows: Tensor) -> Tensor:
        image, draw = rows // draws, rows % draws
        return imputer(x_obs[image], observed[image], RowNoise(SEED, image, draw))

    return impute


def ldmiss_model(setting: Setting) -> ScoreModel:
    """Untrained, for inference alone."""
    config = unet_config(setting.params.ldmiss.network, setting.latent_shape())
    network, vae = ours.unet(setting, config), ours.autoencoder(setting)
    ours.frozen(network)
    ours.frozen(vae)
    return ours.score_model(setting, network, setting.runtime.dtype, config, vae)


def timed(compute: Callable[[Tensor], Tensor], num_rows: int, chunk_size: int, device: torch.device) -> float:
    """Seconds of all rows, chunk by chunk; each chunk ends on the CPU, so that a GPU has finished it."""
    rows = torch.arange(num_rows, device=device)
    compute(rows[:1]).cpu()
    start = time.perf_counter()
    torch.cat([compute(chunk).cpu() for chunk in torch.split(rows, chunk_size)])
    return time.perf_counter() - start


def peak_megabytes(device: torch.device) -> float:
    """What this process has held at most, or what torch has held of the GPU's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    status = Path("/proc/self/status")
    if status.is_file():  # Linux counts as ru_maxrss, too, what the process that started this one held then
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


if __name__ == "__main__":
    main()
