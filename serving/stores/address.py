"""Which store to use, as the one setting `store` says it: `sqlite`, or the URL of a Redis, which may be several behind Sentinels.

A password may stand in the URL, though a file is the better place; it is never shown: not in a sentence, a log line or a repr.
"""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import ParseResult, unquote, urlparse

SQLITE = "sqlite"
REDIS_PORT = 6379
SENTINEL_PORT = 26379
MOST_PORT = 65_535
FORMS = (
    "sqlite, redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS), redis+unix:///PATH?db=DB, "
    "redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB or rediss+sentinel://... (TLS)"
)


class BadAddress(ValueError):
    """A `store` that names none; the sentence never repeats what was given, since that may hold a password."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis is, and as whom to speak to it."""

    hosts: tuple[tuple[str, int], ...] = ()
    """The server, or the Sentinels when `service` is set."""
    service: str = ""
    """The name that Sentinels know the servers by."""
    socket: Path | None = None
    """A unix socket in place of a host."""
    database: int = 0
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The URL without the password."""
        name = f"{self.username}@" if self.username else ""
        if self.socket is not None:
            return f"redis+unix://{name}{self.socket}?db={self.database}"
        scheme = f"redis{'s' if self.tls else ''}{'+sentinel' if self.service else ''}"
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{scheme}://{name}{hosts}{f'/{self.service}' if self.service else ''}/{self.database}"


def parse_store(text: str) -> RedisAddress | None:
    """The address that `store` names; None is the embedded store. Raises `BadAddress`."""
    if text == SQLITE:
        return None
    try:
        url = urlparse(text)
    except ValueError as error:
        raise BadAddress(_refusal("it is no URL")) from error
    if url.fragment or url.params:
        raise BadAddress(_refusal("it has a part that means nothing here (a # or ; in a password is written %23 or %3B)"))
    match url.scheme:
        case "redis" | "rediss":
            return _direct(url)
        case "redis+sentinel" | "rediss+sentinel":
            return _sentinel(url)
        case "redis+unix" | "unix":
            return _unix(url)
        case _:
            raise BadAddress(_refusal("it is of no kind that is known"))


def _direct(url: ParseResult) -> RedisAddress:
    username, password, hosts = _authority(url, REDIS_PORT)
    if len(hosts) != 1:
        raise BadAddress(_refusal("it names more than one host; several are named with redis+sentinel://"))
    return RedisAddress(
        hosts=hosts, database=_database(url.path.strip("/")), tls=url.scheme == "rediss", username=username, password=password
    )


def _sentinel(url: ParseResult) -> RedisAddress:
    username, password, hosts = _authority(url, SENTINEL_PORT)
    service, _, database = url.path.strip("/").partition("/")
    if not service:
        raise BadAddress(_refusal("it names no service after the Sentinels"))
    return RedisAddress(
        hosts=hosts,
        service=unquote(service),
        database=_database(database),
        tls=url.scheme == "rediss+sentinel",
        username=username,
        password=password,
    )


def _unix(url: ParseResult) -> RedisAddress:
    before, _, host = url.netloc.rpartition("@")
    username, password = _credentials(before)
    if host or not url.path.startswith("/"):
        raise BadAddress(_refusal("the path of a unix socket begins with a slash, after redis+unix://"))
    name, _, database = url.query.partition("=")
    if name not in {"", "db"}:
        raise BadAddress(_refusal("a unix socket takes ?db= and nothing else"))
    return RedisAddress(socket=Path(unquote(url.path)), database=_database(database), username=username, password=password)


def _authority(url: ParseResult, default_port: int) -> tuple[str, str, tuple[tuple[str, int], ...]]:
    if url.query:
        raise BadAddress(_refusal("it takes no ?options; the settings under redis: are the place for them"))
    before, _, places = url.netloc.rpartition("@")
    username, password = _credentials(before)
    return username, password, tuple(_host(place, default_port) for place in places.split(","))


def _credentials(before: str) -> tuple[str, str]:
    username, _, password = before.partition(":")
    return unquote(username), unquote(password)


def _host(place: str, default_port: int) -> tuple[str, int]:
    host, _, port = place.rpartition(":") if not place.endswith("]") and ":" in place else (place, "", "")
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise BadAddress(_refusal("a host is missing"))
    if not port:
        return host, default_port
    if not port.isdecimal() or not 1 <= int(port) <= MOST_PORT:
        raise BadAddress(_refusal("a port is no number from 1 to 65535 (a / or @ in a password is written %2F or %40)"))
    return host, int(port)


def _database(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal():
        raise BadAddress(_refusal("the database is no number"))
    return int(text)


def _refusal(why: str) -> str:
    return f"the address of the store cannot be used: {why}; it is one of {FORMS}"
