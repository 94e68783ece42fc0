"""DiffPuter against a plain transcription of the published algorithm (`benchmarks.peers.diffputer`).

What each change is worth stands below the whole: each line takes one more change than the line above. The network of a
trial is made anew once for all rows, so its time is a line of its own: in a short run it would count too much.
"""

import torch

from benchmarks.peers import diffputer as plain
from benchmarks.setting import Setting, named
from benchmarks.timing import Case, Comparison, Run, Timed
from ldmiss.diffusion.edm import DenoiseFn, Preconditioned
from ldmiss.diffusion.samplers import NoiseFn
from ldmiss.imputation.diffputer import SIGMA_DATA, Sampling, draw_conditional, m_step_loss
from ldmiss.networks.layers import at_precision, build, init_torch_default
from ldmiss.networks.mlp import DiffPuterMLP
from ldmiss.noise import RowNoise
from ldmiss.training.loop import Recipe, Training

NUM_FEATURES = 784
EQUAL_TARGET, OVERALL_TARGET = 1.5, 3.0
PUBLISHED_EVALUATIONS = 20 * Sampling(50, 20).num_evaluations()
"""Of one row's E-step at the authors' settings."""


def networks(setting: Setting, num_features: int = NUM_FEATURES) -> tuple[DiffPuterMLP, plain.Denoiser]:
    """Ours and theirs with the same weights."""
    hidden = setting.params.diffputer.network.hidden
    ours = build(
        lambda: DiffPuterMLP(num_features=num_features, hidden=hidden),
        setting.device, init_torch_default, setting.generator("mlp"),
    )  # fmt: skip
    theirs = plain.Denoiser(num_features, hidden).to(setting.device)
    plain.copy_weights(ours, theirs)
    return ours, theirs


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

    timed = {f"ours {named(dtype)}": Timed(own(dtype), len(rows), dtype, ours=True) for dtype in setting.dtypes()}
    theirs = networks(setting)[1].requires_grad_(True)
    timed["plain float32"] = Timed(plain.MStep(theirs, rows, sizes.em_batch).epoch, len(rows))
    native = named(setting.runtime.dtype)
    comparisons = [Comparison("float32 against float32", "ours float32", "plain float32")]
    if native != "float32":
        comparisons += [
            Comparison(f"ours, {native} against float32", f"ours {native}", "ours float32"),
            Comparison(f"as run: ours in {native} against plain", f"ours {native}", "plain float32"),
        ]
    return Case(timed, comparisons, "row")


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

    def own(dtype: torch.dtype, *, shared: bool = True, by_row: bool = True) -> Run:
        denoise: DenoiseFn = Preconditioned(at_precision(network, dtype), SIGMA_DATA)
        generator = torch.Generator(setting.device).manual_seed(0)

        def at_each_row(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return denoise(x, sigma.expand(len(x)))

        def any_noise(x: torch.Tensor) -> torch.Tensor:
            return torch.randn(x.shape, generator=generator, device=x.device)

        def run() -> object:
            noise: NoiseFn = RowNoise(0, numbers) if by_row else any_noise
            return draw_conditional(denoise if shared else at_each_row, x, observed, noise, sampling)  # type: ignore[arg-type]

        return run

    def peer(*, shared_level: bool) -> Run:
        generator = torch.Generator(setting.device).manual_seed(0)
        return lambda: plain.trial(
            theirs, x, observed, num_steps=sampling.num_steps, num_resamples=sampling.num_resamples,
            generator=generator, shared_level=shared_level,
        )  # fmt: skip

    native_dtype, native = setting.runtime.dtype, named(setting.runtime.dtype)
    whole, plainest, shared = f"ours {native}", "plain float32", "plain float32, one level for all rows"
    timed = {
        plainest: Timed(peer(shared_level=False), units),
        shared: Timed(peer(shared_level=True), units),
        "ours float32": Timed(own(torch.float32), units, ours=True),
        whole: Timed(own(native_dtype), units, native_dtype, ours=True),
        f"{whole}, any noise": Timed(own(native_dtype, by_row=False), units, native_dtype, ours=True),
        "network made anew": Timed(lambda: plain.recreate(stored, NUM_FEATURES, hidden, setting.device), 1),
    }
    comparisons = [
        Comparison("float32 against float32", "ours float32", plainest, EQUAL_TARGET),
        Comparison(f"as run: ours in {native} against plain", whole, plainest, OVERALL_TARGET),
        Comparison("share: one level for all rows", shared, plainest),
        Comparison("share: our step, noise by row", "ours float32", shared),
        Comparison(f"share: {native}", whole, "ours float32"),
        Comparison("noise by row against any noise (its price)", whole, f"{whole}, any noise"),
    ]
    return Case(timed, comparisons, "row-evaluation", remarks=lambda: [_remark(sampling, len(x))])


def _remark(sampling: Sampling, num_rows: int) -> str:
    return (
        f"Measured with {sampling.num_evaluations()} evaluations of {num_rows} rows; the authors' E-step takes "
        f"{PUBLISHED_EVALUATIONS} a row, all alike but for their noise level. 'network made anew' is once per trial "
        "for all rows, so that at the authors' settings it does not count."
    )
