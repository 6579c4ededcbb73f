"""That somebody said: look at the registry now. A hint, of which nothing else is known or believed."""

from typing import Protocol


class Hints(Protocol):
    """Where whoever is told leaves hints for whoever looks, on this node or another. Both methods raise `StoreUnavailable`."""

    async def leave(self) -> None:
        """Say that there may be something to see."""
        ...

    async def stamp(self) -> str:
        """Another text whenever a hint was left since; cheap enough to ask ten times a second."""
        ...


class HintRecorder(Protocol):
    """Where it is shown to the dashboards what became of hints."""

    def hinted(self, outcome: str) -> None:
        """Count one: `believed`, `unbelieved`, `repeated` or `too_many`."""
        ...
