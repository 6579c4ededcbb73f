from itertools import count
from typing import Any

import pytest

from registry_client.json_schemas import UnusableSchema, refuse_unusable

Schema = dict[str, Any]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$ref": "#/$defs/point", "$defs": {"point": {"type": "object"}}},
        {"$ref": "#point", "$defs": {"a": {"$anchor": "point"}}},
        {"properties": {"a/b": {"type": "string"}, "c": {"$ref": "#/properties/a~1b"}}},
        {"allOf": [{"type": "object"}, {"$ref": "#/allOf/0"}]},
        {"$defs": {"tree": {"properties": {"left": {"$ref": "#/$defs/tree"}}}}, "$ref": "#/$defs/tree"},
        {"properties": {"children": {"items": {"$ref": "#"}}}},
        {"$defs": {"part": {"$id": "urn:part", "$ref": "#/$defs/inner", "$defs": {"inner": {}}}}},
    ],
)
def test_a_schema_that_leads_somewhere_is_usable(schema: Schema) -> None:
    refuse_unusable(schema)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": 7}, "not a JSON Schema"),
        ({"$ref": "http://127.0.0.1/x"}, "refers to another document"),
        ({"$ref": "file:///etc/passwd"}, "refers to another document"),
        ({"$ref": "#/$defs/none"}, "'#/$defs/none' refers to nothing in it"),
        ({"properties": {"x": {"$ref": "#nobody"}}}, "'#nobody' refers to nothing in it"),
        ({"allOf": [{}], "not": {"$ref": "#/allOf/1"}}, "'#/allOf/1' refers to nothing in it"),
        ({"$ref": "#"}, "refers to itself"),
        ({"properties": {"x": {"anyOf": [{"$ref": "#/properties/x"}]}}}, "refers to itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "refers to itself"),
    ],
)
def test_a_schema_that_leads_nowhere_is_refused(schema: Schema, reason: str) -> None:
    with pytest.raises(UnusableSchema, match=reason.replace("$", r"\$")):
        refuse_unusable(schema)


def test_a_long_chain_of_references_is_judged_quickly() -> None:
    # given
    names = [f"d{at}" for at in range(4_000)]
    following = count(1)
    chain = {name: {"$ref": f"#/$defs/d{next(following)}"} for name in names[:-1]}

    # when / then: one look at each
    refuse_unusable({"$defs": {**chain, names[-1]: {}}})
