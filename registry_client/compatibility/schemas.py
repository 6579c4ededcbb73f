"""Whether a JSON Schema (2020-12) accepts less, more, or something else than another, keyword by keyword.

A schema is the conjunction of its keywords, so a keyword that accepts more makes the whole accept no less. Where keywords
depend on each other, or one implies the other only by proof, the answer is UNCLEAR: never a guess in the caller's disfavour.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, cast

Schema = Mapping[str, Any]


class Relation(StrEnum):
    """What the newer schema is to the older."""

    TIGHTER = "tighter"
    LOOSER = "looser"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference: where (a JSON path into what is described), what, and in which direction."""

    path: str
    text: str
    relation: Relation


_TIGHTER, _LOOSER, _UNCLEAR = Relation.TIGHTER, Relation.LOOSER, Relation.UNCLEAR

_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ALONE: Final = ("pattern", "format", "contentEncoding", "contentMediaType", "contentSchema")
"""Compared for equality; but to have one is tighter than to have none."""
_TOGETHER: Final = (
    ("anyOf",),
    ("oneOf",),
    ("allOf",),
    ("not",),
    ("if", "then", "else"),
    ("contains", "minContains", "maxContains"),
    ("dependentRequired",),
    ("dependentSchemas",),
    ("dependencies",),
    ("$ref",),
)
"""Each a constraint of its own, read as a unit."""
_FAR_REACHING: Final = frozenset(
    {"$dynamicRef", "$anchor", "$dynamicAnchor", "$id", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties"}
)
"""What they mean depends on the rest of the schema."""
_DEFINITIONS: Final = ("$defs", "definitions")
_TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")


def compare_schemas(old: Schema | None, new: Schema | None) -> tuple[SchemaChange, ...]:
    """How the newer schema differs from the older; none means it accepts the same. `None` accepts everything."""
    before, after = _as_schema(old), _as_schema(new)
    if _bare(before) == _bare(after):
        return ()
    if _refers_to_itself(before, after):
        return (SchemaChange("$", "it refers to parts of itself, and they may have changed", _UNCLEAR),)
    return tuple(_compare("$", before, after))


def _refers_to_itself(old: Schema, new: Schema) -> bool:
    """Whether equal words may mean different things: by a reference whose target changed, or by what looks at all the rest."""
    keywords, references = frozenset[str](), frozenset[str]()
    for schema in (old, new):
        keywords, references = keywords | _keywords(schema), references | _references(schema)
    definitions = [{name: _bare(schema.get(name)) for name in _DEFINITIONS} for schema in (old, new)]
    is_far = any(not reference.startswith(tuple(f"#/{name}/" for name in _DEFINITIONS)) for reference in references)
    return bool(keywords & _FAR_REACHING) or is_far or (bool(references) and definitions[0] != definitions[1])


def _as_schema(schema: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON value: an object, true, false or nothing
    if schema is None or schema is True:
        return {}
    return {"not": {}} if schema is False else dict(schema)


def _compare(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    yield from _types(path, old, new)
    yield from _enums(path, old, new)
    yield from _bounds(path, old, new)
    yield from _required(path, old, new)
    for keyword in _ALONE:
        yield from _unit(path, (keyword,), old, new)
    for group in _TOGETHER:
        yield from _unit(path, group, old, new)
    yield from _multiples(path, old, new)
    yield from _flag(path, "uniqueItems", old, new)
    yield from _properties(path, old, new)
    yield from _items(path, old, new)
    if "propertyNames" in old or "propertyNames" in new:
        yield from _nested(f"{path}, names", old.get("propertyNames"), new.get("propertyNames"))


def _nested(path: str, old: Any, new: Any) -> Iterator[SchemaChange]:  # noqa: ANN401 - JSON Schemas
    if old is not False and new is False:
        yield SchemaChange(path, "nothing is accepted there any more", _TIGHTER)
    elif old is False and new is not False:
        yield SchemaChange(path, "something is accepted there now", _LOOSER)
    elif _bare(old) != _bare(new):
        yield from _compare(path, _as_schema(old), _as_schema(new))


# --- single keywords ------------------------------------------------------------------------------------------------


def _types(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    yield from _sets(path, "type", _type_set(old), _type_set(new))


def _type_set(schema: Schema) -> frozenset[str]:
    written = schema.get("type")
    named = set(_TYPES) if written is None else {written} if isinstance(written, str) else set(written)
    return frozenset(named | ({"integer"} if "number" in named else set()))


def _sets(path: str, keyword: str, before: frozenset[str], after: frozenset[str]) -> Iterator[SchemaChange]:
    """Sets of what is accepted."""
    if before - after:
        yield SchemaChange(path, f"{keyword} no longer has {', '.join(sorted(before - after))}", _TIGHTER)
    if after - before:
        yield SchemaChange(path, f"{keyword} has {', '.join(sorted(after - before))} too", _LOOSER)


def _enums(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    before, after = _allowed(old), _allowed(new)
    if before is None or after is None:
        if before is not None:
            yield SchemaChange(path, "enum was dropped", _LOOSER)
        if after is not None:
            yield SchemaChange(path, "enum was added", _TIGHTER)
        return
    yield from _sets(path, "enum", before, after)


def _allowed(schema: Schema) -> frozenset[str] | None:
    """The values that `enum` and `const` leave, as JSON texts in which 1 and 1.0 are equal, as JSON Schema has it."""
    listed = [frozenset(map(_as_text, schema["enum"]))] if "enum" in schema else []
    listed += [frozenset({_as_text(schema["const"])})] if "const" in schema else []
    return listed[0].intersection(*listed) if listed else None


def _as_text(value: object) -> str:
    return json.dumps(_with_plain_numbers(value), sort_keys=True, ensure_ascii=False)


def _with_plain_numbers(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_plain_numbers(each) for key, each in cast("dict[str, object]", value).items()}
    return [_with_plain_numbers(each) for each in cast("list[object]", value)] if isinstance(value, list) else value


def _bounds(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    for keyword in _LOWER_BOUNDS:
        yield from _bound(path, keyword, old, new, tightens=lambda before, after: after > before)
    for keyword in _UPPER_BOUNDS:
        yield from _bound(path, keyword, old, new, tightens=lambda before, after: after < before)


def _bound(path: str, keyword: str, old: Schema, new: Schema, *, tightens: Callable[[float, float], bool]) -> Iterator[SchemaChange]:
    before, after = old.get(keyword), new.get(keyword)
    if before is None or after is None:
        yield from _unit(path, (keyword,), old, new)
    elif before != after:
        relation = _TIGHTER if tightens(before, after) else _LOOSER
        yield SchemaChange(path, f"{keyword} was {before} and is {after}", relation)


def _required(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    if after - before:
        yield SchemaChange(path, f"{', '.join(sorted(after - before))} became required", _TIGHTER)
    if before - after:
        yield SchemaChange(path, f"{', '.join(sorted(before - after))} is no longer required", _LOOSER)


def _multiples(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    before, after = old.get("multipleOf"), new.get("multipleOf")
    if before is None or after is None:
        yield from _unit(path, ("multipleOf",), old, new)
    elif before != after:
        of_old = (Fraction(str(after)) / Fraction(str(before))).denominator == 1
        of_new = (Fraction(str(before)) / Fraction(str(after))).denominator == 1
        relation = _TIGHTER if of_old else _LOOSER if of_new else _UNCLEAR
        yield SchemaChange(path, f"multipleOf was {before} and is {after}", relation)


def _flag(path: str, keyword: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    before, after = bool(old.get(keyword, False)), bool(new.get(keyword, False))
    if before != after:
        yield SchemaChange(path, f"{keyword} is {'demanded' if after else 'no longer demanded'}", _TIGHTER if after else _LOOSER)


def _unit(path: str, keywords: tuple[str, ...], old: Schema, new: Schema) -> Iterator[SchemaChange]:
    """Keywords of which only presence and equality are understood."""
    before = {keyword: _bare(old[keyword]) for keyword in keywords if keyword in old}
    after = {keyword: _bare(new[keyword]) for keyword in keywords if keyword in new}
    if before == after:
        return
    name = " and ".join(sorted({*before, *after}))
    if not before:
        yield SchemaChange(path, f"{name} was added", _TIGHTER)
    elif not after:
        yield SchemaChange(path, f"{name} was dropped", _LOOSER)
    else:
        yield SchemaChange(path, f"{name} changed", _UNCLEAR)


# --- objects and arrays ---------------------------------------------------------------------------------------------


def _properties(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    """A property that only one of the schemas names falls, in the other, under what holds for all others."""
    patterns = (_bare(old.get("patternProperties", {})), _bare(new.get("patternProperties", {})))
    before: Schema = old.get("properties", {})
    after: Schema = new.get("properties", {})
    others_before, others_after = old.get("additionalProperties"), new.get("additionalProperties")
    if any(patterns) and (patterns[0] != patterns[1] or before.keys() != after.keys()):
        yield SchemaChange(path, "patternProperties changed, or the properties beside them", _UNCLEAR)
        return
    for name in sorted({*before, *after}):
        yield from _nested(_member(path, name), before.get(name, others_before), after.get(name, others_after))
    yield from _nested(f"{path}, other properties", others_before, others_after)


def _items(path: str, old: Schema, new: Schema) -> Iterator[SchemaChange]:
    """Elements beyond the listed ones fall under `items`."""
    before, after = old.get("prefixItems", []), new.get("prefixItems", [])
    rest_before, rest_after = old.get("items"), new.get("items")
    for at in range(max(len(before), len(after))):
        one = before[at] if at < len(before) else rest_before
        other = after[at] if at < len(after) else rest_after
        yield from _nested(f"{path}[{at}]", one, other)
    yield from _nested(f"{path}[]", rest_before, rest_after)


def _member(path: str, name: str) -> str:
    return f"{path}.{name}" if name.isidentifier() else f"{path}[{name[:80]!r}]"


# --- words ----------------------------------------------------------------------------------------------------------

_WORDS: Final = frozenset({"title", "description", "examples", "default", "$comment", "deprecated", "readOnly", "writeOnly"})
_OF_NAMES: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Their members are names that the author chose, and one may be `title`."""
_LITERAL: Final = frozenset({"enum", "const"})


def _bare(schema: Any) -> Any:  # noqa: ANN401 - a JSON value
    """The schema without what is only words."""
    if isinstance(schema, list):
        return [_bare(value) for value in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("dict[str, Any]", schema)
    return {key: _bare_member(key, value) for key, value in members.items() if key not in _WORDS}


def _bare_member(key: str, value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if key in _LITERAL:
        return value
    if key in _OF_NAMES and isinstance(value, dict):
        return {name: _bare(each) for name, each in cast("dict[str, Any]", value).items()}
    return _bare(value)


def _keywords(schema: Any) -> frozenset[str]:  # noqa: ANN401 - a JSON value
    """Every key in the schema, at any depth; names of properties among them do no harm."""
    if isinstance(schema, list):
        return frozenset[str]().union(*(_keywords(value) for value in cast("list[object]", schema)))
    if not isinstance(schema, dict):
        return frozenset()
    members = cast("dict[str, Any]", schema)
    return frozenset(members).union(*(_keywords(value) for value in members.values()))


def _references(schema: Any) -> frozenset[str]:  # noqa: ANN401 - a JSON value
    if isinstance(schema, list):
        return frozenset[str]().union(*(_references(value) for value in cast("list[object]", schema)))
    if not isinstance(schema, dict):
        return frozenset()
    members = cast("dict[str, Any]", schema)
    own = frozenset({members["$ref"]}) if isinstance(members.get("$ref"), str) else frozenset[str]()
    return own.union(*(_references(value) for value in members.values()))
