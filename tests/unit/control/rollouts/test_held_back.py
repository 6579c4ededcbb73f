"""After 100 %: who stays with the old production is compared with the others, and harm that shows there takes the new one back."""

from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from registry_client.references import AnyVersion
from registry_client.versions import ModelVersion
from serving.control.policies.home import PolicyHome
from serving.control.rollouts.looking import RolloutViews
from serving.core.effects import Tell
from serving.core.happenings import RollBack
from serving.core.routing import Facts, decide
from serving.core.standing import State
from serving.core.tables import table_of
from tests.fakes.rollout_plant import FAMILY, POLICY, V1, V2, V3, Plant, replays

HOLDING_BACK = POLICY.replace(b"keep_warm: 60s", b"keep_warm: 60s, holdback: 0.1")
CALLERS = tuple(f"user-{number}" for number in range(200))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield
    structlog.reset_defaults()


@pytest.fixture
async def plant() -> Plant:
    plant = Plant(HOLDING_BACK)
    await plant.begin()
    await plant.start()
    return plant


async def answerers(plant: Plant) -> dict[str, ModelVersion]:
    """Which version answers each caller now."""
    record = await plant.record()
    table = table_of(1, [record])
    return {key: decide(table, Facts(FAMILY, AnyVersion(), key, 0.5, 0.5)).target.version for key in CALLERS}


async def test_every_caller_moves_once_and_the_last_ones_when_the_old_version_is_let_go(plant: Plant) -> None:
    seen = {key: [V1] for key in CALLERS}
    shares: list[float] = []

    for _ in range(200):
        await plant.second()
        now = await answerers(plant)
        for key, version in now.items():
            seen[key].append(version)
        shares.append(sum(version == V2 for version in now.values()) / len(CALLERS))

    assert all(versions == sorted(versions) for versions in seen.values())
    assert shares == sorted(shares)
    assert (await plant.stands(), (await plant.underway()).rollout.warm_until) == (State.LIVE, None)
    assert len(set(shares)) == 4  # a canary, a half, all but those held back, all
    assert shares[-1] == 1
    assert replays(await plant.log(), HOLDING_BACK)


async def test_while_live_production_is_one_version_and_status_says_who_is_held_back(plant: Plant) -> None:
    await plant.until_state(State.LIVE)

    view = await RolloutViews(plant.store, plant.rollouts, plant.rollouts, PolicyHome(), plant.registry, plant.clock).status(FAMILY)

    record = await plant.record()
    assert (record.production, record.canaries, record.previous) == (V2, (), (V1,))
    assert (view.weight, [stage.weight for stage in view.stages]) == (9_000, [500, 5_000, 9_000])
    assert "is live; the version before stays warm with 10 % of the callers until" in view.sentence


async def test_errors_that_only_come_after_promotion_take_it_back_by_comparison(plant: Plant) -> None:
    await plant.until_state(State.LIVE)

    plant.errors[V2] = 0.05
    await plant.until_state(State.ROLLED_BACK, seconds=40)

    receipt = (await plant.underway()).rollout.receipt
    assert receipt is not None
    assert receipt.signal == "errors"
    assert (await plant.record()).production == V1
    assert set((await answerers(plant)).values()) == {V1}
    assert replays(await plant.log(), HOLDING_BACK)


@pytest.mark.parametrize(("policy", "expected"), [(HOLDING_BACK, State.LIVE), (POLICY, State.ROLLING_BACK)], ids=["held back", "nobody"])
async def test_trouble_that_both_versions_share_is_the_new_ones_fault_only_where_there_is_nothing_to_compare(
    policy: bytes, expected: State
) -> None:
    plant = Plant(policy)
    await plant.begin()
    await plant.start()
    await plant.until_state(State.LIVE)

    plant.errors[V1] = plant.errors[V2] = 0.05
    for _ in range(50):
        await plant.second()

    assert await plant.stands() is expected


async def test_harm_after_promotion_that_no_guard_may_roll_back_is_told_once_and_waits_for_somebody() -> None:
    plant = Plant(HOLDING_BACK.replace(b"on: {harm: rollback}", b"on: {harm: hold}"))
    await plant.begin()
    await plant.start()
    await plant.until_state(State.LIVE)

    plant.errors[V2] = 0.05
    for _ in range(30):
        await plant.second()

    assert await plant.stands() is State.LIVE
    [sentence] = [word.sentence for word in plant.told.words.values() if isinstance(word, Tell) and word.occasion == "harm"]
    assert f"{FAMILY}@{V2} is live, and errors finds harm: the candidate failed" in sentence
    assert sentence.endswith(f"pointsman rollback {FAMILY}")


async def test_a_rollback_by_hand_ends_it(plant: Plant) -> None:
    await plant.until_state(State.LIVE)

    await plant.ask("rolls back", lambda asked: RollBack(asked.at, asked.by, "INC-1"))

    assert set((await answerers(plant)).values()) == {V1}


async def test_the_next_rollout_ends_it_and_begins_with_all_callers_on_one_version(plant: Plant) -> None:
    await plant.until_state(State.LIVE)

    await plant.start(V3)

    record = await plant.record()
    assert (record.production, record.canary_versions) == (V2, (V3,))
    assert V1 not in (await answerers(plant)).values()
