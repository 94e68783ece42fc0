"""JSON files: written atomically, and where a stage reads them again with a checksum of their own."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldmiss.errors import InputError, one_line
from ldmiss.files.atomic import existing_file, save_text


def save_json(path: Path, value: Any) -> None:
    """Write JSON with two spaces of indent; NaN is refused, for it is no JSON."""
    save_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def load_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: missing or malformed file.
    """
    existing_file(path)
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({one_line(error)})") from None


def save_checked_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with a last entry "checksum", for `load_checked_json`."""
    save_json(path, {**value, "checksum": _json_digest(value)})


def load_checked_json(path: Path) -> dict[str, Any]:
    """Read what `save_checked_json` wrote, without the checksum.

    Raises:
        InputError: missing, malformed or altered file.
    """
    value = load_json(path)
    if not isinstance(value, dict) or value.pop("checksum", None) != _json_digest(value):
        raise InputError(f"{path}: corrupted (its content does not have the checksum it names)")
    return value


def _json_digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
