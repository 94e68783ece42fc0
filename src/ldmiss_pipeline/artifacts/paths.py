"""Where every artifact lives, relative to the project's root; `dvc.yaml` names the same paths (a test compares)."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

RAW = Path("data/raw")
OBSERVED_TEST = Path("data/observed/test.npz")
SAMPLES = Path("data/samples")
IMPUTED = Path("data/imputed")
COMPLETED = Path("data/completed")
CLASSIFIER = Path("models/classifier.safetensors")
CLASSIFIER_METADATA = Path("models/classifier.json")
CELLS = Path("metrics/cells")
CURVES = Path("metrics/curves")
RUNS = Path("runs")
CHECKPOINTS = Path("ckpt")


@dataclass(frozen=True)
class Item:
    """What one run of a stage works on: a cell of the grid, and a method where the stage has one item per method."""

    missing_rate: float | None = None
    seed: int | None = None
    method: str | None = None

    @property
    def cell(self) -> str:
        """`<missing_rate>-<seed>`, the name of the cell in every path."""
        return f"{self.missing_rate}-{self.seed}"

    @property
    def name(self) -> str:
        """The part of the DVC stage's name after the `@`; empty for a stage that runs once."""
        return "-".join(str(part) for part in (self.missing_rate, self.seed, self.method) if part is not None)

    @property
    def root_seed(self) -> int:
        """The cell's seed, from which every draw of the cell derives."""
        if self.seed is None:
            raise ValueError("this stage has no cell")
        return self.seed

    def observed(self) -> Path:
        """Incomplete training images."""
        return Path(f"data/observed/{self.cell}.npz")

    def latents(self) -> Path:
        """Latents of the training images, and their scale."""
        return Path(f"data/latents/{self.cell}.safetensors")

    def model(self, name: str) -> Path:
        """A trained model."""
        return Path(f"models/{name}/{self.cell}.safetensors")

    def curve(self, name: str) -> Path:
        """The loss curve of a model's training."""
        return CURVES / f"{name}-{self.cell}.csv"

    def samples(self, method: str) -> Path:
        """Generated images."""
        return SAMPLES / self.cell / f"{method}.npz"

    def imputed(self, method: str) -> Path:
        """Folder of the imputed test images, one file per imputer of the method."""
        return IMPUTED / self.cell / method

    def completed(self, method: str) -> Path:
        """Folder of a person's own images, completed by the imputers of the method."""
        return COMPLETED / self.cell / method

    def metrics(self) -> Path:
        """The cell's metrics."""
        return CELLS / f"{self.cell}.json"

    def image_grid(self) -> Path:
        """The few images of the cell that the figures show."""
        return CELLS / f"{self.cell}.npz"


def remove_others(paths: Iterable[Path]) -> None:
    """Remove from the folders of these paths whatever else lies there: of other params, or left by a killed run."""
    wanted = set(paths)
    for other in {other for path in wanted for other in path.parent.glob("*")} - wanted:
        if other.is_dir() and not other.is_symlink():
            shutil.rmtree(other)
        else:
            other.unlink()
