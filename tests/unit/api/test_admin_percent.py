import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from serving.api.schemas import Percent, basis_points, percent

PERCENT: TypeAdapter[int] = TypeAdapter(Percent)


@given(st.integers(0, 10_000))
def test_every_basis_point_survives_the_way_through_percent(points: int) -> None:
    assert basis_points(percent(points)) == points


@given(st.floats(0, 100))
def test_a_percentage_is_converted_exactly_or_refused(number: float) -> None:
    try:
        points = PERCENT.validate_python(number)
    except ValidationError:
        return

    assert math.isclose(points / 100, number, rel_tol=1e-12)


@pytest.mark.parametrize("wrong", [-1, 100.01, 2.505, 0.001, math.nan, math.inf, -math.inf, True, "10", None, [], {}, 10**400])
def test_what_is_no_percentage_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="percentage"):
        PERCENT.validate_python(wrong)
