"""Read `params.yaml`: the plain part of YAML, which every reader reads alike.

DVC records params as YAML 1.2 has them, PyYAML knows YAML 1.1: `010` is 10 to the one and 8 to the other, `yes` a text
or a truth value. Such scalars are texts here, which the schema then refuses where it wants a number. Tags, anchors and
aliases are refused: a tag can name something to construct, and with aliases a few lines stand for any amount of values.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from ldmiss.errors import InputError, one_line

MAX_BYTES = 256 * 1024
"""Fifty times the longest document that conf/ composes to; PyYAML reads so much in seconds."""
MAX_DEPTH = 16


def load_document(path: Path) -> Any:
    """The document in a file: dicts with text keys, lists, texts, numbers, truth values and None.

    Raises:
        InputError: missing, unreadable or oversized file; no YAML, or more of YAML than is read here.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing file; run from the project's root")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: longer than {MAX_BYTES} bytes; params are a few KB")
    try:
        return yaml.load(content.decode(), _Loader)  # noqa: S506 - a subclass of SafeLoader that allows less
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML lets some ValueErrors of `int`, `chr` through
        raise InputError(f"{path}: not valid YAML ({one_line(_wording(error))})") from None


def _wording(error: Exception) -> object:
    mark = getattr(error, "problem_mark", None)
    if not isinstance(error, yaml.MarkedYAMLError) or mark is None:
        return error
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


class _Loader(yaml.SafeLoader):
    """Maps, lists and plain scalars, without tags, anchors, aliases, merge keys and keys that occur twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's name; filled below
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise ConstructorError(problem="anchors and aliases are not read here", problem_mark=event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise ConstructorError(problem="tags are not read here", problem_mark=event.start_mark)
        if self.depth == MAX_DEPTH:
            raise ConstructorError(problem="nested too deeply", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_document(self) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.version is not None or event.tags:
            raise ConstructorError(problem="directives are not read here", problem_mark=event.start_mark)
        return super().compose_document()

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
                raise ConstructorError(problem="a key that is no text", problem_mark=key.start_mark)
            if key.value in seen:
                raise ConstructorError(problem=f"the key {key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_SCALARS = [
    ("null", r"|~|null|Null|NULL", ["", "~", "n", "N"]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
]
for _name, _pattern, _first in _SCALARS:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)
