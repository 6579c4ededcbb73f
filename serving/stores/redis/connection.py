"""How a Redis is reached: nothing is sent twice, and every call ends within its time whatever the server or the network does."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider
from redis.exceptions import NoScriptError, RedisError, ResponseError

from serving.core.errors import StoreUnavailable
from serving.stores.redis.failures import closed_transports, named_failures
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.scripts import Script

Answer = TypeVar("Answer")
Word = str | bytes | float
"""A part of a command; numbers are written in decimal."""

MOST_CONNECTIONS = 16
GRACE_S = 0.2
"""So much earlier than a wait for news must be over the server is asked to end it. The answer then comes in time; one that is lost, or a
server that hangs, delays nobody."""


class _FileCredentials(CredentialProvider):
    """A user whose password stands in a file, read at every connection: a new password needs no restart."""

    def __init__(self, username: str, file: Path) -> None:
        self._username = username
        self._file = file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """User and password. Raises `OSError` when the file cannot be read."""
        password = self._file.read_text(encoding="utf-8").strip()
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same: a secret's file is small and never far away."""
        return self.get_credentials()


class Wire:
    """The connections of one store: those for calls, and those that wait for news."""

    def __init__(self, plan: RedisPlan) -> None:
        self.shown = str(plan.address)
        self._timeout = plan.timeout
        self._calls = _client(plan, socket_timeout=plan.timeout)
        # A wait for news lasts as long as it is told to; whoever waits watches the time.
        self._waits = _client(plan, socket_timeout=None)
        self._is_closed = False

    async def call(self, *command: Word) -> Any:  # noqa: ANN401 - what Redis gives has no types
        """Send a command once and give its answer. Raises `StoreUnavailable`."""
        return await self._answer(lambda: _send(self._calls, *command))

    async def ask(self, *command: Word) -> Any:  # noqa: ANN401 - see call
        """As `call`, but None where the server or its access rules refuse the command itself. Raises `StoreUnavailable`."""

        async def ask() -> Any:  # noqa: ANN401 - see call
            with suppress(ResponseError):
                return await _send(self._calls, *command)
            return None

        return await self._answer(ask)

    async def script(self, script: Script, keys: Sequence[str], *values: Word) -> Any:  # noqa: ANN401 - see call
        """Run a script once; a server that does not know it yet is sent the whole of it. Raises `StoreUnavailable`."""

        async def run() -> Any:  # noqa: ANN401 - see call
            try:
                return await _send(self._calls, "EVALSHA", script.sha, len(keys), *keys, *values)
            except NoScriptError:  # it was not run, so this is no second time
                return await _send(self._calls, "EVAL", script.text, len(keys), *keys, *values)

        return await self._answer(run)

    async def calls(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """Send several commands in one go, each carried out for itself, and give their answers. Raises `StoreUnavailable`."""
        if not commands:
            return []
        pipeline = self._calls.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await self._answer(pipeline.execute)

    async def wait(self, *command: Word, seconds: float) -> None:
        """Send a command that waits for news. Comes back with the news, or after `seconds` at the latest; never raises for a store away."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        with suppress(RedisError, OSError, TimeoutError), closed_transports():
            async with asyncio.timeout(seconds):
                await _send(self._waits, *command)
                return
        await asyncio.sleep(until - loop.time())

    async def close(self) -> None:
        """Hang up."""
        self._is_closed = True
        for client in (self._calls, self._waits):
            await client.aclose()
            if isinstance(client.connection_pool, SentinelConnectionPool):
                for sentinel in client.connection_pool.sentinel_manager.sentinels:
                    await sentinel.aclose()

    async def _answer(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        if self._is_closed:
            msg = f"the store {self.shown} is closed"
            raise StoreUnavailable(msg)
        with named_failures(self.shown):
            # Connecting, authenticating and asking have one time for all: a server that hangs in each of them still answers nobody late.
            async with asyncio.timeout(self._timeout):
                return await send()


async def _send(client: Redis, *command: Word) -> Any:  # noqa: ANN401 - what Redis gives has no types
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py declares none


def _client(plan: RedisPlan, socket_timeout: float | None) -> Redis:
    address = plan.address
    common: dict[str, Any] = {
        "db": address.database,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": plan.timeout,
        "protocol": 2,
        "driver_info": None,
        "credential_provider": _credentials(address.username or plan.username, address.password, plan.password_file),
    }
    if address.service:
        return _behind_sentinels(plan, common)
    if address.socket is not None:
        kind: type[AbstractConnection] = UnixDomainSocketConnection
        place: dict[str, Any] = {"path": str(address.socket)}
    else:
        ((host, port),) = address.hosts
        kind = SSLConnection if address.tls else Connection
        place = {"host": host, "port": port, **(_tls(plan) if address.tls else {})}
    pool = BlockingConnectionPool(MOST_CONNECTIONS, timeout=plan.timeout, connection_class=kind, **place, **common)
    return Redis.from_pool(pool)


def _behind_sentinels(plan: RedisPlan, common: Mapping[str, Any]) -> Redis:
    address = plan.address
    tls = {"ssl": True, **_tls(plan)} if address.tls else {}
    # One Sentinel that does not answer must leave time to ask the next.
    patience = plan.timeout / (len(address.hosts) + 1)
    own = {
        "retry": common["retry"],
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        "protocol": 2,
        "driver_info": None,
        "credential_provider": _credentials(plan.sentinel_username, "", plan.sentinel_password_file),
        **tls,
    }
    sentinel = Sentinel(list(address.hosts), sentinel_kwargs=own)  # type: ignore[no-untyped-call]  # redis-py declares none
    client: Redis = sentinel.master_for(
        address.service, redis_class=Redis, connection_pool_class=SentinelConnectionPool, max_connections=MOST_CONNECTIONS, **common, **tls
    )
    return client


def _tls(plan: RedisPlan) -> Mapping[str, Any]:
    """The server's name is always checked, against our own authority where one is given."""
    files = {"ssl_ca_certs": plan.ca_file, "ssl_certfile": plan.cert_file, "ssl_keyfile": plan.key_file}
    return {name: None if file is None else str(file) for name, file in files.items()}


def _credentials(username: str, password: str, file: Path | None) -> CredentialProvider | None:
    if password:
        return UsernamePasswordCredentialProvider(username or None, password)
    return None if file is None else _FileCredentials(username, file)
