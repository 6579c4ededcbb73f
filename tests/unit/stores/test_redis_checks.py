from dataclasses import replace

import pytest

from serving.stores.redis.checks import Facts, findings
from tests.fixtures.redis_server import DURABLE

SOUND = Facts(
    version=(7, 0),
    is_replica=False,
    configuration={name: DURABLE[name] for name in ("appendonly", "appendfsync", "maxmemory-policy")},
    refused=(),
    may_everything=False,
    has_password=True,
    is_password_public=False,
    is_local=False,
    is_encrypted=True,
)
"""A server on another machine that is set up as it should be."""


def configured(**settings: str) -> Facts:
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    return replace(SOUND, configuration={**SOUND.configuration, **named})


def test_of_a_server_that_is_set_up_as_documented_there_is_nothing_to_tell() -> None:
    assert list(findings(SOUND)) == []
    assert list(findings(configured(appendfsync="everysec"))) == []


@pytest.mark.parametrize(
    ("facts", "setting", "sentence"),
    [
        (replace(SOUND, version=(6, 2)), "store", "the server has version 6.2"),
        (replace(SOUND, is_replica=True), "store", "the server is a replica"),
        (configured(appendonly="no"), "appendonly", "every change since its last snapshot file is lost"),
        (configured(appendfsync="no"), "appendfsync", "half a minute"),
        (configured(maxmemory_policy="allkeys-lru"), "maxmemory-policy", "throws routes and audit away"),
        (replace(SOUND, configuration={}), "appendonly", "does not tell how it is configured"),
        (replace(SOUND, refused=("XADD", "HSET", "XADD")), "redis.username", "may not run HSET, XADD"),
        (replace(SOUND, has_password=False), "redis.password_file", "no password is asked for"),
        (replace(SOUND, is_password_public=True), "redis.password_file", "everybody on this machine can read"),
        (replace(SOUND, may_everything=True), "redis.username", "may do everything"),
        (replace(SOUND, is_encrypted=False), "store", "in the clear"),
    ],
)
def test_what_is_not_as_it_should_be_is_told_by_its_setting_with_what_to_do(facts: Facts, setting: str, sentence: str) -> None:
    (finding,) = findings(facts)

    assert finding.setting == setting
    assert sentence in finding.sentence
    assert finding.hint


def test_on_this_machine_a_server_needs_neither_password_nor_tls() -> None:
    at_home = replace(SOUND, is_local=True, has_password=False, is_encrypted=False, may_everything=True)

    assert list(findings(at_home)) == []
