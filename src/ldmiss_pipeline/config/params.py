"""Load `params.yaml`, validate the whole of it before anything runs, and word what is wrong in one line."""

import reprlib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from ldmiss.errors import InputError, one_line
from ldmiss_pipeline.config.schema import Params
from ldmiss_pipeline.config.yaml_files import load_yaml

PARAMS_FILE = Path("params.yaml")


def load(path: Path = PARAMS_FILE) -> tuple[Params, dict[str, Any]]:
    """Read and validate the whole document; the typed and the plain form.

    Raises:
        InputError: one line with every offending key, what was found and what is allowed.
    """
    document = load_yaml(path)
    return validate(document, str(path)), document


def validate(document: Any, where: str) -> Params:
    """The typed form of a plain document; raises as `load`."""
    try:
        return Params.model_validate(document)
    except ValidationError as error:
        problems = error.errors()
        lines = [_explain(problem) for problem in problems[:_MOST_PROBLEMS]]
        if len(problems) > _MOST_PROBLEMS:
            lines.append(f"and {len(problems) - _MOST_PROBLEMS} more")
        raise InputError(f"{where}: {'; '.join(lines)}") from None


_MOST_PROBLEMS = 10
"""Most problems that one line names: a document that is wrong all over is not listed in full."""


def _explain(problem: Any) -> str:
    # pydantic puts the alternatives of a union into the location, too: only fields and list positions are ours.
    sections: list[type[BaseModel]] = [Params]
    location: list[str] = []
    for part in problem["loc"]:
        field = sections[-1].model_fields.get(part) if len(sections) > len(location) else None
        if field is not None:
            location.append(part)
            sections += [kind for kind in (field.annotation, *get_args(field.annotation)) if _is_section(kind)][:1]
        elif isinstance(part, int):
            location.append(str(part))
    if problem["type"] == "extra_forbidden":
        name = str(problem["loc"][-1])
        location.append(one_line(name if name.isidentifier() else repr(name), longest=60))
        return f"{'.'.join(location)}: unknown key; allowed here: {', '.join(sections[-1].model_fields)}"
    key = ".".join(location)
    if problem["type"] == "missing":
        return f"{key}: missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return one_line(f"{key}.{message}" if key else message)
    return one_line(f"{key or 'the document'}: {message[0].lower()}{message[1:]}, got {reprlib.repr(problem['input'])}")


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
