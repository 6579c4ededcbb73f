"""What an operator should know of a Redis before relying on it: how it is set up, held against what the store needs of it.

Looking needs INFO and CONFIG GET; where a user may not, or a hosted Redis has no CONFIG, that is told too.
"""

import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from serving.stores.address import RedisAddress
from serving.stores.findings import Finding
from serving.stores.redis.connection import Wire
from serving.stores.redis.keys import Keys
from serving.stores.redis.plan import RedisPlan
from serving.stores.redis.scripts import MAY

OLDEST = (7, 0)
"""The first whose scripts can ask what their user may do before they write."""

COMMANDS = (
    *("eval", "evalsha", "time"),
    *("hget", "hmget", "hgetall", "hexists", "hset", "hdel", "hincrby"),
    *("xadd", "xrange", "xrevrange", "xread"),
    *("rpush", "lrange", "llen"),
    *("info", "config|get"),
)
"""All that a user of the store has to be allowed; the last two for these checks alone."""

_CONFIGURATION = ("appendonly", "appendfsync", "maxmemory-policy")
_REST = "docs/state.md has the whole redis.conf and the ACL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found out about a server."""

    version: tuple[int, int]
    is_replica: bool
    configuration: Mapping[str, str]
    """Of `appendonly`, `appendfsync` and `maxmemory-policy`, what it tells."""
    refused: Sequence[str]
    """Commands that are needed and that this user may not run on the store's keys."""
    may_everything: bool
    has_password: bool
    is_password_public: bool
    """Whether everybody on this machine can read the file it stands in."""
    is_local: bool
    """Whether it is reached over a unix socket or loopback."""
    is_encrypted: bool


def acl(prefix: str) -> str:
    """What a user of the store is allowed, as `ACL SETUSER` and a users file say it."""
    return f"resetchannels ~{Keys(prefix).pattern} -@all {' '.join(f'+{command}' for command in COMMANDS)}"


async def inspect(plan: RedisPlan) -> Sequence[Finding]:
    """What an operator should be told about the server. Raises `StoreUnavailable`."""
    wire = Wire(plan)
    try:
        return list(findings(await _facts(plan, wire)))
    finally:
        await wire.close()


def findings(facts: Facts) -> Iterator[Finding]:
    """What of it is not as the store needs it."""
    yield from _of_server(facts)
    yield from _of_durability(facts.configuration)
    yield from _of_access(facts)


def _of_server(facts: Facts) -> Iterator[Finding]:
    if facts.version < OLDEST:
        found, oldest = (".".join(map(str, version)) for version in (facts.version, OLDEST))
        yield Finding("store", f"the server has version {found}, and nothing can be changed below {oldest}", "upgrade it")
    if facts.is_replica:
        hint = "name its primary, or its Sentinels: redis+sentinel://HOST:PORT,HOST:PORT/SERVICE"
        yield Finding("store", "the server is a replica: it takes no changes", hint)


def _of_durability(configuration: Mapping[str, str]) -> Iterator[Finding]:
    if not configuration:
        sentence = "the server does not tell how it is configured: whether changes outlive a crash is unknown"
        yield Finding("appendonly", sentence, f"allow +config|get, or make sure of appendonly, appendfsync and noeviction; {_REST}")
        return
    if configuration.get("appendonly") != "yes":
        sentence = "appendonly is off: when the server dies, every change since its last snapshot file is lost, though it was acknowledged"
        yield Finding("appendonly", sentence, f"set `appendonly yes` and `appendfsync always`; {_REST}")
    elif configuration.get("appendfsync") not in {"always", "everysec"}:
        sentence = "appendfsync is no: when the machine dies, the changes of about half a minute are lost, though they were acknowledged"
        yield Finding("appendfsync", sentence, f"set `appendfsync always`, or everysec to lose at most two seconds; {_REST}")
    policy = configuration.get("maxmemory-policy")
    if policy != "noeviction":
        sentence = f"maxmemory-policy is {policy}: a server short of memory throws routes and audit away"
        yield Finding("maxmemory-policy", sentence, f"set `maxmemory-policy noeviction`: it then refuses changes, and says so; {_REST}")


def _of_access(facts: Facts) -> Iterator[Finding]:
    if facts.refused:
        sentence = f"this user may not run {', '.join(sorted(set(facts.refused)))} on the keys of this prefix"
        yield Finding("redis.username", sentence, f"give it the commands and the keys it needs; {_REST}")
    if facts.is_password_public:
        sentence = "everybody on this machine can read the password's file"
        yield Finding("redis.password_file", sentence, "chmod 600, and let it belong to who serves")
    if facts.is_local:
        return
    if not facts.has_password:
        sentence = "no password is asked for: whoever reaches the server can send all traffic to any version"
        yield Finding("redis.password_file", sentence, f"make a user with a password; {_REST}")
    elif facts.may_everything:
        sentence = "this user may do everything on the server, deleting the audit included"
        yield Finding("redis.username", sentence, f"make a user for this program alone; {_REST}")
    if not facts.is_encrypted:
        yield Finding("store", "the password and every change travel in the clear", "use rediss:// and redis.ca_file")


async def _facts(plan: RedisPlan, wire: Wire) -> Facts:
    keys, address = Keys(plan.prefix), plan.address
    server, replication, configuration = await wire.ask("INFO", "server"), await wire.ask("INFO", "replication"), await _configuration(wire)
    version = str((server or {}).get("redis_version", "7.0"))
    refused = await _refused(wire, _needed(keys)) if _version(version) >= OLDEST else []
    return Facts(
        version=_version(version),
        is_replica=(replication or {}).get("role") == "slave",
        configuration=configuration,
        refused=refused,
        may_everything=not refused and not await _refused(wire, [["FLUSHALL"]]),
        has_password=bool(address.password or plan.password_file),
        is_password_public=plan.password_file is not None and bool(plan.password_file.stat().st_mode & stat.S_IROTH),
        is_local=_is_local(address),
        is_encrypted=address.tls,
    )


async def _configuration(wire: Wire) -> Mapping[str, str]:
    told: Mapping[Any, Any] = await wire.ask("CONFIG GET", *_CONFIGURATION) or {}
    return {_text(name): _text(value) for name, value in told.items()}


async def _refused(wire: Wire, commands: Sequence[Sequence[str]]) -> Sequence[str]:
    return [_text(name) for name in await wire.script(MAY, (), json.dumps(commands))]


def _needed(keys: Keys) -> Sequence[Sequence[str]]:
    """Every command with the keys it is run on."""
    on = {
        keys.head: ("HMGET", "HSET"),
        keys.families: ("HGETALL", "HEXISTS", "HSET"),
        keys.revisions: ("HGET", "HGETALL", "HEXISTS", "HSET"),
        keys.operations: ("HGET", "HSET"),
        keys.leader: ("HGET", "HMGET", "HSET"),
        keys.gateways: ("HGETALL", "HSET", "HDEL"),
        keys.board: ("HGET", "HSET"),
        keys.beats: ("HGETALL", "HINCRBY"),
        keys.audit: ("XADD", "XRANGE", "XREVRANGE"),
        keys.reseeds: ("RPUSH", "LRANGE", "LLEN"),
    }
    # How many arguments a command takes is not looked at.
    plain = [[command, key, "1", "1", "1", "1"] for key, commands in on.items() for command in commands]
    return [*plain, ["XREAD", "STREAMS", keys.audit, "0"], ["EVALSHA", "0", "1", keys.head], ["TIME"]]


def _version(text: str) -> tuple[int, int]:
    major, minor = (*text.split("."), "0")[:2]
    return int(major), int(minor)


def _is_local(address: RedisAddress) -> bool:
    return address.socket is not None or all(host == "localhost" or _is_loopback(host) for host, _ in address.hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _text(value: Any) -> str:  # noqa: ANN401 - redis-py decodes some answers and not others
    return value.decode() if isinstance(value, bytes) else str(value)
