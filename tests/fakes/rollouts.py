"""The decision logs and the board of rollouts in memory. Two of one state are two processes' views of the same logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.core.errors import NotLeader, StoreUnavailable
from serving.ports import Checkpoint, Progress, Tail


@dataclass
class RolloutState:
    """What all share, and a fault that a test may inject."""

    logs: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    tokens: dict[str, int] = field(default_factory=dict[str, int])
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict[str, Checkpoint])
    seen: dict[str, Progress] = field(default_factory=dict[str, Progress])
    """What was seen last of those that are over."""
    board: Mapping[str, Progress] = field(default_factory=dict[str, Progress])
    down: str = ""
    """Why every call fails; empty while they work."""


class FakeRollouts:
    """A `DecisionLog` and `RolloutBoard`."""

    def __init__(self, state: RolloutState | None = None) -> None:
        self.state = state or RolloutState()

    async def append(self, rollout: str, token: int, line: bytes) -> None:
        self._refuse_when_down()
        if token < self.state.tokens.get(rollout, 0):
            raise NotLeader(token)
        self.state.tokens[rollout] = token
        self.state.logs.setdefault(rollout, []).append(line)

    async def read(self, rollout: str) -> Sequence[bytes]:
        self._refuse_when_down()
        return tuple(self.state.logs.get(rollout, ()))

    async def keep(self, rollout: str, token: int, checkpoint: Checkpoint) -> None:
        self._refuse_when_down()
        if token < self.state.tokens.get(rollout, 0):
            raise NotLeader(token)
        self.state.checkpoints[rollout] = checkpoint

    async def tail(self, rollout: str) -> Tail:
        self._refuse_when_down()
        checkpoint, lines = self.state.checkpoints.get(rollout), tuple(self.state.logs.get(rollout, ()))
        return Tail(checkpoint, lines if checkpoint is None else lines[checkpoint.lines - 1 :])

    async def rollouts(self) -> Sequence[str]:
        self._refuse_when_down()
        return sorted(self.state.logs)

    async def ends(self, rollout: str) -> Sequence[bytes]:
        self._refuse_when_down()
        lines = self.state.logs.get(rollout, [])
        return (lines[0], lines[-1]) if lines else ()

    async def unfinished(self) -> Sequence[str]:
        self._refuse_when_down()
        return sorted(self.state.checkpoints)

    async def finish(self, rollout: str, token: int, seen: Progress) -> None:
        self._refuse_when_down()
        if token < self.state.tokens.get(rollout, 0):
            raise NotLeader(token)
        self.state.seen[rollout] = seen
        self.state.checkpoints.pop(rollout, None)

    async def finished(self, rollout: str) -> Progress | None:
        self._refuse_when_down()
        return self.state.seen.get(rollout)

    async def post_progress(self, progress: Mapping[str, Progress]) -> None:
        self._refuse_when_down()
        self.state.board = dict(progress)

    async def progress(self) -> Mapping[str, Progress]:
        self._refuse_when_down()
        return self.state.board

    def _refuse_when_down(self) -> None:
        if self.state.down:
            raise StoreUnavailable(self.state.down)
