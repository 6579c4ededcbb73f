"""A rollout that does not go on says what it waits for, since when and what can be done; and whoever is to be told hears it once."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from registry_client.references import Tag
from registry_client.versions import ModelVersion
from serving.control.policies.home import PolicyHome
from serving.control.rollouts.looking import RolloutViews
from serving.core.effects import Page, Tell
from serving.core.happenings import Approve, Hold, RollBack
from serving.core.routing import Target
from serving.core.standing import State
from serving.ports import LoadState, LoadStatus
from tests.fakes.registry import digest_of
from tests.fakes.rollout_plant import FAMILY, POLICY, V1, V2, V3, Plant, silent

KEYED = POLICY.replace(b"unit: {count: request}", b"unit: {key: [header:x-user-id], missing: production, count: request}")
APPROVED = POLICY.replace(
    b"{name: half, weight: 0.5, need: {time: 5s, safe: [errors]}}",
    b"{name: half, weight: 0.5, need: {time: 5s, safe: [errors]}, approve: {role: release, not: author}}",
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


async def started(policy: bytes = POLICY) -> Plant:
    plant = Plant(policy)
    await plant.begin()
    await plant.start()
    return plant


async def waits(plant: Plant) -> str:
    view = await RolloutViews(plant.store, plant.rollouts, plant.rollouts, PolicyHome(), plant.registry, plant.clock).status(FAMILY)
    return "" if view.waits is None else str(view.waits)


def told(plant: Plant, kind: type[Tell | Page] = Tell) -> list[str]:
    """What was told of waiting, or of what is worse."""
    return [word.sentence for word in plant.told.words.values() if isinstance(word, kind) and getattr(word, "occasion", "hold") == "hold"]


async def board(plant: Plant, version: ModelVersion, state: LoadState) -> None:
    """Have a version be something else than ready."""
    target = Target(FAMILY, version, digest_of(FAMILY, str(version)))
    others = [status for status in await plant.store.read() if status.target != target]
    await plant.store.post([*others, LoadStatus(target, state, "out of memory", replicas=1)])


async def test_callers_who_send_no_key_are_named_as_what_is_waited_for() -> None:
    plant = await started(KEYED)
    plant.sends_keys = False

    for _ in range(60):
        await plant.second()

    assert await plant.stands() is State.HELD
    held = (await plant.underway()).rollout.held
    assert held is not None
    assert held.since is not None
    [sentence] = told(plant)
    assert "callers without a routing key" in sentence
    said = await waits(plant)
    assert said.startswith("it waits for callers with a routing key (so far ")
    assert f", since {held.since:%Y-%m-%d %H:%M:%S} UTC: have callers send x-user-id, or start it by a policy with" in said
    assert said.endswith(f"or take it out: `pointsman supersede {FAMILY}`")


async def test_once_callers_send_keys_the_rollout_goes_on_by_itself() -> None:
    plant = await started(KEYED)
    plant.sends_keys = False
    for _ in range(60):
        await plant.second()

    plant.sends_keys = True

    await plant.until_state(State.LIVE)
    assert await waits(plant) == ""


async def test_a_word_that_is_all_that_lacks_is_asked_for_once_whoever_leads() -> None:
    plant = await started(APPROVED)

    for _ in range(60):
        await plant.second()
    plant.restart()
    for _ in range(10):
        await plant.second()

    assert await plant.weight() == 5_000
    assert told(plant) == [f"{FAMILY}@{V2} waits for the word of release: pointsman approve {FAMILY}"]
    assert "it waits for the word of release other than ada, its author, since " in await waits(plant)
    await plant.ask("approve", lambda asked: Approve(asked.at, asked.by), by="grace")
    await plant.until_state(State.LIVE)


async def test_a_candidate_that_cannot_take_more_callers_is_told_of_once_and_shown_since_when() -> None:
    plant = await started()
    await plant.second()
    await board(plant, V2, LoadState.FAILED)
    since = plant.clock.now()

    for _ in range(40):
        await plant.second()

    assert await plant.weight() == 500
    [sentence] = told(plant)
    assert f"{FAMILY}@{V2} cannot go on: {FAMILY}@{V2} is not ready to take traffic: it is failed out of memory" in sentence
    progress = plant.written.board[FAMILY]
    assert progress.troubled is not None
    assert progress.troubled > since
    assert f"not ready to take traffic: it is failed out of memory, since {progress.troubled:%Y-%m-%d %H:%M:%S} UTC" in await waits(plant)
    await board(plant, V2, LoadState.READY)
    await plant.until_state(State.LIVE)


async def test_a_log_that_cannot_be_followed_pages_once_it_has_lasted() -> None:
    plant = await started()
    for _ in range(3):
        await plant.second()
    rollout = (await plant.underway()).id
    plant.written.logs[rollout][0] = b"{"
    plant.written.checkpoints.clear()
    plant.restart()

    for _ in range(30):
        await plant.second()
    early = told(plant, Page)
    for _ in range(90):
        await plant.second()

    assert early == []
    [sentence] = told(plant, Page)
    assert "cannot be followed, and gets no callers meanwhile" in sentence
    assert f"the decision log of rollout {rollout} cannot be followed" in await waits(plant)


async def test_a_flip_that_is_nowhere_to_be_found_is_made_once_more_and_verified() -> None:
    plant = await started()
    await plant.second()
    await plant.ask("roll back", lambda asked: RollBack(asked.at, asked.by, "wrong labels"))
    for _ in range(30):  # so many changes that the flip is no longer among the newest, before any controller looks
        await plant.operations.tag(FAMILY, V3, Tag.CANDIDATE, plant.author())
        await plant.operations.untag(FAMILY, V3, Tag.CANDIDATE, plant.author())

    await plant.until_state(State.ROLLED_BACK, seconds=30)

    receipt = (await plant.underway()).rollout.receipt
    assert receipt is not None
    assert receipt.flipped is not None
    assert (await plant.record()).production == V1


async def test_no_stage_is_passed_while_a_gateway_cannot_be_heard_however_short_it_is() -> None:
    plant = await started(POLICY.replace(b"silence: 20s", b"silence: 2m"))
    await plant.second()

    with silent(plant, "g2"):
        for _ in range(60):  # twelve times as long as the stage takes, half as long as a gateway may be silent
            await plant.second()
        said = await waits(plant)
        weight = await plant.weight()

    assert weight == 500
    assert await plant.stands() is State.RAMPING
    assert "g2 to be heard: no stage is passed while a gateway is not" in said
    await plant.until_state(State.LIVE)


async def test_what_somebody_holds_waits_for_somebody_and_says_since_when() -> None:
    plant = await started()
    await plant.second()
    at = plant.clock.now()

    await plant.ask("hold", lambda asked: Hold(asked.at, asked.by, "lunch"))
    await plant.second()

    onward = f"`pointsman resume {FAMILY}` begins the stage's time anew, or take it out: `pointsman supersede {FAMILY}`"
    assert await waits(plant) == f"it waits for somebody's word, because it is held: lunch, since {at:%Y-%m-%d %H:%M:%S} UTC: {onward}"


async def test_a_rollback_that_nobody_checks_says_so() -> None:
    plant = await started()
    await plant.second()
    await plant.ask("roll back", lambda asked: RollBack(asked.at, asked.by, "wrong labels"))
    await plant.second()

    plant.clock.advance(90)  # no controller

    said = await waits(plant)
    assert said.startswith("it waits for somebody to look after it (nobody has checked the rollback for 1 min 3")
    assert said.endswith("pointsman leader")


async def test_a_rollback_that_is_not_verified_says_what_is_open() -> None:
    plant = await started()
    plant.errors[V2] = 1.0
    await plant.until_state(State.ROLLING_BACK, seconds=5)
    plant.errors[V1] = 0.5  # production does not recover

    for _ in range(10):
        await plant.second()

    said = await waits(plant)
    assert "it waits for its rollback to be verified (errors have not recovered), since " in said
    assert f"pointsman retry {FAMILY}" in said
