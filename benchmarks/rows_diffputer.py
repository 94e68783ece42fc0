"""DiffPuter against a plain transcription of the published algorithm (`benchmarks.peers.diffputer`).

The plain E-step hands its network one noise level for all rows, as the authors' code does; a level per row, as one may
write it from their paper, is a line of its own. So is the network that they make anew for each trial, once for all
rows: in a short run it would count too much.
"""

from functools import partial

import torch

from benchmarks import ours
from benchmarks.peers import diffputer as plain
from benchmarks.rows_training import equal_dtypes, gain
from benchmarks.setting import Setting, named
from benchmarks.timing import Case, Comparison, Run, Timed
from ldmiss.core.noise import NoiseFn, RowNoise
from ldmiss.diffputer.edm import DenoiseFn, Preconditioned
from ldmiss.diffputer.em import SIGMA_DATA, Sampling, draw_conditional, m_step_loss
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.training.loop import Recipe, Training

NUM_FEATURES = 784
EQUAL_TARGET, OVERALL_TARGET = 1.5, 3.0
PUBLISHED_EVALUATIONS = 20 * Sampling(50, 20).num_evaluations()
"""Of one row's E-step at the authors' settings."""


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
        loss = m_step_loss(Preconditioned(at_precision(network, dtype), SIGMA_DATA), rows)
        training = Training(network, Recipe(1, sizes.em_batch, 1e-4), num_items=len(rows), seed=0)

        def epoch() -> None:
            training.step = 0
            training.run(loss)

        return epoch

    timed, comparisons = {}, []
    for dtype in setting.dtypes():
        theirs = plain.MStep(networks(setting)[1].requires_grad_(True), rows, sizes.em_batch)
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), len(rows), dtype, ours=True)
        timed[f"plain {named(dtype)}"] = Timed(ours.autocast(setting, dtype, theirs.epoch), len(rows), dtype)
        comparisons.append(equal_dtypes(dtype, "plain"))
    native = named(setting.runtime.dtype)
    label = f"as run: ours in {native} against plain float32"
    as_run = Comparison(label, f"ours {native}", "plain float32", kind="as run")
    return Case(timed, [*comparisons, *gain(setting), as_run], "row")


def e_step(setting: Setting) -> Case:
    """One trial of the E-step, per row and network evaluation."""
    sizes, hidden = setting.sizes, setting.params.diffputer.network.hidden
    sampling = Sampling(sizes.e_step_levels, sizes.e_step_resamples)
    x = SIGMA_DATA * setting.normal(sizes.e_step_rows, NUM_FEATURES)
    observed = torch.rand(x.shape, generator=setting.generator("observed")).to(setting.device) < 0.5
    numbers = torch.arange(len(x), device=setting.device)
    network, theirs = networks(setting)
    stored = plain.stored_weights(theirs)
    network.eval().requires_grad_(False)
    theirs.eval()
    units = len(x) * sampling.num_evaluations()

    def own(dtype: torch.dtype, *, by_row: bool = True) -> Run:
        denoise: DenoiseFn = Preconditioned(at_precision(network, dtype), SIGMA_DATA)
        generator = torch.Generator(setting.device).manual_seed(0)

        def any_noise(x: torch.Tensor) -> torch.Tensor:
            return torch.randn(x.shape, generator=generator, device=x.device)

        def run() -> object:
            noise: NoiseFn = RowNoise(0, numbers) if by_row else any_noise
            return draw_conditional(denoise, x, observed, noise, sampling)  # type: ignore[arg-type]

        return run

    def peer(dtype: torch.dtype, *, shared_level: bool = True) -> Run:
        generator = torch.Generator(setting.device).manual_seed(0)
        run = partial(
            plain.trial, theirs, x, observed, num_steps=sampling.num_steps, num_resamples=sampling.num_resamples,
            generator=generator, shared_level=shared_level,
        )  # fmt: skip
        return ours.autocast(setting, dtype, run)

    timed, comparisons = {}, []
    for dtype in setting.dtypes():
        timed[f"ours {named(dtype)}"] = Timed(own(dtype), units, dtype, ours=True)
        timed[f"plain {named(dtype)}"] = Timed(peer(dtype), units, dtype)
        comparisons.append(equal_dtypes(dtype, "plain", EQUAL_TARGET))
    native_dtype, native = setting.runtime.dtype, named(setting.runtime.dtype)
    whole, per_row, any_noise = f"ours {native}", "plain float32, a level per row", f"ours {native}, any noise"
    timed[per_row] = Timed(peer(torch.float32, shared_level=False), units)
    timed[any_noise] = Timed(own(native_dtype, by_row=False), units, native_dtype, ours=True)
    timed["network made anew"] = Timed(lambda: plain.recreate(stored, NUM_FEATURES, hidden, setting.device), 1)
    comparisons += [
        *gain(setting),
        Comparison(f"as run: ours in {native} against plain float32", whole, "plain float32", OVERALL_TARGET, "as run"),
        Comparison("plain float32: one level for all rows against one per row", "plain float32", per_row),
        Comparison("noise by row against any noise (its price)", whole, any_noise),
    ]
    return Case(timed, comparisons, "row-evaluation", remarks=lambda: [_remark(sampling, len(x))])


def _remark(sampling: Sampling, num_rows: int) -> str:
    return (
        f"Measured with {sampling.num_evaluations()} evaluations of {num_rows} rows; the authors' E-step takes "
        f"{PUBLISHED_EVALUATIONS} a row, all alike but for their noise level. 'network made anew' is once per trial "
        "for all rows, so that at the authors' settings it does not count."
    )
