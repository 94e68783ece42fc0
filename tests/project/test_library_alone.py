"""`ldmiss` needs torch, numpy, scipy, safetensors, pillow and tqdm: models train and impute without the extras."""

import re
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

BLOCK = f"""
import sys


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OF_EXTRAS!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)


sys.meta_path.insert(0, Blocked())
"""
DATA = """
import torch
from ldmiss import draw_observed, numpy_generator

images = torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))
observed = torch.from_numpy(draw_observed("mcar", images.numpy(), 0.5, numpy_generator(0)))
"""
CHECK = """
assert completed.shape == uncertainty.shape == images.shape
assert torch.equal(completed[observed], images[observed])
assert bool((uncertainty[~observed] > 0).any()) and not uncertainty[observed].any()
assert "torch._dynamo" not in sys.modules  # its import takes as long as torch's own, in every training stage
print("completed", *completed.shape)
"""


def readme_example() -> str:
    """The example of the library in the README, for fewer epochs, steps and draws."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for number, smaller in (("epochs=20", "epochs=1"), ("num_steps=50", "num_steps=3"), ("range(8)", "range(2)")):
        assert number in code
        code = code.replace(number, smaller)
    return code


def test_the_readmes_example_runs_without_the_extras() -> None:
    """A model trains and imputes although the imports of all that belongs to extras are blocked."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK + DATA + readme_example() + CHECK], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "completed 12 1 28 28\n"


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
        "torch", "numpy", "scipy", "safetensors", "pillow", "tqdm",
    }  # fmt: skip
