from dataclasses import replace
from datetime import UTC, datetime

import pytest

from registry_client.versions import ModelVersion
from serving.control.auditing import Auditing, Publishing
from serving.core.audit import NOTHING_SEEN
from serving.core.errors import StoreUnavailable, StoreWentBack
from serving.core.lifecycle import FamilyRecord
from serving.ports import Transition
from serving.stores.signing import Ed25519Signer, is_signed
from tests.fakes.clock import FakeClock
from tests.fakes.heads import FakeHeadLog, FakeHeadRecorder
from tests.fakes.store import FakeStore

V1 = ModelVersion.parse("1.0.0")


class Desk:
    """An auditing over a store, and where it publishes."""

    def __init__(self) -> None:
        self.clock, self.log, self.recorder = FakeClock(), FakeHeadLog(), FakeHeadRecorder()
        self.store = FakeStore(self.clock)
        self.signer = Ed25519Signer(b"s" * 32)
        self.auditing = self.anew()

    def anew(self) -> Auditing:
        return Auditing(self.store, Publishing(self.signer, self.log, self.recorder), self.clock)

    async def change(self, revision: int) -> None:
        await self.store.commit(
            Transition(
                record=FamilyRecord("digits", revision, {V1: "a" * 64}, V1),
                expected_revision=revision - 1,
                actor="ada",
                action="promote 1.0.0",
                reason="",
                before={},
                after={},
                operation_id=f"op-{self.store.state.mark.epoch + 1}-{revision}",
                at=datetime(2030, 1, 1, tzinfo=UTC),
                seen=NOTHING_SEEN,
            )
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_every_head_is_published_once_signed_and_shown(desk: Desk) -> None:
    await desk.auditing.step()
    await desk.change(1)
    await desk.auditing.step()
    await desk.auditing.step()
    await desk.change(2)
    await desk.auditing.step()

    assert [head.mark for head in desk.log.heads] == [entry.mark for entry in desk.store.state.audit]
    assert all(is_signed(head) for head in desk.log.heads)
    assert desk.recorder.marks[-1] == desk.store.state.mark


async def test_a_store_that_went_back_is_not_vouched_for(desk: Desk) -> None:
    await desk.change(1)
    backup = desk.store.state.copy()
    await desk.change(2)
    await desk.auditing.step()
    desk.store.state.go_back_to(backup)

    with pytest.raises(StoreWentBack):
        await desk.auditing.step()
    with pytest.raises(StoreWentBack):
        await desk.auditing.head()
    assert len(desk.log.heads) == 1


async def test_it_goes_on_from_what_was_published_before_it_was_started(desk: Desk) -> None:
    await desk.change(1)
    backup = desk.store.state.copy()
    await desk.change(2)
    await desk.auditing.step()
    again = desk.anew()
    await again.step()
    assert len(desk.log.heads) == 1
    desk.store.state.go_back_to(backup)

    with pytest.raises(StoreWentBack):
        await desk.anew().step()


async def test_a_head_that_another_key_signed_says_nothing_of_this_store(desk: Desk) -> None:
    await desk.change(1)
    await desk.auditing.step()
    forged = replace(desk.log.heads[0], mark=replace(desk.log.heads[0].mark, fence=9))
    desk.log.heads.append(forged)

    again = desk.anew()
    await again.step()

    assert (await again.head()).mark == desk.store.state.mark


async def test_what_could_not_be_published_is_published_when_it_can(desk: Desk) -> None:
    await desk.change(1)
    desk.store.state.down = "locked"
    with pytest.raises(StoreUnavailable):
        await desk.auditing.step()
    desk.store.state.down = ""

    await desk.auditing.step()

    assert [head.mark.epoch for head in desk.log.heads] == [1]
