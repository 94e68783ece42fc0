"""What defines an item's work: the files and params that dvc.yaml declares for it."""

from pathlib import Path
from typing import Any

from support import tiny

from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.running.pipeline import Pipeline


def test_work_is_what_dvc_yaml_declares() -> None:
    """Paths and params of an item, resolved as DVC does."""
    document = tiny.document()
    stage_item = Pipeline(document).stage_item("sample", Item(0.5, 42, "ddpm"))
    assert Path("models/ddpm/0.5-42.safetensors") in stage_item.deps
    assert stage_item.outs == [Path("data/samples/0.5-42/ddpm.npz")]
    assert stage_item.params["ddpm.sample"] == document["ddpm"]["sample"]
    assert "ldmiss.sample" not in stage_item.params


def test_checkpoints_are_of_this_very_work(copy: Path) -> None:
    """Another param, input or machine setting is another key; a param the stage does not read is not."""
    item, used = Item(0.5, 42), {"num_threads": 1}

    def key(stage: str = "train_vae", item: Item = item, used: dict[str, Any] = used, **changes: Any) -> str:
        return Pipeline(tiny.document(**changes)).stage_item(stage, item).key(used)

    base = key()
    assert base == key(ddpm={"train": {"lr": 0.5}})
    assert base != key(vae={"kl_weight": 1.0})
    assert base != key(stage="train_ddpm")
    assert base != key(used={"num_threads": 2})
    data = copy / item.observed()
    data.write_bytes(data.read_bytes() + b"x")
    assert base != key()
