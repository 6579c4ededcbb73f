"""Where the controller leaves what it sees of rollouts: line by line for later, and the newest for whoever asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from serving.core.assessing import Assessment
from serving.core.totals import RefusedReport, Totals


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a rollout had come to by a line of its log, so that nobody need decide the lines before again."""

    lines: int
    """How many lines it holds for, from the first on."""
    last: str
    """SHA-256 of the last of them: of another log it is no checkpoint."""
    state: bytes

    def __post_init__(self) -> None:
        """Refuse a checkpoint of nothing."""
        if self.lines < 1:
            msg = f"a checkpoint of {self.lines} lines"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest checkpoint, and the lines from the last one on that it holds for. Without a checkpoint: all lines."""

    checkpoint: Checkpoint | None
    lines: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Progress:
    """What the controller last saw of a family's rollout and of its traffic."""

    rollout: str
    """Its id; empty where none is followed."""
    at: datetime
    """Of the last look."""
    assessment: Assessment = Assessment()  # noqa: RUF009 - frozen
    totals: Totals = field(default_factory=Totals)
    """All that was counted for it, warm-up left out."""
    looks: int = 0
    trouble: str = ""
    """What keeps it from going on though nothing else does: a candidate that is not ready, a log that cannot be followed."""
    troubled: datetime | None = None
    """Since when it does."""
    per_second: float = 0.0
    """Answers a second of the whole family, over about the last minute."""
    failing: float = 0.0
    """The part of them that failed by a version's fault."""
    refused: tuple[RefusedReport, ...] = ()
    """Gateways' reports that the last look did not count."""
    stage: str = ""
    """The stage that the assessment is of; empty before the first look."""


class DecisionLog(Protocol):
    """The logs of all rollouts, each by its rollout's id. Every method raises `StoreUnavailable`."""

    async def append(self, rollout: str, token: int, line: bytes) -> None:
        """Write a line behind the others, for good. Raises `NotLeader` when a newer fencing token has written to this log."""
        ...

    async def read(self, rollout: str) -> Sequence[bytes]:
        """Its lines, oldest first; none for a rollout that nobody wrote of. Half a line, cut off by a crash, is none."""
        ...

    async def keep(self, rollout: str, token: int, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint of all that the log holds now, in place of the one before. Raises `NotLeader` as `append` does.

        It may be lost; it is never half there.
        """
        ...

    async def tail(self, rollout: str) -> Tail:
        """What a new leader begins with. Whether the checkpoint is of this log is for whoever reads it to see."""
        ...

    async def rollouts(self) -> Sequence[str]:
        """The ids of the rollouts that there are logs of, by name."""
        ...

    async def ends(self, rollout: str) -> Sequence[bytes]:
        """Its first line and its last, the same where there is one; none as `read`. However long it is, no more of it is read."""
        ...

    async def unfinished(self) -> Sequence[str]:
        """The ids of the rollouts that a checkpoint is kept of, by name."""
        ...

    async def finish(self, rollout: str, token: int, seen: Progress) -> None:
        """Keep what was seen of it last, and then its checkpoint no longer. Raises `NotLeader` as `append` does."""
        ...

    async def finished(self, rollout: str) -> Progress | None:
        """What was seen of it last, as `finish` was told; None before, and of what cannot be read any more."""
        ...


class RolloutBoard(Protocol):
    """Where the controller posts how rollouts go, for the admin API to read. Both methods raise `StoreUnavailable`."""

    async def post_progress(self, progress: Mapping[str, Progress]) -> None:
        """Put up what was seen last, by family, in place of all that was there."""
        ...

    async def progress(self) -> Mapping[str, Progress]:
        """What was put up last."""
        ...
