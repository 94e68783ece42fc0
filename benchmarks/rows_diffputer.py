"""DiffPuter against a plain transcription of the published algorithm (`benchmarks.peers.diffputer`).

The plain E-step hands its network one noise level for all rows, as the authors' code does. The network that they make
anew for each trial is left out: it is once for all rows, and in a short run it would count too much.
"""

from functools import partial

import torch

from benchmarks import ours
from benchmarks.peers import diffputer as plain
from benchmarks.rows_training import equal_dtypes, gain
from benchmarks.setting import Setting, named
from benchmarks.timing import Case, Comparison, Run, Timed
from ldmiss.core.noise import RowNoise
from ldmiss.diffputer.em import SIGMA_DATA, Sampling, denoiser_of, draw_conditional
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.diffputer.objective import m_step_loss
from ldmiss.networks.layers import build, init_torch_default
from ldmiss.training.loop import Recipe, Training

NUM_FEATURES = 784
EQUAL_TARGET, OVERALL_TARGET = 1.5, 3.0


def networks(setting: Setting, num_features: int = NUM_FEATURES) -> tuple[DiffPuterMLP, plain.Denoiser]:
    """Ours and theirs with the same weights."""
    hidden = setting.params.diffputer.network.hidden
    network = build(
        lambda: DiffPuterMLP(num_features=num_features, hidden=hidden),
        setting.device, init_torch_default, setting.generator("mlp"),
    )  # fmt: skip
    theirs = plain.Denoiser(num_features, hidden).to(setting.device)
    plain.copy_weights(network, theirs)
    return network, theirs


def m_step(setting: Setting) -> Case:
    """An epoch of the M-step, per row."""
    sizes = setting.sizes
    rows = SIGMA_DATA * setting.normal(sizes.em_rows, NUM_FEATURES)

    def own(dtype: torch.dtype) -> Run:
        network = networks(setting)[0]
        loss = m_step_loss(denoiser_of(network, dtype), rows)
        training = Training(network, Recipe(1, sizes.em_batch, 1e-4), num_items=len(rows), seed=0)

        def epoch() -> None:
            training.step = 0
            training.run(loss)

        return epoch

    timed, comparisons = {}, []
    for dtype in setting.dtypes():
        theirs = plain.MStep(networks(setting)[1].requires_grad_(True), rows, sizes.em_batch)
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), len(rows), dtype)
        timed[f"plain {named(dtype)}"] = Timed(ours.autocast(setting, dtype, theirs.epoch), len(rows), dtype)
        comparisons.append(equal_dtypes(dtype, "plain"))
    native = named(setting.runtime.dtype)
    label = f"as run: ours in {native} against plain float32"
    as_run = Comparison(label, f"ours {native}", "plain float32", kind="as run")
    return Case(timed, [*comparisons, *gain(setting), as_run], "row")


def e_step(setting: Setting) -> Case:
    """One trial of the E-step, per row and network evaluation."""
    sizes = setting.sizes
    sampling = Sampling(sizes.e_step_levels, sizes.e_step_resamples)
    x = SIGMA_DATA * setting.normal(sizes.e_step_rows, NUM_FEATURES)
    observed = torch.rand(x.shape, generator=setting.generator("observed")).to(setting.device) < 0.5
    numbers = torch.arange(len(x), device=setting.device)
    network, theirs = networks(setting)
    network.eval().requires_grad_(False)
    theirs.eval()
    units = len(x) * sampling.num_evaluations()

    def own(dtype: torch.dtype) -> Run:
        denoise = denoiser_of(network, dtype)
        return lambda: draw_conditional(denoise, x, observed, RowNoise(0, numbers), sampling)

    def peer(dtype: torch.dtype) -> Run:
        generator = torch.Generator(setting.device).manual_seed(0)
        run = partial(
            plain.trial, theirs, x, observed, num_steps=sampling.num_steps, num_resamples=sampling.num_resamples,
            generator=generator,
        )  # fmt: skip
        return ours.autocast(setting, dtype, run)

    timed, comparisons = {}, []
    for dtype in setting.dtypes():
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), units, dtype)
        timed[f"plain {named(dtype)}"] = Timed(peer(dtype), units, dtype)
        comparisons.append(equal_dtypes(dtype, "plain", EQUAL_TARGET))
    native = named(setting.runtime.dtype)
    label = f"as run: ours in {native} against plain float32"
    as_run = Comparison(label, f"ours {native}", "plain float32", OVERALL_TARGET, "as run")
    return Case(timed, [*comparisons, *gain(setting), as_run], "row-evaluation")
