"""The store over TLS, with a server that really speaks it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from serving.core.errors import StoreUnavailable
from serving.stores.redis.checks import inspect
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.store import RedisStore
from tests.fixtures.certificates import Authority
from tests.fixtures.redis_home import address
from tests.fixtures.redis_server import DURABLE, RedisServer, free_port, speaks_tls
from tests.fixtures.transitions import transition_of

pytestmark = pytest.mark.skipif(not speaks_tls(), reason="this machine's Redis was built without TLS")


@dataclass(frozen=True)
class Secured:
    """A server that asks for a client's certificate, and how it is reached."""

    port: int
    plan: RedisPlan
    authority: Authority


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    authority, port = Authority(tmp_path), free_port()
    of_server, of_client = authority.sign("localhost"), authority.sign("gateway")
    tls = {
        "bind": "127.0.0.1 127.0.0.2",
        "tls-port": str(port),
        "tls-cert-file": str(of_server.certificate),
        "tls-key-file": str(of_server.key),
        "tls-ca-cert-file": str(authority.certificate),
        "tls-auth-clients": "yes",
    }
    plan = RedisPlan(
        address=address(f"rediss://127.0.0.1:{port}"),
        ca_file=authority.certificate,
        cert_file=of_client.certificate,
        key_file=of_client.key,
    )
    server = RedisServer({**DURABLE, **tls})
    try:
        server.start()
        yield Secured(port, plan, authority)
    finally:
        server.remove()


async def refusal(plan: RedisPlan) -> str:
    store = RedisStore.open(plan)
    try:
        with pytest.raises(StoreUnavailable) as refused:
            await store.snapshot()
        return str(refused.value)
    finally:
        await store.close()


async def test_a_server_whose_certificate_is_ours_keeps_the_state(secured: Secured) -> None:
    store = RedisStore.open(secured.plan)

    await store.commit(transition_of("digits"))

    assert list((await store.snapshot()).families) == ["digits"]
    assert list(await inspect(secured.plan)) == []
    await store.close()


async def test_a_server_with_a_certificate_of_another_authority_is_not_spoken_to(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")

    assert "its certificate cannot be verified" in await refusal(replace(secured.plan, ca_file=other.certificate))
    assert "its certificate cannot be verified" in await refusal(replace(secured.plan, ca_file=None))


async def test_a_server_with_a_certificate_of_another_name_is_not_spoken_to(secured: Secured) -> None:
    plan = replace(secured.plan, address=address(f"rediss://127.0.0.2:{secured.port}"))

    assert "its certificate cannot be verified" in await refusal(plan)


async def test_a_client_without_a_certificate_is_told_that_tls_does_not_come_about(secured: Secured) -> None:
    plan = replace(secured.plan, cert_file=None, key_file=None)

    assert "TLS with it does not come about" in await refusal(plan)


async def test_plain_text_to_a_port_that_speaks_tls_is_no_connection(secured: Secured) -> None:
    plan = RedisPlan(address=address(f"redis://127.0.0.1:{secured.port}"))

    assert "it closed the connection" in await refusal(plan)
