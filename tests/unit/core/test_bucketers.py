"""Callers who are bucketed by a flag service land in the same arm here."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.core.bucketers import Bucketer, place
from serving.core.traffic import WHOLE, End, Slice, point

VECTORS = json.loads((Path(__file__).parents[2] / "golden" / "bucketers.json").read_text())["vectors"]
BUCKETERS = st.sampled_from(Bucketer)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['bucketer']}-{vector['key']}")
def test_the_services_own_vectors_hold(vector: dict[str, str | float]) -> None:
    at = place(Bucketer(str(vector["bucketer"])), str(vector["salt"]), str(vector["key"]))

    assert at == pytest.approx(vector["point"], abs=5e-9)


def test_ours_is_the_one_it_always_was() -> None:
    assert place(Bucketer.NATIVE, "digits@1.1.0", "ada") == point("digits@1.1.0", "ada")


@given(BUCKETERS, st.text(max_size=20), st.text(max_size=40))
def test_every_key_falls_into_the_whole(bucketer: Bucketer, salt: str, key: str) -> None:
    at = place(bucketer, salt, key)

    assert 0 <= at < 1
    assert Slice(End.LOW, WHOLE).covers(at)
    assert Slice(End.HIGH, WHOLE).covers(at)


@pytest.mark.parametrize("bucketer", Bucketer)
def test_a_tenth_of_the_keys_are_in_a_tenth(bucketer: Bucketer) -> None:
    tenth = Slice(End.LOW, WHOLE // 10)

    inside = sum(tenth.covers(place(bucketer, "flag.salt", f"user-{number}")) for number in range(20_000))

    assert 1_800 < inside < 2_200


def test_unleash_takes_in_whoever_its_own_percentage_takes_in() -> None:
    # Its rule: in, where the normalized value (1 to 100) is not above the percentage. "123" in "gr1" has 73.
    at = place(Bucketer.UNLEASH, "gr1", "123")

    assert Slice(End.LOW, 7_300).covers(at)
    assert not Slice(End.LOW, 7_200).covers(at)
