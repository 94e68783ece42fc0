"""`import ldmiss` needs torch, numpy, scipy, safetensors and tqdm: models train and impute without the extras."""

import subprocess
import sys
import tomllib

from support.imports import ROOT

OF_EXTRAS = [
    "torch_fidelity", "torchvision", "pandas", "seaborn", "matplotlib", "mlxtend", "dvc", "ruamel", "yaml", "hydra",
    "omegaconf", "pydantic", "submitit", "configobj", "filelock", "psutil", "diffusers", "sklearn", "ray",
    "ldmiss_pipeline", "stages",
]  # fmt: skip
"""What the environment of a person who wants the library alone does not have."""

SCRIPT = f"""
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OF_EXTRAS!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)


sys.meta_path.insert(0, Blocked())

import torch
import ldmiss
from ldmiss import PixelCodec, Recipe, RowNoise, VPSDE, draw_observed, fit_ddpm, numpy_generator, score_model

images = torch.randint(0, 256, (24, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
observed = torch.from_numpy(draw_observed("mcar", images[:, 0].numpy(), 0.5, numpy_generator(0)))[:, None]
network = {{
    "base_channels": 8, "channel_multipliers": [1, 2], "num_res_blocks": 1, "attention_resolutions": [],
    "mid_attention": False, "resampling": "biggan", "dropout": 0.0, "num_groups": 2,
}}
fitted = fit_ddpm(images, observed, network=network, recipe=Recipe(epochs=2, batch_size=8, lr=1e-3), seed=0)
model = score_model(fitted.config, fitted.weights, PixelCodec((1, 8, 8), "symmetric"), sde=VPSDE(), tau=1e-3)
x = images.float() / 255
completed = model.impute_by_guidance(x, observed, RowNoise(0, torch.arange(24)), num_steps=3)
assert completed.shape == x.shape and bool(torch.isfinite(completed).all())
print("completed", *completed.shape)
"""


def test_a_model_trains_and_imputes_without_the_extras() -> None:
    """The imports of all that belongs to extras are blocked."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "completed 24 1 8 8\n"


def test_every_name_of_the_library_resolves() -> None:
    """The lazy names are what `dir` says, and an unknown one is an AttributeError."""
    import ldmiss

    for name in ldmiss.__all__:
        assert getattr(ldmiss, name) is not None
    assert set(ldmiss.__all__) <= set(dir(ldmiss))
    assert not hasattr(ldmiss, "no_such_name")


def test_the_library_depends_on_little() -> None:
    """What pip installs for `pip install ldmiss`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {name.split(">")[0] for name in project["dependencies"]} == {
        "torch", "numpy", "scipy", "safetensors", "tqdm",
    }  # fmt: skip
