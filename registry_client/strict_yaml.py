"""YAML as a strict reader takes it: 1.2's core types, no key twice, no aliases, no depth, no size that is meant to hurt."""

import re
from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import ConstructorError

LARGEST = 2**18
"""Bytes; a document longer than this is data that belongs elsewhere."""

DEEPEST = 64


class UnreadableYaml(Exception):
    """A text that is no YAML, or none that should be read; says why."""


def read_yaml(text: bytes) -> object:
    """The document. Raises `UnreadableYaml`."""
    if len(text) > LARGEST:
        msg = f"larger than {LARGEST} bytes"
        raise UnreadableYaml(msg)
    try:
        _refuse_bombs(text)
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        place = "" if error.problem_mark is None else f" in line {error.problem_mark.line + 1}"
        msg = f"{error.problem}{place}"
        raise UnreadableYaml(msg) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        msg = f"not readable as YAML: {error}"
        raise UnreadableYaml(msg) from error


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core types only: a date stays a text, so do `no` and `12:30`; `1e-4` is a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - the library's signature
        """Refuse a key that is written twice: which of the two is meant cannot be known."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise ConstructorError(None, None, f"the key {name[:80]!r} is repeated", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_CORE_TYPES = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
)
_Loader.yaml_implicit_resolvers = {
    first: [(f"tag:yaml.org,2002:{name}", re.compile(rf"(?:{pattern})\Z")) for name, pattern, firsts in _CORE_TYPES if first in firsts]
    for first in ("", *"~nNtTfF-+.0123456789")
}


def _refuse_bombs(text: bytes) -> None:
    """Refuse what is small to write and large to read: aliases, which multiply, and depth, which the scanner is slow at."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem=f"holds an alias (*{event.anchor}); write the value out instead")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {DEEPEST} levels")
