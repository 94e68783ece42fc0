"""YAML files, read as DVC reads them: by its own parser, YAML 1.2 (`010` is ten, `yes` is a text)."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from ldmiss.errors import InputError, one_line


def load_yaml(path: Path) -> Any:
    """The document in a file: dicts, lists, texts, numbers, truth values and None.

    Raises:
        InputError: missing or unreadable file, or no YAML in it.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing file; run from the project's root")
    try:
        return YAML(typ="safe").load(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (YAMLError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"{path}: not valid YAML ({one_line(error)})") from None
