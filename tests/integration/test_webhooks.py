"""Webhooks over real HTTP, from a real outbox on the disk."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import monotonic

import pytest

from serving.control.telling import Delivery, Telling
from serving.core.notices import Form, Notice, Occasion
from serving.core.policy import Tell
from serving.stores.outbox import OutboxFiles
from serving.telemetry.webhooks import UnusableWebhookSecret, Webhook, WebhookPoster, secret_in, signature
from tests.fakes.clock import START, FakeClock
from tests.fakes.notices import MemoryNoticeRecorder
from tests.fakes.receiver import Receiver

SECRET = b"thirty-two bytes of secret, yes!"
TELL = Tell(on=("rollback",))
NOTICE = Notice("digits-1.1.0-3-7-0", START, Occasion.ROLLBACK, "digits", "1.1.0", "digits@1.1.0 was rolled back: errors", "digits-1.1.0-3")


class Node:
    """A node's outbox and what posts it; made anew, it is the node after a restart."""

    def __init__(self, folder: Path, seconds: float = 5.0, **webhooks: Webhook) -> None:
        self.clock, self.recorder, self.outbox = FakeClock(), MemoryNoticeRecorder(), OutboxFiles(folder)
        self.delivery = Delivery(self.outbox, WebhookPoster(webhooks, self.clock, seconds), self.recorder, self.clock)
        self.telling = Telling(self.outbox, tuple(webhooks))

    async def step(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        await self.delivery.step()
        await self.delivery.settle()


def is_signed(headers: Mapping[str, str], body: bytes) -> bool:
    """As the receiver's own library checks it, written down here once more."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(headers["webhook-signature"], f"v1,{expected}")


async def until(holds: Callable[[], bool], step: Callable[[], Awaitable[None]]) -> None:
    deadline = monotonic() + 10
    while not holds():
        assert monotonic() < deadline
        await step()
        await asyncio.sleep(0.01)


def test_signatures_are_those_of_the_standards_own_example() -> None:
    secret = secret_in(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "content", [b"", b"whsec_", b"whsec_!!!", b"whsec_" + base64.b64encode(b"short"), b"whsec_" + base64.b64encode(b"x" * 65)]
)
def test_a_secret_that_signs_nothing_is_refused(content: bytes) -> None:
    with pytest.raises(UnusableWebhookSecret):
        secret_in(content)


async def test_a_notice_arrives_signed_and_one_byte_more_would_be_noticed(tmp_path: Path) -> None:
    with Receiver().running() as receiver:
        node = Node(tmp_path, pager=Webhook(receiver.url, secret=SECRET))
        await node.telling.tell(NOTICE, TELL)

        await node.step()

    [(headers, body)] = receiver.got
    assert headers["webhook-id"] == NOTICE.id
    assert is_signed(headers, body)
    assert not is_signed(headers, body + b" ")
    assert json.loads(body)["data"]["text"] == NOTICE.sentence


async def test_slack_gets_its_own_form(tmp_path: Path) -> None:
    with Receiver().running() as receiver:
        node = Node(tmp_path, chat=Webhook(receiver.url, Form.SLACK))
        await node.telling.tell(NOTICE, TELL)

        await node.step()

    [(headers, body)] = receiver.got
    assert json.loads(body).keys() == {"text"}
    assert "webhook-signature" not in headers


async def test_a_receiver_that_fails_gets_the_same_bytes_later(tmp_path: Path) -> None:
    with Receiver([500, 503, 200]).running() as receiver:
        node = Node(tmp_path, pager=Webhook(receiver.url, secret=SECRET))
        await node.telling.tell(NOTICE, TELL)

        for seconds in (0, 1, 5, 30):
            await node.step(seconds)

    assert [outcome for _, outcome in node.recorder.tries] == ["failed", "failed", "arrived"]
    assert len({body for _, body in receiver.got}) == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert all(is_signed(headers, body) for headers, body in receiver.got)


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with Receiver().running() as elsewhere, Receiver([307], location=elsewhere.url).running() as receiver:
        node = Node(tmp_path, pager=Webhook(receiver.url, secret=SECRET))
        await node.telling.tell(NOTICE, TELL)

        await node.step()

    assert len(receiver.got) == 1
    assert elsewhere.got == []
    assert node.recorder.tries == [("pager", "failed")]


async def test_a_receiver_that_hangs_or_is_not_there_costs_its_own_notice_a_try_and_nobody_else_anything(tmp_path: Path) -> None:
    with Receiver([0]).running() as hanging, Receiver().running() as well:
        node = Node(
            tmp_path,
            0.5,
            hangs=Webhook(hanging.url, secret=SECRET),
            gone=Webhook("http://127.0.0.1:9/", secret=SECRET),
            well=Webhook(well.url),
        )
        began = monotonic()
        await node.telling.tell(NOTICE, TELL)
        told = monotonic() - began
        await until(lambda: len(well.got) == 1, node.delivery.step)
        await node.delivery.settle()

    assert told < 0.4, "whoever tells waits for a file, not for those who are told"
    assert sorted(node.recorder.tries) == [("gone", "failed"), ("hangs", "failed"), ("well", "arrived")]


async def test_what_was_not_told_before_a_restart_is_told_after_it(tmp_path: Path) -> None:
    with Receiver().running() as receiver:
        webhook = Webhook(receiver.url, secret=SECRET)
        await Node(tmp_path, pager=webhook).telling.tell(NOTICE, TELL)

        after = Node(tmp_path, pager=webhook)
        await after.step()
        await Node(tmp_path, pager=webhook).step()

    assert [headers["webhook-id"] for headers, _ in receiver.got] == [NOTICE.id]


async def test_a_strangers_file_in_the_outbox_stops_nothing(tmp_path: Path) -> None:
    with Receiver().running() as receiver:
        node = Node(tmp_path, pager=Webhook(receiver.url, secret=SECRET))
        await node.telling.tell(NOTICE, TELL)
        (tmp_path / "torn.letter").write_bytes(b'{"notice": {"id"')

        await node.step()

    assert len(receiver.got) == 1
