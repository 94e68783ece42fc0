"""Load `params.yaml`, validate the whole of it before anything runs, and word what is wrong in one line."""

import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from ldmiss.errors import InputError
from stages.schema import Params

PARAMS_FILE = Path("params.yaml")


def load(path: Path = PARAMS_FILE) -> tuple[Params, dict[str, Any]]:
    """Read and validate the whole document; the typed and the plain form.

    Raises:
        InputError: one line with every offending key, what was found and what is allowed.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing file; run from the project's root")
    try:
        document = yaml.load(path.read_text(), _Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    return validate(document, str(path)), document


def validate(document: Any, where: str) -> Params:
    """The typed form of a plain document; raises as `load`."""
    try:
        return Params.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{where}: {'; '.join(_explain(problem) for problem in error.errors())}") from None


def _explain(problem: Any) -> str:
    location = [
        part for part in problem["loc"] if not (isinstance(part, str) and re.search(r"[\[(]|^(int|literal)", part))
    ]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_keys_at(location[:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{key}.{message}" if key else message
    return f"{key}: {message[0].lower()}{message[1:]}, got {problem['input']!r}"


def _keys_at(location: list[Any]) -> list[str]:
    section: Any = Params
    for part in location:
        annotation = section.model_fields[part].annotation
        section = next((arg for arg in get_args(annotation) if isinstance(arg, type)), annotation)
    return list(section.model_fields)


class _Loader(yaml.SafeLoader):
    """YAML 1.2 floats, as DVC and OmegaConf read them: `1e-3` is a number (PyYAML alone makes it a text)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
