"""Changes that would leave a registered consumer behind."""

import pytest

from registry_client.versions import VersionRange
from serving.core import refusals
from serving.core.consumers import ConsumersLeftBehind, SetConsumer
from tests.unit.control.operations.site import V1, V2, V4, Site, status


async def with_a_consumer(site: Site) -> None:
    await site.runs(status(V1), status(V2), status(V4))
    await site.promoted(V1, V2)
    await site.operations.consumer("digits", SetConsumer("billing", VersionRange.parse("~1.1")), site.author())


async def test_a_version_that_leaves_a_consumer_behind_is_promoted_only_with_an_override_and_a_reason(site: Site) -> None:
    # given
    await with_a_consumer(site)

    # when
    with pytest.raises(ConsumersLeftBehind, match=r"billing \(~1.1\)"):
        await site.operations.promote("digits", V4, site.author())
    with pytest.raises(refusals.ReasonMissing):
        await site.operations.promote("digits", V4, site.author(""), override=True)

    # then
    assert (await site.record()).production == V2
    await site.operations.promote("digits", V4, site.author("billing moves on Friday"), override=True)
    assert (await site.record()).production == V4


async def test_a_version_that_all_consumers_can_take_is_promoted_as_ever(site: Site) -> None:
    await with_a_consumer(site)
    await site.operations.consumer("digits", SetConsumer("billing", VersionRange.parse("2.x")), site.author())

    await site.operations.promote("digits", V4, site.author())

    assert (await site.record()).production == V4


async def test_a_rollback_tells_whom_it_leaves_behind_and_is_made_all_the_same(site: Site) -> None:
    # given
    await with_a_consumer(site)

    # when
    plan = await site.operations.plan_rollback("digits")
    await site.operations.rollback("digits", site.author())

    # then
    assert {name: str(wanted) for name, wanted in plan.breaks.items()} == {"billing": "~1.1"}
    assert plan.sentence.endswith("; leaves behind billing (~1.1)")
    assert (await site.record()).production == V1
