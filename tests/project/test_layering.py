"""Imports go one way; the mathematics touches no files, no configs and no global random state."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.imports import ROOT, imported_names, module_file

SOURCES = sorted(path.relative_to(ROOT) for path in (ROOT / "src").rglob("*.py"))
LIBRARY = [path for path in SOURCES if path.parts[1] == "ldmiss"]
PURE = [path for path in LIBRARY if path.parts[2] != "files" and path.name != "progress.py"]
MAY_IMPORT = {
    "ldmiss": {
        "core": set(),
        "files": set(),
        "missingness": set(),
        "networks": {"core"},
        "training": {"core", "networks"},
        "autoencoding": {"core", "networks", "training"},
        "diffusion": {"core", "networks", "training"},
        "sampling": {"core", "diffusion"},
        "diffputer": {"core", "networks", "training"},
        "baselines": set(),
        "remasking": {"core", "diffusion"},
        "regression": {"core", "networks", "remasking", "training"},
        "miwae": {"core", "networks", "training", "autoencoding"},
        "conditional": {"core", "diffusion", "remasking", "training"},
        "posterior": set(),
        "em_diffusion": {"core", "diffusion", "remasking", "training"},
        "classifier": {"core", "networks", "training"},
        "fitting": {
            "core", "networks", "training", "autoencoding", "diffusion", "diffputer", "baselines", "classifier",
            "remasking", "regression", "conditional", "miwae", "posterior", "em_diffusion", "sampling",
        },
        "imputation": {
            "core", "networks", "autoencoding", "diffusion", "sampling", "diffputer", "remasking", "regression",
            "miwae", "posterior",
        },
        "evaluation": {"core", "classifier"},
        "figures": set(),
    },
    "ldmiss_pipeline": {
        "artifacts": set(),
        "datasets": {"artifacts"},
        "config": {"datasets"},
        "compute": {"config"},
        "models": {"artifacts", "compute"},
        "methods": {"artifacts", "compute", "config", "models"},
        "running": {"artifacts", "config", "compute"},
        "paper": {"artifacts"},
        "grid": {"artifacts", "config", "compute", "running", "paper"},
    },
}  # fmt: skip
"""Room -> the rooms of its package that it may import from, beside itself and the modules at the package's top."""
FOREIGN_TO_MATHEMATICS = {
    "yaml", "ruamel", "json", "pydantic", "omegaconf", "hydra", "dvc", "safetensors", "pickle", "pathlib", "os",
}  # fmt: skip
GLOBAL_RANDOMNESS = {
    "random.seed", "np.random.seed", "np.random.rand", "np.random.randn", "torch.manual_seed", "torch.seed",
}  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    """The library knows nothing of the pipeline, the pipeline nothing of the stages, and rooms have an order."""
    package, room = path.parts[1:3]
    above = {"ldmiss": {"ldmiss_pipeline", "stages"}, "ldmiss_pipeline": {"stages"}}[package]
    names = imported_names(path)
    assert not {name.split(".")[0] for name in names} & above
    if len(path.parts) > 3:
        files = [module_file(name) for name in names if name.split(".")[0] == package]
        rooms = {file.parts[2] for file in files if file is not None and len(file.parts) > 3}
        may = MAY_IMPORT[package][room] | {room}
        assert rooms <= may, f"{path} imports from {sorted(rooms - may)}"


@pytest.mark.parametrize("path", PURE, ids=str)
def test_mathematics_knows_no_files_and_no_configs(path: Path) -> None:
    """Values in, values out: no formats, no paths, no prints."""
    assert not {name.split(".")[0] for name in imported_names(path)} & FOREIGN_TO_MATHEMATICS
    calls = _calls(path)
    assert not {"open", "print", "exec", "eval"} & set(calls)
    assert not [call for call in calls if call.endswith((".read_text", ".write_text", ".read_bytes", ".write_bytes"))]


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_nothing_draws_from_a_global_generator(path: Path) -> None:
    """Global generators are neither seeded nor used, and torch's random functions are only called with `generator=`."""
    assert not GLOBAL_RANDOMNESS & set(_calls(path))
    draws = {
        "rand", "randn", "randint", "randperm", "bernoulli_", "uniform_", "normal_", "xavier_uniform_", "bernoulli",
        "random_",
    }  # fmt: skip
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in draws:
            numpys = ast.unparse(node.func.value) in ("rng", "self.rng")
            assert numpys or any(keyword.arg == "generator" for keyword in node.keywords), f"{path}:{node.lineno}"


def _calls(path: Path) -> list[str]:
    tree = ast.parse((ROOT / path).read_text())
    return [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]


LIGHT = [
    *(f"stages.{name}" for name in ("check", "download", "mask", "mask_test", "plot")),
    *(f"ldmiss_pipeline.{name}" for name in ("running.runner", "running.repro", "running.verify", "paper.report")),
    "ldmiss_pipeline.config.compose",
    "ldmiss_pipeline.grid.__main__",
    "ldmiss",
]


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_start_without_torch(name: str) -> None:
    """Importing torch takes longer than most of them run."""
    code = f"import sys, importlib, stages; importlib.import_module({name!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_packages_have_no_code_of_their_own() -> None:
    """`__init__` files hold a docstring or names (that of `stages` also puts this src first on the path)."""
    for path in [*ROOT.glob("src/*/*/**/__init__.py"), ROOT / "src/ldmiss_pipeline/__init__.py"]:
        for node in ast.parse(path.read_text()).body:
            assert isinstance(node, ast.Expr | ast.ImportFrom), f"{path}: {ast.unparse(node)}"


def test_a_lazy_name_counts_as_its_module() -> None:
    """`from ldmiss import SAMPLERS` imports sampling, whatever it looks like."""
    assert module_file("ldmiss.SAMPLERS") == Path("src/ldmiss/sampling/samplers.py")
    assert module_file("ldmiss.fit_vae") == Path("src/ldmiss/fitting/vae.py")
