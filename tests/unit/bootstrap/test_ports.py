import os
import socket
from threading import Timer

import pytest

from serving.bootstrap.ports import CannotListen, PortTaken, refuse_unusable_ports
from serving.settings import Settings, load_settings


def held() -> socket.socket:
    """A port that somebody else listens on."""
    return socket.create_server(("127.0.0.1", 0))


def settings(port: int, admin_port: int, host: str = "127.0.0.1") -> Settings:
    return load_settings(port=port, admin_port=admin_port, host=host)


@pytest.fixture
def free() -> tuple[int, int]:
    with held() as one, held() as other:
        ports: tuple[int, int] = (one.getsockname()[1], other.getsockname()[1])
    return ports


def test_two_free_ports_are_fine(free: tuple[int, int]) -> None:
    refuse_unusable_ports(settings(*free))


@pytest.mark.parametrize("is_admin", [False, True])
def test_a_taken_port_is_told_at_once_with_the_option_that_chooses_another(free: tuple[int, int], *, is_admin: bool) -> None:
    # given
    with held() as other:
        port = other.getsockname()[1]
        ports = (free[0], port) if is_admin else (port, free[1])

        # when
        with pytest.raises(PortTaken) as refused:
            refuse_unusable_ports(settings(*ports))

    # then
    assert str(refused.value) == f"127.0.0.1:{port} is taken"
    assert refused.value.hint.endswith("--admin-port" if is_admin else "--port")


def test_a_port_that_is_let_go_of_in_time_is_waited_for(free: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    # given
    other = held()
    port = other.getsockname()[1]
    timer = Timer(0.2, other.close)
    timer.start()

    # when
    refuse_unusable_ports(settings(port, free[1]), patience=10.0)

    # then
    timer.join()
    assert capsys.readouterr().err.count("waiting up to 10 s") == 1


def test_an_address_that_is_not_this_machines_is_not_called_taken(free: tuple[int, int]) -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1:\d+: Cannot assign requested address") as refused:
        refuse_unusable_ports(settings(*free, host="192.0.2.1"), patience=10.0)

    assert "--host" in refused.value.hint


@pytest.mark.skipif(os.getuid() == 0, reason="root may have any port")
def test_a_port_that_only_root_may_have_is_not_called_taken(free: tuple[int, int]) -> None:
    with pytest.raises(CannotListen, match="Permission denied"):
        refuse_unusable_ports(settings(1, free[1]))
