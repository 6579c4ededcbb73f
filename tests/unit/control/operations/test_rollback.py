"""A rollback gets through whatever goes on beside it, and its plan says beforehand what it will do."""

from functools import partial

import pytest

from serving.control.operations import ATTEMPTS
from serving.core import refusals
from serving.core.errors import StaleRevision
from serving.ports import LoadState
from tests.unit.control.operations.site import V1, V2, V3, V4, Site, status


async def test_a_rollback_needs_neither_registry_nor_readiness_nor_a_reason(site: Site) -> None:
    await site.promoted(V1, V2)
    site.registry.tamper("digits", "1.0.0")
    await site.runs()

    changed = await site.operations.rollback("digits", site.author(""))

    assert (changed.record.production, changed.record.quarantined) == (V1, {V2: ""})


async def test_a_rollback_goes_where_it_is_told(site: Site) -> None:
    await site.promoted(V1, V2, V3)

    changed = await site.operations.rollback("digits", site.author(), to=V1)

    assert (changed.record.production, changed.action) == (V1, "rollback to 1.0.0")


async def test_a_rollback_pre_empts_whatever_is_going_on(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.canary("digits", V2, 100, site.author())
    site.store.state.before_commit += [
        lambda: site.operations.canary("digits", V2, 1_000, site.author()),
        lambda: site.operations.shadow("digits", V3, 1_000, site.author()),
        lambda: site.operations.promote("digits", V2, site.author()),
    ]

    changed = await site.operations.rollback("digits", site.author())

    assert (changed.record.production, changed.record.canaries) == (V1, ())
    assert V2 in changed.record.quarantined


async def test_two_rollbacks_at_once_undo_one_change_not_two(site: Site) -> None:
    await site.promoted(V1, V2)
    await site.operations.canary("digits", V3, 100, site.author())
    site.store.state.before_commit.append(lambda: site.operations.rollback("digits", site.author(actor="auto")))

    with pytest.raises(refusals.WentBackAlready):
        await site.operations.rollback("digits", site.author())

    record = await site.record()
    assert (record.production, record.canaries) == (V2, ())


async def test_whoever_asks_for_a_rollback_just_after_another_is_told_of_it_and_takes_nothing_good_out(site: Site) -> None:
    await site.promoted(V1, V2, V3)
    await site.operations.rollback("digits", site.author("INC-1", actor="auto"))
    site.clock.advance(5)

    with pytest.raises(refusals.WentBackAlready, match=r"by auto \(INC-1\): 1\.1\.0 is in production") as refused:
        await site.operations.rollback("digits", site.author(actor="ada"))
    plan = await site.operations.plan_rollback("digits")
    further = await site.operations.rollback("digits", site.author(), to=V1)

    assert "pointsman rollback digits --to 1.0.0" in refused.value.hint
    assert (plan.possible, plan.sentence) == (False, f"{refused.value}; {refused.value.hint}")
    assert further.record.production == V1


async def test_a_rollback_just_after_a_canary_was_taken_off_leaves_production_alone(site: Site) -> None:
    await site.promoted(V1, V2)
    await site.operations.canary("digits", V3, 100, site.author())
    await site.operations.rollback("digits", site.author(actor="auto"))

    with pytest.raises(refusals.WentBackAlready):
        await site.operations.rollback("digits", site.author())

    assert (await site.record()).production == V2


async def test_where_there_is_no_earlier_production_whoever_comes_second_is_told_that_it_is_done(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.canary("digits", V2, 100, site.author())
    await site.operations.rollback("digits", site.author(actor="auto"))

    with pytest.raises(refusals.WentBackAlready, match=r"1\.0\.0 is in production") as refused:
        await site.operations.rollback("digits", site.author())

    assert refused.value.hint.endswith("pointsman promote digits VERSION")


@pytest.mark.parametrize("seconds", [0, 31])
async def test_what_was_promoted_since_or_is_long_ago_is_rolled_back_without_a_word(site: Site, seconds: float) -> None:
    await site.promoted(V1, V2, V3)
    await site.operations.rollback("digits", site.author())
    if seconds:
        site.clock.advance(seconds)
    else:
        await site.promoted(V4)

    changed = await site.operations.rollback("digits", site.author())

    assert changed.record.production == (V1 if seconds else V2)


async def test_a_rollback_decided_on_a_revision_does_not_pre_empt(site: Site) -> None:
    await site.promoted(V1, V2)
    site.store.state.before_commit.append(lambda: site.operations.shadow("digits", V3, 1, site.author()))

    with pytest.raises(StaleRevision):
        await site.operations.rollback("digits", site.author(), expected=2)


async def test_a_rollback_gives_up_in_the_end_when_it_never_gets_through(site: Site) -> None:
    await site.promoted(V1, V2)
    site.store.state.before_commit += [
        partial(site.operations.shadow, "digits", V3, weight, site.author()) for weight in range(1, ATTEMPTS + 1)
    ]

    with pytest.raises(StaleRevision):
        await site.operations.rollback("digits", site.author())

    assert (await site.record()).shadows[0].weight == ATTEMPTS


async def test_a_repeated_rollback_is_one_rollback(site: Site) -> None:
    await site.promoted(V1, V2, V3)
    first = await site.operations.rollback("digits", site.author(operation_id="once"))

    again = await site.operations.rollback("digits", site.author(operation_id="once"))

    assert (again.commit.revision, again.commit.replayed) == (first.commit.revision, True)
    assert (await site.record()).production == V2


async def test_with_nothing_to_go_back_to_a_rollback_says_so(site: Site) -> None:
    with pytest.raises(refusals.NothingToRollBack):
        await site.operations.rollback("digits", site.author())


async def test_the_plan_names_the_ready_target_and_what_is_condemned(site: Site) -> None:
    await site.promoted(V1, V2)

    plan = await site.operations.plan_rollback("digits")

    assert (plan.possible, plan.current, plan.leaves, plan.to, plan.condemns, plan.drops) == (True, V2, V2, V1, (V2,), ())
    assert plan.ready
    assert plan.estimated_seconds is not None
    assert plan.estimated_seconds < 1
    assert plan.sentence == "puts 1.0.0 into production and quarantines 1.1.0; 1.0.0 is loaded and answers at once"


async def test_the_plan_says_when_the_target_has_to_be_loaded_first(site: Site) -> None:
    await site.promoted(V1, V2)
    await site.operations.canary("digits", V3, 100, site.author())
    await site.runs(status(V1, LoadState.LOADING))

    loading = await site.operations.plan_rollback("digits", to=V1)
    await site.runs()
    missing = await site.operations.plan_rollback("digits", to=V1)

    assert (loading.state, missing.state, missing.ready) == (LoadState.LOADING, None, False)
    assert "drops 1.2.0" in loading.sentence
    assert "1.0.0 is loading" in loading.sentence
    assert "1.0.0 is not loaded" in missing.sentence


async def test_the_plan_with_canaries_leaves_production(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.canary("digits", V2, 100, site.author())

    plan = await site.operations.plan_rollback("digits")

    assert (plan.leaves, plan.to, plan.drops, plan.condemns) == (None, V1, (V2,), (V2,))
    assert plan.sentence.startswith("drops and quarantines 1.1.0; 1.0.0 stays in production")


async def test_the_plan_says_why_there_is_no_way_back_and_changes_nothing(site: Site) -> None:
    await site.promoted(V1)

    plan = await site.operations.plan_rollback("digits")
    elsewhere = await site.operations.plan_rollback("digits", to=V3)

    assert (plan.possible, plan.to, plan.leaves) == (False, None, None)
    assert "no candidate to take back and no earlier production" in plan.sentence
    assert "is no rollback target" in elsewhere.sentence
    assert (await site.store.snapshot()).epoch == 1
