"""Whether a JSON Schema refuses more or less than another. The law: what is called looser accepts all that was accepted."""

from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from registry_client.compatibility.schemas import Relation, compare_schemas

Json = Any

_names = st.sampled_from(["a", "b"])
_numbers = st.one_of(st.integers(-2, 4), st.sampled_from([0.5, 1.0, 2.5]))
_scalars = st.one_of(st.none(), st.booleans(), _numbers, st.sampled_from(["", "a", "bb", "ccc"]))
instances = st.recursive(
    _scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_names, inner, max_size=2)), max_leaves=5
)


def _schemas(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
    keywords = {
        "type": st.one_of(types, st.lists(types, min_size=1, max_size=3, unique=True)),
        "enum": st.lists(_scalars, min_size=1, max_size=3),
        "const": _scalars,
        "minimum": _numbers,
        "maximum": _numbers,
        "exclusiveMinimum": _numbers,
        "multipleOf": st.sampled_from([1, 2, 0.5, 3]),
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["a", "b"]),
        "required": st.lists(_names, max_size=2, unique=True),
        "minItems": st.integers(0, 2),
        "maxItems": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "properties": st.dictionaries(_names, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=1),
        "additionalProperties": inner,
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "propertyNames": st.fixed_dictionaries({"maxLength": st.integers(0, 2)}),
        "title": st.just("words"),
    }
    written = st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True)
    return written.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))


schemas = st.recursive(st.one_of(st.booleans(), _schemas(st.just({}))), _schemas, max_leaves=4)
pairs = st.one_of(
    st.tuples(schemas, schemas),
    # Neighbours differ in one keyword, as versions do.
    st.tuples(_schemas(schemas), _schemas(schemas)).map(lambda two: (two[0], {**two[0], **dict(list(two[1].items())[:1])})),
    st.tuples(_schemas(schemas), st.integers(0, 3)).map(lambda one: (one[0], dict(list(one[0].items())[: one[1]]))),
)


@given(pair=pairs, values=st.lists(instances, min_size=1, max_size=20))
def test_what_is_not_called_tighter_or_unclear_accepts_all_that_was_accepted(pair: tuple[Json, Json], values: list[Json]) -> None:
    for old, new in (pair, pair[::-1]):
        found = compare_schemas(old, new)
        if {change.relation for change in found} <= {Relation.LOOSER}:
            note(f"{old} -> {new}: {found}")
            before, after = Draft202012Validator(old), Draft202012Validator(new)
            assert [value for value in values if before.is_valid(value) and not after.is_valid(value)] == []


@given(pair=pairs, values=st.lists(instances, min_size=1, max_size=20))
def test_what_is_not_called_looser_or_unclear_accepts_nothing_new(pair: tuple[Json, Json], values: list[Json]) -> None:
    for old, new in (pair, pair[::-1]):
        found = compare_schemas(old, new)
        if {change.relation for change in found} <= {Relation.TIGHTER}:
            note(f"{old} -> {new}: {found}")
            before, after = Draft202012Validator(old), Draft202012Validator(new)
            assert [value for value in values if after.is_valid(value) and not before.is_valid(value)] == []


@given(schema=schemas)
def test_a_schema_does_not_differ_from_itself(schema: Json) -> None:
    assert compare_schemas(schema, schema) == ()


T, L, U = Relation.TIGHTER, Relation.LOOSER, Relation.UNCLEAR
REFERS = {"properties": {"a": {"$ref": "#/$defs/one"}}, "$defs": {"one": {"type": "string"}}}


@pytest.mark.parametrize(
    ("old", "new", "path", "relation"),
    [
        (None, {"type": "object"}, "$", T),
        ({"type": "object"}, None, "$", L),
        ({"type": "number"}, {"type": "integer"}, "$", T),
        ({"type": "integer"}, {"type": ["number", "null"]}, "$", L),
        ({"enum": [1, 2]}, {"const": 1.0}, "$", T),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, "$", L),
        ({"maximum": 5}, {"maximum": 4}, "$", T),
        ({"minLength": 3}, {"minLength": 2}, "$", L),
        ({"multipleOf": 2}, {"multipleOf": 4}, "$", T),
        ({"multipleOf": 0.5}, {"multipleOf": 0.3}, "$", U),
        ({"uniqueItems": True}, {}, "$", L),
        ({"required": ["a"]}, {"required": ["a", "b"]}, "$", T),
        ({"pattern": "a"}, {"pattern": "b"}, "$", U),
        ({"pattern": "a"}, {}, "$", L),
        ({}, {"properties": {"a": {"maxLength": 3}}}, "$.a", T),
        ({"additionalProperties": False}, {"properties": {"a": {}}, "additionalProperties": False}, "$.a", L),
        ({"properties": {"a b": {"maximum": 1}}}, {"properties": {"a b": {"maximum": 2}}}, "$['a b']", L),
        ({}, {"additionalProperties": False}, "$, other properties", T),
        ({"items": {"type": "integer"}}, {"items": {"type": "number"}}, "$[]", L),
        ({"prefixItems": [{}]}, {"prefixItems": [{"type": "string"}]}, "$[0]", T),
        ({"patternProperties": {"^a": {}}}, {"patternProperties": {"^b": {}}}, "$", U),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "null"}]}, "$", U),
        (REFERS, {**REFERS, "$defs": {"one": {"type": "null"}}}, "$", U),
        ({"$ref": "#/properties/a", "properties": {"a": {}}}, {"$ref": "#/properties/a", "properties": {"a": {"type": "null"}}}, "$", U),
        (REFERS, {**REFERS, "required": ["a"]}, "$", T),
        ({"unevaluatedProperties": False}, {"unevaluatedProperties": False, "properties": {"a": {}}}, "$", U),
        ({"propertyNames": {"maxLength": 3}}, {"propertyNames": {"maxLength": 2}}, "$, names", T),
        ({"if": {"type": "string"}, "then": {"minLength": 1}}, {"if": {"type": "string"}, "then": {"minLength": 2}}, "$", U),
    ],
)
def test_a_change_of_a_schema_is_told_with_its_place_and_direction(old: Json, new: Json, path: str, relation: Relation) -> None:
    found = [(change.path, change.relation) for change in compare_schemas(old, new)]

    assert found == [(path, relation)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"title": "a"}, {"description": "b", "examples": [1]}),
        ({"properties": {"title": {"description": "a"}}}, {"properties": {"title": {"description": "b"}}}),
        ({"enum": [1, True]}, {"enum": [True, 1.0]}),
        ({"required": ["a", "b"]}, {"required": ["b", "a"]}),
        ({"type": "number"}, {"type": ["integer", "number"]}),
        (None, True),
    ],
)
def test_schemas_that_accept_the_same_do_not_differ(old: Json, new: Json) -> None:
    assert compare_schemas(old, new) == ()


def test_a_property_that_is_called_title_is_no_title() -> None:
    assert compare_schemas({"properties": {"title": {"maxLength": 3}}}, {"properties": {"title": {"maxLength": 2}}}) != ()
