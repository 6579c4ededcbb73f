"""Webhooks of the registry on the admin listener: whose are taken, and that no other leads to anything."""

import hmac
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

import httpx
import pytest

from serving.api.problems import status_of
from serving.control.hinting import MOST_REMEMBERED, HintsTaken, TooManyHints
from tests.fakes.admin import AdminWorld
from tests.fakes.clock import FakeClock

HINT = "/v1/registry/hint"
SECRET = b"correct horse battery"
BODY = b'{"entity": "model_version_alias", "action": "created", "data": {"name": "digits", "alias": "production", "version": "2"}}'


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def world(clock: FakeClock) -> AdminWorld:
    world = AdminWorld(clock)
    world.hint_secret = SECRET
    return world


@pytest.fixture
async def admin(world: AdminWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as client:
        yield client


def signed(at: datetime, *, delivery: str = "b0c2", body: bytes = BODY, secret: bytes = SECRET) -> Mapping[str, str]:
    """The headers as MLflow's `_generate_hmac_signature` makes them."""
    seconds = str(int(at.timestamp()))
    mark = hmac.digest(secret, f"{delivery}.{seconds}.{body.decode()}".encode(), "sha256")
    return {
        "Content-Type": "application/json",
        "X-MLflow-Signature": f"v1,{b64encode(mark).decode()}",
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": seconds,
    }


async def test_one_that_is_rightly_signed_leaves_a_hint_and_changes_nothing(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    answer = await admin.post(HINT, content=BODY, headers=signed(world.clock.now()))

    assert (answer.status_code, answer.json()) == (200, {"delivery": "b0c2"})
    assert world.hints.left == 1
    assert world.actions == []
    assert world.hinted.outcomes == ["believed"]


@pytest.mark.parametrize(
    "changed",
    [
        {"X-MLflow-Signature": ""},
        {"X-MLflow-Signature": "v1,"},
        {"X-MLflow-Signature": "v1,AAAA"},
        {"X-MLflow-Delivery-Id": "b0c3"},
        {"X-MLflow-Timestamp": "1"},
        {"X-MLflow-Timestamp": "9" * 6000},
        {"X-MLflow-Timestamp": "soon"},
    ],
)
async def test_one_with_another_header_is_turned_away(world: AdminWorld, admin: httpx.AsyncClient, changed: Mapping[str, str]) -> None:
    answer = await admin.post(HINT, content=BODY, headers={**signed(world.clock.now()), **changed})

    assert answer.status_code == 401
    assert answer.json().keys() == {"error", "hint"}
    assert (world.hints.left, world.hinted.outcomes) == (0, ["unbelieved"])


async def test_a_signature_that_is_not_even_ascii_is_turned_away(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    signature = (b"X-MLflow-Signature", b"v1,\xe9\xff")
    others = [(name.encode(), text.encode()) for name, text in signed(world.clock.now()).items() if name != "X-MLflow-Signature"]

    assert (await admin.post(HINT, content=BODY, headers=[*others, signature])).status_code == 401


@pytest.mark.parametrize(
    ("at", "body", "secret"),
    [(0, BODY + b" ", SECRET), (0, b"", SECRET), (0, BODY, b"another"), (-301, BODY, SECRET), (301, BODY, SECRET)],
)
async def test_one_that_was_changed_or_signed_by_another_or_is_late_is_turned_away(
    world: AdminWorld, admin: httpx.AsyncClient, at: int, body: bytes, secret: bytes
) -> None:
    then = datetime.fromtimestamp(world.clock.now().timestamp() + at, UTC)

    answer = await admin.post(HINT, content=body, headers=signed(then, secret=secret))

    assert (answer.status_code, world.hints.left) == (401, 0)


async def test_one_that_is_sent_again_is_turned_away_for_as_long_as_it_could_be_believed(
    world: AdminWorld, admin: httpx.AsyncClient, clock: FakeClock
) -> None:
    # given
    ahead = signed(datetime.fromtimestamp(world.clock.now().timestamp() + 299, UTC))
    assert (await admin.post(HINT, content=BODY, headers=ahead)).is_success

    # when
    answers = []
    for seconds in (0, 300, 298):
        clock.advance(seconds)
        answers.append((await admin.post(HINT, content=BODY, headers=ahead)).status_code)

    # then
    assert answers == [409, 409, 409]
    clock.advance(10)
    assert (await admin.post(HINT, content=BODY, headers=ahead)).status_code == 401, "it is too late by itself"
    assert world.hints.left == 1


async def test_more_than_can_be_remembered_are_turned_away_until_others_are_forgotten(world: AdminWorld, clock: FakeClock) -> None:
    # given
    taken = HintsTaken(SECRET, world.hints, world.hinted, world.clock)

    def at_the_door(delivery: str) -> Mapping[str, str]:
        return {name.lower(): text for name, text in signed(world.clock.now(), delivery=delivery).items()}

    for number in range(MOST_REMEMBERED):
        await taken.take(at_the_door(f"d{number}"), BODY)

    # when / then
    with pytest.raises(TooManyHints):
        await taken.take(at_the_door("one-more"), BODY)
    clock.advance(601)
    assert await taken.take(at_the_door("one-more"), BODY) == "one-more"
    assert status_of(TooManyHints()) == 429


async def test_where_no_secret_is_known_none_is_taken_signed_or_not(world: AdminWorld) -> None:
    world.hint_secret = None
    async with world.client() as admin:
        answers = [await admin.post(HINT, content=BODY, headers=signed(world.clock.now(), secret=secret)) for secret in (SECRET, b"")]

    assert {answer.status_code for answer in answers} == {404}
    assert "webhook_secret_file" in answers[0].json()["hint"]


async def test_a_large_body_and_a_page_from_elsewhere_do_not_get_so_far(world: AdminWorld, admin: httpx.AsyncClient) -> None:
    large = b'"' + b"x" * 70_000 + b'"'

    too_large = await admin.post(HINT, content=large, headers=signed(world.clock.now(), body=large))
    foreign = await admin.post(HINT, content=BODY, headers={**signed(world.clock.now()), "Origin": "https://evil.example"})

    assert (too_large.status_code, foreign.status_code, world.hints.left) == (413, 403, 0)


async def test_while_the_store_is_away_the_sender_is_told_so_and_is_believed_when_he_tries_again(
    world: AdminWorld, admin: httpx.AsyncClient
) -> None:
    # given
    sent = signed(world.clock.now())
    world.hints.is_away = True
    away = await admin.post(HINT, content=BODY, headers=sent)

    # when
    world.hints.is_away = False
    again = await admin.post(HINT, content=BODY, headers=sent)

    # then
    assert (away.status_code, again.status_code, world.hints.left) == (503, 200, 1)
