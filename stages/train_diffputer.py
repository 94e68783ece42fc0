"""Fit DiffPuter by expectation-maximisation on the incomplete training images (Zhang et al. 2025; paper 4.1)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ldmiss.core.batching import in_chunks
from ldmiss.core.noise import torch_generator
from ldmiss.core.pixels import unit_from_uint8
from ldmiss.core.progress import progress_bar
from ldmiss.core.randomness import derive_seed
from ldmiss.diffputer.edm import DenoiseFn
from ldmiss.diffputer.em import Normalizer, Sampling, average_draws, expectation_maximisation, m_step_loss
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.files.networks import with_prefix, without_prefix
from ldmiss.files.tensors import save_tensors
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.training.loop import Training
from ldmiss_pipeline.artifacts.curves import save_curve
from ldmiss_pipeline.artifacts.incomplete import load_dataset_name, load_incomplete
from ldmiss_pipeline.compute.batching import chunk_size
from ldmiss_pipeline.models.diffputer import denoiser_from
from ldmiss_pipeline.running.context import Context
from ldmiss_pipeline.running.training import recipe_from, run_training

if TYPE_CHECKING:
    from ldmiss_pipeline.config.schema import DiffPuter


class EM:
    """The steps of one EM run, with their checkpoints: within an M-step, per chunk of an E-step, per iteration."""

    def __init__(self, context: Context, params: "DiffPuter", rows: Tensor, observed: Tensor) -> None:
        self.checkpoint, self.runtime, self.params = context.checkpoint, context.runtime, params
        self.root_seed = context.item.root_seed
        self.chunk_size = chunk_size(context, params.em.e_step.chunk_size)
        self.observed = observed
        self.normalizer = Normalizer.fit(
            rows, observed, std_floor=params.std_floor, per_feature=params.normalize == "per_feature"
        )
        self.x_obs = torch.where(observed, self.normalizer.normalize(rows), 0.0)
        self.config = {"num_features": rows.shape[1], **params.network.model_dump()}
        self.network = self._new_network(0)
        self.curve: list[float] = []

    def run(self) -> None:
        """All iterations, from the last one that was finished."""
        start, x = self._restore()
        iterations = range(start, self.params.em.num_iterations)
        expectation_maximisation(x, iterations=iterations, m_step=self._m_step, e_step=self._e_step)

    def _new_network(self, iteration: int) -> DiffPuterMLP:
        generator = torch_generator("cpu", self.root_seed, "diffputer", "init", iteration)
        return build(lambda: DiffPuterMLP(**self.config), self.runtime.device, init_torch_default, generator)

    def _m_step(self, iteration: int, x: Tensor) -> DenoiseFn:
        if iteration > 0 and not self.params.em.warm_start:
            self.network = self._new_network(iteration)
        train = self.params.em.train_first if iteration == 0 else self.params.em.train_next
        seed = derive_seed(self.root_seed, "diffputer", "m-step", iteration)
        training = Training(self.network, recipe_from(train), num_items=len(x), seed=seed)
        batch_loss = m_step_loss(denoiser_from(self.network, self.runtime), x)
        run_training(training, batch_loss, self.checkpoint, f"m_step-{iteration}")
        self.network.load_state_dict(training.result())
        self.curve += training.curve
        return denoiser_from(self.network, self.runtime)

    def _e_step(self, iteration: int, denoise: DenoiseFn) -> Tensor:
        settings = self.params.em.e_step
        seed = derive_seed(self.root_seed, "diffputer", "e-step", iteration)
        sampling = Sampling(settings.num_steps, settings.num_resamples)
        num_trials = settings.num_trials if settings.statistic == "mean" else 1
        row_numbers = torch.arange(len(self.x_obs), device=self.x_obs.device)

        def compute(rows: slice) -> Tensor:
            return average_draws(
                denoise, self.x_obs[rows], self.observed[rows], row_numbers[rows], sampling,
                num_trials=num_trials, seed=seed,
            )  # fmt: skip

        slot, at_a_time = f"e_step-{iteration}", self.runtime.num_at_a_time
        with progress_bar(slot, len(self.x_obs), "row") as bar:
            x = in_chunks(
                self.checkpoint, slot, len(self.x_obs), self.chunk_size, compute, bar.update, at_a_time
            )  # fmt: skip
        self._save(iteration + 1, x)
        return x.to(self.x_obs.device)

    def _save(self, next_iteration: int, x: Tensor) -> None:
        state = {"x": x, "curve": torch.tensor(self.curve, dtype=torch.float64), "next": torch.tensor(next_iteration)}
        weights = {name: value.cpu() for name, value in self.network.state_dict().items()}
        self.checkpoint.save("em", state | with_prefix("mlp", weights))
        self.checkpoint.drop("m_step-")
        self.checkpoint.drop("e_step-")

    def _restore(self) -> tuple[int, Tensor]:
        stored = self.checkpoint.load("em")
        if stored is None:
            return 0, self.x_obs
        self.network.load_state_dict(without_prefix("mlp", stored))
        self.curve = stored["curve"].tolist()
        return int(stored["next"]), stored["x"].to(self.x_obs.device)


def run(context: Context) -> str:
    """Write `models/diffputer/<cell>.safetensors` and the loss curve of its M-steps."""
    item, runtime = context.item, context.runtime
    images, observed = load_incomplete(item.observed("train"), runtime.device)
    em = EM(context, context.params.diffputer, unit_from_uint8(images).flatten(1), observed.flatten(1))
    em.run()
    weights = {name: value.cpu().contiguous() for name, value in em.network.state_dict().items()}
    moments = {"mean": em.normalizer.mean.cpu().contiguous(), "std": em.normalizer.std.cpu().contiguous()}
    dataset = load_dataset_name(item.observed("train"))
    facts = {"mlp": em.config, "size": images.shape[-1], "dataset": dataset, **context.stamp}
    save_tensors(item.model("diffputer"), with_prefix("mlp", weights) | moments, kind="diffputer", facts=facts)
    save_curve(item.curve("diffputer"), em.curve)
    return f"{context.params.diffputer.em.num_iterations} EM iterations, final loss {em.curve[-1]:.4f}"
