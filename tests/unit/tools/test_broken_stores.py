"""The checker catches every seeded bug by the law that it breaks; on a sound store it finds nothing."""

import pytest

from tests.chaos.seeded import BROKEN, violations_of
from tests.tools.broken_stores import Passing


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_sound_store_breaks_no_law_even_when_answers_are_lost(seed: int) -> None:
    assert await violations_of(Passing, seed) == []


@pytest.mark.parametrize("bug", BROKEN)
async def test_a_seeded_bug_is_caught(bug: str) -> None:
    make, laws = BROKEN[bug]

    violations = await violations_of(make, 1)

    assert laws <= {violation.law for violation in violations}
