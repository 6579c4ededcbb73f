"""What every log of published heads promises, the fake included."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from serving.core.audit import Mark
from serving.core.heads import SignedHead, head_message
from serving.stores.head_log import HeadFile
from serving.stores.signing import Ed25519Signer, is_signed
from tests.fakes.heads import FakeHeadLog

SIGNER = Ed25519Signer(b"s" * 32)
AT = datetime(2030, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def signed(epoch: int, signer: Ed25519Signer = SIGNER) -> SignedHead:
    mark = Mark(1, epoch, f"{epoch:064x}")
    return SignedHead(mark, AT, signer.public_key, signer.sign(head_message(mark, AT)))


@pytest.fixture(params=["file", "fake"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> HeadFile | FakeHeadLog:
    return FakeHeadLog() if request.param == "fake" else HeadFile(tmp_path / "heads.jsonl")


async def test_nothing_was_published_at_first(log: HeadFile | FakeHeadLog) -> None:
    assert list(await log.read()) == []


async def test_what_was_published_is_read_back_in_its_order_and_still_signed(log: HeadFile | FakeHeadLog) -> None:
    heads = [signed(epoch) for epoch in (1, 2, 5)]
    for head in heads:
        await log.append(head)

    read = list(await log.read())

    assert read == heads
    assert all(is_signed(head) and SIGNER.has_signed(head) for head in read)


def test_a_head_that_was_changed_after_it_was_signed_is_known() -> None:
    head = signed(3)
    other = Ed25519Signer(b"o" * 32)

    forged = [
        SignedHead(Mark(1, 4, head.mark.head), head.signed_at, head.public_key, head.signature),
        SignedHead(head.mark, head.signed_at + timedelta(microseconds=1), head.public_key, head.signature),
        SignedHead(head.mark, head.signed_at, other.public_key, head.signature),
        SignedHead(head.mark, head.signed_at, head.public_key, "00" * 64),
        SignedHead(head.mark, head.signed_at, "not hexadecimal", head.signature),
    ]

    assert not any(is_signed(head) for head in forged)
    assert is_signed(signed(3, other))
    assert not SIGNER.has_signed(signed(3, other))
