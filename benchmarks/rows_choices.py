"""What choices in our own code are worth, each against the usual way."""

import torch

from benchmarks import ours
from benchmarks.setting import Setting, named
from benchmarks.timing import Case, Comparison, Timed
from ldmiss.core.noise import RowNoise, torch_generator
from ldmiss.networks.layers import at_precision
from ldmiss.training.loop import Recipe, Training


def optimiser(setting: Setting) -> Case:
    """The update of the pixel U-Net's weights by fused Adam, against torch's default."""

    def update(*, fused: bool) -> Timed:
        network = ours.unet(setting, setting.pixel_config())
        training = Training(network, Recipe(1, 1, 1e-5), num_items=1, seed=0)
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        if fused:
            return Timed(lambda: training.optimizer.step(1e-5), 1)
        return Timed(torch.optim.Adam(network.parameters(), lr=1e-5).step, 1)

    timed = {"fused Adam": update(fused=True), "torch's default Adam": update(fused=False)}
    return Case(timed, [Comparison("fused against torch's default", "fused Adam", "torch's default Adam")], "update")


def deterministic(setting: Setting) -> Case:
    """`compute.deterministic` against torch's own choice of algorithms, in a training step of the pixel U-Net."""
    network = ours.unet(setting, setting.pixel_config())
    loss = ours.pixel_loss(setting, network, setting.runtime.dtype)
    steps = ours.training_steps(setting, network, loss, setting.sizes.pixel)

    def under(forced: bool) -> Timed:
        def run() -> None:
            torch.use_deterministic_algorithms(forced)
            try:
                steps()
            finally:
                torch.use_deterministic_algorithms(False)

        num_images = setting.sizes.train_steps * setting.sizes.pixel
        return Timed(run, num_images, setting.runtime.dtype, ours=forced)

    timed = {"deterministic": under(True), "torch's choice": under(False)}
    return Case(timed, [Comparison("its price", "deterministic", "torch's choice")], "image")


def time_embedding(setting: Setting) -> Case:
    """One time embedding for all rows against one per row, in an evaluation of the latent U-Net."""
    config = setting.latent_config()
    network = ours.unet(setting, config)
    ours.frozen(network)
    x = setting.normal(setting.sizes.latent, config["in_channels"], config["size"], config["size"])
    eps, dtype = at_precision(network, setting.runtime.dtype), setting.runtime.dtype
    shared, per_row = torch.tensor(0.5, device=x.device), torch.full((len(x),), 0.5, device=x.device)
    timed = {
        "one for all rows": Timed(lambda: eps(x, shared), len(x), dtype, ours=True),
        "one per row": Timed(lambda: eps(x, per_row), len(x), dtype),
    }
    return Case(
        timed,
        [Comparison(f"one for all rows against one per row, {named(dtype)}", "one for all rows", "one per row")],
        "image",
    )


def noise(setting: Setting) -> Case:
    """Noise that depends on its row alone, whatever the batch, against the other ways to have it, or not."""
    cases: dict[str, Timed] = {}
    comparisons = []
    for name, shape in {"latents": (2, 7, 7), "images": (1, 28, 28)}.items():
        x = torch.empty(setting.sizes.latent, *shape, device=setting.device)
        rows = torch.arange(len(x), device=setting.device)
        by_row, any_noise = RowNoise(0, rows), torch_generator(setting.device, 0, "any")
        cases |= {
            f"counter-based, {name}": Timed(lambda x=x, by_row=by_row: by_row(x), len(x)),  # type: ignore[misc]
            f"a generator per row, {name}": Timed(lambda x=x: _per_row(x), len(x)),  # type: ignore[misc]
            f"any noise, {name}": Timed(
                lambda x=x, generator=any_noise: torch.randn(x.shape, generator=generator, device=x.device),  # type: ignore[misc]
                len(x),
            ),
        }
        for peer in ("a generator per row", "any noise"):
            label = f"counter-based against {peer}, {name}"
            comparisons.append(Comparison(label, f"counter-based, {name}", f"{peer}, {name}"))
    return Case(cases, comparisons, "row")


def _per_row(x: torch.Tensor) -> torch.Tensor:
    rows = range(len(x))
    return torch.stack([torch.randn(x.shape[1:], generator=torch_generator("cpu", 0, row)) for row in rows])
