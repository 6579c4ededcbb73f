from pathlib import Path

import pytest

from serving.settings import InvalidSettings, load_settings
from serving.stores.address import BadAddress, RedisAddress, parse_store

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://cache", RedisAddress(hosts=(("cache", 6379),))),
        ("redis://127.0.0.1:7000/3", RedisAddress(hosts=(("127.0.0.1", 7000),), database=3)),
        ("redis://[::1]:7000", RedisAddress(hosts=(("::1", 7000),))),
        ("redis://[::1]", RedisAddress(hosts=(("::1", 6379),))),
        ("redis://:p%40ss@cache", RedisAddress(hosts=(("cache", 6379),), password="p@ss")),
        ("rediss://ada:hunter2@cache/1", RedisAddress(hosts=(("cache", 6379),), database=1, tls=True, username="ada", password=SECRET)),
        ("redis+unix:///run/redis.sock", RedisAddress(socket=Path("/run/redis.sock"))),
        ("redis+unix://ada:x@/run/redis.sock?db=2", RedisAddress(socket=Path("/run/redis.sock"), database=2, username="ada", password="x")),
        ("redis+sentinel://one,two:7001/main", RedisAddress(hosts=(("one", 26379), ("two", 7001)), service="main")),
        ("rediss+sentinel://one/main/4", RedisAddress(hosts=(("one", 26379),), service="main", database=4, tls=True)),
    ],
)
def test_a_store_is_named_by_one_url(text: str, address: RedisAddress) -> None:
    assert parse_store(text) == address


def test_the_embedded_store_has_no_address() -> None:
    assert parse_store("sqlite") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SQLITE",
        "http://cache",
        "redis://",
        "redis://one,two",
        "redis://cache:70000",
        "redis://cache:port",
        "redis://cache/main",
        "redis://cache?ssl=true",
        "redis://cache/0#x",
        "redis+unix://",
        "redis+unix://relative.sock",
        "redis+unix:///run/s?timeout=3",
        "redis+sentinel://one,two",
        "redis+sentinel://one,/main",
        "redis://[::1",
    ],
)
def test_an_address_that_names_no_store_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(BadAddress, match=r"redis\+sentinel://HOST"):
        parse_store(text)


@pytest.mark.parametrize("text", ["redis://ada:hunter2@cache:port", "redis://ada:hunter2/@cache", "ftp://ada:hunter2@cache"])
def test_no_refusal_repeats_a_password(text: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings(store=text)

    assert SECRET not in f"{refused.value!s} {refused.value.__cause__!s}"


def test_nothing_that_shows_an_address_or_the_settings_shows_the_password() -> None:
    settings = load_settings(store=f"rediss://ada:{SECRET}@cache:7000/1")

    shown = f"{settings!r} {settings} {settings.redis_address!r} {settings.redis_address} {settings.model_dump_json()}"

    assert SECRET not in shown
    assert str(settings.redis_address) == "rediss://ada@cache:7000/1"


@pytest.mark.parametrize("text", ["redis://cache:6379/0", "rediss+sentinel://one:26379,[::1]:7/main/4", "redis+unix:///run/s?db=2"])
def test_an_address_is_shown_as_the_url_that_names_it(text: str) -> None:
    assert str(parse_store(text)) == text
