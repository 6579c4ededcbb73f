from collections.abc import Iterator

import pytest

from serving.telemetry.clock import SystemClock
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import PublicListener, SelfLoadingStore, served
from tests.fakes.terminal import Terminal


@pytest.fixture
def public() -> Iterator[tuple[PublicListener, str]]:
    listener = PublicListener()
    with served(listener) as url:
        yield listener, url


@pytest.fixture
def world() -> AdminWorld:
    # Port 9 is nobody's: on the usual one somebody may serve.
    return AdminWorld(SystemClock(), public_url="http://127.0.0.1:9", store=SelfLoadingStore)


@pytest.fixture
def terminal(world: AdminWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr("serving.cli.loading.POLL_SECONDS", 0.01)
    with served(world.app()) as url:
        yield Terminal(url)
