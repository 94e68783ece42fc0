"""Seeded mutations: a slip in the code must turn tests of docs/fidelity.md red (`make test-mutations`).

Each is a replacement of text in a temporary copy of the sources. A replacement that does not match exactly once is an
error: the list has to follow the code. The unchanged copy must be green under the same tests.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.check_fidelity import named_tests
from support.imports import ROOT

pytestmark = pytest.mark.mutation


@dataclass(frozen=True)
class Mutation:
    """A slip.

    Attributes:
        name: what is wrong, in words.
        path: the source file under src/ldmiss.
        before, after: the text and its replacement.
        killers: the tests, of the fidelity table, that must all turn red.
    """

    name: str
    path: str
    before: str
    after: str
    killers: tuple[str, ...]


MUTATIONS = [
    Mutation(
        "sigma_t is sigma_t squared", "diffusion/sde.py",
        "(-torch.expm1(2 * log_alpha)).sqrt()", "(-torch.expm1(2 * log_alpha))",
        ("tests/ldmiss/diffusion/test_sde.py::test_known_values",
         "tests/ldmiss/diffusion/test_sde.py::test_marginals_match_the_sde"),
    ),
    Mutation(
        "the score divides by sigma squared", "diffusion/parameterization.py",
        "return -eps / append_dims(sigma_t, eps)", "return -eps / append_dims(sigma_t**2, eps)",
        ("tests/ldmiss/diffusion/test_exact_marginals.py::test_score_is_the_gradient_of_the_log_marginal",
         "tests/ldmiss/diffusion/test_parameterization.py::test_tweedie_is_exact_for_gaussian_data"),
    ),
    Mutation(
        "no factor 999 on the time", "diffusion/unet.py", "TIME_SCALE = 999.0", "TIME_SCALE = 1.0",
        ("tests/ldmiss/diffusion/test_unet.py::test_a_shared_time_is_every_rows_time",),
    ),
    Mutation(
        "observed pixels are not pasted", "imputation/imputer.py",
        "return torch.where(observed, x_obs, x_hat.clamp(0, 1))", "return x_hat.clamp(0, 1)",
        ("tests/ldmiss/imputation/test_imputer.py::test_observed_bit_for_bit_and_the_rest_clipped",),
    ),
    Mutation(
        "Eq. 3 divides by all dimensions", "diffusion/losses.py",
        "num_observed = observed.flatten(1).sum(1).clamp(min=1)", "num_observed = observed[0].numel()",
        ("tests/ldmiss/diffusion/test_losses.py::test_mean_over_observed_by_hand",
         "tests/ldmiss/diffusion/test_objectives.py::test_pixel_score_loss_by_hand"),
    ),
    Mutation(
        "skip connections are plain sums", "diffusion/unet.py", "SKIP_SCALE = 1 / math.sqrt(2)", "SKIP_SCALE = 1.0",
        ("tests/ldmiss/diffusion/test_unet.py::test_block_against_its_formula",
         "tests/pipeline/config/test_paper_profile.py::test_a_1_1_timestep_embedding_and_rescaled_skips"),
    ),
    Mutation(
        "training times start at 0", "diffusion/losses.py",
        "return tau + (1 - tau) * torch.rand(", "return torch.rand(",
        ("tests/ldmiss/diffusion/test_losses.py::test_times_are_uniform_from_tau",),
    ),
    Mutation(
        "the time grid ends at 0", "sampling/time_grids.py",
        "torch.linspace(1.0, tau, num_steps, dtype=torch.float64)",
        "torch.linspace(1.0, 1e-5, num_steps, dtype=torch.float64)",
        ("tests/ldmiss/sampling/test_samplers.py::test_grid",
         "tests/pipeline/config/test_paper_profile.py::test_time_grid_and_schedule"),
    ),
    Mutation(
        "latents are decoded without undoing their scale", "autoencoding/codecs.py",
        "self.decoder(z / self.scale)", "self.decoder(z)",
        ("tests/ldmiss/autoencoding/test_codecs.py::test_latent_codec_undoes_scale_and_range",),
    ),
    Mutation(
        "the latent scale is the standard deviation, not its inverse", "autoencoding/codecs.py",
        "(1.0 / latents.double().std()).float()", "latents.double().std().float()",
        ("tests/ldmiss/autoencoding/test_codecs.py::test_latent_scale_gives_unit_variance",),
    ),
    Mutation(
        "the guidance's norm is taken over the batch", "sampling/guidance.py",
        "norm = vectors.flatten(1).norm(dim=1).clamp(min=_MIN_NORM)",
        "norm = vectors.norm().clamp(min=_MIN_NORM).expand(len(vectors))",
        ("tests/ldmiss/sampling/test_guidance.py::test_guidance_has_the_norm_of_the_score",
         "tests/ldmiss/sampling/test_guidance.py::test_rows_do_not_see_their_batch_mates"),
    ),
    Mutation(
        "the E-step sums its draws", "diffputer/em.py", "total / num_trials", "total",
        ("tests/ldmiss/diffputer/test_em.py::test_average_draws",),
    ),
    Mutation(
        "the E-step keeps its last draw", "diffputer/em.py",
        "total += draw_conditional(denoise, x_obs, observed, noise, sampling)",
        "total = num_trials * draw_conditional(denoise, x_obs, observed, noise, sampling)",
        ("tests/ldmiss/diffputer/test_em.py::test_average_draws",),
    ),
    Mutation(
        "the KL counts fully", "autoencoding/elbo.py", "+ kl_weight * kl)", "+ kl)",
        ("tests/ldmiss/autoencoding/test_elbo.py::test_negative_elbo",
         "tests/ldmiss/autoencoding/test_objective.py::test_autoencoder_loss_by_hand"),
    ),
]  # fmt: skip


def run_tests(folder: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """Exit status and output of pytest in a copy of the project."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "-rf", *tests]
    # No bytecode: it is told apart by time and size, and a mutation may come within a second and keep the size.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project without its data; nothing in it leads back to the original."""
    folder = tmp_path_factory.mktemp("mutations") / "project"
    folder.mkdir()
    for name in ("src", "stages", "tests", "conf", "docs", "hydra_plugins"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_the_copy_is_what_is_tested(copy: Path) -> None:
    """Not an installed package, and not the project that was copied."""
    probe = copy / "tests/test_probe.py"
    probe.write_text("import ldmiss, stages\n\ndef test_probe():\n    print(ldmiss.__file__, stages.__file__)\n")
    _, output = run_tests(copy, ("tests/test_probe.py", "-s"))
    probe.unlink()
    assert f"{copy / 'src/ldmiss/__init__.py'} {copy / 'stages/__init__.py'}" in output


def test_the_unchanged_copy_is_green(copy: Path) -> None:
    """Whatever is red below is red because of the mutation."""
    killers = tuple(sorted({killer for mutation in MUTATIONS for killer in mutation.killers}))
    status, output = run_tests(copy, killers)
    assert status == 0, output


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.name for mutation in MUTATIONS])
def test_the_mutation_turns_tests_red(mutation: Mutation, copy: Path) -> None:
    """The text is there exactly once, the tests are in the fidelity table, and every one of them fails."""
    assert set(mutation.killers) <= named_tests(), "the fidelity table does not name these tests"
    source = copy / "src/ldmiss" / mutation.path
    text = source.read_text()
    assert text.count(mutation.before) == 1, f"{mutation.path}: {mutation.before!r} must occur exactly once"
    source.write_text(text.replace(mutation.before, mutation.after))
    try:
        status, output = run_tests(copy, mutation.killers)
    finally:
        source.write_text(text)
    assert status == 1, f"survived, or broke the tests otherwise (exit status {status}):\n{output}"
    red = {re.sub(r"\[.*", "", name) for name in re.findall(r"^FAILED (\S+)", output, re.MULTILINE)}
    assert red == set(mutation.killers), output
