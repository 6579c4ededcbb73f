"""Rollouts over HTTP: what is asked is done at once, whoever may not is told who may, and how it stands is told in a sentence."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest

from serving.control.policies.parsing import parse_policy
from serving.core.authority import Operators
from serving.core.course import opened, replay
from serving.core.standing import Rollout
from serving.ports import LoadState
from tests.fakes.admin import AdminWorld
from tests.fakes.rollout_plant import POLICY

ROLLOUT = "/v1/families/digits/rollout"
START = {"version": "1.1.0", "document": POLICY.decode(), "reason": "better"}
EMPTY: Mapping[str, object] = {}


@dataclass
class Desk:
    """One admin application, and the world behind it."""

    world: AdminWorld
    client: httpx.AsyncClient

    async def post(self, path: str, body: Mapping[str, object] = EMPTY, *, by: str = "ada", **headers: str) -> httpx.Response:
        return await self.client.post(f"{ROLLOUT}{path}", json=body, headers={"X-Actor": by, **headers})

    async def get(self, path: str = "") -> httpx.Response:
        return await self.client.get(f"{ROLLOUT}{path}")


@asynccontextmanager
async def open_desk(operators: Operators | None = None) -> AsyncIterator[Desk]:
    """Three versions are ready, 1.0.0 is in production."""
    world = AdminWorld()
    world.operators = operators or Operators()
    world.runs("1.0.0", "1.1.0", "1.2.0")
    async with world.client() as client:
        headers = {"If-Match": "*", "X-Actor": "ada"}
        await client.post("/v1/families/digits/promote", json={"version": "1.0.0"}, headers=headers)
        yield Desk(world, client)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with open_desk() as desk:
        yield desk


async def test_a_rollout_starts_and_says_how_it_stands(desk: Desk) -> None:
    started = await desk.post("", START)
    stands = await desk.get()

    assert started.status_code == 200
    assert started.json()["action"] == "rollout 1.1.0 starts"
    answer = stands.json()
    assert (answer["state"], answer["weight"], answer["author"]) == ("ramping", 5.0, "ada")
    assert answer["sentence"].startswith("digits@1.1.0 is in stage canary with 5 % of the callers; it waits for: 0 of 100 units")
    assert stands.headers["etag"] == f'"{started.json()["revision"]}"'


async def test_what_stands_in_the_way_of_a_start_is_named(desk: Desk) -> None:
    desk.world.runs("1.1.0", state=LoadState.LOADING)

    refused = await desk.post("", START)
    same = await desk.post("", {**START, "version": "1.0.0"})

    assert refused.status_code == 409
    assert "1.1.0 is not ready" in refused.json()["error"]
    assert "1.0.0 is in production already" in same.json()["error"]


async def test_a_policy_that_cannot_be_used_is_refused_by_its_field(desk: Desk) -> None:
    refused = await desk.post("", {**START, "document": "policy: 1\nstages: []\nguards: []\n"})
    unknown = await desk.post("", {"version": "1.1.0", "policy": "hasty"})

    assert refused.status_code == 400
    assert "stages" in refused.json()["error"]
    assert unknown.status_code == 400
    assert "careful, fast, standard" in unknown.json()["hint"]


async def test_the_size_of_the_step_picks_the_track(desk: Desk) -> None:
    await desk.post("", {"version": "1.1.0"})

    answer = (await desk.get()).json()

    assert answer["stages"][0]["name"] == "shadow"
    assert answer["state"] == "shadowing"


async def test_hold_resume_and_rollback_follow_at_once(desk: Desk) -> None:
    await desk.post("", START)

    held = await desk.post("/hold", {"reason": "lunch"})
    sentence = (await desk.get()).json()["sentence"]
    resumed = await desk.post("/resume", {})
    back = await desk.post("/rollback", {"reason": "it answers 7"})
    stands = (await desk.get()).json()

    assert [each.status_code for each in (held, resumed, back)] == [200, 200, 200]
    assert "is held in stage canary with 5 % of the callers: lunch" in sentence
    assert (stands["state"], stands["weight"]) == ("rolling_back", 0.0)
    assert stands["receipt"]["reason"] == "it answers 7"


async def test_what_cannot_happen_is_refused_with_what_can(desk: Desk) -> None:
    await desk.post("", START)

    refused = await desk.post("/resume", {})
    early = await desk.post("/advance", {})

    assert refused.status_code == 409
    assert "resume is refused while the rollout is ramping" in refused.json()["error"]
    assert early.status_code == 409
    assert "errors is not heard" in early.json()["error"]


async def test_an_operation_that_is_repeated_is_done_once(desk: Desk) -> None:
    first = await desk.post("", START, **{"Idempotency-Key": "once"})
    again = await desk.post("", START, **{"Idempotency-Key": "once"})

    assert first.json()["epoch"] == again.json()["epoch"]
    assert again.json()["replayed"] is True


async def test_of_two_operators_at_once_one_wins_and_the_other_learns_why(desk: Desk) -> None:
    await desk.post("", START)
    tag = (await desk.get()).headers["etag"]
    first = await desk.post("/hold", {"reason": "lunch"}, **{"If-Match": tag})
    second = await desk.post("/supersede", EMPTY, by="ben", **{"If-Match": tag})

    assert first.status_code == 200
    assert second.status_code == 412
    assert "the change expected" in second.json()["error"]


async def test_whoever_may_not_is_told_who_may() -> None:
    async with open_desk(Operators({"ada": ("release", "owner"), "ben": ("oncall",)})) as desk:
        refused = await desk.post("", START, by="ben")
        await desk.post("", START, by="ada")
        advance = await desk.post("/advance", by="ben")
        back = await desk.post("/rollback", {"reason": "INC-1"}, by="ben")

    assert refused.status_code == 403
    assert "ada" in refused.json()["hint"]
    assert advance.status_code == 403
    assert back.status_code == 200


async def test_there_is_nothing_to_say_to_a_family_without_a_rollout(desk: Desk) -> None:
    answers = [await desk.post("/hold", {}), await desk.get(), await desk.get("/log"), await desk.get("/receipt")]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 404]
    assert all("has no rollout" in answer.json()["error"] for answer in answers)


async def test_changes_by_hand_are_refused_while_a_rollout_is_afoot_but_not_the_way_back(desk: Desk) -> None:
    await desk.post("", START)
    canary = await desk.client.put("/v1/families/digits/canary", json={"version": "1.2.0", "weight": 5}, headers={"If-Match": "*"})
    back = await desk.client.post("/v1/families/digits/rollback", json={"reason": "INC-1"})

    assert canary.status_code == 409
    assert "alone decides who gets the traffic" in canary.json()["error"]
    assert back.status_code == 200
    assert (await desk.get()).json()["state"] == "rolling_back"


async def test_a_plan_says_what_to_expect_from_a_pace(desk: Desk) -> None:
    unseen = await desk.post("/plan", {"version": "1.1.0", "document": POLICY.decode()})
    planned = await desk.post("/plan", {"version": "1.1.0", "document": POLICY.decode(), "per_second": 200})

    assert unseen.status_code == 409
    outlooks = {(one["stage"], one["guard"]): one for one in planned.json()["outlooks"]}
    caught = outlooks["canary", "errors"]["caught_after_seconds"]
    assert 2 < caught < 30
    assert planned.json()["least_seconds"] == 20


async def test_a_version_that_nobody_published_is_not_planned_for_and_the_near_one_is_named(desk: Desk) -> None:
    answer = await desk.post("/plan", {"version": "1.1.1", "document": POLICY.decode(), "per_second": 200})

    assert answer.status_code == 404
    assert "has no version '1.1.1'" in answer.json()["error"]
    assert "did you mean 1.1.0?" in answer.json()["hint"]


async def test_a_plan_of_a_version_that_was_used_here_needs_no_registry(desk: Desk) -> None:
    await desk.post("", START)
    desk.world.registry.is_away = True

    known = await desk.post("/plan", {"version": "1.1.0", "document": POLICY.decode(), "per_second": 200})
    new = await desk.post("/plan", {"version": "1.2.0", "document": POLICY.decode(), "per_second": 200})

    assert (known.status_code, new.status_code) == (200, 503)


async def test_of_what_is_quarantined_nobody_is_told_to_load_it_first(desk: Desk) -> None:
    await desk.post("", START)
    await desk.post("/rollback", {"reason": "wrong labels"})
    desk.world.stops("1.1.0")

    refused = await desk.post("", START)

    assert refused.status_code == 409
    assert "its digest is quarantined: wrong labels" in refused.json()["error"]
    assert "tag it candidate" not in refused.json()["error"]


async def test_a_log_is_told_whole_with_the_policy_that_it_goes_by(desk: Desk) -> None:
    pinned, at = parse_policy(POLICY), datetime(2030, 1, 1, tzinfo=UTC)
    await desk.post("", START)
    rollout = (await desk.get()).json()["id"]
    turn = opened(pinned, Rollout("digits", "1.1.0", "d" * 64, pinned.digest, "ada"), at=at)
    await desk.world.rollouts.append(rollout, 1, turn.line)

    answer = (await desk.get("/log")).json()
    past = await desk.get("s")

    assert answer["rollout"] == rollout
    assert list(replay(parse_policy(answer["policy"].encode()), [line.encode() for line in answer["lines"]])) == [turn.line]
    assert [(one["id"], one["state"]) for one in past.json()["rollouts"]] == [(rollout, "draft")]
