from datetime import timedelta

from serving.core.notices import Letter, Notice, Occasion
from tests.fakes.admin import AdminWorld
from tests.fakes.clock import START


def letter(webhook: str) -> Letter:
    return Letter(
        Notice("n-1", START, Occasion.ROLLBACK, "digits", "1.1.0", "it was rolled back"), webhook, START + timedelta(seconds=5), 2
    )


async def test_webhooks_go_by_name_with_what_waits_for_them_and_what_never_arrived() -> None:
    world = AdminWorld()
    world.webhooks = ("pager", "chat")
    await world.outbox.put(letter("pager"))
    await world.outbox.give_up(letter("chat"))

    async with world.client() as admin:
        document = (await admin.get("/v1/webhooks")).json()

    known = {line["name"]: line for line in document["webhooks"]}
    assert [one["text"] for one in known["pager"]["waiting"]] == ["it was rolled back"]
    assert known["pager"]["waiting"][0]["tried"] == 2
    assert [one["id"] for one in known["chat"]["given_up"]] == ["n-1"]


async def test_a_test_puts_one_letter_for_each_webhook_however_often_it_is_sent() -> None:
    world = AdminWorld()
    world.webhooks = ("pager", "chat")

    async with world.client() as admin:
        first, second = [
            await admin.post("/v1/webhooks/test", json={}, headers={"X-Actor": "ada", "Idempotency-Key": "op:1"}) for _ in range(2)
        ]

    assert first.status_code == second.status_code == 200
    assert [len(line["waiting"]) for line in second.json()["webhooks"]] == [1, 1]
    assert len(await world.outbox.waiting()) == 2


async def test_an_outbox_that_fails_is_a_503() -> None:
    world = AdminWorld()
    world.outbox.broken = True

    async with world.client() as admin:
        response = await admin.get("/v1/webhooks")

    assert response.status_code == 503
    assert "outbox" in response.json()["hint"]
