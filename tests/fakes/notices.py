"""An outbox in memory, webhooks that answer what a test says, and a dashboard that remembers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.core.errors import OutboxBroken
from serving.core.notices import Letter, Notice
from serving.core.policy import Tell
from serving.ports import Posted

FULL = ("memory", "no space left")


class MemoryOutbox:
    """Keeps letters for as long as the test runs. `broken`: it has no room."""

    def __init__(self) -> None:
        self._waiting: dict[str, Letter] = {}
        self._given_up: dict[str, Letter] = {}
        self.broken = False

    async def put(self, letter: Letter) -> None:
        self._refuse_broken()
        self._waiting[letter.name] = letter

    async def waiting(self) -> Sequence[Letter]:
        self._refuse_broken()
        return sorted(self._waiting.values(), key=lambda letter: (letter.due, letter.name))

    async def done(self, letter: Letter) -> None:
        self._refuse_broken()
        self._waiting.pop(letter.name, None)

    async def give_up(self, letter: Letter) -> None:
        self._refuse_broken()
        self._waiting.pop(letter.name, None)
        self._given_up[letter.name] = letter

    async def given_up(self) -> Sequence[Letter]:
        self._refuse_broken()
        return sorted(self._given_up.values(), key=lambda letter: letter.notice.at, reverse=True)

    def _refuse_broken(self) -> None:
        if self.broken:
            raise OutboxBroken(*FULL)


@dataclass
class ScriptedPoster:
    """Answers each webhook's letters by its script, the last answer for ever; None hangs."""

    scripts: dict[str, list[int | None]]
    posted: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def webhooks(self) -> Sequence[str]:
        return tuple(self.scripts)

    async def post(self, letter: Letter) -> Posted:
        self.posted.append((letter.webhook, letter.notice.id))
        script = self.scripts[letter.webhook]
        status = script.pop(0) if len(script) > 1 else script[0]
        if status is None:
            await asyncio.Event().wait()
        return Posted(status)


@dataclass
class MemoryNoticeRecorder:
    """What the dashboards were shown."""

    tries: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def posted(self, webhook: str, outcome: str) -> None:
        self.tries.append((webhook, outcome))


@dataclass
class MemoryNotifier:
    """A `Notifier` that remembers what was told."""

    told: list[Notice] = field(default_factory=list[Notice])

    async def tell(self, notice: Notice, tell: Tell) -> None:
        del tell
        self.told.append(notice)
