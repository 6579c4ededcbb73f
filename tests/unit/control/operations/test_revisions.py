"""A change is made on the record it was decided on, by whoever may still decide, or not at all."""

import pytest

from serving.control.operations import Operations
from serving.core.errors import InvalidRecord, NotLeader, StaleRevision, StoreUnavailable, StoreWentBack
from tests.unit.control.operations.site import V1, V2, V3, Site


async def test_a_change_decided_on_an_older_revision_is_refused_before_anything_else(site: Site) -> None:
    await site.promoted(V1, V2)

    with pytest.raises(StaleRevision) as stale:
        await site.operations.promote("digits", V3, site.author(), expected=1)

    assert (stale.value.expected, stale.value.actual) == (1, 2)


async def test_a_change_decided_on_the_current_revision_is_made(site: Site) -> None:
    await site.promoted(V1)

    changed = await site.operations.promote("digits", V2, site.author(), expected=1)

    assert changed.commit.revision == 2


async def test_a_change_overtaken_between_reading_and_writing_is_refused(site: Site) -> None:
    await site.promoted(V1)
    site.store.state.before_commit.append(lambda: site.promoted(V3))

    with pytest.raises(StaleRevision):
        await site.operations.promote("digits", V2, site.author())

    assert (await site.record()).production == V3


async def test_a_record_that_cannot_be_believed_is_not_changed(site: Site) -> None:
    await site.promoted(V1)
    site.store.state.documents["digits"] = b"{}"

    with pytest.raises(InvalidRecord, match="the stored record of family 'digits' is invalid"):
        await site.operations.promote("digits", V2, site.author())


async def test_without_a_store_there_is_no_change(site: Site) -> None:
    site.store.state.down = "the disk is full"

    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await site.operations.promote("digits", V1, site.author())


async def test_a_store_that_went_back_is_changed_by_nobody_who_has_seen_it_further(site: Site) -> None:
    await site.promoted(V1)
    backup = site.store.state.copy()
    await site.promoted(V2)
    site.store.state.go_back_to(backup)

    with pytest.raises(StoreWentBack, match=r"at epoch 1 .* does not continue what was seen of it: epoch 2"):
        await site.operations.promote("digits", V3, site.author())
    with pytest.raises(StoreWentBack):
        await site.operations.rollback("digits", site.author())

    assert len(site.store.state.audit) == 1


async def test_what_a_controller_that_no_longer_leads_decides_is_refused(site: Site) -> None:
    await site.promoted(V1)
    former = await site.store.lead("one", 15)
    await site.store.resign("one")
    leader = await site.store.lead("two", 15)
    assert former is not None
    assert leader is not None

    with pytest.raises(NotLeader):
        await site.of_term(former).promote("digits", V2, site.author())
    await site.of_term(leader).promote("digits", V2, site.author())

    assert (await site.record()).production == V2


async def test_a_controller_whose_lease_may_be_over_does_not_even_ask_the_store(site: Site) -> None:
    await site.promoted(V1)

    def over() -> int:
        raise NotLeader(1)

    with pytest.raises(NotLeader):
        await Operations(site.store, site.store, site.store, site.registry, site.clock, over).promote("digits", V2, site.author())

    assert len(site.store.state.audit) == 1
