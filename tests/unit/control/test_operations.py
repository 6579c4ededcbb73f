"""The changes as people and the controller make them, over the fake store, registry, board and clock."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from registry_client.errors import UnknownVersion
from registry_client.references import Tag
from registry_client.versions import ModelVersion, VersionRange
from serving.control.operations import ATTEMPTS, Author, Operations
from serving.core import refusals
from serving.core.consumers import ConsumersLeftBehind, SetConsumer
from serving.core.errors import InvalidRecord, NotLeader, StaleRevision, StoreUnavailable, StoreWentBack, UnknownFamilyRecord
from serving.core.lifecycle import Decided, FamilyRecord
from serving.core.routing import Target
from serving.ports import Acks, GatewayAck, LoadState, LoadStatus
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry, digest_of
from tests.fakes.store import FakeStore

V1, V2, V3, V4 = (ModelVersion.parse(text) for text in ("1.0.0", "1.1.0", "1.2.0", "2.0.0"))


def status(version: ModelVersion, state: LoadState = LoadState.READY, detail: str = "", digest: str = "") -> LoadStatus:
    return LoadStatus(Target("digits", version, digest or digest_of("digits", str(version))), state, detail, 1)


class Site:
    """Operations with everything they stand on."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(self.clock)
        self.registry = FakeRegistry(digits=["1.0.0", "1.1.0", "1.2.0", "2.0.0"])
        self.operations = self.with_acks(self.store)
        self._operation = 0

    def with_acks(self, acks: Acks) -> Operations:
        return Operations(self.store, acks, self.store, self.registry, self.clock)

    def of_term(self, token: int) -> Operations:
        """What a controller changes that leads under a token."""
        return Operations(self.store, self.store, self.store, self.registry, self.clock, lambda: token)

    def author(self, reason: str = "better recall", operation_id: str = "", actor: str = "ada") -> Author:
        self._operation += 1
        return Author(actor, reason, operation_id or f"op-{self._operation}")

    async def runs(self, *statuses: LoadStatus) -> None:
        await self.store.post(statuses)

    async def record(self) -> FamilyRecord:
        return (await self.store.snapshot()).families["digits"]

    async def promoted(self, *versions: ModelVersion) -> None:
        for version in versions:
            await self.operations.promote("digits", version, self.author())


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.runs(*(status(version) for version in (V1, V2, V3, V4)))
    return site


# --- making changes


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


# --- readiness


@pytest.mark.parametrize(
    ("running", "state"),
    [
        ([], "not loaded"),
        ([status(V2, LoadState.LOADING)], "loading"),
        ([status(V2, LoadState.FAILED, "golden 3: expected 7, got 1")], "failed golden 3: expected 7, got 1"),
        ([status(V2, LoadState.UNLOADING)], "unloading"),
        ([status(V2, digest="f" * 64)], "not loaded"),
    ],
    ids=["not loaded", "loading", "failed", "unloading", "other bytes"],
)
async def test_a_version_takes_traffic_only_when_these_very_bytes_are_ready(site: Site, running: list[LoadStatus], state: str) -> None:
    await site.promoted(V1)
    await site.runs(status(V1), *running)

    with pytest.raises(refusals.NotReady, match="is not ready to take traffic") as refused:
        await site.operations.canary("digits", V2, 100, site.author())

    assert refused.value.state == state


async def test_the_readiness_of_another_familys_version_does_not_count(site: Site) -> None:
    await site.runs(LoadStatus(Target("intent", V1, digest_of("digits", "1.0.0")), LoadState.READY))

    with pytest.raises(refusals.NotReady):
        await site.operations.promote("digits", V1, site.author())


async def test_bytes_that_changed_in_the_registry_are_refused(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.tag("digits", V2, Tag.CANDIDATE, site.author())
    site.registry.tamper("digits", "1.1.0")

    with pytest.raises(refusals.DigestChanged):
        await site.operations.canary("digits", V2, 100, site.author())


async def test_ending_a_canary_or_shadow_asks_neither_the_registry_nor_readiness(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.canary("digits", V2, 100, site.author())
    await site.operations.shadow("digits", V3, 100, site.author())
    site.registry.tamper("digits", "1.1.0")
    site.registry.tamper("digits", "1.2.0")
    await site.runs()

    await site.operations.canary("digits", V2, 0, site.author())
    await site.operations.shadow("digits", V3, 0, site.author())

    record = await site.record()
    assert (record.canaries, record.shadows) == ((), ())


# --- revisions


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


# --- operation ids


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


# --- quarantine


async def test_a_version_that_was_rolled_back_comes_again_only_by_an_override_with_a_reason(site: Site) -> None:
    await site.promoted(V1)
    await site.operations.canary("digits", V2, 100, site.author())
    await site.operations.rollback("digits", site.author("8 errors in a row"))

    with pytest.raises(refusals.Quarantined, match="8 errors in a row"):
        await site.operations.canary("digits", V2, 100, site.author())
    with pytest.raises(refusals.ReasonMissing):
        await site.operations.canary("digits", V2, 100, site.author(" "), override=True)
    with pytest.raises(refusals.ReasonMissing):
        await site.operations.release("digits", V2, site.author(""))
    changed = await site.operations.canary("digits", V2, 100, site.author("the client was at fault"), override=True)

    assert changed.record.quarantined == {}


# --- rollback


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

    with pytest.raises(StaleRevision):
        await site.operations.rollback("digits", site.author())

    record = await site.record()
    assert (record.production, record.canaries) == (V2, ())


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


# --- the plan of a rollback


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


# --- waiting for the gateways


class Gateways:
    """Acks that move on by themselves: one step of the script at every look, each look taking a tenth of a second."""

    def __init__(self, clock: FakeClock, *script: dict[str, int] | None) -> None:
        self._clock = clock
        self._script = list(script)

    async def acks(self) -> Sequence[GatewayAck]:
        self._clock.advance(0.1)
        epochs = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if epochs is None:
            msg = "it is locked"
            raise StoreUnavailable(msg)
        return [GatewayAck(name, epoch, self._clock.now()) for name, epoch in epochs.items()]

    async def lapsed_gateways(self) -> Sequence[GatewayAck]:
        return []

    async def ack(self, ack: GatewayAck) -> None: ...

    async def leave(self, gateway: str) -> None: ...


@pytest.mark.parametrize(
    ("script", "done", "acked", "waiting"),
    [
        ([{"a": 7, "b": 8}], True, ["a", "b"], ()),
        ([{"a": 6, "b": 7}, {"a": 6, "b": 7}, {"a": 7, "b": 7}], True, ["a", "b"], ()),
        ([{"a": 6, "b": 7}, {"b": 7}], True, ["b"], ()),
        ([{"a": 6, "b": 7}], False, ["b"], ("a",)),
        ([{}], True, [], ()),
        ([None, {"a": 7}], True, ["a"], ()),
        ([{"a": 6}, None], False, [], ("a",)),
        ([None], False, [], ()),
    ],
    ids=["at once", "after a while", "one is gone", "one hangs", "nobody", "store back", "store gone", "store down"],
)
async def test_settling_waits_for_every_live_gateway(
    site: Site, script: list[Any], done: Any, acked: list[str], waiting: tuple[str, ...]
) -> None:
    operations = site.with_acks(Gateways(site.clock, *script))

    settled = await operations.settle(7, timeout=1)

    assert (settled.done, [ack.gateway for ack in settled.acked], settled.waiting) == (done, acked, waiting)
    assert settled.seconds >= 1 or settled.done


async def test_a_change_settles_once_all_gateways_acked_its_epoch(site: Site) -> None:
    await site.store.ack(GatewayAck("gateway-1", 1, site.clock.now()))
    changed = await site.operations.promote("digits", V1, site.author())

    settled = await site.operations.settle(changed.commit.epoch, timeout=0)

    assert settled.done


# --- consumers ------------------------------------------------------------------------------------------------------


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
