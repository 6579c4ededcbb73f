"""What there is to know of families, from the fake store, board and registry."""

import pytest

from registry_client.errors import RegistryUnavailable
from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.control.operations import Author, Operations
from serving.control.views import Views
from serving.core.errors import InvalidRecord, UnknownFamilyRecord
from serving.core.routing import Target
from serving.ports import LoadState, LoadStatus
from tests.fakes.clock import START, FakeClock
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.store import FakeStore

V1, V2, V9, V10 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "9.0.0", "10.0.0"))


class Site:
    """A family with a history: 1.0.0, then 1.1.0 in production; 9.0.0 rolled back; 10.0.0 on its way."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.registry = FakeRegistry(digits=["10.0.0", "9.0.0", "1.0.0", "1.1.0", "2.0.0"], unused=["1.0.0"])
        self.operations = Operations(self.store, self.store, self.store, self.registry, self.clock)
        self.views = Views(self.store, self.store, self.registry)

    async def live(self) -> None:
        ready = [(version, LoadState.READY, "") for version in (V1, V2, V9, V10)]
        await self.run(*ready)
        act = self.operations
        await act.promote("digits", V1, Author("ada", "first release", "op-1"))
        self.clock.advance(60)
        await act.promote("digits", V2, Author("grace", "better recall", "op-2"))
        await act.canary("digits", V9, 500, Author("grace", "", "op-3"))
        await act.rollback("digits", Author("auto", "8 errors in a row", "op-4", "tripwire"))
        await act.tag("digits", V10, Tag.CANDIDATE, Author("ci", "evaluated", "op-5"))
        await act.canary("digits", V10, 250, Author("grace", "", "op-6"))
        await act.shadow("digits", V10, 10_000, Author("grace", "", "op-7"))

    async def run(self, *states: tuple[ModelVersion, LoadState, str]) -> None:
        await self.store.post(
            [
                LoadStatus(Target("digits", version, digest_of("digits", str(version))), state, detail, 2, START)
                for version, state, detail in states
            ]
        )


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.live()
    return site


async def test_a_family_says_what_is_in_production_since_when_by_whom_and_why(site: Site) -> None:
    production = (await site.views.family("digits")).production

    assert production is not None
    assert (production.version, production.digest) == (V2, digest_of("digits", "1.1.0"))
    assert (production.since, production.by, production.reason) == (site.clock.now(), "grace", "better recall")
    assert (production.weight, production.state) == (9_750, LoadState.READY)


async def test_a_family_says_what_stands_beside_production(site: Site) -> None:
    family = await site.views.family("digits")

    assert [(share.version, share.weight) for share in family.canaries] == [(V10, 250)]
    assert [(share.version, share.weight) for share in family.shadows] == [(V10, 10_000)]
    assert family.previous == (V1,)
    assert family.quarantined == {V9: "8 errors in a row"}
    assert (family.epoch, family.revision, family.problem) == (7, 7, "")


async def test_a_family_says_which_versions_carry_which_tag(site: Site) -> None:
    family = await site.views.family("digits")

    assert family.tags == {Tag.PRODUCTION: (V2,), Tag.CANDIDATE: (V10,), Tag.SHADOW: (V10,)}


async def test_a_family_says_what_a_rollback_would_do(site: Site) -> None:
    plan = (await site.views.family("digits")).rollback

    assert (plan.possible, plan.to, plan.drops, plan.ready) == (True, V2, (V10,), True)


async def test_families_are_those_published_and_those_recorded_by_name(site: Site) -> None:
    families = await site.views.families()

    assert [(family.family, family.production is None) for family in families] == [("digits", False), ("unused", True)]
    assert not families[1].rollback.possible


async def test_a_published_family_that_was_never_deployed_is_shown_at_revision_0(site: Site) -> None:
    family = await site.views.family("unused")

    assert (family.revision, family.production, family.tags) == (0, None, {})


async def test_a_family_that_nobody_knows_is_refused(site: Site) -> None:
    with pytest.raises(UnknownFamilyRecord):
        await site.views.family("cats")
    with pytest.raises(UnknownFamilyRecord):
        await site.views.versions("cats")
    with pytest.raises(UnknownFamilyRecord):
        await site.views.history("cats", limit=1)


async def test_a_family_whose_record_cannot_be_believed_is_listed_with_its_problem_and_shown_to_nobody(site: Site) -> None:
    site.store.state.documents["digits"] = b"{"

    digits, _ = await site.views.families()

    assert digits.production is None
    assert digits.problem
    with pytest.raises(InvalidRecord):
        await site.views.family("digits")


async def test_versions_are_listed_newest_first_by_precedence(site: Site) -> None:
    versions = await site.views.versions("digits")

    assert [str(each.version) for each in versions] == ["10.0.0", "9.0.0", "2.0.0", "1.1.0", "1.0.0"]


async def test_a_version_says_its_bytes_tags_parts_state_and_quarantine(site: Site) -> None:
    await site.run((V10, LoadState.FAILED, "golden 3: expected 7, got 1"))

    versions = {each.version: each for each in await site.views.versions("digits")}

    ten = versions[V10]
    assert ten.digest == digest_of("digits", "10.0.0")
    assert ten.tags == {Tag.CANDIDATE, Tag.SHADOW}
    assert (ten.canary_weight, ten.shadow_weight, ten.is_standby) == (250, 10_000, False)
    assert (ten.state, ten.detail, ten.replicas, ten.since) == (LoadState.FAILED, "golden 3: expected 7, got 1", 2, START)
    assert versions[V9].quarantine == "8 errors in a row"
    assert versions[V1].is_standby
    assert (versions[V1].state, versions[V1].replicas, versions[V1].quarantine) == (None, 0, None)


async def test_a_version_that_is_loaded_as_other_bytes_is_not_shown_as_loaded(site: Site) -> None:
    await site.store.post([LoadStatus(Target("digits", V2, "f" * 64), LoadState.READY)])

    versions = {each.version: each for each in await site.views.versions("digits")}

    assert versions[V2].state is None


async def test_a_version_that_the_registry_lost_is_still_shown_as_recorded(site: Site) -> None:
    views = Views(site.store, site.store, FakeRegistry())

    versions = await views.versions("digits")

    assert {each.version: each.published for each in versions} == {V10: False, V9: False, V2: False, V1: False}
    assert (await views.family("digits")).production is not None


async def test_history_is_newest_first_and_empty_for_a_family_that_was_never_changed(site: Site) -> None:
    entries = await site.views.history("digits", limit=2)

    assert [entry.operation_id for entry in entries] == ["op-7", "op-6"]
    assert await site.views.history("unused", limit=2) == []
    assert len(await site.views.history(None, limit=100)) == 7


# --- a registry that is away ----------------------------------------------------------------------------------------


async def test_what_is_recorded_is_shown_though_the_registry_is_away(site: Site) -> None:
    # given
    site.registry.is_away = True

    # when
    families = await site.views.families()
    versions = await site.views.versions("digits")

    # then
    assert [family.family for family in families] == ["digits"]
    assert [version.version for version in versions] == [V10, V9, V2, V1]
    assert all(version.published for version in versions)


async def test_a_family_that_is_not_recorded_may_exist_while_the_registry_is_away(site: Site) -> None:
    site.registry.is_away = True

    with pytest.raises(RegistryUnavailable, match="nobody answers"):
        await site.views.family("unused")


async def test_a_version_that_is_no_longer_what_it_was_is_shown_as_it_was_with_what_happened(site: Site) -> None:
    # given
    site.registry.tamper("digits", "2.0.0", was_seen=True)

    # when
    [shown] = [view for view in await site.views.versions("digits") if str(view.version) == "2.0.0"]

    # then
    assert shown.digest == digest_of("digits", "2.0.0")
    assert "when first seen" in shown.detail
