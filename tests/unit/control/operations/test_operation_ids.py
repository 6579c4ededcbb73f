"""An operation that is asked for again is made once."""

import pytest

from serving.core import refusals
from serving.core.errors import StoreUnavailable
from tests.unit.control.operations.site import V1, V2, Site


async def test_a_repeated_operation_gives_its_first_outcome_though_it_could_not_be_made_again(site: Site) -> None:
    first = await site.operations.promote("digits", V1, site.author(operation_id="once"), expected=0)

    again = await site.operations.promote("digits", V1, site.author(operation_id="once"), expected=0)

    assert (again.commit.epoch, again.commit.revision, again.commit.replayed) == (first.commit.epoch, first.commit.revision, True)
    assert (again.action, again.record) == (first.action, first.record)
    assert len(await site.store.history("digits", limit=10)) == 1


async def test_the_outcome_of_a_lost_answer_is_learnt_by_asking_again(site: Site) -> None:
    site.store.state.answers_to_lose = 1
    with pytest.raises(StoreUnavailable):
        await site.operations.promote("digits", V1, site.author(operation_id="once"))

    changed = await site.operations.promote("digits", V1, site.author(operation_id="once"))

    assert (changed.commit.replayed, changed.record.production, changed.commit.revision) == (True, V1, 1)


async def test_a_twin_that_commits_first_under_the_same_operation_id_speaks_for_both(site: Site) -> None:
    await site.promoted(V1)
    site.store.state.before_commit.append(lambda: site.operations.promote("digits", V2, site.author(operation_id="once")))

    changed = await site.operations.promote("digits", V2, site.author(operation_id="once"))

    assert (changed.commit.replayed, changed.commit.revision, changed.record.production) == (True, 2, V2)


async def test_an_operation_id_is_good_for_one_thing_only(site: Site) -> None:
    await site.operations.promote("digits", V1, site.author(operation_id="once"))

    with pytest.raises(refusals.OperationReused, match=r"promote 1\.0\.0"):
        await site.operations.promote("digits", V2, site.author(operation_id="once"))
