"""A sentence for each way in which a Redis does not answer. No sentence repeats a command, whose arguments could be anybody's data."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions
from redis.asyncio.sentinel import MasterNotFoundError

from serving.core.errors import StoreUnavailable

_NOT_ACCEPTED = "it does not accept the password, or wants one (redis.username, redis.password_file)"

_BY_KIND: tuple[tuple[type[BaseException], str], ...] = (
    (MasterNotFoundError, "no Sentinel names a primary for it"),
    (exceptions.BusyLoadingError, "it is still loading its data"),
    (exceptions.AuthenticationError, _NOT_ACCEPTED),
    (exceptions.AuthorizationError, "it does not accept this user"),
    (exceptions.MaxConnectionsError, "all connections to it are in use"),
    (exceptions.NoPermissionError, "this user may not do what is needed; docs/state.md has the ACL"),
    (exceptions.ReadOnlyError, "it is a replica and takes no changes"),
    (exceptions.OutOfMemoryError, "its memory is full (maxmemory) and it takes no changes"),
    (exceptions.MovedError, "it is a node of a cluster and another one holds the data"),
    (exceptions.AskError, "its cluster is moving the data to another node"),
    (exceptions.TryAgainError, "its cluster is moving the data to another node"),
    (exceptions.MasterDownError, "it is a replica that has lost its primary"),
    (exceptions.ClusterDownError, "its cluster is down"),
    (exceptions.TimeoutError, "no answer came in time"),
    (TimeoutError, "no answer came in time"),
    (ssl.SSLCertVerificationError, "its certificate cannot be verified (redis.ca_file)"),
    (ssl.SSLError, "TLS with it does not come about; does it speak TLS on that port?"),
    (socket.gaierror, "its name cannot be resolved"),
    (ConnectionRefusedError, "nothing listens there"),
    (ConnectionResetError, "it closed the connection"),
    (BrokenPipeError, "it closed the connection"),
    (FileNotFoundError, "there is no such socket or file"),
    (PermissionError, "this process may not open that socket or file"),
)

_BY_CODE = {
    "MISCONF": "it cannot save its data to disk (disk full?) and takes no changes",
    "NOREPLICAS": "too few replicas follow it (min-replicas-to-write) and it takes no changes",
    "BUSY": "it is busy with a script of somebody else",
    "UNKILLABLE": "it is busy with a script of somebody else",
    "NEWSCHEMA": "its data was written by a newer version of this program",
    "TORN": "it contradicts itself: what it says of its newest change is not what its audit holds",
    "WRONGTYPE": "its keys under this prefix hold something else than a store of this program",
    "MASTERDOWN": "it is a replica that has lost its primary",
}
"""Errors that redis-py knows no class for, by the first word of the server's answer."""

_CLOSED = ("Connection closed by server", "Connection lost")

_TOO_MUCH_FOR_A_STRANGER = "Protocol error: unauthenticated"
"""What a server that wants a password answers to a command of more than a few words."""


@contextmanager
def named_failures(address: str) -> Iterator[None]:
    """Give every failure of Redis, of the way to it or of a deadline its sentence, as `StoreUnavailable`."""
    try:
        with closed_transports():
            yield
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError, TimeoutError) as error:
        msg = f"the store {address} did not answer: {sentence(error)}"
        raise StoreUnavailable(msg) from error


@contextmanager
def closed_transports() -> Iterator[None]:
    """Take what uvloop says of a connection that was reset before it is written to, a RuntimeError, for what it is."""
    try:
        yield
    except RuntimeError as error:
        if "handler is closed" not in str(error):
            raise
        raise ConnectionResetError(str(error)) from error


def sentence(error: BaseException) -> str:
    """What went wrong, for a person."""
    for cause in _causes(error):
        code = str(cause).partition(" ")[0]
        if isinstance(cause, exceptions.ResponseError) and code in _BY_CODE:
            return _BY_CODE[code]
        for kind, words in _BY_KIND:
            if isinstance(cause, kind):
                return words
        if str(cause).startswith(_TOO_MUCH_FOR_A_STRANGER):
            return _NOT_ACCEPTED
    if isinstance(error, exceptions.ConnectionError):
        text = str(error)
        return "it closed the connection" if text.startswith(_CLOSED) else f"there is no connection ({_short(text)})"
    return f"it refuses ({_short(str(error))})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it: redis-py wraps what the socket said."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _short(text: str) -> str:
    most = 160
    return " ".join(text.split())[:most]
