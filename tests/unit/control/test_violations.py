"""Versions that are no longer what they were are in the audit and told, once each, whoever finds them and whatever stands in the way."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from registry_client.errors import ImmutabilityViolation
from registry_client.ledger import Entry, Ledger
from registry_client.versions import ModelVersion
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.telling import Telling
from serving.control.violations import ViolationNews, ViolationWatch
from serving.core.audit import verify_chain
from serving.core.errors import StoreUnavailable
from serving.core.lifecycle import FamilyRecord
from serving.core.notices import Occasion
from serving.ports import Transition
from tests.fakes.clock import FakeClock
from tests.fakes.notices import MemoryOutbox
from tests.fakes.store import FakeState, FakeStore

REGISTRY = "file:///models"
GOOD, BAD, WORSE = "aa" * 32, "bb" * 32, "cc" * 32
V1 = ModelVersion.parse("1.0.0")


class Node:
    """One node with a ledger of its own; all share the store."""

    def __init__(self, name: str, folder: Path, store: FakeStore, clock: FakeClock) -> None:
        self.name, self.outbox = name, MemoryOutbox()
        self._path, self._store, self._clock = folder / name / "first-sights.jsonl", store, clock
        self.watch = self.restarted()

    def restarted(self) -> ViolationWatch:
        news = ViolationNews(Telling(self.outbox, ("pager",)), HeldPolicies(PolicyHome()))
        self.watch = ViolationWatch(self._entries, self._store, news, self._clock, self.name)
        return self.watch

    def sees(self, digest: str, version: str = "1.0.0") -> None:
        try:
            Ledger(self._path).check(REGISTRY, "digits", version, digest)
        except ImmutabilityViolation:
            return

    async def told(self) -> list[str]:
        return [letter.notice.sentence for letter in await self.outbox.waiting()]

    async def _entries(self) -> Sequence[Entry]:
        return Ledger(self._path).entries()


class Cluster:
    """Two nodes and their store, in which digits@1.0.0 is in production as the good bytes."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.state = FakeClock(), FakeState()
        self.store = FakeStore(self.clock, self.state)
        self.a, self.b = (Node(name, folder, self.store, self.clock) for name in ("10.0.0.1", "10.0.0.2"))

    async def promote(self, revision: int = 0) -> None:
        record = FamilyRecord("digits", revision + 1, digests={V1: GOOD}, production=V1)
        await self.store.commit(
            Transition(
                record=record,
                expected_revision=revision,
                actor="ada",
                action="promote 1.0.0",
                reason="",
                before={},
                after={},
                operation_id=f"promote-{revision}",
                at=self.clock.now(),
                seen=(await self.store.snapshot()).mark,
            )
        )

    @property
    def violations(self) -> list[tuple[str, str, object]]:
        """Actor, action and what was found, of every entry that tells of one."""
        return [(entry.actor, entry.action, entry.after["violation"]) for entry in self.state.audit if entry.signal == "ledger"]


@pytest.fixture
async def cluster(tmp_path: Path) -> Cluster:
    cluster = Cluster(tmp_path)
    await cluster.promote()
    return cluster


async def test_a_violation_is_one_audit_entry_by_its_node_and_one_notice(cluster: Cluster) -> None:
    # given
    cluster.a.sees(GOOD)
    await cluster.a.watch.step()
    assert cluster.violations == []

    # when
    cluster.a.sees(BAD)
    for _ in range(3):
        await cluster.a.watch.step()
        cluster.a.sees(BAD)

    # then
    what = {"registry": REGISTRY, "version": "1.0.0", "recorded": GOOD, "found": BAD}
    assert cluster.violations == [("node:10.0.0.1", "immutability violation 1.0.0", what)]
    [letter] = await cluster.a.outbox.waiting()
    assert (letter.notice.occasion, letter.notice.family, letter.notice.version) == (Occasion.PAGE, "digits", "1.0.0")
    assert "was aaaaaaaaaaaa and is bbbbbbbbbbbb now" in letter.notice.sentence
    assert verify_chain(cluster.state.audit).holds


async def test_nothing_that_is_deployed_changes_by_it(cluster: Cluster) -> None:
    before = (await cluster.store.snapshot()).families["digits"]
    cluster.a.sees(GOOD)
    cluster.a.sees(BAD)

    await cluster.a.watch.step()

    after = (await cluster.store.snapshot()).families["digits"]
    assert replace(after, revision=before.revision) == before


async def test_another_content_is_another_violation(cluster: Cluster) -> None:
    for digest in (GOOD, BAD, WORSE, BAD):
        cluster.a.sees(digest)

    await cluster.a.watch.step()

    assert [entry[2] for entry in cluster.violations] == [
        {"registry": REGISTRY, "version": "1.0.0", "recorded": GOOD, "found": found} for found in (BAD, WORSE)
    ]


async def test_what_two_nodes_find_is_told_and_audited_once(cluster: Cluster) -> None:
    for node in (cluster.a, cluster.b):
        node.sees(GOOD)
        node.sees(BAD)

    for node in (cluster.a, cluster.b):
        await node.watch.step()

    assert [entry[0] for entry in cluster.violations] == ["node:10.0.0.1"]
    assert [len(await node.told()) for node in (cluster.a, cluster.b)] == [1, 0]


async def test_a_node_that_has_only_ever_seen_the_other_content_finds_it_by_the_stores_digest(cluster: Cluster) -> None:
    cluster.b.sees(BAD)
    cluster.b.sees(BAD, "1.1.0")  # of which the store knows nothing

    await cluster.b.watch.step()

    what = {"registry": REGISTRY, "version": "1.0.0", "recorded": GOOD, "found": BAD}
    assert cluster.violations == [("node:10.0.0.2", "immutability violation 1.0.0", what)]


async def test_a_restart_tells_nothing_again(cluster: Cluster) -> None:
    cluster.a.sees(GOOD)
    cluster.a.sees(BAD)
    await cluster.a.watch.step()

    await cluster.a.restarted().step()

    assert (len(cluster.violations), len(await cluster.a.told())) == (1, 1)


async def test_while_the_store_is_away_it_waits_and_is_not_lost(cluster: Cluster) -> None:
    # given
    cluster.a.sees(GOOD)
    cluster.a.sees(BAD)
    cluster.state.down = "away"
    with pytest.raises(StoreUnavailable):
        await cluster.a.watch.step()

    # when
    cluster.state.down = ""
    await cluster.a.watch.step()

    # then
    assert (len(cluster.violations), len(await cluster.a.told())) == (1, 1)


async def test_a_lost_answer_of_the_store_leaves_one_entry_and_one_notice(cluster: Cluster) -> None:
    # given
    cluster.a.sees(GOOD)
    cluster.a.sees(BAD)
    cluster.state.answers_to_lose = 1
    with pytest.raises(StoreUnavailable):
        await cluster.a.watch.step()

    # when
    await cluster.a.watch.step()

    # then
    assert (len(cluster.violations), len(await cluster.a.told())) == (1, 1)


async def test_whoever_changes_the_family_meanwhile_is_not_in_the_way(cluster: Cluster) -> None:
    cluster.a.sees(GOOD)
    cluster.a.sees(BAD)
    cluster.state.before_commit.append(lambda: cluster.promote(1))

    await cluster.a.watch.step()

    assert (len(cluster.violations), len(await cluster.a.told())) == (1, 1)


async def test_an_outbox_without_room_is_not_in_the_way_of_the_audit(cluster: Cluster) -> None:
    cluster.a.sees(GOOD)
    cluster.a.sees(BAD)
    cluster.a.outbox.broken = True

    await cluster.a.watch.step()

    assert len(cluster.violations) == 1


async def test_a_family_that_the_store_knows_nothing_of_is_audited_too(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    cluster.a.sees(GOOD)
    cluster.a.sees(BAD)

    await cluster.a.watch.step()

    assert len(cluster.violations) == 1
