"""Somebody points an alias at another version in MLflow: its rollout begins here by the policy, and the outcome is written back there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
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

pytestmark = pytest.mark.timeout(420)  # the first one waits for MLflow, which makes its tables for up to three minutes

POLL_S = 1.0
SELDOM_S = 60.0
SECRET = "correct horse battery staple"


@pytest.fixture
def home(mlflow_server: MlflowServer, bundles: Bundles, tmp_path: Path) -> MlflowHome:
    """An MLflow with two versions of digits."""
    home = MlflowHome(mlflow_server)
    registry = open_registry(home.plan, Cache(tmp_path / "author"), Ledger.of(tmp_path))
    for version in ("1.0.0", "1.1.0"):
        registry.publish(load_bundle(bundles.directory / "digits" / version))
    return home


@contextmanager
def following(home: MlflowHome, folder: Path, **access: str) -> Iterator[Installation]:
    """An installation that follows the alias `production` there."""
    settings = {f"registry_access__{name}": text for name, text in {"follow_alias": "production", **access}.items()}
    installation = Installation.at(folder / "site", registry=str(home.plan.address), **settings)
    try:
        installation.start()
        yield installation
        assert installation.stop() == 0, installation.log
    finally:
        installation.clean_up()


@pytest.fixture
def site(home: MlflowHome, tmp_path: Path) -> Iterator[Installation]:
    """One that looks every second."""
    with following(home, tmp_path, follow_every=str(POLL_S)) as installation:
        yield installation


@pytest.fixture
def told(home: MlflowHome, tmp_path: Path) -> Iterator[Installation]:
    """One that looks once a minute, and is told by MLflow."""
    secret = tmp_path / "webhook.secret"
    secret.write_text(f"{SECRET}\n", "ascii")
    secret.chmod(0o600)
    with following(home, tmp_path, follow_every=str(SELDOM_S), webhook_secret_file=str(secret)) as installation:
        events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
        home.server.do("POST", "webhooks", name="pointsman", url=f"{installation.admin_url}/v1/registry/hint", events=events, secret=SECRET)
        yield installation


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


def hints(site: Installation, outcome: str) -> str:
    """How many webhooks came to that, as the metrics say it."""
    scraped = httpx.get(f"{site.admin_url}/metrics", timeout=30, trust_env=False).text
    start = f'pointsman_registry_hints_total{{outcome="{outcome}"}} '
    return next((line.removeprefix(start) for line in scraped.splitlines() if line.startswith(start)), "0.0")


def test_a_webhook_that_mlflow_sends_has_the_alias_looked_at_long_before_the_next_poll(
    told: Installation, home: MlflowHome, record_property: Record
) -> None:
    # given
    told.do("promote", "digits", "1.0.0")
    told.do("tag", "digits", "1.1.0", "candidate")
    told.wait_ready("digits", "1.1.0")

    # when
    home.server.move_alias("digits", "production", "2")
    moved = time.monotonic()
    wait_for(lambda: '"1.1.0"' in rollout(told), "its rollout is begun", seconds=SELDOM_S / 2)
    took = time.monotonic() - moved

    # then
    record_property("webhook_to_rollout_s", round(took, 2))
    assert hints(told, "believed") == "1.0"
    unsigned = httpx.post(f"{told.admin_url}/v1/registry/hint", json={}, timeout=30, trust_env=False)
    assert (unsigned.status_code, hints(told, "unbelieved")) == (401, "1.0")
