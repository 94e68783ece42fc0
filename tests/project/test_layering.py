"""Imports go one way, and `src` touches no files, no configs and no global random state."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.imports import ROOT, imported_names, module_file

SOURCES = sorted(path.relative_to(ROOT) for path in (ROOT / "src").rglob("*.py"))
ALLOWED = {
    "diffusion": {"diffusion"},
    "networks": {"networks"},
    "autoencoding": {"autoencoding"},
    "training": {"training", "diffusion", "networks", "autoencoding"},
    "imputation": {"imputation", "training", "diffusion", "networks", "autoencoding"},
    "evaluation": {"evaluation"},
    "figures": {"figures"},
}
FOREIGN_TO_SRC = {
    "yaml",
    "json",
    "pydantic",
    "omegaconf",
    "hydra",
    "dvc",
    "safetensors",
    "pickle",
    "pathlib",
    "os",
    "stages",
}
GLOBAL_RANDOMNESS = {
    "random.seed",
    "np.random.seed",
    "np.random.rand",
    "np.random.randn",
    "torch.manual_seed",
    "torch.seed",
}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_src_imports_only_what_its_layer_may(path: Path) -> None:
    """Mathematics does not know training, training not imputation's stages, and nothing in src knows files."""
    names = imported_names(path)
    assert not {name.split(".")[0] for name in names} & FOREIGN_TO_SRC
    layer = path.parts[2]
    if layer in ALLOWED:
        files = [module_file(name) for name in names if name.startswith("ldmiss.")]
        layers = {file.parts[2] for file in files if file is not None and len(file.parts) > 3}
        assert layers <= ALLOWED[layer], f"{path} imports from {sorted(layers - ALLOWED[layer])}"


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_src_has_no_files_prints_or_global_randomness(path: Path) -> None:
    """No call of open, print, or of a function that draws from or seeds a global generator."""
    calls = [
        ast.unparse(node.func) for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Call)
    ]
    assert not {"open", "print", "exec", "eval", *GLOBAL_RANDOMNESS} & set(calls)
    assert not [call for call in calls if call.endswith((".read_text", ".write_text", ".read_bytes", ".write_bytes"))]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_every_torch_draw_names_its_generator(path: Path) -> None:
    """torch's random functions are only called with `generator=`."""
    draws = {
        "rand",
        "randn",
        "randint",
        "randperm",
        "bernoulli_",
        "uniform_",
        "normal_",
        "xavier_uniform_",
        "bernoulli",
        "random_",
    }
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in draws:
            assert any(keyword.arg == "generator" for keyword in node.keywords), f"{path}:{node.lineno}"


LIGHT = ("__main__", "download", "mask", "plot", "preflight", "report", "verify", "compose", "claims")


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_start_without_torch(name: str) -> None:
    """Importing torch takes longer than most of them run."""
    code = f"import sys, stages.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_packages_have_no_code_of_their_own() -> None:
    """`__init__` files hold a docstring, a version or types (that of `stages` also puts this src first on the path)."""
    for path in [*ROOT.glob("src/**/__init__.py"), *ROOT.glob("stages/*/**/__init__.py")]:
        for node in ast.parse(path.read_text()).body:
            harmless = isinstance(node, ast.Expr | ast.ImportFrom) or (
                isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            )
            assert harmless or ast.unparse(node).startswith("__version__"), f"{path}: {ast.unparse(node)}"
