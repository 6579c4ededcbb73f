"""One controller's way in and out of office, over the fake store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import structlog
from structlog.testing import capture_logs

from serving.control.leading import STANDBY_S, Lead, Leading
from serving.core.errors import NotLeader, StoreUnavailable
from serving.telemetry.clock import SystemClock
from tests.fakes.clock import FakeClock
from tests.fakes.fleet import MemoryControlRecorder
from tests.fakes.store import FakeState, FakeStore

LEASE = 3.0


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


class Candidate:
    """A controller that stands for election, on a connection of its own that a test may cut."""

    def __init__(self, name: str, state: FakeState, clock: FakeClock) -> None:
        self.store = CuttableStore(clock, state)
        self.lead = Lead(self.store, name, clock, LEASE)
        self.recorder = MemoryControlRecorder()
        self.leading = Leading(self.lead, self.recorder, self._act)
        self.terms: list[int] = []
        self.is_acting = False

    async def _act(self) -> None:
        self.terms.append(self.lead.token())
        self.is_acting = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_acting = False

    async def ask(self) -> None:
        await self.leading.step()
        await asyncio.sleep(0)  # the term's task begins


class CuttableStore(FakeStore):
    """A connection that may be cut while others go on."""

    is_cut = False

    async def lead(self, holder: str, seconds: float) -> int | None:
        if self.is_cut:
            msg = "cut off"
            raise StoreUnavailable(msg)
        return await super().lead(holder, seconds)

    async def resign(self, holder: str) -> None:
        if self.is_cut:
            msg = "cut off"
            raise StoreUnavailable(msg)
        await super().resign(holder)


class Election:
    """Two controllers over one store and one clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.state = FakeState()
        self.one = Candidate("one", self.state, self.clock)
        self.other = Candidate("other", self.state, self.clock)


@pytest.fixture
async def election() -> AsyncIterator[Election]:
    election = Election()
    yield election
    for candidate in (election.one, election.other):
        await candidate.leading._end()


async def test_the_first_who_asks_leads_and_the_second_stands_by(election: Election) -> None:
    await election.one.ask()
    await election.other.ask()

    assert (election.one.is_acting, election.other.is_acting) == (True, False)
    assert (election.one.lead.token(), election.one.recorder.leading, election.other.recorder.leading) == (
        1,
        {"one": True},
        {"other": False},
    )
    with pytest.raises(NotLeader):
        election.other.lead.token()


async def test_who_renews_in_time_leads_on_under_the_same_token(election: Election) -> None:
    await election.one.ask()

    for _ in range(10):
        election.clock.advance(LEASE / 3)
        await election.one.ask()
        await election.other.ask()

    assert election.one.terms == [1]
    assert not election.other.is_acting


async def test_another_leads_when_the_lease_has_run_out_and_the_first_steps_down_when_it_hears_of_it(election: Election) -> None:
    # given
    await election.one.ask()

    # when
    election.clock.advance(LEASE)
    await election.other.ask()

    # then
    assert election.other.lead.token() == 2
    assert not election.one.lead.is_held
    with pytest.raises(NotLeader, match="token 1 is over"):
        election.one.lead.token()
    await election.one.ask()
    assert (election.one.is_acting, election.other.is_acting) == (False, True)


async def test_a_lease_is_counted_from_before_it_was_asked_for(election: Election) -> None:
    # given
    async def slowly(holder: str, seconds: float) -> int | None:
        token = await FakeStore.lead(election.one.store, holder, seconds)
        election.clock.advance(2.0)
        return token

    election.one.store.lead = slowly  # type: ignore[method-assign] # a store that answers late

    # when
    await election.one.ask()
    election.clock.advance(LEASE - 2.0)

    # then
    assert not election.one.lead.is_held


async def test_a_leader_that_cannot_reach_the_store_stops_acting_when_its_lease_is_over_and_keeps_what_it_knows(election: Election) -> None:
    # given
    await election.one.ask()
    election.one.store.is_cut = True

    # when
    election.clock.advance(LEASE - 0.1)
    await election.one.ask()
    was_held = election.one.lead.is_held
    election.clock.advance(0.1)
    await election.one.ask()

    # then
    assert (was_held, election.one.lead.is_held, election.one.recorder.leading) == (True, False, {"one": False})
    election.one.store.is_cut = False
    await election.one.ask()
    assert election.one.lead.is_held
    assert election.one.terms == [1]


async def test_a_term_begins_anew_when_another_led_in_between(election: Election) -> None:
    # given
    await election.one.ask()
    election.one.store.is_cut = True
    election.clock.advance(LEASE)
    await election.other.ask()

    # when
    election.clock.advance(LEASE)
    election.one.store.is_cut = False
    await election.one.ask()

    # then
    assert election.one.terms == [1, 3]


async def test_work_that_fails_is_begun_again_in_the_same_term(election: Election, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    monkeypatch.setattr("serving.control.leading.AGAIN_S", 0.0)
    begun = 0

    async def fail_first() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            msg = "the board cannot be read"
            raise ValueError(msg)
        await asyncio.Event().wait()

    leading = Leading(election.one.lead, election.one.recorder, fail_first)

    # when
    await leading.step()
    await until(lambda: begun == 2)

    # then
    assert election.one.lead.is_held
    await leading._end()


async def test_a_controller_that_stops_lets_another_lead_at_once(election: Election) -> None:
    # given
    running = asyncio.create_task(election.one.leading.run())
    await until(lambda: election.one.is_acting)

    # when
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await election.other.ask()

    # then
    assert (election.one.is_acting, election.other.is_acting) == (False, True)
    assert election.one.recorder.leading == {"one": False}


async def test_a_standby_takes_over_within_the_lease_and_a_second_of_the_leaders_death() -> None:
    # given
    clock, state = SystemClock(), FakeState()
    acting: dict[str, asyncio.Event] = {"one": asyncio.Event(), "other": asyncio.Event()}
    stores = {name: CuttableStore(clock, state) for name in acting}

    def acts(name: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            acting[name].set()
            await asyncio.Event().wait()

        return act

    leads = {name: Lead(stores[name], name, clock, 0.3) for name in acting}
    one, other = (Leading(leads[name], MemoryControlRecorder(), acts(name)) for name in acting)
    async with running(one):
        await acting["one"].wait()
        async with running(other):
            # when
            stores["one"].is_cut = True

            # then
            async with asyncio.timeout(0.3 + 1.0):
                await acting["other"].wait()
            assert not leads["one"].is_held


def test_a_standby_looks_often_enough_for_that() -> None:
    assert STANDBY_S < 1.0


@asynccontextmanager
async def running(leading: Leading) -> AsyncIterator[None]:
    task = asyncio.create_task(leading.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - of whatever kind the condition is
            await asyncio.sleep(0)
