"""Whether a JSON Schema that an author wrote can be used at all: it is one, leans on nothing outside itself, and comes to an end."""

from collections.abc import Iterator, Sequence
from typing import Any, cast
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""What schemas are read as, whatever they say."""

_REFERENCES = ("$ref", "$dynamicRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_ALL = ("allOf", "anyOf", "oneOf")
_ONE = ("not", "if", "then", "else")
_CLIP = 80


class UnusableSchema(ValueError):
    """A schema that no document can be held against."""

    def __init__(self, reason: str, hint: str) -> None:
        self.hint = hint
        super().__init__(reason)


def refuse_unusable(schema: Schema) -> None:
    """Raise `UnusableSchema` for what is no JSON Schema (2020-12), or refers to what is not in it, or to itself without an end."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        reason = f"not a JSON Schema (2020-12): {error.message}"
        raise UnusableSchema(reason, "docs/bundles.md has an example") from error
    references = _References(schema)
    references.refuse_dangling()
    references.refuse_circles()


def broken_promise(schema: Schema, answer: dict[str, Any]) -> str | None:
    """What a plain JSON answer, to one instance or to several, has otherwise than a usable schema says; None when nothing."""
    validator: Any = Draft202012Validator(schema)  # its types are half told
    for instance in answer.get("predictions", [answer]):
        error = next(iter(validator.iter_errors(instance)), None)
        if error is not None:
            return f"{error.json_path}: {error.message[:200]}"
    return None


class _References:
    """A schema with what its references lead to."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._nodes = list(_nodes(schema))
        self._anchors = {node[key]: node for node in self._nodes for key in _ANCHORS if isinstance(node.get(key), str)}

    def refuse_dangling(self) -> None:
        """Raise `UnusableSchema` for a reference to what is not in the schema."""
        for reference in (node[key] for node in self._nodes for key in _REFERENCES if isinstance(node.get(key), str)):
            if not reference.startswith("#"):
                reason = f"{reference[:_CLIP]!r} refers to another document"
                raise UnusableSchema(reason, "put what it needs under $defs: nothing is fetched")
            if self._target(reference) is None:
                reason = f"{reference[:_CLIP]!r} refers to nothing in it"
                raise UnusableSchema(reason, "name a place that is there, e.g. #/$defs/NAME")

    def refuse_circles(self) -> None:
        """Raise `UnusableSchema` where a schema leads back to itself without going into the document: validating would never end."""
        done = set[int]()
        for start in self._nodes:
            path = {id(start): self._in_place(start)} if id(start) not in done else {}
            while path:
                node = next(reversed(path))
                following = next(path[node], None)
                if following is None:
                    done.add(node)
                    del path[node]
                elif id(following) in path:
                    reason = "it refers to itself without going deeper into the document, so holding anything against it would never end"
                    raise UnusableSchema(reason, "refer to it from properties or items only")
                elif id(following) not in done:
                    path[id(following)] = self._in_place(following)

    def _in_place(self, node: Schema) -> Iterator[Schema]:
        """The schemas that the same part of a document is held against."""
        found = [self._target(node[key]) for key in _REFERENCES if isinstance(node.get(key), str)]
        found += [each for key in _ALL for each in _elements(node.get(key))]
        found += [node.get(key) for key in _ONE]
        found += _members(node.get("dependentSchemas")).values()
        return (cast("Schema", each) for each in found if isinstance(each, dict))

    def _target(self, reference: str) -> object:
        """What a reference within the schema names; None where nothing stands there."""
        fragment = unquote(reference[1:])
        if fragment and not fragment.startswith("/"):
            return self._anchors.get(fragment)
        found: object = self._schema
        for step in fragment.split("/")[1:]:
            found = _step(found, step.replace("~1", "/").replace("~0", "~"))
        return found


def _step(node: object, name: str) -> object:
    elements = _elements(node)
    if name.isdecimal() and int(name) < len(elements):
        return elements[int(name)]
    return _members(node).get(name)


def _nodes(schema: Schema) -> Iterator[Schema]:
    """The schema and every object in it; not what has an address of its own, within which references mean something else."""
    pending: list[object] = [schema]
    while pending:
        node = pending.pop()
        pending += _elements(node)
        members = _members(node)
        if node is schema or (members and "$id" not in members):
            pending += members.values()
            yield members


def _members(node: object) -> Schema:
    return cast("Schema", node) if isinstance(node, dict) else {}


def _elements(node: object) -> Sequence[object]:
    return cast("Sequence[object]", node) if isinstance(node, list | tuple) else ()
