"""docs/fidelity.md names only what exists; and the check would notice if it did not."""

import pytest
from check_fidelity import DOCUMENT, ROOT, named_tests, references, unresolved

TEXT = DOCUMENT.read_text()


def test_every_name_resolves() -> None:
    """Tests, places in the code and params."""
    assert unresolved(TEXT) == []
    assert len(references(TEXT)) > 200
    assert len(named_tests()) > 80


WRONG = [
    ("tests/test_sde.py::test_nowhere", "tests/test_sde.py has no test_nowhere"),
    ("tests/test_none.py::test_known_values", "no file tests/test_none.py"),
    ("src/ldmiss/diffusion/sde.py::VPSDE.nothing", "has no VPSDE.nothing"),
    ("src/ldmiss/diffusion/sde.py::marginal_prob", "has no marginal_prob"),
    ("conf/config.yaml::vae.kl", "has no vae.kl"),
    ("param: vae.klweight", "params.yaml has no key vae.klweight"),
    ("param: missing.fill=pink", "unknown 'pink'"),
]


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_a_wrong_name_is_found(name: str, message: str) -> None:
    """In the whole table, with one wrong name in it."""
    (problem,) = unresolved(f"{TEXT}\n| a | `{name}` |\n")
    assert message in problem


@pytest.mark.parametrize(
    "name",
    [
        "tests/test_sde.py::test_marginals_match_the_sde[0.1]",
        "src/ldmiss/diffusion/sde.py::VPSDE.marginal_prob",
        "src/ldmiss/networks/unet.py::TIME_SCALE",
        "src/ldmiss/diffusion/edm.py",
        "conf/config.yaml::vae.kl_weight",
        "param: missing.fill=grey",
        "param: vae.kl_weight",
    ],
)
def test_a_right_name_is_accepted(name: str) -> None:
    """Every kind of name, ids of parametrised tests included; plain code is no name."""
    assert unresolved(f"`{name}`, `x + 1`, `metrics/summary.json`") == []
    assert references(f"`{name}`, `x + 1`, `metrics/summary.json`") == [name]


STATEMENTS = [
    "Eq. 1", "Eq. 2", "Eq. 3", "Eq. 4", "Eq. 5", "Eq. 6", "Eq. 7", "Eq. 8", "Section 2", "Section 3", "Section 4",
    "Section 5", "Section 6", "Table 1", "A.1.1", "A.1.2", "A.1.3", "A.2", "A.2.1", "A.2.2", "A.2.3", "A.3", "B",
]  # fmt: skip


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_part_of_the_paper_is_there(statement: str) -> None:
    """Each equation and section starts at least one row or heading."""
    starts = [line.lstrip("|# ") for line in TEXT.splitlines() if line.startswith(("|", "#"))]
    assert any(start.startswith((f"{statement} ", f"{statement}:", f"{statement}.")) for start in starts)


def test_every_row_names_code_and_a_test() -> None:
    """In the tables of statements each row has four cells: statement, code, tests, deviation."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    table = [row for row in rows if row.count("|") == 5 and not row.startswith(("| Statement", "| Open"))]
    assert len(table) > 60
    for row in table:
        _, code, tests, _ = (cell.strip() for cell in row.strip("| ").split(" | "))
        assert references(code), row
        assert any("::test_" in name for name in references(tests)), row


def test_the_check_runs_as_a_command() -> None:
    """As its first line says."""
    import subprocess
    import sys

    command = [sys.executable, "tests/check_fidelity.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "fidelity.md: every name resolves\n"), done.stdout + done.stderr
