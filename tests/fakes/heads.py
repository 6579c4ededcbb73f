"""Published heads in memory, and the dashboards that are shown them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.core.errors import HeadLogBroken
from serving.ports import Mark, SignedHead


@dataclass
class FakeHeadLog:
    """The `HeadLog` in memory; `broken` says why it fails."""

    heads: list[SignedHead] = field(default_factory=list[SignedHead])
    broken: str = ""

    async def append(self, head: SignedHead) -> None:
        self._refuse_when_broken()
        self.heads.append(head)

    async def read(self) -> Sequence[SignedHead]:
        self._refuse_when_broken()
        return tuple(self.heads)

    def _refuse_when_broken(self) -> None:
        if self.broken:
            where = "memory"
            raise HeadLogBroken(where, self.broken)


@dataclass
class FakeHeadRecorder:
    """The `HeadRecorder` that keeps what it was shown."""

    marks: list[Mark] = field(default_factory=list[Mark])

    def audited(self, mark: Mark) -> None:
        self.marks.append(mark)
