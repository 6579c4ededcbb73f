"""The state store gone, locked, and gone back, under load: callers notice nothing, and an operator can still roll back."""

import http.client
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.calls import Answer, Caller
from tests.e2e.families import Bundles, Deployment
from tests.e2e.installation import Installation
from tests.e2e.load import Load, Record
from tests.e2e.metrics import scrape
from tests.e2e.processes import is_running
from tests.e2e.waiting import wait_for

FAMILY = "kept"
PATH = f"/v1/families/{FAMILY}/predict"
RATE = 150


class Store:
    """The files of an installation's state store, to be taken away, locked and put back."""

    def __init__(self, installation: Installation) -> None:
        self.file = installation.layout.state
        self.away = self.file.with_name("away")

    def take_away(self) -> None:
        self.file.rename(self.away)

    def put_back(self) -> None:
        self.away.rename(self.file)

    def back_up(self, into: Path) -> None:
        with closing(sqlite3.connect(self.file)) as source, closing(sqlite3.connect(into)) as backup:
            source.backup(backup)

    def restore(self, backup: Path) -> None:
        """Do as an operator does: the backup in place, and what belongs to the file before out of the way."""
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.file.with_name(f"{self.file.name}{suffix}").rename(self.file.with_name(f"lost{suffix}"))
        shutil.copy(backup, self.file)


@pytest.fixture(scope="module")
def own(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """1.0.0, 1.1.0 and then 1.0.0 as `kept`: two versions of a family of our own, the newer one in production."""
    folder = tmp_path_factory.mktemp("away")
    installation = Installation.at(folder)
    installation.settings["POINTSMAN_GUARDS__LEASE"] = "4"
    try:
        installation.start()
        Deployment(installation, bundles, folder / "copies").deploy(FAMILY, "digits/1.0.0", "digits/1.1.0")
        yield installation
    finally:
        installation.clean_up()


@pytest.fixture
def store(own: Installation) -> Iterator[Store]:
    """The store; it is there again after the test, and 1.1.0 is in production before it."""
    if production(own) != "1.1.0":
        own.do("promote", FAMILY, "1.1.0", "--override", "--reason", "for the next test")
    store = Store(own)
    yield store
    if store.away.exists():
        store.put_back()
    wait_for(lambda: reachable(own) == [1, 1], "both gateways reach the store", seconds=20)


@pytest.fixture
def requests(bundles: Bundles) -> list[object]:
    return [example["request"] for example in bundles.golden("digits/1.1.0")]


def production(installation: Installation) -> str:
    version: str = installation.get(f"families/{FAMILY}")["production"]["version"]
    return version


def reachable(installation: Installation) -> list[float]:
    return scrape(installation).of("pointsman_store_reachable")


def went_back(installation: Installation) -> list[float]:
    return scrape(installation).of("pointsman_store_went_back")


def seconds_until(look: Callable[[], bool], what: str, *, seconds: float) -> float:
    began = time.monotonic()
    wait_for(look, what, seconds=seconds)
    return round(time.monotonic() - began, 3)


def epochs_acked(installation: Installation) -> set[int]:
    return {gateway["epoch"] for gateway in installation.do("store", "status")["gateways"]}


def told(installation: Installation, event: str) -> int:
    return installation.log.count(event)


def override_of(installation: Installation, requests: list[object]) -> str | None:
    with Caller(installation.port) as caller:
        return caller.predict(FAMILY, requests[0]).headers.get("x-route-override")


def assert_nothing_is_changed_and_all_is_shown(own: Installation) -> None:
    """What an installation without its store answers to who wants a change, and to who looks."""
    refused = httpx.post(f"{own.admin_url}/v1/families/{FAMILY}/rollback", json={}, trust_env=False)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert own.run("promote", FAMILY, "1.0.0").exit_code == 1
    shown = own.get(f"families/{FAMILY}")
    assert (shown["production"]["version"], shown["production"]["state"]) == ("1.1.0", "ready")
    assert "not there" in shown["stale"]
    status = own.do("store", "status")
    assert (status["reachable"], status["store"], status["snapshot"]["epoch"]) == (False, None, shown["epoch"])


def break_the_glass(own: Installation) -> tuple[float, dict[str, Any], float]:
    """Override to the version before: when it began, what was said of it, and when it was done."""
    began = time.monotonic()
    override = own.do("override", FAMILY, "--reason", "wrong answers, store gone")
    done = time.monotonic()
    assert (override["target"], override["condemned"], len(override["gateways"])) == ("1.0.0", ["1.1.0"], 2)
    return began, override, done


def assert_reconciled_and_audited(own: Installation, override: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    assert listed == [{"operation_id": override["operation_id"], "state": "reconciled", "epoch": own.get("store")["store"]["epoch"]}]
    entry = own.get(f"families/{FAMILY}/history")["entries"][0]
    assert (entry["operation_id"], entry["signal"], entry["actor"]) == (override["operation_id"], "override", "e2e")
    assert (entry["reason"], entry["after"]["production"]) == ("wrong answers, store gone", "1.0.0")


def test_with_the_store_gone_nobody_notices_and_an_override_rolls_back(
    own: Installation, store: Store, requests: list[object], record_property: Record
) -> None:
    before = told(own, "store_unreachable"), told(own, "store_reachable_again")
    with Load(own.port, PATH, requests, rate=RATE) as load:
        # when the store is taken away
        load.wait_answered(50)
        store.take_away()
        wait_for(lambda: reachable(own) == [0, 0], "both gateways find it gone", seconds=5)

        # then changes are refused, and families are shown as they were last seen
        assert_nothing_is_changed_and_all_is_shown(own)

        # when the glass is broken
        load.wait_answered(50)
        began, override, done = break_the_glass(own)
        assert override_of(own, requests) == override["operation_id"]
        load.wait_answered(50)

        # when the store is back
        store.put_back()
        back = seconds_until(lambda: reachable(own) == [1, 1], "both gateways have it back", seconds=10)
        listed = wait_for(lambda: own.do("override", "--list")["ended"], "the override is reconciled", seconds=10)
        load.wait_answered(100)
        report = load.finish()

    # then the store says what the override did, it is audited, and no caller ever got anything but a good answer
    report.refuse_failures()
    record_property("override_command_s", round(done - began, 3))
    record_property("override_placed_to_confirmed_s", override["seconds"])
    record_property("last_old_answer_after_command_began_s", round(report.last_sent["1.1.0"] - began, 3))
    record_property("store_back_s", back)
    assert report.last_sent["1.1.0"] <= done, "exit code 0 means that nobody answers by the old routes any more"
    assert back <= 2.0
    assert_reconciled_and_audited(own, override, listed)
    assert (production(own), override_of(own, requests)) == ("1.0.0", None)
    assert (told(own, "store_unreachable"), told(own, "store_reachable_again")) == (before[0] + 2, before[1] + 2)


def test_with_the_store_locked_nobody_notices_and_canaries_lapse(own: Installation, store: Store, requests: list[object]) -> None:
    own.do("canary", FAMILY, "1.0.0", "--weight", "50", "--override", "--reason", "to be seen to lapse")
    with Load(own.port, PATH, requests, rate=RATE) as load, closing(sqlite3.connect(store.file, isolation_level=None)) as other:
        load.wait_answered(50)
        other.execute("BEGIN IMMEDIATE")
        refused = own.run("rollback", FAMILY)
        wait_for(lambda: weight_of(own, "1.0.0") == 0, "the canary has lapsed", seconds=30)
        load.wait_answered(100)
        other.execute("ROLLBACK")
        wait_for(lambda: weight_of(own, "1.0.0") == 0.5, "the canary is renewed", seconds=10)
        report = load.finish()

    report.refuse_failures()
    assert refused.exit_code == 1
    assert "locked" in refused.stderr
    own.do("rollback", FAMILY, "--reason", "seen")


def weight_of(installation: Installation, version: str) -> float:
    return scrape(installation).of("pointsman_route_weight_ratio", family=FAMILY, version=version, arm="canary")[0]


def test_a_store_that_went_back_is_refused_until_it_is_reseeded(
    own: Installation, store: Store, requests: list[object], tmp_path: Path
) -> None:
    # given a backup from before a rollback
    backup = tmp_path / "backup.db"
    store.back_up(backup)
    own.do("rollback", FAMILY, "--to", "1.0.0", "--reason", "the newer one is bad")

    with Load(own.port, PATH, requests, rate=RATE) as load:
        # when it is restored
        load.wait_answered(50)
        store.restore(backup)
        wait_for(lambda: went_back(own) == [1, 1], "both gateways say that it went back", seconds=10)

        # then the newer routes hold, and nobody changes anything
        refused = own.run("promote", FAMILY, "1.1.0", "--override", "--reason", "no")
        status = own.do("store", "status")
        assert refused.exit_code == 6, refused.stderr
        assert "pointsman store reseed" in refused.stderr
        assert status["went_back"]
        assert status["snapshot"]["epoch"] > status["store"]["epoch"]
        # What the gateways acked is in the store, too: the backup has it as it was, until they say it anew.
        newest = status["snapshot"]["epoch"]
        wait_for(lambda: epochs_acked(own) == {newest}, "both gateways say that they serve the newer routes", seconds=10)

        # when an operator says what holds
        own.do("store", "reseed", "--from", "snapshot", "--reason", "restored by mistake")
        wait_for(lambda: went_back(own) == [0, 0], "both gateways take it up", seconds=10)
        load.wait_answered(50)
        report = load.finish()

    report.refuse_failures()
    assert set(report.versions) == {"1.0.0"}
    assert production(own) == "1.0.0"
    entry = own.get("history")["entries"][0]
    assert (entry["action"], entry["reason"], entry["actor"]) == ("reseed", "restored by mistake", "e2e")
    own.do("promote", FAMILY, "1.1.0", "--override", "--reason", "changes are possible again")


def test_it_starts_and_serves_from_the_snapshot_with_the_store_gone(
    own: Installation, store: Store, requests: list[object], record_property: Record
) -> None:
    # given
    assert own.stop() == 0, own.log
    store.take_away()

    # when it is started without the store
    began = time.monotonic()
    own.launch()
    started = first_answer(own, requests, seconds=60)
    record_property("first_answer_after_serve_s", round(time.monotonic() - began, 1))

    # then it serves what it served, and makes no empty store in place of the one that is gone
    assert started.version == "1.1.0"
    assert not store.file.exists()
    assert own.get(f"families/{FAMILY}")["stale"]

    # when all gateways are killed, then others serve by what the node has kept
    began = time.monotonic()
    kill_gateways(own)
    restarted = first_answer(own, requests, seconds=30)
    record_property("first_answer_after_gateways_killed_s", round(time.monotonic() - began, 1))
    assert restarted.version == "1.1.0"

    # when what was kept is damaged too, then nobody says that the family is unknown: there are no routes yet
    own.layout.snapshot.write_bytes(own.layout.snapshot.read_bytes()[:-1])
    kill_gateways(own)
    unready = wait_for(lambda: answer(own, requests, {503}), "a gateway without routes answers", seconds=30)
    assert b"no routes yet" in unready.body
    assert httpx.get(f"{own.public_url}/v2/health/ready", trust_env=False).status_code == 503
    assert httpx.get(f"{own.public_url}/v2/models/{FAMILY}", trust_env=False).status_code == 503
    assert own.layout.snapshot.with_name("routes.snapshot.refused").exists()
    assert not store.file.exists()

    # when the store is back
    store.put_back()
    assert first_answer(own, requests, seconds=10).version == "1.1.0"
    wait_for(own.layout.snapshot.exists, "it is kept again", seconds=10)


def kill_gateways(installation: Installation) -> None:
    """kill -9 of every gateway of the node, and wait until they are gone."""
    names = [path.name for path in (installation.data / "override" / "applied").iterdir()]
    pids = [pid for name in names if is_running(pid := int(name.rpartition("-")[2]))]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(is_running(pid) for pid in pids), "the gateways are gone", seconds=10)


def answer(installation: Installation, requests: list[object], statuses: set[int]) -> Answer | None:
    """A prediction with one of these statuses; it must never be a 404."""
    with suppress(OSError, http.client.HTTPException), Caller(installation.port) as caller:
        got = caller.predict(FAMILY, requests[0])
        assert got.status != 404, got.body
        return got if got.status in statuses else None
    return None


def first_answer(installation: Installation, requests: list[object], *, seconds: float) -> Answer:
    return wait_for(lambda: answer(installation, requests, {200}), "it answers", seconds=seconds)
