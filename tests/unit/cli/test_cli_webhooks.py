import asyncio
from datetime import timedelta

import pytest

from serving.core.notices import Letter, Notice, Occasion
from serving.telemetry.clock import SystemClock
from tests.fakes.admin import AdminWorld
from tests.fakes.admin_server import SelfLoadingStore, served
from tests.fakes.clock import START
from tests.fakes.terminal import Terminal, says_why


@pytest.fixture
def world() -> AdminWorld:
    world = AdminWorld(SystemClock(), public_url="http://127.0.0.1:9", store=SelfLoadingStore)
    world.webhooks = ("pager",)
    return world


def test_it_says_who_is_told_and_what_has_not_arrived(world: AdminWorld, terminal: Terminal) -> None:
    waiting = Notice("n-1", START, Occasion.ROLLBACK, "digits", "1.1.0", "it was rolled back")
    asyncio.run(world.outbox.put(Letter(waiting, "pager", START + timedelta(seconds=5), 2)))

    result = terminal.run("webhooks")

    assert result.exit_code == 0, result.stderr
    assert "pager" in result.stdout
    assert "it was rolled back" in " ".join(result.stdout.split())


def test_a_test_that_nobody_takes_fails_and_says_where(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cli.telling.TEST_SECONDS", 0.05)

    result = terminal.run("webhooks", "--test")

    assert result.exit_code == 1
    assert "not arrived at pager" in result.stderr
    assert says_why(result.stderr)


def test_with_no_webhook_it_says_how_to_name_one(world: AdminWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "webhooks", ())
    with served(world.app()) as url:
        result = Terminal(url).run("webhooks")

    assert result.exit_code == 0
    assert "nobody is told" in result.stderr
