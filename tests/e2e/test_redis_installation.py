"""An installation whose state is in Redis: the main job end to end, an outage of the store, its loss, and a start on what is there."""

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.calls import Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation
from tests.e2e.waiting import wait_for
from tests.fixtures.redis_server import DURABLE, RedisServer

FAMILY = "shared"
SECRET = "correct-horse"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis that warrants one warning: its changes do not outlive the machine's power."""
    own = RedisServer({**DURABLE, "appendfsync": "no", "user gateway": f"on >{SECRET} ~* +@all"})
    try:
        yield own.start()
    finally:
        own.remove()


@pytest.fixture(scope="module")
def own(server: RedisServer, bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """1.0.0 in production, 1.1.0 published; the state in Redis."""
    folder = tmp_path_factory.mktemp("redis")
    installation = Installation.at(folder)
    installation.options = ("--store", f"redis+unix://gateway:{SECRET}@{server.socket}")
    try:
        installation.start()
        Deployment(installation, bundles, folder / "copies").deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
        yield installation
    finally:
        installation.clean_up()
        shutil.rmtree(folder, ignore_errors=True)


class Callers:
    """People who ask the installation twenty times in a row, whatever becomes of its store."""

    def __init__(self, installation: Installation, example: object) -> None:
        self._installation = installation
        self._example = example

    def are_answered_by(self, *versions: str) -> bool:
        """By all of these versions and no other, and well each time."""
        with Caller(self._installation.port) as caller:
            answers = [caller.predict(FAMILY, self._example) for _ in range(20)]
        return {answer.version for answer in answers} == set(versions) and all(answer.status == 200 for answer in answers)


@pytest.fixture
def callers(own: Installation, bundles: Bundles) -> Callers:
    return Callers(own, bundles.golden("digits/1.1.0")[0]["request"])


def do_the_main_job(own: Installation, callers: Callers) -> None:
    """A canary, its promotion, and the way back, each served by every gateway when the command returns."""
    own.do("canary", FAMILY, "1.1.0", "--weight", "50")
    assert callers.are_answered_by("1.0.0", "1.1.0")
    own.do("promote", FAMILY, "1.1.0", "--reason", "better")
    assert callers.are_answered_by("1.1.0")
    rolled_back = own.do("rollback", FAMILY, "--reason", "INC-1")
    assert rolled_back["settled"]["done"] is True
    assert callers.are_answered_by("1.0.0")


def test_the_state_is_in_redis_from_promotion_to_rollback_through_an_outage_a_loss_and_a_restart(
    own: Installation, server: RedisServer, callers: Callers
) -> None:
    do_the_main_job(own, callers)
    assert not (own.data / "state" / "state.db").exists()
    assert server.do("XLEN", "{pointsman}:audit") == len(own.get(f"families/{FAMILY}/history")["entries"])

    # the store is away: callers do not notice, changes are refused and say why
    server.kill()
    assert callers.are_answered_by("1.0.0")
    refused = own.run("promote", FAMILY, "1.1.0", "--override", "--reason", "now")
    assert refused.exit_code != 0
    assert "did not answer" in refused.stderr
    server.start()
    wait_for(lambda: own.run("promote", FAMILY, "1.1.0", "--override", "--reason", "now").exit_code == 0, "changes are taken again")
    assert callers.are_answered_by("1.1.0")

    # the store is emptied: what was decided last is served on, and declared to hold
    server.do("FLUSHALL")
    refused = own.run("rollback", FAMILY, "--reason", "INC-2")
    assert refused.exit_code != 0
    assert callers.are_answered_by("1.1.0")
    own.do("store", "reseed", "--from", "snapshot", "--reason", "emptied by mistake")
    own.do("rollback", FAMILY, "--reason", "INC-2")
    assert callers.are_answered_by("1.0.0")

    # stopped and started again, everything is as it was
    before = own.get(f"families/{FAMILY}/history")["entries"]
    assert own.stop() == 0, own.log
    own.start()
    own.wait_ready(FAMILY, "1.0.0")
    assert callers.are_answered_by("1.0.0")
    assert own.get(f"families/{FAMILY}/history")["entries"] == before

    # what the operator was told, and what not
    assert "appendfsync is no" in own.log
    assert SECRET not in own.log + refused.stderr + refused.stdout + own.run("store", "status", "--json").stdout
