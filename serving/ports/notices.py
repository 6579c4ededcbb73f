"""Telling people: what is to be told is put away at once, and posted by and by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.core.notices import Letter, Notice
from serving.core.policy import Tell


class Notifier(Protocol):
    """Whoever is told what happened, after it happened."""

    async def tell(self, notice: Notice, tell: Tell) -> None:
        """Have it told to whom the policy says. Never raises and never waits for whoever is told: the deed is done."""
        ...


class Outbox(Protocol):
    """The letters of this node that are on their way; they outlive its processes. Every method raises `OutboxBroken`."""

    async def put(self, letter: Letter) -> None:
        """Keep a letter; one of the same name takes its place."""
        ...

    async def waiting(self) -> Sequence[Letter]:
        """All that are on their way, the one due first in front."""
        ...

    async def done(self, letter: Letter) -> None:
        """Keep it no longer."""
        ...

    async def give_up(self, letter: Letter) -> None:
        """Put it with those that never arrived, of which the newest are kept."""
        ...

    async def given_up(self) -> Sequence[Letter]:
        """Those that never arrived, the newest in front."""
        ...


@dataclass(frozen=True, slots=True)
class Posted:
    """How a webhook answered; without a status it did not, for the reason in `trouble`."""

    status: int | None = None
    trouble: str = ""


class Poster(Protocol):
    """Posts letters to the configured webhooks, and nowhere else."""

    @property
    def webhooks(self) -> Sequence[str]:
        """Their names."""
        ...

    async def post(self, letter: Letter) -> Posted:
        """Try once; what goes wrong is an answer too."""
        ...


class NoticeRecorder(Protocol):
    """Where it is shown to the dashboards what became of notices."""

    def posted(self, webhook: str, outcome: str) -> None:
        """Count a try: `arrived`, `failed` or `given_up`."""
        ...
