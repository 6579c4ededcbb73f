"""What a server that refuses is said to, and that nothing is left of what it refused. Each refusal is a real server's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.core.errors import StoreUnavailable
from serving.stores.redis.keys import Keys
from tests.fixtures.redis_server import RedisServer, free_port
from tests.fixtures.redis_stores import PREFIX, USER, Open, once_reconnected
from tests.fixtures.transitions import transition_of


def is_replica(server: RedisServer) -> None:
    server.do("REPLICAOF", "127.0.0.1", free_port())


def is_full(server: RedisServer) -> None:
    server.do("CONFIG", "SET", "maxmemory", "1mb")


def lacks_replicas(server: RedisServer) -> None:
    server.do("CONFIG", "SET", "min-replicas-to-write", "1")


def cannot_save(server: RedisServer) -> None:
    (server.folder / "dump.rdb").mkdir()
    (server.folder / "dump.rdb" / "in the way").touch()
    server.do("CONFIG", "SET", "save", "3600 1")
    server.do("BGSAVE")
    while server.do("INFO", "persistence")["rdb_bgsave_in_progress"]:
        pass


def holds_something_else(server: RedisServer) -> None:
    server.do("SET", Keys(PREFIX).families, "mine")


def is_torn(server: RedisServer) -> None:
    server.do("HSET", Keys(PREFIX).head, "head", "0" * 64)


def is_newer(server: RedisServer) -> None:
    server.do("HSET", Keys(PREFIX).head, "schema", "2")


def lost_count(server: RedisServer) -> None:
    server.do("HSET", Keys(PREFIX).head, "epoch", "many")


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (is_replica, "it is a replica and takes no changes"),
        (is_full, "its memory is full"),
        (lacks_replicas, "too few replicas follow it"),
        (cannot_save, "it cannot save its data to disk"),
        (holds_something_else, "hold something else than a store of this program"),
        (is_torn, "it contradicts itself"),
        (is_newer, "written by a newer version of this program"),
        (lost_count, "it contradicts itself"),
    ],
)
async def test_a_server_that_takes_no_change_is_said_to_and_keeps_nothing_of_it(
    server: RedisServer, open_redis: Open, break_it: Callable[[RedisServer], None], sentence: str
) -> None:
    # given
    store = open_redis(server.url)
    await store.commit(transition_of("intent", operation_id="op-0"))
    break_it(server)

    # when
    with pytest.raises(StoreUnavailable, match=sentence):
        await store.commit(transition_of("digits"))

    # then
    keys = Keys(PREFIX)
    assert server.do("XLEN", keys.audit) == 1
    assert server.do("HEXISTS", keys.revisions, "digits") is False
    assert server.do("HEXISTS", keys.operations, "op-1") is False


@pytest.mark.parametrize("break_it", [is_full, lacks_replicas, cannot_save])
async def test_a_server_that_takes_no_change_is_still_read(
    server: RedisServer, open_redis: Open, break_it: Callable[[RedisServer], None]
) -> None:
    store = open_redis(server.url)
    await store.commit(transition_of("digits"))

    break_it(server)

    assert list((await store.snapshot()).families) == ["digits"]


@pytest.mark.parametrize("command", ["xadd", "hset", "rpush"])
async def test_a_user_who_may_not_do_all_that_a_change_takes_does_nothing_of_it(
    server: RedisServer, open_redis: Open, command: str
) -> None:
    # given
    server.do(*USER)
    store = open_redis(f"redis+unix://ada:first@{server.socket}")
    await store.snapshot()
    server.do("ACL", "SETUSER", "ada", f"-{command}")

    # when
    with pytest.raises(StoreUnavailable, match="this user may not do what is needed"):
        await store.commit(transition_of("digits"))

    # then
    assert server.do("DBSIZE") == 0


@pytest.mark.parametrize("url", ["redis+unix://{}", "redis+unix://ada:hunter2@{}", "redis+unix://bob:hunter2@{}"])
async def test_a_wrong_password_is_said_to_be_wrong_and_never_repeated(server: RedisServer, open_redis: Open, url: str) -> None:
    # given
    server.do(*USER)
    server.do("ACL", "SETUSER", "default", "off")
    store = open_redis(url.format(server.socket))

    # when
    with pytest.raises(StoreUnavailable) as refused:
        await store.commit(transition_of("digits"))

    # then
    assert "it does not accept the password, or wants one" in str(refused.value)
    assert "hunter2" not in f"{refused.value!r} {refused.value.__cause__!r}"


async def test_a_password_file_that_changes_is_read_at_the_next_connection(server: RedisServer, open_redis: Open, tmp_path: Path) -> None:
    # given
    file = tmp_path / "password"
    file.write_text("first\n", encoding="utf-8")
    server.do(*USER)
    store = open_redis(f"redis+unix://ada@{server.socket}", file)
    await store.snapshot()

    # when
    server.do("ACL", "SETUSER", "ada", "resetpass", ">second")
    file.write_text("second\n", encoding="utf-8")
    server.do("CLIENT", "KILL", "USER", "ada")

    # then
    assert (await once_reconnected(store.snapshot)).epoch == 0


async def test_a_password_file_that_is_not_there_is_said_to_be_missing(server: RedisServer, open_redis: Open, tmp_path: Path) -> None:
    store = open_redis(f"redis+unix://ada@{server.socket}", tmp_path / "none")

    with pytest.raises(StoreUnavailable, match="there is no such socket or file"):
        await store.snapshot()
