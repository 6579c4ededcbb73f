from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from serving.core.authority import Operators
from serving.core.notices import Occasion
from tests.fakes.admin import AdminWorld
from tests.fakes.following import FollowedStore

DIGITS = "/v1/families/digits"
DRILLS = f"{DIGITS}/drills"
ANY = {"If-Match": "*"}


@pytest.fixture
def world() -> AdminWorld:
    world = AdminWorld(store=FollowedStore)
    world.runs("1.0.0", "1.1.0")
    return world


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        for version in ("1.0.0", "1.1.0"):
            assert (await client.post(f"{DIGITS}/promote", json={"version": version}, headers=ANY)).status_code == 200
        yield client


async def test_a_drill_answers_with_its_times_in_their_order_and_production_is_as_before(admin: httpx.AsyncClient) -> None:
    response = await admin.post(DRILLS, json={"reason": "tuesday"}, headers={"X-Actor": "ada"})

    document = response.json()
    assert response.status_code == 200, document
    assert document["passed"] is True, document["failure"]
    assert (document["version"], document["to"], document["actor"], document["reason"]) == ("1.1.0", "1.0.0", "ada", "tuesday")
    times = [datetime.fromisoformat(document["times"][name]) for name in ("detected", "decided", "flipped", "verified", "restored")]
    assert times == sorted(times)
    assert (await admin.get(DIGITS)).json()["production"]["version"] == "1.1.0"


async def test_drills_are_listed_with_their_trend(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await admin.post(DRILLS, json={})
    world.store.follows = False  # type: ignore[attr-defined] # a FollowedStore
    failed = (await admin.post(DRILLS, json={"timeout": 1})).json()

    document = (await admin.get(DRILLS)).json()

    assert failed["passed"] is False
    assert "not verified" in failed["failure"]
    assert [one["passed"] for one in document["drills"]] == [False, True]
    assert (document["trend"]["drills"], document["trend"]["passed"]) == (2, 1)
    assert document["trend"]["median"] is not None
    assert document["due"] is None, "the track of a MINOR has no drills"


async def test_a_drill_is_told_and_a_failed_one_wakes_somebody(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await admin.post(DRILLS, json={})
    world.store.follows = False  # type: ignore[attr-defined] # a FollowedStore
    await admin.post(DRILLS, json={"timeout": 1})

    assert [notice.occasion for notice in world.notifier.told] == [Occasion.DRILL, Occasion.PAGE]
    assert "1.1.0 to 1.0.0 and back passed" in world.notifier.told[0].sentence


async def test_whoever_may_not_roll_back_may_not_practise_it(world: AdminWorld) -> None:
    world.operators = Operators({"ada": ("release",), "ben": ("oncall",)})
    async with world.client() as admin:
        for version in ("1.0.0", "1.1.0"):
            await admin.post(f"{DIGITS}/promote", json={"version": version}, headers={**ANY, "X-Actor": "ada"})

        refused = await admin.post(DRILLS, json={}, headers={"X-Actor": "ada"})
        held = await admin.post(DRILLS, json={}, headers={"X-Actor": "ben"})

    assert refused.status_code == 403
    assert held.json()["passed"] is True


async def test_a_drill_that_cannot_be_held_is_a_conflict_and_changes_nothing(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    await admin.put(f"{DIGITS}/canary", json={"version": "1.0.0", "weight": 5}, headers=ANY)
    before = len(world.actions)

    response = await admin.post(DRILLS, json={})

    assert response.status_code == 409
    assert "canary" in response.json()["error"]
    assert len(world.actions) == before


async def test_after_a_major_a_drill_is_due_and_missed_it_is_complained_of(world: AdminWorld) -> None:
    world.registry.publish("digits", "2.0.0")
    world.runs("1.0.0", "2.0.0")
    async with world.client() as admin:
        for version in ("1.0.0", "2.0.0"):
            await admin.post(f"{DIGITS}/promote", json={"version": version}, headers=ANY)
        soon = (await admin.get(DRILLS)).json()
        world.clock.advance(timedelta(days=8).total_seconds())  # type: ignore[attr-defined] # a fake clock
        late = (await admin.get(DRILLS)).json()
        await admin.post(DRILLS, json={})
        held = (await admin.get(DRILLS)).json()

    assert "MAJOR" in soon["due"]["why"]
    assert soon["complaints"] == []
    assert "a drill was due by" in late["complaints"][0]
    assert held["complaints"] == []


async def test_a_rehearsal_that_no_leader_judges_has_failed_and_is_told_with_the_others(admin: httpx.AsyncClient) -> None:
    response = await admin.post(DRILLS, json={"inject": "errors", "timeout": 0.1, "reason": "tuesday"}, headers={"X-Actor": "ada"})

    document = response.json()
    assert response.status_code == 200, document
    assert (document["passed"], document["injected"], document["version"]) == (False, "errors", "1.1.0")
    assert "nothing was answered on its route" in document["failure"]
    listed = (await admin.get(DRILLS)).json()
    assert (listed["caught"]["drills"], listed["caught"]["passed"], listed["trend"]["drills"]) == (1, 0, 0)
    assert listed["drills"] == [document]


async def test_what_cannot_be_made_up_is_refused(admin: httpx.AsyncClient) -> None:
    response = await admin.post(DRILLS, json={"inject": "smoke"}, headers={"X-Actor": "ada"})

    assert response.status_code == 400


async def test_a_rehearsal_takes_the_right_to_roll_back(world: AdminWorld) -> None:
    world.operators = Operators({"ada": ("owner",), "cleo": ("release",)})
    async with world.client() as client:
        await client.post(
            f"{DIGITS}/promote", json={"version": "1.0.0", "override": True, "reason": "x"}, headers={**ANY, "X-Actor": "cleo"}
        )
        refused = await client.post(DRILLS, json={"inject": "errors", "timeout": 0.1}, headers={"X-Actor": "cleo"})

    assert refused.status_code == 403
