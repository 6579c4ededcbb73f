import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client.errors import InvalidBundle
from registry_client.golden import differences, parse_golden
from tests.strategies.manifests import json_objects

LINE = b'{"name": "a", "request": {"x": 1}, "response": {"y": 2}}'


def compare(expected: object, actual: object, *, atol: float = 1e-4, rtol: float = 1e-3) -> list[str]:
    return differences(expected, actual, atol, rtol)


def test_an_example_has_a_default_tolerance() -> None:
    (example,) = parse_golden(LINE + b"\n\n")
    assert (example.name, example.request, example.response, example.atol, example.rtol) == ("a", {"x": 1}, {"y": 2}, 1e-4, 1e-3)


def test_an_example_may_set_its_tolerance() -> None:
    (example,) = parse_golden(LINE[:-1] + b', "tolerance": {"atol": 0.5}}')
    assert (example.atol, example.rtol) == (0.5, 1e-3)
    assert example.differences({"y": 2.4}) == []


@pytest.mark.parametrize(
    "second",
    [b"not json", b"[]", b'{"name": "b"}', LINE, LINE[:-1] + b', "extra": 1}', LINE[:-1] + b', "tolerance": {"atol": -1}}', b"[" * 100_000],
)
def test_a_bad_line_is_named(second: bytes) -> None:
    with pytest.raises(InvalidBundle) as refusal:
        parse_golden(LINE + b"\n" + second)
    assert refusal.value.field == "golden.jsonl line 2"


def test_a_file_without_examples_is_refused() -> None:
    with pytest.raises(InvalidBundle):
        parse_golden(b"\n \n")


@given(json_objects)
def test_a_value_does_not_differ_from_itself(value: dict[str, object]) -> None:
    assert compare(value, value, atol=0.0, rtol=0.0) == []


@given(st.floats(-1e6, 1e6), st.floats(-1, 1))
def test_numbers_may_differ_within_the_tolerance(expected: float, share: float) -> None:
    tolerance = 1e-4 + 1e-3 * abs(expected)
    assert compare({"x": [expected]}, {"x": [expected + share * 0.99 * tolerance]}) == []
    assert compare({"x": [expected]}, {"x": [expected + 1.01 * tolerance]}) != []


@pytest.mark.parametrize(
    ("expected", "actual", "sentences"),
    [
        (1, 1.0, []),
        (math.nan, math.nan, []),
        (math.inf, math.inf, []),
        (math.nan, 1.0, ["$: expected nan, got 1.0"]),
        (1.0, math.nan, ["$: expected 1.0, got nan"]),
        (math.inf, -math.inf, ["$: expected inf, got -inf"]),
        (1.0, math.inf, ["$: expected 1.0, got inf"]),
        (10**400, 1.0, [f"$: expected 1{'0' * 79}..., got 1.0"]),
        (1, True, ["$: expected a number, got a boolean"]),
        (None, 0, ["$: expected null, got a number"]),
        ("a", "b", ["$: expected 'a', got 'b'"]),
        ({"a": 1}, {"b": 1}, ["$.a: missing", "$.b: not expected"]),
        ({"a": {"b c": [1, 2]}}, {"a": {"b c": [1, 3]}}, ["$.a['b c'][1]: expected 2, got 3"]),
        ([1, 2], [1], ["$: expected 2 elements, got 1"]),
        ([[1], 2], [[9], 8], ["$[0][0]: expected 1, got 9", "$[1]: expected 2, got 8"]),
    ],
)
def test_a_difference_is_told_with_its_path(expected: object, actual: object, sentences: list[str]) -> None:
    assert compare(expected, actual) == sentences


def test_no_more_differences_are_told_than_asked_for() -> None:
    assert len(differences([0] * 100, [1] * 100, 0.0, 0.0, most=7)) == 7


def test_a_deep_answer_is_compared_all_the_same() -> None:
    # given
    expected: object = 1
    actual: object = 2
    for _ in range(10_000):
        expected, actual = [expected], [actual]

    # when / then
    assert len(compare(expected, actual)) == 1
