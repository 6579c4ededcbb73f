"""Aliases that somebody moves in a registry ask for promotions, and are told what became of them."""

from collections.abc import Mapping

import pytest

from registry_client.backends.mlflow.aliases import Aliased, Aliases
from registry_client.errors import RegistryUnavailable, UnknownVersion
from serving.control.following_aliases import ACTOR, HINTED_S, AliasFollower, Following
from serving.control.operations import Author
from serving.control.promotions import Answered, PromotionRequest, Stand
from serving.core.errors import ChangeRefused, StoreUnavailable
from serving.core.happenings import Kind
from serving.core.rollout import EventRefused
from serving.core.standing import State
from tests.fakes.clock import FakeClock
from tests.fakes.hints import MemoryHints

KEY = ("digits", "production")
EVERY = 5.0


class FakeAliases:
    """A registry whose aliases a test moves."""

    def __init__(self) -> None:
        self.now: dict[tuple[str, str], Aliased] = {KEY: Aliased(1, "1", "1.0.0")}
        self.written: list[tuple[str, str]] = []
        self.is_away = False
        self.looks = 0

    def move(self, number: str, version: str | None, key: tuple[str, str] = KEY) -> None:
        self.now[key] = Aliased(1, number, version)

    async def aliases(self, known: Aliases) -> Aliases:
        del known
        self.looks += 1
        if self.is_away:
            raise RegistryUnavailable(registry="fake", reason="nobody answers")
        return dict(self.now)

    async def annotate(self, family: str, version: str, words: Mapping[str, str]) -> None:
        self.written.append((f"{family}@{version}", words["promotion"]))


class FakeNotes:
    """Keeps what it is told to."""

    def __init__(self) -> None:
        self.kept: Aliases | None = None

    async def load(self) -> Aliases | None:
        return self.kept

    async def keep(self, known: Aliases) -> None:
        self.kept = known


class FakeAsks:
    """Answers as a test says, one answer after the other; the last one stays."""

    def __init__(self, *answers: Stand | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, str]] = []

    async def ask(self, request: PromotionRequest, author: Author) -> Answered:
        self.asked.append((f"{request.family}@{request.version}", request.source, author.actor))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Answered(answer, f"it is {answer}")


class Site:
    """A follower that has looked once."""

    def __init__(self, *answers: Stand | Exception) -> None:
        self.registry, self.notes, self.clock = FakeAliases(), FakeNotes(), FakeClock()
        self.hints = MemoryHints()
        self.asks = FakeAsks(*answers or (Stand.LIVE,))
        self.follower = self.another()

    def another(self) -> AliasFollower:
        """The follower of who leads next."""
        return AliasFollower(self.registry, self.notes, self.asks, self.clock, Following("production", EVERY, self.hints))

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.follower.step()
            self.clock.advance(EVERY)


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.look()
    return site


async def looked(*answers: Stand | Exception) -> Site:
    site = Site(*answers)
    await site.look()
    return site


async def test_what_was_there_before_the_first_look_asks_for_nothing(site: Site) -> None:
    await site.look(3)

    assert site.asks.asked == []


async def test_a_moved_alias_asks_for_a_promotion_and_the_outcome_is_written_back(site: Site) -> None:
    # given
    site.registry.move("2", "1.1.0")

    # when
    await site.look(3)

    # then
    assert site.asks.asked == [("digits@1.1.0", "alias production at number 2", ACTOR)]
    assert site.registry.written == [("digits@1.1.0", "live")]


async def test_it_asks_until_the_version_is_live_and_writes_each_outcome_back_once() -> None:
    # given
    site = await looked(Stand.LOADING, Stand.LOADING, Stand.STARTED, Stand.UNDERWAY, Stand.UNDERWAY, Stand.LIVE)

    # when
    site.registry.move("2", "1.1.0")
    await site.look(9)

    # then
    assert len(site.asks.asked) == 6
    assert [outcome for _, outcome in site.registry.written] == ["loading", "started", "underway", "live"]


async def test_a_rollout_that_came_to_nothing_is_the_outcome_and_is_not_begun_again() -> None:
    # given
    site = await looked(Stand.STARTED, ChangeRefused("1.1.0 was rolled back"), Stand.LIVE)

    # when
    site.registry.move("2", "1.1.0")
    await site.look(5)

    # then
    assert len(site.asks.asked) == 2
    assert [outcome for _, outcome in site.registry.written] == ["started", "refused"]


async def test_a_rollout_that_is_over_without_being_live_is_told_so_and_not_begun_again() -> None:
    # given
    site = await looked(Stand.STARTED, Stand.UNDERWAY, Stand.STARTED)

    # when
    site.registry.move("2", "1.1.0")
    await site.look(6)

    # then
    assert len(site.asks.asked) == 3
    assert [outcome for _, outcome in site.registry.written] == ["started", "underway", "ended"]


async def test_a_rollout_that_cannot_begin_yet_is_told_so_and_asked_for_again() -> None:
    # given
    not_yet = EventRefused(Kind.START, State.DRAFT, "the rollback of 1.1.0 is not verified yet")
    site = await looked(not_yet, not_yet, Stand.STARTED, not_yet, Stand.LIVE)

    # when
    site.registry.move("2", "1.1.0")
    site.registry.move("7", "3.1.0", ("iris", "production"))
    await site.look(7)

    # then
    assert next(outcome for name, outcome in site.registry.written if name == "digits@1.1.0") == "refused"
    assert {outcome for _, outcome in site.registry.written} == {"refused", "started", "live"}
    assert {name for name, _, _ in site.asks.asked[:2]} == {"digits@1.1.0", "iris@3.1.0"}, "one that is refused is not in the other's way"


async def test_what_is_refused_before_anything_was_begun_is_asked_again() -> None:
    site = await looked(ChangeRefused("another rollout is afoot"), ChangeRefused("another rollout is afoot"), Stand.LIVE)

    site.registry.move("2", "1.1.0")
    await site.look(5)

    assert [outcome for _, outcome in site.registry.written] == ["refused", "live"]


async def test_a_version_that_the_registry_does_not_hand_out_is_refused_for_good() -> None:
    site = await looked(UnknownVersion("digits", "1.1.0"))

    site.registry.move("2", "1.1.0")
    await site.look(5)

    assert len(site.asks.asked) == 1
    assert site.registry.written == [("digits@1.1.0", "refused")]


async def test_an_alias_that_moves_on_takes_its_request_along() -> None:
    # given
    site = await looked(Stand.LOADING)
    site.registry.move("2", "1.1.0")
    await site.look()

    # when
    site.registry.move("3", "1.2.0")
    await site.look(2)

    # then
    assert [name for name, _, _ in site.asks.asked] == ["digits@1.1.0", "digits@1.2.0", "digits@1.2.0"]


@pytest.mark.parametrize("version", [None])
async def test_an_alias_that_vanishes_or_points_at_no_version_ends_what_it_asked_for(version: None) -> None:
    # given
    site = await looked(Stand.LOADING)
    site.registry.move("2", "1.1.0")
    await site.look()

    # when
    site.registry.move("3", version)
    await site.look()
    del site.registry.now[KEY]
    await site.look(2)

    # then
    assert len(site.asks.asked) == 1


async def test_other_aliases_and_other_spellings_ask_for_nothing(site: Site) -> None:
    site.registry.move("2", "1.1.0", ("digits", "Production"))
    site.registry.move("2", "1.1.0", ("digits", "champion"))
    await site.look(2)

    assert site.asks.asked == []


async def test_it_looks_no_more_often_than_it_is_told(site: Site) -> None:
    before = site.registry.looks

    for _ in range(10):
        await site.follower.step()

    assert site.registry.looks == before + 1


async def test_a_hint_has_it_look_at_once_and_no_second_time(site: Site) -> None:
    # given
    await site.follower.step()
    site.clock.advance(HINTED_S)
    site.registry.move("2", "1.1.0")

    # when
    await site.follower.step()
    unhinted = list(site.asks.asked)
    await site.hints.leave()
    await site.follower.step()
    before = site.registry.looks
    site.clock.advance(HINTED_S)
    await site.follower.step()

    # then
    assert unhinted == []
    assert [name for name, _, _ in site.asks.asked] == ["digits@1.1.0"]
    assert site.registry.looks == before


async def test_however_many_hints_there_are_it_looks_no_more_than_once_a_second(site: Site) -> None:
    await site.follower.step()
    before = site.registry.looks

    for _ in range(100):
        await site.hints.leave()
        await site.follower.step()
        site.clock.advance(HINTED_S / 20)

    assert site.registry.looks - before == pytest.approx(5, abs=1)


async def test_hints_that_cannot_be_heard_leave_the_looks_as_they_were(site: Site) -> None:
    site.hints.is_away = True
    site.registry.move("2", "1.1.0")

    await site.look()

    assert [name for name, _, _ in site.asks.asked] == ["digits@1.1.0"]


async def test_a_hint_from_before_the_first_look_is_none() -> None:
    site = Site()
    await site.hints.leave()
    await site.look()
    before = site.registry.looks

    await site.follower.step()
    await site.follower.step()

    assert site.registry.looks == before + 1


async def test_a_registry_that_is_away_loses_nothing(site: Site) -> None:
    # given
    site.registry.is_away = True
    site.registry.move("2", "1.1.0")
    await site.look(2)

    # when
    site.registry.is_away = False
    await site.look()

    # then
    assert [name for name, _, _ in site.asks.asked] == ["digits@1.1.0"]


async def test_a_store_that_is_away_is_told_to_the_loop_and_asked_again() -> None:
    # given
    site = await looked(StoreUnavailable("the store is away"), Stand.LIVE)
    site.registry.move("2", "1.1.0")

    # when
    with pytest.raises(StoreUnavailable):
        await site.follower.step()
    site.clock.advance(EVERY)
    await site.look()

    # then
    assert site.registry.written == [("digits@1.1.0", "live")]


async def test_a_move_between_two_leaders_is_noticed_by_the_next(site: Site) -> None:
    site.registry.move("2", "1.1.0")

    await site.another().step()

    assert [name for name, _, _ in site.asks.asked] == ["digits@1.1.0"]


async def test_a_request_that_is_not_settled_is_taken_up_by_who_leads_next() -> None:
    # given
    site = await looked(Stand.LOADING, Stand.LIVE)
    site.registry.move("2", "1.1.0")
    await site.look()

    # when
    await site.another().step()
    await site.another().step()

    # then
    assert [outcome for _, outcome in site.registry.written] == ["loading", "live"]
    assert len(site.asks.asked) == 2, "a settled one is not"
