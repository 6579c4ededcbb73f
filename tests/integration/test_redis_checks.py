"""The checks at the start, on servers that are really set up so."""

import re
from pathlib import Path

import pytest

from serving.stores.redis.checks import acl, inspect
from serving.stores.redis.plan import RedisPlan
from tests.fixtures.redis_home import address
from tests.fixtures.redis_server import DURABLE, RedisServer, free_port

DOCUMENT = Path(__file__).parents[2] / "docs" / "state.md"


async def settings_found(plan: RedisPlan) -> list[str]:
    return [finding.setting for finding in await inspect(plan)]


async def test_of_a_server_set_up_as_documented_there_is_nothing_to_tell(server: RedisServer) -> None:
    assert list(await inspect(RedisPlan(address=address(server.url)))) == []


@pytest.mark.parametrize(("setting", "value"), [("appendonly", "no"), ("appendfsync", "no"), ("maxmemory-policy", "volatile-lru")], ids=str)
async def test_a_setting_that_loses_changes_is_told(server: RedisServer, setting: str, value: str) -> None:
    server.do("CONFIG", "SET", setting, value)

    assert await settings_found(RedisPlan(address=address(server.url))) == [setting]


async def test_a_replica_is_told_to_be_one(server: RedisServer) -> None:
    server.do("REPLICAOF", "127.0.0.1", free_port())

    assert await settings_found(RedisPlan(address=address(server.url))) == ["store"]


async def test_a_user_with_the_documented_rights_has_all_it_needs_and_no_more(server: RedisServer) -> None:
    server.do("ACL", "SETUSER", "ada", "on", ">secret", *acl("pointsman").split())

    plan = RedisPlan(address=address(f"redis+unix://ada:secret@{server.socket}"))

    assert list(await inspect(plan)) == []


@pytest.mark.parametrize("lacking", ["-xadd", "-hset", "-time", "resetkeys"])
async def test_a_user_who_lacks_something_is_told_before_a_change_fails(server: RedisServer, lacking: str) -> None:
    server.do("ACL", "SETUSER", "ada", "on", ">secret", *acl("pointsman").split())
    server.do("ACL", "SETUSER", "ada", lacking)

    found = await settings_found(RedisPlan(address=address(f"redis+unix://ada:secret@{server.socket}")))

    assert found == ["redis.username"]


async def test_a_password_that_everybody_can_read_is_told(server: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret", encoding="utf-8")
    file.chmod(0o644)
    server.do("ACL", "SETUSER", "ada", "on", ">secret", *acl("pointsman").split())

    plan = RedisPlan(address=address(f"redis+unix://ada@{server.socket}"), password_file=file)

    assert await settings_found(plan) == ["redis.password_file"]


async def test_a_user_who_may_not_look_is_told_what_could_not_be_seen(server: RedisServer) -> None:
    server.do("ACL", "SETUSER", "ada", "on", ">secret", *acl("pointsman").split(), "-config|get", "-info")

    found = await settings_found(RedisPlan(address=address(f"redis+unix://ada:secret@{server.socket}")))

    assert found == ["appendonly"]


def test_the_documented_acl_and_configuration_are_the_tested_ones() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert f"ACL SETUSER pointsman on >PASSWORD {acl('pointsman')}\n" in text
    (configuration,) = re.findall(r"```\n(appendonly.*?)```", text, re.DOTALL)
    assert dict(line.split(" ", 1) for line in configuration.splitlines()) == DURABLE
