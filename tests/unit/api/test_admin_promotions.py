from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from serving.core.authority import Operators
from serving.ports import LoadState
from tests.fakes.admin import AdminWorld

DIGITS = "/v1/families/digits"
ASK: dict[str, Any] = {"version": "1.1.0", "source": "git:models@9f31c2a", "reason": "merged"}


@pytest.fixture
def world() -> AdminWorld:
    world = AdminWorld()
    world.operators = Operators({"argo": ("owner",), "cleo": ("release",), "ben": ("oncall",)})
    world.runs("1.0.0")
    return world


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        first = await client.post(f"{DIGITS}/promote", json={"version": "1.0.0"}, headers={"If-Match": "*", "X-Actor": "cleo"})
        assert first.status_code == 200, first.text
        yield client


async def ask(admin: httpx.AsyncClient, by: str = "argo", *, key: str = "", **changes: Any) -> httpx.Response:
    headers: Mapping[str, str] = {"X-Actor": by} | ({"Idempotency-Key": key} if key else {})
    return await admin.post(f"{DIGITS}/promotion-requests", json=ASK | changes, headers=headers)


async def test_a_tag_that_was_moved_elsewhere_enters_the_policy_step_by_step(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    loading = (await ask(admin)).json()
    again = (await ask(admin)).json()
    world.runs("1.1.0")
    started = (await ask(admin)).json()
    underway = (await ask(admin)).json()

    assert [one["state"] for one in (loading, again, started, underway)] == ["loading", "loading", "started", "underway"]
    assert again["changed"] is None, "it was tagged before"
    shown = (await admin.get(DIGITS)).json()
    assert shown["production"]["version"] == "1.0.0", "nothing was flipped"
    assert (await admin.get(f"{DIGITS}/rollout")).json()["version"] == "1.1.0"
    action, actor, reason = world.actions[-1]
    assert (action, actor) == ("rollout 1.1.0 starts", "argo")
    assert reason == "git:models@9f31c2a: merged"


async def test_the_same_key_for_every_repetition_is_no_trouble(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    first = await ask(admin, key="sync-7")
    world.runs("1.1.0")
    answers = [first, await ask(admin, key="sync-7"), await ask(admin, key="sync-7")]

    assert [answer.json()["state"] for answer in answers] == ["loading", "started", "underway"]


async def test_what_is_in_production_need_not_be_asked_for(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    before = len(world.actions)

    answer = await ask(admin, version="1.0.0")

    assert answer.json()["state"] == "live"
    assert len(world.actions) == before


async def test_now_takes_the_right_to_override_and_a_reason_and_is_audited(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.1.0")

    refused = await ask(admin, now=True)
    unreasoned = await ask(admin, "cleo", now=True, reason="")
    promoted = await ask(admin, "cleo", now=True)

    assert (refused.status_code, unreasoned.status_code) == (403, 409)
    assert promoted.json()["state"] == "promoted"
    newest = world.state.audit[-1]
    assert (newest.action, newest.actor, newest.signal) == ("promote 1.1.0", "cleo", "promotion-request")


async def test_whoever_may_not_start_a_rollout_may_not_ask_for_one(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    before = len(world.actions)

    assert (await ask(admin, "ben")).status_code == 403
    assert len(world.actions) == before


async def test_a_version_that_failed_to_load_is_refused_with_its_reason(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.1.0", state=LoadState.FAILED, detail="2 of 3 golden examples failed")

    answer = await ask(admin)

    assert answer.status_code == 409
    assert "golden examples" in answer.json()["error"]


async def test_what_is_quarantined_is_refused_before_it_is_loaded(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.1.0")
    headers = {"If-Match": "*", "X-Actor": "cleo"}
    await admin.put(f"{DIGITS}/canary", json={"version": "1.1.0", "weight": 10}, headers=headers)
    back = await admin.post(f"{DIGITS}/rollback", json={"reason": "wrong labels"}, headers={"X-Actor": "ben"})
    assert back.status_code == 200, back.text
    world.stops("1.1.0")
    before = list(world.actions)

    answer = await ask(admin)

    assert answer.status_code == 409, answer.text
    assert "quarantined: wrong labels" in answer.json()["error"]
    assert world.actions == before


async def test_while_another_rollout_is_afoot_a_request_is_refused_and_says_by_which(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    world.runs("1.1.0", "1.2.0")
    await ask(admin)

    answer = await ask(admin, version="1.2.0")

    assert answer.status_code == 409
    assert "1.1.0" in answer.json()["error"]


@pytest.mark.parametrize("source", ["", "\n", "a" * 300, "<script>"])
async def test_a_source_is_one_plain_line(admin: httpx.AsyncClient, source: str) -> None:
    assert (await ask(admin, source=source)).status_code == 400


async def test_of_a_version_that_is_not_published_nothing_happens(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    before = len(world.actions)

    assert (await ask(admin, version="9.9.9")).status_code == 404
    assert len(world.actions) == before
