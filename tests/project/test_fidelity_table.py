"""docs/fidelity.md names only what exists; and the check would notice if it did not."""

import re

import pytest
from support import check_fidelity
from support.check_fidelity import DOCUMENT, named_tests, references, unresolved

TEXT = DOCUMENT.read_text()


def test_every_name_resolves() -> None:
    """Tests, places in the code and params."""
    assert unresolved(TEXT) == []
    assert len(references(TEXT)) > 200
    assert len(named_tests()) > 80


WRONG = [
    ("tests/ldmiss/diffusion/test_sde.py::test_nowhere", "tests/ldmiss/diffusion/test_sde.py has no test_nowhere"),
    ("tests/test_none.py::test_known_values", "no file tests/test_none.py"),
    ("src/ldmiss/diffusion/sde.py::VPSDE.nothing", "has no VPSDE.nothing"),
    ("src/ldmiss/diffusion/sde.py::marginal_prob", "has no marginal_prob"),
    ("conf/config.yaml::vae.kl", "has no vae.kl"),
    ("param: vae.klweight", "have no key vae.klweight"),
    ("param: missing.fill=pink", "got 'pink'"),
]


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_a_wrong_name_is_found(name: str, message: str) -> None:
    """In the whole table, with one wrong name in it."""
    (problem,) = unresolved(f"{TEXT}\n| a | `{name}` |\n")
    assert message in problem


@pytest.mark.parametrize(
    "name",
    [
        "tests/ldmiss/diffusion/test_sde.py::test_marginals_match_the_sde[0.1]",
        "src/ldmiss/diffusion/sde.py::VPSDE.marginal_prob",
        "src/ldmiss/diffusion/unet.py::TIME_SCALE",
        "src/ldmiss/diffputer/edm.py",
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
    *[f"Eq. {number}" for number in range(1, 9)], *[f"Section {number}" for number in range(2, 7)], "Table 1",
    "A.1.1", "A.1.2", "A.1.3", "A.2", "A.2.1", "A.2.2", "A.2.3", "A.3", "Appendix B",
]  # fmt: skip


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_part_of_the_paper_is_there(statement: str) -> None:
    """Each equation and section starts at least one row or heading."""
    starts = [line.lstrip("|# ") for line in TEXT.splitlines() if line.startswith(("|", "#"))]
    assert any(start.startswith((f"{statement} ", f"{statement}:", f"{statement}.")) for start in starts)


def table_rows(header: str) -> list[list[str]]:
    """The cells of every row of the tables whose header starts so."""
    rows, inside = [], False
    for line in TEXT.splitlines():
        if not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("| ---"):
            rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
        else:
            inside = inside or line.startswith(f"| {header} |")
    return rows


def test_every_statement_names_code_and_a_test() -> None:
    """Statement, code, tests, deviation (at least "none")."""
    rows = table_rows("Statement")
    assert len(rows) > 70
    for row in rows:
        assert len(row) == 4, row
        _, code, tests, deviation = row
        assert references(code), row
        assert any("::test_" in name for name in references(tests)), row
        assert deviation, row


def test_every_open_point_has_a_default_a_switch_and_a_test() -> None:
    """All 34 points that the paper leaves open; a point without a switch says so."""
    rows = table_rows("Open point")
    assert [int(re.sub(r"\D", "", row[0].split()[0])) for row in rows] == list(range(1, 35))
    for row in rows:
        assert len(row) == 4, row
        _, default, switch, tests = row
        assert default, row
        assert references(switch) or switch.startswith("none"), row
        assert all(name.startswith("param: ") for name in references(switch)), row
        assert any("::test_" in name for name in references(tests)), row


def test_the_check_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0 and one line where all is well."""
    assert check_fidelity.main() == 0
    assert capsys.readouterr().out == "fidelity.md: every name resolves\n"
