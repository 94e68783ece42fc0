"""Resolve what docs/fidelity.md names: tests, places in the code, params (`python tests/support/check_fidelity.py`).

In that file, text in backticks means
- `tests/test_x.py::test_y` (or with `[id]`): a test function in that file;
- `src/...py::name`, `stages/...py::name`, `conf/...yaml::key`: a function, class, method (`Class.name`), constant or
  key in that file; without `::`, the file;
- `param: a.b.c`, with or without `=value`: a key of the params composed for `profile=paper`; the schema must accept
  the value.
Anything else in backticks is just text.
"""

import ast
import copy
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/fidelity.md"
_CODE = re.compile(r"`([^`\n]+)`")
_PLACE = re.compile(r"^(src|stages|tests|conf|docs|benchmarks|hydra_plugins)/\S+\.(py|yaml|md)(::\S+)?$")


def main() -> int:
    """Print what does not resolve; the exit status."""
    problems = unresolved(DOCUMENT.read_text())
    print("\n".join(problems) if problems else f"{DOCUMENT.name}: every name resolves")
    return 1 if problems else 0


def references(text: str) -> list[str]:
    """All that stands in backticks and is a place or a param, in order."""
    return [code for code in _CODE.findall(text) if _PLACE.match(code) or code.startswith("param: ")]


def named_tests() -> set[str]:
    """The tests that the table names, without ids."""
    return {name.split("[")[0] for name in references(DOCUMENT.read_text()) if "::test_" in name}


def unresolved(text: str) -> list[str]:
    """One line for every name that leads nowhere."""
    return [problem for name in references(text) if (problem := _problem(name))]


@cache
def _problem(name: str) -> str | None:
    if name.startswith("param: "):
        return _param_problem(name.removeprefix("param: "))
    file, _, symbol = name.partition("::")
    path = ROOT / file
    if not path.is_file():
        return f"{name}: no file {file}"
    symbol = symbol.split("[")[0]
    if not symbol:
        return None
    found = _yaml_keys(path) if path.suffix == ".yaml" else _symbols(path)
    return None if symbol in found else f"{name}: {file} has no {symbol}"


@cache
def _symbols(path: Path) -> set[str]:
    """Functions, classes, methods, fields and constants of a module: `name`, `Class.name`."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                found.update(prefix + target.id for target in node.targets if isinstance(target, ast.Name))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(prefix + node.target.id)

    visit(ast.parse(path.read_text()).body, "")
    return found


def _yaml_keys(path: Path) -> set[str]:
    """Dotted keys of a YAML file."""
    found: set[str] = set()

    def visit(value: Any, prefix: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                found.add(f"{prefix}{key}")
                visit(inner, f"{prefix}{key}.")

    visit(yaml.safe_load(path.read_text()), "")
    return found


@cache
def _paper() -> dict[str, Any]:
    """The composed params of the paper's profile."""
    from ldmiss_pipeline.config.compose import composed

    document: dict[str, Any] = yaml.safe_load(composed(["profile=paper", "grid=paper"]))
    return document


def _param_problem(text: str) -> str | None:
    from ldmiss.errors import InputError
    from ldmiss_pipeline.config import params

    key, _, value = text.partition("=")
    document = copy.deepcopy(_paper())
    section: Any = document
    *parents, last = key.split(".")
    for part in parents:
        section = section.get(part) if isinstance(section, dict) else None
    if not isinstance(section, dict) or last not in section:
        return f"param: {text}: the composed params have no key {key}"
    if value:
        section[last] = yaml.safe_load(value)
        try:
            params.validate(document, "params.yaml")
        except InputError as error:
            return f"param: {text}: {error}"
    return None


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    sys.exit(main())
