"""No file that we read can run code or take unbounded memory, under whatever extension it comes."""

import ast
import io
import itertools
import pickle
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from support.cases import refusal
from support.hostile import MEMORY, hostile_files
from support.imports import ROOT

from ldmiss.errors import InputError
from ldmiss.files.images import read_images
from ldmiss.files.tensors import load_metadata, load_tensors
from ldmiss_pipeline.artifacts.arrays import load_array_metadata, load_arrays
from ldmiss_pipeline.artifacts.json_files import load_checked_json, load_json
from ldmiss_pipeline.artifacts.observed import load_observed
from ldmiss_pipeline.config import params
from ldmiss_pipeline.datasets import fashion, mnist
from ldmiss_pipeline.datasets.packaged import read_picture
from ldmiss_pipeline.models.classifier import restore_classifier, restore_committed
from ldmiss_pipeline.paper.claims_command import read_table
from ldmiss_pipeline.running.checkpoint import FileCheckpoint
from ldmiss_pipeline.running.lockfile import load_lock

STATUS = Path("/proc/self/status")
SOURCES = sorted(
    path for name in ("src", "stages", "hydra_plugins", "benchmarks", ".ci") for path in (ROOT / name).rglob("*.py")
)


def load_slot(path: Path) -> None:
    """A checkpoint; one that is not read is a warning, and here an error as all others are."""
    if FileCheckpoint(path.parent, "key").load(path.stem) is None:
        raise InputError(f"{path}: ignored")


LOADERS: dict[str, list[Callable[[Path], Any]]] = {
    "x.npz": [lambda path: load_arrays(path, "images"), load_observed, load_array_metadata, read_images],
    "x.npy": [read_images],
    "x.safetensors": [
        lambda path: load_tensors(path, kind="vae"), load_metadata, load_slot,
        lambda path: restore_classifier(path, torch.device("cpu")),
        lambda path: restore_committed(path, torch.device("cpu"), dataset="mnist"),
    ],
    "x.json": [load_json, load_checked_json],
    "params.yaml": [params.load],
    "dvc.lock": [load_lock],
    "table.csv": [read_table],
    "t10k-labels-idx1-ubyte.gz": [mnist.FILES.read],
    "t10k-labels-idx1-ubyte": [fashion.FILES.read],
    "x.png": [lambda path: read_picture(path, "L")],
}  # fmt: skip
"""Every name or extension that we read -> every function that reads it."""


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that executed code creates."""
    return tmp_path_factory.mktemp("trap") / "executed"


@pytest.fixture(scope="module")
def files(trap: Path) -> dict[str, bytes]:
    """The hostile files by name."""
    return hostile_files(trap)


def test_the_traps_work(trap: Path, files: dict[str, bytes]) -> None:
    """Readers that do execute, do: else the test below could not fail."""
    readers: dict[str, Callable[[bytes], Any]] = {
        "pickle": pickle.loads,
        "old pickle": pickle.loads,
        "torch.save": lambda content: torch.load(io.BytesIO(content), weights_only=False),
        "torch.save, old format": lambda content: torch.load(io.BytesIO(content), weights_only=False),
        "npy of objects": lambda content: np.load(io.BytesIO(content), allow_pickle=True),
        "npz of objects": lambda content: np.load(io.BytesIO(content), allow_pickle=True)["images"],
        "YAML that calls deeper": lambda content: yaml.load(content, yaml.UnsafeLoader),
    }
    for name, read in readers.items():
        read(files[name])
        assert trap.exists(), name
        trap.unlink()


@pytest.mark.skipif(not STATUS.exists(), reason="no /proc, to see how much memory is in use")
@pytest.mark.parametrize("name", LOADERS)
def test_nothing_is_executed_and_everything_refused(
    name: str, trap: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    """Every hostile file under every extension, through every loader, in an address space that a bomb would burst."""
    path = tmp_path / name
    in_use = re.search(r"VmSize:\s+(\d+) kB", STATUS.read_text())
    assert in_use is not None
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (int(in_use[1]) * 1024 + MEMORY, limits[1]))
    try:
        for kind, load in itertools.product(files, LOADERS[name]):
            path.write_bytes(files[kind])
            try:
                load(path)
            except InputError as error:
                refusal(error, names=path.name)
            else:
                pytest.fail(f"{kind} was read as {name}")
            assert not trap.exists(), f"{kind} under {name} was executed"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert list(tmp_path.iterdir()) == [path]


FORBIDDEN_MODULES = {
    "pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "shutil.unpack_archive"
}  # fmt: skip
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "torch.load", "torch.jit.load", "torch.hub.load", "yaml.unsafe_load",
    "yaml.full_load", "yaml.load_all", "os.system", "os.popen", "shutil.unpack_archive",
}  # fmt: skip


def offences(source: str) -> list[str]:
    """Calls and imports by which a file could run code or be unpacked to where it says."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = {alias.name if module is None else f"{module}.{alias.name}" for alias in node.names} | {module}
            found += [str(name) for name in names & FORBIDDEN_MODULES]
        if not isinstance(node, ast.Call):
            continue
        call, given = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
        if call in FORBIDDEN_CALLS or call.endswith((".extractall", ".extract", ".read_pickle")):
            found.append(call)
        if call in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
            found.append(call)
        if call == "yaml.load" or (call == "YAML" and given != {"typ": "'safe'"}):
            found.append(call)
        if given.get("shell", "False") != "False":
            found.append(f"{call}(shell=True)")
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import shutil; shutil.unpack_archive('x')", "eval('1')",
        "torch.load('x')", "np.load('x')", "np.load('x', allow_pickle=True)", "yaml.load(x)",
        "yaml.load(x, yaml.Loader)", "YAML()", "YAML(typ='unsafe')", "yaml.load(x, Loader=yaml.FullLoader)",
        "os.system('x')", "frame.read_pickle('x')",
        "subprocess.run('x', shell=True)", "archive.extractall('x')", "from shutil import unpack_archive",
    ],
)  # fmt: skip
def test_what_the_source_test_finds(source: str) -> None:
    """Each of these would be found."""
    assert offences(source)


def test_our_sources_have_no_way_to_execute_a_file() -> None:
    """No pickle, no unsafe YAML, no eval, no shell, no archive unpacked to where it says."""
    found = {str(path.relative_to(ROOT)): offences(path.read_text()) for path in SOURCES}
    assert len(SOURCES) > 80
    assert not {path: names for path, names in found.items() if names}


def test_every_package_of_the_lock_has_its_hashes() -> None:
    """`uv pip install --require-hashes` then installs nothing but what was locked; and no registry is named."""
    text = (ROOT / "requirements.lock").read_text()
    requirements = [
        line for line in text.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")
    ]
    assert len(requirements) > 100
    for line in requirements:
        assert re.match(r"[a-zA-Z0-9._-]+==\S+ ", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
    assert "://" not in text
    assert "--index-url" not in text
