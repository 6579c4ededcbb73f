"""What a sweep must leave, over the history that `test_views` has."""

from dataclasses import replace
from datetime import timedelta

import pytest

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.control.keeping import Keeping
from serving.control.operations import Author
from serving.core.audit import RESEED, AuditEntry
from serving.core.errors import InvalidRecord, StoreUnavailable
from serving.core.keeping import UNKNOWN_PAST, Past, needed, past_of
from serving.core.lifecycle import FamilyRecord
from serving.ports import LoadState
from tests.fakes.clock import START
from tests.fakes.registry import digest_of
from tests.unit.control.test_views import V1, V2, V9, V10, Site

LONG_AGO = START - timedelta(days=400)
OTHERS = [ModelVersion.parse(f"{major}.0.0") for major in (3, 4, 5, 6, 7)]


@pytest.fixture
async def site() -> Site:
    site = Site()
    site.registry = type(site.registry)(digits=["10.0.0", "9.0.0", "1.0.0", "1.1.0", "2.0.0", *map(str, OTHERS)])
    site.operations = type(site.operations)(site.store, site.store, site.store, site.registry, site.clock)
    await site.live()
    return site


async def reasons(site: Site, days: int = 30) -> dict[str, tuple[str, ...]]:
    found = await Keeping(site.store, site.store).needed(site.clock.now() - timedelta(days=days))
    return {str(need.version): need.reasons for need in found["digits"]}


async def test_everything_that_answers_runs_or_may_be_gone_back_to_is_needed_and_says_why(site: Site) -> None:
    assert await reasons(site) == {
        "1.0.0": ("a way back", "in production until 2030-01-01T00:01:00+00:00", "loaded"),
        "1.1.0": ("in production", "loaded"),
        "9.0.0": ("loaded",),
        "10.0.0": ("tag candidate", "canary", "shadow", "loaded"),
    }


async def test_a_quarantined_version_that_nobody_runs_or_tags_is_not_needed(site: Site) -> None:
    await site.store.post(())

    assert "9.0.0" not in await reasons(site)


async def test_a_production_that_was_left_is_needed_as_long_as_it_is_asked_for(site: Site) -> None:
    # given four more, so that the first are no way back any more
    await site.store.post(())
    await site.operations.rollback("digits", Author("ada", "make way", "op-way"))
    for version in OTHERS:
        await site.run((version, LoadState.READY, ""))
        site.clock.advance(86_400)
        # Only the newest runs here, so no way back is ready.
        await site.operations.promote("digits", version, Author("ada", "next", f"op-{version}"), override=True)

    await site.store.post(())

    # when
    short, long = await reasons(site, days=2), await reasons(site, days=30)

    # then
    assert "1.0.0" not in short
    assert long["1.0.0"] == ("in production until 2030-01-01T00:01:00+00:00",)
    assert "in production" in short["7.0.0"]
    assert {"4.0.0", "5.0.0", "6.0.0"} <= short.keys()  # ways back, however long ago


async def test_a_tag_keeps_a_version_for_good(site: Site) -> None:
    # given
    await site.store.post(())
    await site.operations.tag("digits", V9, Tag.DEPRECATED, Author("ada", "old", "op-tag"))
    site.clock.advance(86_400 * 365)

    # when / then
    assert "tag deprecated" in (await reasons(site, days=0))["9.0.0"]


async def test_whatever_the_records_want_loaded_is_needed(site: Site) -> None:
    snapshot = await site.store.snapshot()

    assert {str(version) for version in snapshot.families["digits"].aspired()} <= (await reasons(site, days=0)).keys()


async def test_without_the_store_nobody_knows(site: Site) -> None:
    site.store.state.down = "locked"

    with pytest.raises(StoreUnavailable):
        await reasons(site)


async def test_a_record_that_cannot_be_believed_forbids_sweeping(site: Site) -> None:
    site.store.state.documents["digits"] = b"{}"

    with pytest.raises(InvalidRecord, match="digits"):
        await reasons(site)


RECORD = FamilyRecord("digits", digests={version: digest_of("digits", str(version)) for version in (V1, V2, V10)}, production=V2)


def entry(**fields: object) -> AuditEntry:
    plain = AuditEntry(
        epoch=1, family="digits", revision=1, at=START, actor="ada", action="promote", reason="", before={}, after={}, operation_id="op"
    )
    return replace(plain, **fields)  # type: ignore[arg-type] # each of its own type


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([entry(), entry()], id="there were more changes than were looked at"),
        pytest.param([entry(action=RESEED, family="")], id="an operator declared what holds"),
    ],
)
def test_where_the_past_is_not_known_everything_that_was_ever_named_is_needed(entries: list[AuditEntry]) -> None:
    past = past_of(entries, LONG_AGO, limit=2)

    found = needed(RECORD, past, ())

    assert {need.version for need in found} == {V1, V2, V10}
    assert all(UNKNOWN_PAST in need.reasons for need in found)


def test_what_happened_before_is_of_no_matter() -> None:
    # given
    entries = [entry(before={"production": "1.0.0"}, at=START), entry(action=RESEED, at=LONG_AGO)]

    # when
    past = past_of(entries, START - timedelta(days=1), limit=2)

    # then
    assert past == Past({V1: START}, is_whole=True)
