"""What goes to the next slice, made at home: a folder with params, raw data, results so far and the weights needed."""

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ldmiss.errors import InputError
from stages import params as params_module
from stages.datasets import DATASETS
from stages.io import atomic_write, load_facts, save_json, save_text
from stages.paths import RAW
from stages.slices.baggage import (
    all_timings,
    read_parts,
    result_contents,
    unpack_results,
    write_parts,
    write_weights,
)
from stages.slices.estimate import Estimates
from stages.slices.order import Order
from stages.slices.pieces import Pieces
from stages.slices.workspace import MANIFEST, ROOT, head
from stages.work import PIPELINE_FILE, Pipeline, Work

WEIGHT_BYTES = 36 * 2**20
"""Of the 64 MiB that travel: beside 12 of raw data, 7 of the checkout, 5 of packages, and the results."""
TRAVELLING = (
    "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions", "torch-fidelity",
    "safetensors", "pyyaml", "filelock", "tqdm",
)  # fmt: skip
"""Packages that a slice needs beside torch, torchvision, numpy, scipy, pandas, matplotlib and seaborn."""


def prepare(carried: Sequence[Path], out: Path, params_file: Path, raw: Path = RAW) -> str:
    """Write the folder; a line on what is in it. Wheels that lie in it stay.

    Raises:
        InputError: no raw data, or carried files that cannot be read.
    """
    params, document = params_module.load(params_file)
    dataset = params.dataset.name
    for split in ("train", "test"):
        DATASETS[dataset].load(raw / dataset, split)
    with tempfile.TemporaryDirectory() as temporary:
        results = Path(temporary) / "results"
        unpack_results(carried, results)
        order, weights = left_to_do(carried, document, Pieces(params, results), Path(temporary))
        out.mkdir(parents=True, exist_ok=True)
        write_parts(out, "results", result_contents(results))
        needed = order.needed(lambda path: path in weights)
        sent = write_weights(out, ((path, weights[path]) for path in needed), WEIGHT_BYTES)
    shutil.copytree(raw / dataset, out / "raw" / dataset, dirs_exist_ok=True)
    save_text(out / "params.yaml", params_file.read_text())
    save_json(out / MANIFEST, {"commit": head()})
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return f"{out}: {size / 2**20:.1f} MiB, weights of {len(sent)} of {len(needed)} models that are needed"


def left_to_do(
    carried: Sequence[Path], document: dict[str, object], pieces: Pieces, scratch: Path
) -> tuple[Order, dict[Path, bytes]]:
    """What a bare machine would have to do with all that was carried away, and the models that are there for it.

    Args:
        carried: folders of earlier slices.
        document: the params.
        pieces: that were measured.
        scratch: a folder to write to.
    """
    weights, made = dict[Path, bytes](), dict[str, str]()
    for name, (content, *_) in read_parts(carried, "weights").items():
        path = scratch / "weights" / name
        atomic_write(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        facts = load_facts(path)
        weights[Path(name)], made[facts["made_by"]] = content, facts["params"]

    def has_ended(work: Work) -> bool:
        return work.stage == "download" or made.get(work.label) == work.stamp["params"]

    pipeline = Pipeline(document, ROOT / PIPELINE_FILE)
    return Order(pipeline, has_ended=has_ended, is_measured=pieces.has), weights


def locked_requirements(names: Sequence[str] = TRAVELLING, lock: Path = ROOT / "requirements.lock") -> str:
    """The lines of `requirements.lock` for some packages, with their hashes.

    Raises:
        InputError: a package is not in it.
    """
    entries = re.findall(r"^[a-zA-Z0-9_.-]+==(?:.*\\\n)*.*$", lock.read_text(), flags=re.MULTILINE)
    by_name = {entry.partition("==")[0].lower(): entry for entry in entries}
    if lacking := [name for name in names if name not in by_name]:
        raise InputError(f"{lock}: has no {', '.join(lacking)}")
    return "\n".join(by_name[name] for name in names) + "\n"


def plan(carried: Sequence[Path], params_file: Path) -> str:
    """What is left to do, a line a part with the seconds it takes on the device of the last timings (or by counts)."""
    params, document = params_module.load(params_file)
    with tempfile.TemporaryDirectory() as temporary:
        results = Path(temporary) / "results"
        unpack_results(carried, results)
        order, _ = left_to_do(carried, document, Pieces(params, results), Path(temporary))
        timings = all_timings(results)
    device = str(timings[-1]["device"]) if timings else "cuda"
    kind = "cpu" if device == "cpu" else "cuda"
    estimates = Estimates(params, timings, device=device, kind=kind, machine="")
    lines = []
    for part in order.parts:
        if steps := order.steps(part):
            seconds = [estimates.seconds(step) for step in steps]
            parts = ", ".join(f"{step.label} {of:.0f}" for step, of in zip(steps, seconds, strict=True) if of >= 60)
            lines.append(f"{part.name}: {sum(seconds):.0f} s ({parts})")
    return "\n".join([*lines, f"{len(order.parts) - len(lines)} of {len(order.parts)} parts are done"])
