"""The changes as people and the controller make them, and the audit entries that they leave."""

import pytest

from registry_client.errors import UnknownVersion
from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.control.operations import Author
from serving.core import refusals
from serving.core.errors import UnknownFamilyRecord
from serving.core.lifecycle import Decided
from tests.fakes.registry import digest_of
from tests.unit.control.operations.site import V1, V2, Site


async def test_the_first_change_of_a_published_family_makes_its_record(site: Site) -> None:
    changed = await site.operations.tag("digits", V1, Tag.CANDIDATE, site.author())

    assert (changed.record.candidate, changed.commit.epoch, changed.commit.revision) == (V1, 1, 1)
    assert await site.record() == changed.record
    assert changed.record.digests == {V1: digest_of("digits", "1.0.0")}


async def test_a_family_that_nobody_published_has_no_record(site: Site) -> None:
    with pytest.raises(UnknownFamilyRecord, match="no family 'cats' is known here"):
        await site.operations.tag("cats", V1, Tag.CANDIDATE, site.author())
    with pytest.raises(UnknownFamilyRecord):
        await site.operations.rollback("cats", site.author())


async def test_a_version_that_nobody_published_is_the_registrys_to_refuse(site: Site) -> None:
    with pytest.raises(UnknownVersion):
        await site.operations.tag("digits", ModelVersion.parse("7.0.0"), Tag.CANDIDATE, site.author())

    assert (await site.store.snapshot()).epoch == 0


async def test_a_change_leaves_an_audit_entry_with_what_differs(site: Site) -> None:
    await site.promoted(V1)
    site.clock.advance(60)

    await site.operations.canary("digits", V2, 250, Author("auto", "why not", "op-x", "schedule"))

    (entry, _) = await site.store.history("digits", limit=10)
    assert (entry.actor, entry.action, entry.reason, entry.signal) == ("auto", "canary 1.1.0 2.5 %", "why not", "schedule")
    assert (entry.before, entry.after) == ({"canaries": {}}, {"canaries": {"1.1.0": 250}})
    assert entry.at == site.clock.now()


async def test_every_change_has_its_method(site: Site) -> None:
    operations = site.operations
    await operations.promote("digits", V1, site.author())
    await operations.tag("digits", V2, Tag.CANDIDATE, site.author())
    await operations.shadow("digits", V2, 10_000, site.author())
    await operations.canary("digits", V2, 500, site.author())
    await operations.untag("digits", V2, Tag.CANDIDATE, site.author())
    await operations.rollback("digits", site.author())
    await operations.release("digits", V2, site.author("a fix upstream"))

    actions = [entry.action for entry in reversed(await site.store.history("digits", limit=10))]
    assert actions == [
        "promote 1.0.0",
        "tag 1.1.0 candidate",
        "shadow 1.1.0 100 %",
        "canary 1.1.0 5 %",
        "untag 1.1.0 candidate",
        "rollback",
        "release 1.1.0",
    ]


async def test_a_refused_change_changes_nothing(site: Site) -> None:
    await site.promoted(V1)

    with pytest.raises(refusals.TagFollowsRoute) as refused:
        await site.operations.tag("digits", V2, Tag.PRODUCTION, site.author())

    assert "promote" in refused.value.hint
    assert (await site.store.snapshot()).epoch == 1


async def test_production_is_known_by_whom_since_when_and_why(site: Site) -> None:
    changed = await site.operations.promote("digits", V1, site.author("first release"))

    assert changed.record.production_decided == Decided(site.clock.now(), "ada", "first release")
