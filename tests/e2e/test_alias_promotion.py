"""Somebody points an alias at another version in MLflow: its rollout begins here by the policy, and the outcome is written back there."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_client.backends.opening import open_registry
from registry_client.bundle import load_bundle
from registry_client.cache import Cache
from registry_client.ledger import Ledger
from tests.e2e.families import Bundles
from tests.e2e.installation import Installation
from tests.e2e.load import Record
from tests.e2e.waiting import wait_for
from tests.fixtures.mlflow_server import MlflowServer
from tests.fixtures.registry_homes import MlflowHome

POLL_S = 1.0


@pytest.fixture
def home(mlflow_server: MlflowServer, bundles: Bundles, tmp_path: Path) -> MlflowHome:
    """An MLflow with two versions of digits."""
    home = MlflowHome(mlflow_server)
    registry = open_registry(home.plan, Cache(tmp_path / "author"), Ledger.of(tmp_path))
    for version in ("1.0.0", "1.1.0"):
        registry.publish(load_bundle(bundles.directory / "digits" / version))
    return home


@pytest.fixture
def site(home: MlflowHome, tmp_path: Path) -> Iterator[Installation]:
    """An installation that follows the alias `production` there."""
    access = {"registry_access__follow_alias": "production", "registry_access__follow_every": str(POLL_S)}
    installation = Installation.at(tmp_path / "site", registry=str(home.plan.address), **access)
    try:
        installation.start()
        yield installation
        assert installation.stop() == 0, installation.log
    finally:
        installation.clean_up()


def outcome(server: MlflowServer, version: str) -> Any:
    """What is written beside a version."""
    tags = {pair["key"]: pair["value"] for number in server.numbers("digits") for pair in number["tags"] if named(number, version)}
    return tags.get("pointsman.promotion")


def rollout(site: Installation) -> str:
    """The family's rollout as the admin API tells it; nothing where there is none."""
    answer = httpx.get(f"{site.admin_url}/v1/families/digits/rollout", timeout=30, trust_env=False)
    return answer.text if answer.is_success else ""


def named(number: dict[str, Any], version: str) -> bool:
    return {"key": "semver", "value": version} in number["tags"]


def test_a_moved_alias_becomes_a_rollout_and_the_outcome_is_written_back(
    site: Installation, home: MlflowHome, record_property: Record
) -> None:
    # given
    server = home.server
    site.do("promote", "digits", "1.0.0")
    site.do("tag", "digits", "1.1.0", "candidate")
    site.wait_ready("digits", "1.1.0")

    # when
    server.move_alias("digits", "production", "2")
    moved = time.monotonic()
    wait_for(lambda: '"1.1.0"' in rollout(site), "its rollout is begun", seconds=30)
    record_property("alias_to_rollout_s", round(time.monotonic() - moved, 2))

    # then
    wait_for(lambda: outcome(server, "1.1.0") in {"started", "underway"}, "it is told so in MLflow", seconds=10)
    assert site.get("families/digits")["production"]["version"] == "1.0.0", "an alias decides nothing"
    ended = httpx.post(
        f"{site.admin_url}/v1/families/digits/rollout/rollback",
        json={"reason": "not today"},
        headers={"If-Match": "*", "X-Actor": "e2e"},
        timeout=30,
        trust_env=False,
    )
    assert ended.is_success, ended.text
    wait_for(lambda: outcome(server, "1.1.0") == "ended", "the outcome is told in MLflow", seconds=10)
