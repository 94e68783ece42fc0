"""Any params document is either refused in one line that names the key and the file, or can be used."""

import copy
import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from dvc.utils.serialize import parse_yaml
from hypothesis import strategies as st
from support import tiny
from support.cases import for_all, num_cases, refusal
from support.imports import ROOT

from ldmiss.autoencoding.autoencoder import Autoencoder
from ldmiss.core.subsets import evenly_spread
from ldmiss.diffputer.mlp import DiffPuterMLP
from ldmiss.diffusion.sde import VPSDE
from ldmiss.diffusion.unet import UNet
from ldmiss.errors import InputError
from ldmiss.missingness.mechanisms import draw_observed
from ldmiss.training.loop import Recipe
from ldmiss.training.schedules import lr_at
from ldmiss_pipeline.artifacts.paths import Item
from ldmiss_pipeline.compute.device import resolve
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.config.registry import STAGES
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.datasets.incomplete import mechanism_settings
from ldmiss_pipeline.running.pipeline import Pipeline

CHOICES = [
    "", "profile=lite", "profile=paper grid=paper", "profile=paper learning_rates=tuned",
    "profile=paper inference=fast",
    "grid=rates diffputer=official"
]  # fmt: skip
TROUBLE = [
    None, True, False, 0, -1, 1, 2, 3, 7, 64, 1024, 10**6, 10**9, 10**9 + 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30,
    10**4000, 0.0, -0.0, 1.0, 0.5, 1e-320, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"),
    "", " ", "a" * 5000, "auto", "all", "null", "yes", "010", "1e-3", "1_000", "0x10", "2001-01-01", "<<", "=",
    "../../etc/passwd", "assets/../x.safetensors", "assets/x\0y.safetensors", "\ud800", "naïve\u202e", "a\nb",
    "\x1b[31m", "!!python/name:os.system", [], {}, [[]],
    [0.5, "x"], {"a": {"b": [None]}}, [1] * 500,
]  # fmt: skip
"""Values that have troubled readers of params: by type, by size, by what they look like."""


@functools.cache
def base(choice: str) -> dict[str, Any]:
    """The document that conf/ composes to; the tiny one is like it, with networks that can be built."""
    return tiny.document() if choice == "tiny" else yaml.safe_load(composed(choice.split(), ROOT))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document, the document itself left out."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *itertools.chain(*(places(part, (*path, key)) for key, part in below))]


def value_at(document: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    return functools.reduce(lambda value, key: value[key], path, document)


SCALARS = st.one_of(
    st.sampled_from(TROUBLE), st.integers(), st.floats(), st.text(max_size=20), st.integers(0, 100), st.floats(0, 1)
)
GARBAGE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner), max_leaves=8
)


EDITS = st.lists(
    st.tuples(
        st.integers(0, 10**4), st.integers(0, 10**4), GARBAGE,
        st.sampled_from(["number", "number", "delete", "add", "replace", "copy"]),
    ), min_size=1, max_size=3,
)  # fmt: skip
"""Which place, which other place or number (both counted around), which value, and what happens."""


def edited(choice: str, edits: list[tuple[int, int, Any, str]]) -> tuple[dict[str, Any], list[str]]:
    """A document with the edits made, and the keys that they touched."""
    document, touched = copy.deepcopy(base(choice)), []
    for place, other, value, action in edits:
        known = places(document)
        if action == "number":
            known = [path for path in known if type(value_at(document, path)) in (int, float)]
        if not known:
            break
        path = known[place % len(known)]
        holder, key = value_at(document, path[:-1]), path[-1]
        if action == "delete":
            del holder[key]
        elif action == "add" and isinstance(holder, dict):
            key = value if isinstance(value, str) else f"int[{other}]"
            holder[key] = value
        elif action == "copy":
            holder[key] = copy.deepcopy(value_at(document, known[other % len(known)]))
        elif action == "number":
            alike = [trouble for trouble in TROUBLE if type(trouble) is type(holder[key])]
            holder[key] = alike[other % len(alike)]
        else:
            holder[key] = value
        touched.append(str(key))
    return document, touched


def use(typed: Params, document: dict[str, Any], stage: str) -> None:
    """What cheap code makes of a document; a network only where it is small."""
    rate, seed = typed.grid.missing_rates[0], typed.grid.seeds[-1]
    pipeline = Pipeline(document)
    assert pipeline.stage_item(stage, Item(rate, seed, typed.impute.methods[0])).deps
    if len(pipeline.cells()) < 20:
        assert pipeline.producers(pipeline.cells())
    num_threads = torch.get_num_threads()
    try:
        resolve(typed.compute)
    except InputError as error:
        refusal(error, names="compute.device")
    finally:
        torch.set_num_threads(num_threads)
    sde = VPSDE(typed.diffusion.beta_min, typed.diffusion.beta_max)
    alpha, sigma = sde.marginal_prob(torch.tensor(typed.diffusion.tau))
    assert 0 <= alpha <= 1
    assert 0 <= sigma <= 1
    for train in (typed.vae.train, typed.ldmiss.train, typed.diffputer.em.train_first):
        recipe = Recipe(**train.model_dump())
        if recipe.lr_schedule != "plateau":
            assert lr_at(recipe.lr_schedule, 0, 10, recipe.lr) >= 0
    images = np.full((2, 1, 28, 28), 7, np.uint8)
    rng, settings = np.random.default_rng(seed), mechanism_settings(typed.missing, typed.missing.mechanism)
    assert draw_observed(typed.missing.mechanism, images, rate, rng, settings=settings).shape == images.shape
    if typed.sample.num_images < 10**6:
        assert len(evenly_spread(10**6, typed.sample.num_images)) == typed.sample.num_images
    networks = [
        (UNet, {"in_channels": 1, **typed.ddpm.network.model_dump()}, typed.ddpm.network.num_res_blocks),
        (UNet, {"in_channels": 2, **typed.ldmiss.network.model_dump()}, typed.ldmiss.network.num_res_blocks),
        (
            Autoencoder,
            {"size": (28, 28), "in_channels": 1, "out_channels": 1, **typed.vae.network.model_dump()},
            typed.vae.network.num_res_blocks,
        ),
        (DiffPuterMLP, {"num_features": 784, **typed.diffputer.network.model_dump()}, 1),
    ]
    with torch.device("meta"):
        for make, config, depth in networks:
            if depth <= 4:
                assert sum(weights.numel() for weights in make(**config).parameters()) > 0  # type: ignore[operator]


def check_file(path: Path, stage: str, choice: str = "", changed: list[str] | None = None) -> bool:
    """Load a file as the runner does: whether it was accepted. What was accepted is what DVC will record."""
    try:
        typed, document = params.load(path)
    except InputError as error:
        message = refusal(error, names=f"{path}: ")
        problem = message.removeprefix(f"{path}: ")
        if changed is not None and "not valid YAML" not in problem:
            key = problem.split(" ")[0].rstrip(":")
            paths = {".".join(map(str, place)) for place in places(base(choice))}
            shown = [name if name.isidentifier() else repr(name) for name in changed]
            assert key in paths or any(name[:50] in problem.split(": unknown key")[0] for name in shown), message
        return False
    assert parse_yaml(path.read_text(encoding="utf-8"), str(path)) == document
    use(typed, document, stage)
    return True


STAGE = st.sampled_from(STAGES)


@num_cases(fast=40, slow=700)
def test_a_changed_document_is_refused_by_name_or_usable(
    num_cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys removed, added, of another type, extreme, or taken from elsewhere in the document."""
    monkeypatch.chdir(ROOT)
    accepted = []

    def check(choice: str, edits: list[tuple[int, int, Any, str]], stage: str) -> None:
        document, touched = edited(choice, edits)
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        accepted.append(check_file(path, stage, choice, touched))

    choices = ["tiny", *(CHOICES if num_cases > 100 else [])]
    for_all(num_cases, check, choice=st.sampled_from(choices), edits=EDITS, stage=STAGE)
    assert not all(accepted)
    assert num_cases < 100 or any(accepted)
