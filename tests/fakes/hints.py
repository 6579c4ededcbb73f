"""Hints in memory."""

from serving.core.errors import StoreUnavailable


class MemoryHints:
    """Counts them; `is_away` has it answer nothing."""

    def __init__(self) -> None:
        self.left = 0
        self.is_away = False

    async def leave(self) -> None:
        self._answer()
        self.left += 1

    async def stamp(self) -> str:
        self._answer()
        return str(self.left)

    def _answer(self) -> None:
        if self.is_away:
            raise StoreUnavailable("the fake is away")  # noqa: EM101, TRY003 - a test's own sentence


class FakeHintRecorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes = list[str]()

    def hinted(self, outcome: str) -> None:
        self.outcomes.append(outcome)
