"""YAML files, read as DVC reads them: by its own parser, YAML 1.2 (`010` is ten, `yes` is a text)."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.events import MappingEndEvent, MappingStartEvent, SequenceEndEvent, SequenceStartEvent

from ldmiss.errors import InputError, one_line

DEEPEST = 100
"""Lists and mappings within each other; `dvc.lock` has 8. Far deeper ones overflow the parser's stack: no exception,
but the end of the process."""
_OF_CONSTRUCTORS = (
    ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, AssertionError
)  # fmt: skip
"""What ruamel's constructors let through for a value that does not fit its tag, like `!!bool maybe` or `!!omap`."""


def load_yaml(path: Path) -> Any:
    """The document in a file: dicts, lists, texts, numbers, truth values and None.

    Raises:
        InputError: missing or unreadable file, or no YAML in it, or nested too deeply.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing file; run from the project's root")
    try:
        content = path.read_bytes()
        _check_depth(content)
        return YAML(typ="safe").load(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (YAMLError, *_OF_CONSTRUCTORS) as error:
        raise InputError(f"{path}: not valid YAML ({one_line(error)})") from None


def _check_depth(content: bytes) -> None:
    depth = 0
    for event in YAML(typ="safe").parse(content):
        if isinstance(event, SequenceStartEvent | MappingStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise InputError(f"nested more than {DEEPEST} deep")
        elif isinstance(event, SequenceEndEvent | MappingEndEvent):
            depth -= 1
