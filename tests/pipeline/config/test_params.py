"""Configuration: composition equals the committed params.yaml, and bad values are refused by name before any work."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml
from pydantic import BaseModel
from support import tiny
from support.imports import ROOT

from ldmiss.core.fill import FILLS
from ldmiss.errors import InputError
from ldmiss.missingness.mechanisms import MECHANISMS, settings_of
from ldmiss.networks.layers import ModuleT
from ldmiss.sampling.samplers import SAMPLERS
from ldmiss_pipeline.config import params
from ldmiss_pipeline.config.compose import composed
from ldmiss_pipeline.config.registry import GENERATORS, METHODS, NEEDED_BY, STAGES
from ldmiss_pipeline.config.schema.data import Missing
from ldmiss_pipeline.config.schema.methods import Sampler
from ldmiss_pipeline.datasets import incomplete
from ldmiss_pipeline.running.pipeline import Pipeline

CHOICES = [
    *[
        f"{path.parent.name}={path.stem}"
        for path in sorted((ROOT / "conf").glob("*/*.yaml"))
        if path.stem not in ("tuned", "fast", "reduced", "own") and path.parent.name != "for_dataset"
    ],
    "dataset.path=images.npz dataset=own",
    "profile=lite dataset.path=images.npz dataset=own",
    "grid=paper profile=paper",
    "profile=paper dataset=mnist5k",
    "profile=quick diffputer=official",
    "profile=paper learning_rates=tuned",
    "profile=paper inference=fast",
    "profile=paper inference=reduced",
]


def test_committed_params_are_what_conf_composes_to() -> None:
    """`dvc repro` does not compose: params.yaml has to be composed and committed."""
    assert (ROOT / "params.yaml").read_text() == composed([], ROOT), "run `make params` and commit params.yaml"


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_of_every_group_is_valid(choice: str) -> None:
    """Composed and validated as a whole."""
    validated = params.validate(yaml.safe_load(composed(choice.split(), ROOT)), choice)
    group, _, name = choice.split()[-1].partition("=")
    found = {
        "profile": validated.profile, "grid": validated.grid.name, "dataset": validated.dataset.name,
        "diffputer": validated.diffputer.preset, "learning_rates": validated.learning_rates,
        "inference": validated.inference,
    }  # fmt: skip
    assert found[group] == name


def test_profiles_choose_their_data_set_and_can_be_overruled() -> None:
    """profile=paper means mnist, unless the user says otherwise."""
    assert yaml.safe_load(composed(["profile=paper"], ROOT))["dataset"]["name"] == "mnist"
    assert yaml.safe_load(composed(["profile=paper", "dataset=mnist5k"], ROOT))["dataset"]["name"] == "mnist5k"


def test_the_schema_allows_the_samplers_and_fills_that_there_are() -> None:
    """It lists them itself, because the library's lists would load torch."""
    assert get_args(Sampler) == SAMPLERS
    assert list(get_args(Missing.model_fields["fill"].annotation)) == FILLS


BAD: list[tuple[dict[str, Any], str]] = [
    ({"missing_rate": 1.0}, "missing_rate: .* less than 1, got 1.0"),
    ({"missing_rate": -0.1}, "missing_rate: .* got -0.1"),
    ({"seed": 4.2}, "seed: .* integer.* got 4.2"),
    ({"seed": "a"}, "seed: .* integer.* got 'a'"),
    ({"seed": 2**63}, "seed: .* less than 9223372036854775808, got 9223372036854775808"),
    ({"grid": {"seeds": [2**63]}}, "grid.seeds.0: .* less than 9223372036854775808, got 9223372036854775808"),
    ({"missing": {"test_seed": 2**63}}, "missing.test_seed: .* less than 9223372036854775808"),
    ({"classifier": {"seed": -1}}, "classifier.seed: .* greater than or equal to 0, got -1"),
    ({"grid": {"missing_rates": [1.5]}}, r"grid.missing_rates: 1.5 must lie in \[0, 1\)"),
    ({"grid": {"missing_rates": [0]}}, "grid.missing_rates: 0 must be written as a float"),
    ({"grid": {"missing_rates": [0.5, 0.5]}}, "names something twice"),
    ({"grid": {"seeds": ["x"]}}, "grid.seeds.0: .* integer"),
    (
        {"dataset": {"name": "cifar"}},
        "dataset.name: unknown 'cifar'; allowed: mnist5k, mnist, fashion5k, fashion, patches, faces, own",
    ),
    ({"missing": {"mechanism": "gone"}}, "missing.mechanism: unknown 'gone'; allowed: mcar, mar, mnar, block, rows"),
    ({"missing": {"test_mechanism": "gone"}}, "missing.test_mechanism: unknown 'gone'; allowed: mcar, mar, mnar"),
    ({"missing": {"mar": {"slope": 0.0}}}, "missing.mar.slope: .* greater than 0, got 0.0"),
    ({"missing": {"mnar": {"slope": 1001.0}}}, "missing.mnar.slope: .* less than or equal to 1000, got 1001.0"),
    ({"missing": {"block": {"num_blocks": 0}}}, "missing.block.num_blocks: .* greater than or equal to 1, got 0"),
    ({"missing": {"block": {"slope": 1.0}}}, "missing.block.slope: unknown key; allowed here: num_blocks"),
    ({"missing": {"fill": "pink"}}, "missing.fill: .*'black', 'grey' or 'mean', got 'pink'"),
    ({"vae": {"train": {"epochs": 0}}}, "vae.train.epochs: .* greater than or equal to 1, got 0"),
    ({"ldmiss": {"sample": {"num_steps": 1}}}, "ldmiss.sample.num_steps: .* got 1"),
    ({"ddpm": {"train": {"lr": "fast"}}}, "ddpm.train.lr: .* number, got 'fast'"),
    ({"ddpm": {"train": {"lr": float("nan")}}}, "ddpm.train.lr"),
    ({"ddpm": {"train": {"momentum": 0.9}}}, "ddpm.train.momentum: unknown key; allowed here: epochs, batch_size"),
    ({"bogus": 1}, "bogus: unknown key; allowed here: profile, learning_rates, inference, missing_rate"),
    ({"sample": {"methods": ["gan"]}}, "sample.methods: unknown 'gan'; allowed: ldmiss, ddpm, diffputer"),
    ({"impute": {"methods": ["ldmiss", "ldmiss"]}}, "impute.methods: .* twice"),
    ({"impute": {"num_draws": 0}}, "impute.num_draws: .* got 0"),
    ({"impute": {"num_draw_images": 501}}, "impute.num_draw_images: 501 is more than the 500 imputed images"),
    (
        {"impute": {"num_images": 60, "num_draw_images": 5}, "plot": {"num_columns": 20}, "sample": {"num_images": 9}},
        "plot.num_columns: 20 is more than the 9 images",
    ),
    (
        {"missing": {"test_rate": 0.0001}, "impute": {"num_draw_images": 4}},
        "missing.test_rate: 0.0001 leaves less than one missing pixel .*=4 images .* at least 0.000319 is needed",
    ),
    ({"missing": {"test_rate": 1.0}}, "missing.test_rate: .* less than 1, got 1.0"),
    ({"missing": {"test_rate": 0.0}}, "missing.test_rate: .* greater than 0, got 0.0"),
    (
        {"ldmiss": {"network": {"attention_levels": [2]}}},
        r"ldmiss.network.attention_levels: \[2\] are no levels; allowed: 0 to 1",
    ),
    ({"vae": {"train": {"early_stop": 5, "ema_decay": 0.9}}}, "vae.train.early_stop: keeps the best"),
    ({"impute": {"num_images": 1001}}, "impute.num_images: 1001 is more than the 1000 test images of mnist5k"),
    ({"compute": {"num_threads": 0}}, "compute.num_threads"),
    ({"sample": {"chunk_size": 0}}, "sample.chunk_size: .*'auto', got 0; .*greater than or equal to 1"),
    ({"impute": {"chunk_size": "big"}}, "impute.chunk_size: .*'auto', got 'big'"),
    ({"compute": {"dtype": "float16"}}, "compute.dtype: .*'auto', 'float32' or 'bfloat16', got 'float16'"),
    ({"ddpm": {"network": {"num_groups": 16}}}, "ddpm.network.num_groups: 16 leaves one channel per group"),
    ({"learning_rates": "tuned"}, "learning_rates: tuned is for profile paper; quick has learning rates of its own"),
    ({"classifier": {"without": "mnist6k"}}, "classifier.without: unknown 'mnist6k'; allowed: mnist5k, mnist, "),
    (
        {
            "dataset": {"name": "faces"},
            "impute": {"num_images": 80},
        },
        "classifier.weights: assets/classifier-mnist.safetensors, but faces has no labels; it must be null",
    ),
    ({"classifier": {"weights": "/tmp/x.safetensors"}}, r"classifier.weights: .* must be null or a file in assets/"),
    ({"ddpm": {"impute": {"guidance": {"t_max": 1e-4}}}}, "ddpm.impute.guidance.t_max: 0.0001 is below diffusion.tau"),
    (
        {
            "ddpm": {
                "impute": {
                    "moment_matching": {
                        "sampler": "ddim",
                        "num_steps": 3,
                        "num_iterations": 1,
                        "noise_sd": 0.1,
                        "t_start": 1e-4,
                    }
                }
            }
        },
        "ddpm.impute.moment_matching.t_start: 0.0001; allowed: above diffusion.tau",
    ),
    (
        {"posterior": {"calibrate": {"sampling": {"t_start": 1e-3}}}},
        "posterior.calibrate.sampling.t_start: 0.001; allowed: above diffusion.tau",
    ),
    ({"vae": {"encoder_input": "masked"}}, "vae.encoder_input: .*'faithful' or 'robust', got 'masked'"),
    ({"inference": "fast"}, "inference: fast is for profile paper; quick has samplers and steps of its own"),
    ({"inference": "quick"}, "inference: .*'exact', 'fast' or 'reduced', got 'quick'"),
    ({"ddpm": {"sample": {"sampler": "euler"}}}, "ddpm.sample.sampler: .*'sde_dpm_solver_pp', got 'euler'"),
    ({"ldmiss": {"impute": {"guidance": {"sampler": "ode"}}}}, "ldmiss.impute.guidance.sampler: .*, got 'ode'"),
    ({"evaluate": {"fid_layer": "conv1"}}, "evaluate.fid_layer: .*got 'conv1'"),
    (
        {"baselines": {"train": {"ridge": 1e-20}}},
        "train.ridge: .* greater than or equal to 0.00000001, got 1e-20",
    ),
    ({"baselines": {"train": {"ridge": float("inf")}}}, "baselines.train.ridge: .* finite number"),
    ({"diffusion": {"beta_max": 0.05}}, "diffusion.beta_max must be larger than beta_min"),
    ({"diffputer": {"em": {"e_step": {"num_trials": 0}}}}, "diffputer.em.e_step.num_trials: .* got 0"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[str(change) for change, _ in BAD])
def test_bad_values_are_refused_by_name(change: dict[str, Any], message: str) -> None:
    """One line that says the key, what was wrong and what is allowed."""
    document = tiny.merged(yaml.safe_load(composed([], ROOT)), change)
    with pytest.raises(InputError, match=message) as caught:
        params.validate(document, "params.yaml")
    assert "\n" not in str(caught.value)


def test_mechanisms_have_the_settings_of_their_functions() -> None:
    """A section for each that has any, with the function's names and its defaults; none for the others."""
    missing = params.validate(yaml.safe_load(composed([], ROOT)), "params.yaml").missing
    for mechanism in MECHANISMS:
        assert incomplete.mechanism_settings(missing, mechanism) == settings_of(mechanism)
        assert (mechanism in incomplete.WITH_SETTINGS) == hasattr(missing, mechanism) == bool(settings_of(mechanism))


@pytest.mark.parametrize(
    ("changes", "both"),
    [
        ([], ("mcar", "mcar")),
        (["missing.mechanism=block"], ("block", "block")),
        (["missing.test_mechanism=rows"], ("mcar", "rows")),
        (["missing.mechanism=block", "missing.test_mechanism=mcar"], ("block", "mcar")),
    ],
)
def test_test_images_have_the_mechanism_of_the_training_images_unless_told(
    changes: list[str], both: tuple[str, str]
) -> None:
    """One param sets both."""
    missing = yaml.safe_load(composed(changes, ROOT))["missing"]
    assert (missing["mechanism"], missing["test_mechanism"]) == both


def on_meta(make: Callable[..., ModuleT], network: dict[str, Any], **arguments: Any) -> ModuleT:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return make(**network, **arguments)


def test_a_missing_key_is_named() -> None:
    """Nothing is filled in by default."""
    document = yaml.safe_load(composed([], ROOT))
    del document["vae"]["kl_weight"]
    with pytest.raises(InputError, match=r"vae\.kl_weight: missing"):
        params.validate(document, "params.yaml")


def sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The model and all models below it."""
    found = {model}
    for field in model.model_fields.values():
        for annotation in (field.annotation, *get_args(field.annotation)):
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                found |= sections(annotation)
    return found


def test_the_schema_supplies_nothing() -> None:
    """No defaults, no conversions: params.yaml alone decides, so the schema need be no dependency of the stages."""
    for section in sections(params.Params):
        assert section.model_config["strict"]
        assert section.model_config["extra"] == "forbid"
        assert all(field.is_required() for field in section.model_fields.values()), section


def test_exponents_are_numbers(tmp_path: Path) -> None:
    """`1e-3` in a hand-edited params.yaml is a number, as it is for DVC."""
    path = tmp_path / "params.yaml"
    path.write_text(composed([], ROOT).replace("tau: 0.001", "tau: 1e-3"))
    assert params.load(path)[0].diffusion.tau == 1e-3
    path.write_text("{")
    with pytest.raises(InputError, match="not valid YAML"):
        params.load(path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("missing_rate=1.5", r"missing_rate must be in \[0, 1\), got 1.5"),
        ("missing_rate=abc", "missing_rate must be a number"),
        ("missing_rate=0.12345", "at most 4 decimals"),
        ("seed=4.2", "seed must be an integer >= 0, got 4.2"),
        ("seed=-1", "seed must be an integer >= 0, got -1"),
        ("grid=papr", "grid/papr"),
        ("profile=huge", "profile/huge"),
        ("bogus=1", "bogus"),
    ],
)
def test_composition_refuses(override: str, message: str) -> None:
    """At composition, before anything runs."""
    with pytest.raises(Exception, match=message):
        composed([override], ROOT)


def test_rates_are_normalised() -> None:
    """0 and 0.0, 0.30 and 0.30000000000000004 are one cell each."""
    for written, rate in (("0", 0.0), ("0.30", 0.3), ("0.30000000000000004", 0.3), ("1e-1", 0.1)):
        grid = yaml.safe_load(composed([f"missing_rate={written}"], ROOT))["grid"]
        assert grid["missing_rates"] == [rate]
        assert type(grid["missing_rates"][0]) is float


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["grid=rates", "missing_rate=0.5"], "missing_rate=0.5 has no place beside this grid, which runs .0.0, 0.1"),
        (["grid=paper", "seed=7"], "seed=7 has no place beside this grid, which runs .42, 43, 44"),
        (["seed=1,2"], "several values: take `grid=rates` or `grid=paper`, or `dvc exp run --queue`"),
    ],
)
def test_a_value_without_effect_is_refused(overrides: list[str], message: str) -> None:
    """What a grid does not run is not taken without a word."""
    with pytest.raises(InputError, match=message):
        composed(overrides, ROOT)


def test_a_composition_that_is_refused_names_params_yaml() -> None:
    """Not the temporary file that it was written to."""
    with pytest.raises(InputError, match=r"^params.yaml: impute.num_draws: "):
        composed(["impute.num_draws=0"], ROOT)


def test_one_place_says_the_cell() -> None:
    """A hand-edited `missing_rate` or `seed` that the grid does not run is refused; null leaves it to the grid."""
    for change, message in (
        (
            {"missing_rate": 0.8},
            r"missing_rate: 0.8, but grid.missing_rates is \[0.5\]: .* `dvc exp run -S missing_rate",
        ),
        ({"seed": 7}, r"seed: 7, but grid.seeds is \[42\]"),
        ({"grid": {"missing_rates": [0.5, 0.8]}}, r"missing_rate: 0.5, but grid.missing_rates is \[0.5, 0.8\]"),
    ):
        document = tiny.merged(yaml.safe_load(composed([], ROOT)), change)
        with pytest.raises(InputError, match=message):
            params.validate(document, "params.yaml")
        params.validate({**document, "missing_rate": None, "seed": None}, "params.yaml")
    assert params.validate(yaml.safe_load(composed(["grid=rates", "seed=7"], ROOT)), "x").grid.seeds == [7]


@pytest.mark.parametrize("method", METHODS)
def test_only_what_a_method_needs_is_trained(method: str) -> None:
    """Stages that train another method's models have no items, in plain `dvc repro` too."""
    generators = [method] if method in GENERATORS else ["ddpm"]
    overrides = [f"sample.methods=[{','.join(generators)}]", f"impute.methods=[{method}]"]
    document = yaml.safe_load(composed(overrides, ROOT))
    params.validate(document, "params.yaml")
    pipeline = Pipeline(document)
    trained = {stage for stage in STAGES if stage.startswith("train_") and pipeline.items(stage, pipeline.cells())}
    needs = {
        "ldmiss": {"train_vae", "train_ldm"}, "ddpm": {"train_ddpm"}, "diffputer": {"train_diffputer"},
        "vae": {"train_vae"}, "posterior": {"train_vae", "train_ldm"},
    }  # fmt: skip
    assert trained == {"train_classifier"}.union(*(needs.get(name, set()) for name in {method, *generators}))
    assert document["train"]["methods"] == ([method] if method not in needs else [])
    for model in NEEDED_BY:
        document["train"]["seeds"][model] = [7] if method in NEEDED_BY[model] else []
    document["train"]["methods"] = []
    with pytest.raises(InputError, match=r"train: does not fit grid.seeds, .*, which need seeds: \{vae: "):
        params.validate(document, "params.yaml")


def run_stage(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A stage as DVC runs it."""
    command = [sys.executable, "-m", "stages", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_stage_refuses_bad_params_of_another_stage_at_once(tmp_path: Path) -> None:
    """A wrong `impute` setting must not surface after hours of training: exit 1, one line, nothing written."""
    folder = tiny.make_project(tmp_path / "bad", {}, impute={"num_draws": 0})
    result = run_stage(folder, "mask", "--missing-rate", "0.5", "--seed", "42")
    assert result.returncode == 1
    assert result.stderr.startswith("error: mask@0.5-42: params.yaml: impute.num_draws: ")
    assert result.stderr.count("\n") == 1
    assert not (folder / "data").exists()


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    """The file, and how to make it."""
    folder = tiny.make_project(tmp_path / "empty", {})
    result = run_stage(folder, "train_vae", "--missing-rate", "0.5", "--seed", "42")
    assert result.returncode == 1
    assert result.stderr == (
        "error: train_vae@0.5-42: data/observed/0.5-42.npz: missing input; "
        "make it with `dvc repro` (it runs what comes before, too)\n"
    )
