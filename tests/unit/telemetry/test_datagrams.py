import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.telemetry.datagrams import UdpInbox, UdpOutbox

HOME = "127.0.0.1"
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


@pytest.fixture
def inbox() -> Iterator[UdpInbox]:
    inbox = UdpInbox(HOME, KEY)
    yield inbox
    inbox.release()


def outbox_to(inbox: UdpInbox, key: bytes = KEY, at: int = 1) -> UdpOutbox:
    outbox = UdpOutbox(key, lambda: at)
    outbox.address_to([(HOME, inbox.port)])
    return outbox


def sealed(payload: bytes) -> bytes:
    """What goes over the wire."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind((HOME, 0))
        with closing(UdpOutbox(KEY)) as outbox:
            outbox.address_to([wire.getsockname()])
            outbox.send(payload)
        return wire.recv(2**16)


def throw(inbox: UdpInbox, datagram: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.sendto(datagram, (HOME, inbox.port))


def test_what_was_sealed_with_the_same_key_arrives(inbox: UdpInbox) -> None:
    with closing(outbox_to(inbox)) as outbox:
        outbox.send(b"one")
        outbox.send(b"two")

    assert list(inbox.datagrams()) == [b"one", b"two"]


def test_what_was_sealed_with_another_key_is_dropped_and_counted(inbox: UdpInbox) -> None:
    with closing(outbox_to(inbox, OTHER_KEY)) as outbox:
        outbox.send(b"forged")

    assert (list(inbox.datagrams()), inbox.dropped) == ([], 1)


def test_a_recorded_datagram_counts_once(inbox: UdpInbox) -> None:
    recorded = sealed(b"one")
    throw(inbox, recorded)
    throw(inbox, recorded)

    assert (list(inbox.datagrams()), inbox.dropped) == ([b"one"], 1)


def test_a_sender_whose_clock_was_set_back_is_still_heard(inbox: UdpInbox) -> None:
    times = iter([100, 5, 5])
    with closing(UdpOutbox(KEY, lambda: next(times))) as outbox:
        outbox.address_to([(HOME, inbox.port)])
        for payload in (b"one", b"two", b"three"):
            outbox.send(payload)

    assert list(inbox.datagrams()) == [b"one", b"two", b"three"]


def test_two_senders_do_not_silence_each_other(inbox: UdpInbox) -> None:
    with closing(outbox_to(inbox, at=1000)) as ahead, closing(outbox_to(inbox, at=1)) as behind:
        ahead.send(b"ahead")
        behind.send(b"behind")

    assert list(inbox.datagrams()) == [b"ahead", b"behind"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 8 + 8 + 5 + 32 - 1), flip=st.integers(1, 255))
def test_a_datagram_that_was_touched_is_dropped(inbox: UdpInbox, at: int, flip: int) -> None:
    touched = bytearray(sealed(b"hello"))
    touched[at] ^= flip
    throw(inbox, bytes(touched))

    assert list(inbox.datagrams()) == []


@pytest.mark.parametrize("length", [0, 1, 16, 47, 48])
def test_rubbish_of_any_length_is_dropped(inbox: UdpInbox, length: int) -> None:
    throw(inbox, bytes(length))

    assert (list(inbox.datagrams()), inbox.dropped) == ([], 1)


def test_who_begins_to_listen_hears_only_what_comes_from_then_on(inbox: UdpInbox) -> None:
    with closing(outbox_to(inbox)) as outbox:
        outbox.send(b"old")
        inbox.open()
        outbox.send(b"new")

    assert list(inbox.datagrams()) == [b"new"]


def test_a_sender_that_knows_no_receiver_is_silent() -> None:
    with closing(UdpOutbox(KEY)) as outbox:
        outbox.send(b"nobody")  # and does not raise


def test_an_inbox_is_on_the_address_that_it_was_given_only(inbox: UdpInbox) -> None:
    with pytest.raises(OSError, match="assign"):
        UdpInbox("192.0.2.77", KEY)

    assert inbox._socket.getsockname()[0] == HOME
