"""`compute.deterministic`: nothing that we use lacks a deterministic form, everything repeats, and metrics say it."""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from support import tiny
from support.imports import ROOT
from support.small_models import GENERATORS, IMPUTERS
from support.small_trainings import ROWS, TRAININGS, incomplete
from torch import Tensor

import ldmiss_pipeline.running.runner as runner
from ldmiss.core.noise import RowNoise
from ldmiss.imputation.imputer import Imputer
from ldmiss.training.loop import Recipe, Training
from ldmiss_pipeline.artifacts.json_files import load_checked_json
from ldmiss_pipeline.compute.device import force_deterministic, resolve
from ldmiss_pipeline.config.schema import Compute

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
STEPS = 3
HARMLESS = {
    "interpolate": "mode nearest only, whose backward pass gathers",
    "bincount": "without weights",
    "crossentropy": "with one label per row: one block sums; it is the loss over a plane of labels that is refused",
}
"""Operations of ours that torch's list of those without a deterministic form on CUDA names in some other use."""


@pytest.fixture
def _deterministic() -> Iterator[None]:
    resolve(Compute(device="auto", dtype="float32", num_threads=1, deterministic=True))
    force_deterministic(True)  # on a CPU, too: some operations refuse there
    yield
    force_deterministic(False)


def plain(name: str) -> str:
    """One spelling for a module and its function: `nn.NLLLoss`, `F.nll_loss`."""
    return name.rpartition(".")[2].replace("_", "").lower()


def test_no_operation_lacks_a_deterministic_form_on_cuda() -> None:
    """What torch lists as raising is not used in src, but for the uses of them that are harmless."""
    text = str(torch.use_deterministic_algorithms.__doc__)
    raising = text[text.index("operations will throw a") : text.index("In addition, several operations")]
    entries = [entry for entry in raising.split("* :")[1:] if "MPS" not in entry]
    listed = {plain(name) for entry in entries for name in re.findall(r"`([\w.]+)`", entry.split("when")[0])}
    assert {"adaptiveavgpool2d", "histc", "nllloss", "interpolate", "bincount", "median"} <= listed
    calls = [
        node.func
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    used = {plain(ast.unparse(call)) for call in calls if not ast.unparse(call).startswith("np.")}
    assert used & (listed | {"crossentropy"}) == HARMLESS.keys()


def test_interpolation_is_by_the_nearest_neighbour() -> None:
    """The modes that blend neighbours have no deterministic backward pass on CUDA."""
    calls = re.findall(r"F\.interpolate\([^\n]*\)", "".join(p.read_text() for p in (ROOT / "src").rglob("*.py")))
    assert len(calls) == 3
    assert all('mode="nearest"' in call for call in calls)


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("name", TRAININGS)
def test_training_repeats_to_the_bit(name: str) -> None:
    """Under torch's switch, which raises where an operation has no deterministic form; on CUDA where there is one."""

    def train() -> dict[str, Tensor]:
        network, loss = TRAININGS[name](DEVICE, torch.float32)
        recipe = Recipe(epochs=2, batch_size=ROWS // 2, lr=1e-3, grad_clip=1.0, ema_decay=0.9)
        training = Training(network, recipe, num_items=ROWS, seed=0)
        training.run(loss)
        return training.result()

    one, two = train(), train()
    start = TRAININGS[name](DEVICE, torch.float32)[0].state_dict()
    assert any(not torch.equal(value, start[key].cpu()) for key, value in one.items()), "nothing was trained"
    assert all(torch.equal(two[key], value) for key, value in one.items())


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("name", [*GENERATORS, *IMPUTERS])
def test_inference_repeats_to_the_bit(name: str) -> None:
    """As training; guidance has a backward pass."""
    images, observed = incomplete(DEVICE)
    x_obs = images.float() / 255

    def run() -> Tensor:
        noise = RowNoise(7, torch.arange(ROWS, device=DEVICE))
        if name in GENERATORS:
            return GENERATORS[name](DEVICE, STEPS)(ROWS, noise)
        return Imputer(IMPUTERS[name](DEVICE, STEPS), stochastic=True)(x_obs, observed, noise)

    one = run()
    assert float(one.std()) > 0.05, "nothing to compare"
    assert torch.equal(run(), one)


def test_the_metrics_say_what_it_was(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the cell's file, among the metadata of the run; what a stage's record says is that stage's own."""
    folder = tmp_path / "copy"
    shutil.copytree(project, folder, symlinks=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(tiny.document(compute={"deterministic": False})))
    monkeypatch.setattr(runner, "check_stamps", lambda stage_item, producers: None)  # the rest has the other value
    tiny.run(folder, lambda stage: stage == "evaluate")
    for where, deterministic in ((project, True), (folder, False)):
        assert load_checked_json(where / tiny.CELL.metrics())["run"]["deterministic"] is deterministic
        records = map(json.loads, (where / "runs/records.jsonl").read_text().splitlines())
        assert [record for record in records if record["stage"] == "evaluate"][-1]["deterministic"] is deterministic
