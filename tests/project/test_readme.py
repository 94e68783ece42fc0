"""What the README names is there."""

import re

from support.imports import ROOT


def test_readme_commands_exist() -> None:
    """Every `make` target named in the README is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / "README.md").read_text()))
    assert named <= targets


def test_readme_is_whole() -> None:
    """Its pictures and linked files exist, and no placeholder is left."""
    text = (ROOT / "README.md").read_text()
    assert "@@" not in text
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("https://") or (ROOT / target.partition("#")[0]).exists(), target
