"""Which of our source files a module imports when it runs, read off the source (imports inside functions included)."""

import ast
from collections.abc import Collection
from pathlib import Path

import ldmiss

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"ldmiss": "src", "ldmiss_pipeline": "src", "stages": "."}
"""Our packages, by the folder they are in."""


def module_file(name: str) -> Path | None:
    """The file of one of our modules, relative to the root; None for foreign modules.

    `ldmiss.NAME` is the module that this lazy name is from.
    """
    package, _, rest = name.partition(".")
    name = f"ldmiss.{ldmiss._MODULES[rest]}" if package == "ldmiss" and rest in ldmiss._MODULES else name
    if package not in PACKAGES:
        return None
    base = Path(PACKAGES[package], *name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if (ROOT / path).is_file()), None)


def imported_names(path: Path) -> set[str]:
    """Names of modules (and of what is imported from them) in a file, except under `if TYPE_CHECKING`."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Import):
                names.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                assert child.level == 0, f"{path}: relative import"
                names.add(child.module)
                names.update(f"{child.module}.{alias.name}" for alias in child.names)
            visit(child)

    visit(ast.parse((ROOT / path).read_text()))
    return names


def closure(module: str, without: Collection[str] = ()) -> set[Path]:
    """All our files that a module imports, directly or not, with its own; packages' `__init__` files left out.

    Args:
        module: dotted name.
        without: prefixes of paths that are left out, with what only they import.
    """
    found: set[Path] = set()
    waiting = [module_file(module)]
    while waiting:
        path = waiting.pop()
        if path is None or path in found or str(path).startswith(tuple(without)):
            continue
        found.add(path)
        waiting += [module_file(name) for name in imported_names(path)]
    return {path for path in found if path.name != "__init__.py"}
