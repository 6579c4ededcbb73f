import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.dataplane.addresses import TcpAddress, UnixAddress, nearest, published

UNIX, TCP = UnixAddress("/run/w"), TcpAddress("10.0.0.1", 4711)


def test_a_replica_on_the_own_node_is_reached_by_its_socket() -> None:
    assert nearest(published("here", UNIX, TCP), "here") == UNIX


def test_a_replica_on_another_node_is_reached_over_tcp() -> None:
    assert nearest(published("there", UNIX, TCP), "here") == TCP


def test_a_replica_without_a_port_is_not_reached_from_another_node() -> None:
    assert nearest(published("there", UNIX, None), "here") is None


def test_metadata_of_something_else_is_no_address() -> None:
    assert nearest({"pid": "7"}, "here") is None


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(1, 65535))
def test_an_address_reads_as_it_is_written(host: object, port: int) -> None:
    address = TcpAddress(str(host), port)

    assert TcpAddress.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:x", "host:-1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        TcpAddress.parse(text)
