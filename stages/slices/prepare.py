"""What goes to the next slice, made at home: a folder with params, raw data, what is known and the weights needed."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import params as params_module
from stages.datasets import DATASETS
from stages.estimate import Estimates
from stages.io import atomic_write, load_facts, save_json, save_text
from stages.paths import RAW
from stages.slices.baggage import read_parts, result_contents, unpack_results, write_parts, write_weights
from stages.slices.order import Order
from stages.slices.pieces import Pieces
from stages.slices.workspace import MANIFEST, ROOT, all_timings, head
from stages.work import PIPELINE_FILE, Pipeline, Work

if TYPE_CHECKING:
    from stages.schema import Params

WEIGHT_BYTES = 36 * 2**20
"""Of the 64 MiB that travel: beside 12 of raw data, 7 of the checkout and 5 of packages."""


@dataclass(frozen=True)
class Brought:
    """All that slices carried away, as long as `brought` lasts.

    Attributes:
        params, document: of the grid.
        results: a folder with pieces and timings.
        pieces: those of these params.
        order: what a bare machine would have to do with it.
        weights: models that travelled, by path.
    """

    params: "Params"
    document: dict[str, Any]
    results: Path
    pieces: Pieces
    order: Order
    weights: dict[Path, bytes]

    @property
    def timings(self) -> list[dict[str, Any]]:
        """Of all steps, of any params."""
        return all_timings(self.results)


@contextmanager
def brought(carried: Sequence[Path], params_file: Path) -> Iterator[Brought]:
    """Read what slices carried away.

    Raises:
        InputError: as `read_parts`.
    """
    params, document = params_module.load(params_file)
    with tempfile.TemporaryDirectory() as temporary:
        results = Path(temporary) / "results"
        unpack_results(carried, results)
        weights, made = dict[Path, bytes](), dict[str, str]()
        for name, (content, *_) in read_parts(carried, "weights").items():
            path = Path(temporary) / "weights" / name
            atomic_write(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
            facts = load_facts(path)
            weights[Path(name)], made[facts["made_by"]] = content, facts["params"]

        def has_ended(work: Work) -> bool:
            return work.stage == "download" or made.get(work.label) == work.stamp["params"]

        pieces = Pieces(params, results)
        order = Order(Pipeline(document, ROOT / PIPELINE_FILE), has_ended=has_ended, is_measured=pieces.has)
        yield Brought(params, document, results, pieces, order, weights)


def prepare(carried: Sequence[Path], out: Path, params_file: Path, raw: Path = RAW) -> str:
    """Write the folder; a line on what is in it.

    Raises:
        InputError: no raw data, or as `brought`.
    """
    with brought(carried, params_file) as home:
        dataset = home.params.dataset.name
        for split in ("train", "test"):
            DATASETS[dataset].load(raw / dataset, split)
        out.mkdir(parents=True, exist_ok=True)
        write_parts(out, "results", result_contents(home.results, lambda path: path.suffix != ".npz"))
        needed = home.order.needed(lambda path: path in home.weights)
        sent = write_weights(out, ((path, home.weights[path]) for path in needed), WEIGHT_BYTES)
    shutil.copytree(raw / dataset, out / "raw" / dataset, dirs_exist_ok=True)
    save_text(out / "params.yaml", params_file.read_text())
    save_json(out / MANIFEST, {"commit": head()})
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return f"{out}: {size / 2**20:.1f} MiB, weights of {len(sent)} of {len(needed)} models that are needed"


def plan(carried: Sequence[Path], params_file: Path) -> str:
    """What is left to do, a line a part with the seconds it takes on the device of the last timings (or by counts)."""
    with brought(carried, params_file) as home:
        device = str(home.timings[-1]["device"]) if home.timings else "cuda"
        kind = "cpu" if device == "cpu" else "cuda"
        estimates = Estimates(home.params, home.timings, device=device, kind=kind, machine="")
        parts = {part.name: home.order.steps(part) for part in home.order.parts}
    lines = []
    for name, steps in parts.items():
        seconds = {step.label: estimates.seconds(step) for step in steps}
        longest = ", ".join(f"{label} {of:.0f}" for label, of in seconds.items() if of >= 60)
        if steps:
            lines.append(f"{name}: {sum(seconds.values()):.0f} s ({longest})")
    return "\n".join([*lines, f"{len(parts) - len(lines)} of {len(parts)} parts are done"])
