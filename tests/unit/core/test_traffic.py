import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.traffic import WHOLE, End, Slice, point

VECTORS = json.loads((Path(__file__).parents[2] / "golden" / "split.json").read_text())["vectors"]

keys = st.text(max_size=40)
weights = st.integers(0, WHOLE)
points = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['salt']}|{vector['key'][:8]}")
def test_the_split_is_a_frozen_contract(vector: dict[str, object]) -> None:
    assert point(str(vector["salt"]), str(vector["key"])) == vector["point"]


@given(salt=keys, key=keys)
def test_a_point_lies_in_the_unit_interval_and_stays_there(salt: str, key: str) -> None:
    at = point(salt, key)

    assert 0 <= at < 1
    assert point(salt, key) == at


@given(at=points, low=weights, high=weights, end=st.sampled_from(End))
def test_raising_a_weight_never_sends_a_caller_away_from_the_canary(at: float, low: int, high: int, end: End) -> None:
    smaller, larger = sorted((low, high))

    assert not Slice(end, smaller).covers(at) or Slice(end, larger).covers(at)


@given(at=points, low=weights, share=st.floats(0, 1))
def test_two_canaries_within_the_whole_never_claim_the_same_caller(at: float, low: int, share: float) -> None:
    high = int((WHOLE - low) * share)

    # Where the weights fill the whole, the one float between the two ends may belong to both: the first canary is asked first.
    both = Slice(End.LOW, low).covers(at) and Slice(End.HIGH, high).covers(at)

    assert not both or low + high == WHOLE


@given(end=st.sampled_from(End))
def test_no_weight_covers_nobody_and_the_whole_covers_everybody(end: End) -> None:
    callers = [point("salt", str(number)) for number in range(200)]

    assert not any(Slice(end, 0).covers(at) for at in callers)
    assert all(Slice(end, WHOLE).covers(at) for at in callers)


@pytest.mark.parametrize("weight", [100, 1_000, 2_500, 5_000])
def test_the_split_is_proportional_to_the_weight(weight: int) -> None:
    callers = 20_000

    canary = sum(Slice(End.LOW, weight).covers(point("rollout", f"user-{number}")) for number in range(callers))

    share = weight / WHOLE
    five_sigma = 5 * (share * (1 - share) / callers) ** 0.5
    assert abs(canary / callers - share) < five_sigma


@pytest.mark.parametrize("weight", [-1, WHOLE + 1])
def test_a_weight_outside_the_whole_is_refused(weight: int) -> None:
    with pytest.raises(ValueError, match="basis points"):
        Slice(End.LOW, weight)
