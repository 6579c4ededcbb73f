"""What an operator does when the store came back older, or another: look at both, and say from which of them it shall go on."""

from dataclasses import dataclass
from enum import StrEnum

from serving.control.operations import Author
from serving.control.seen import SeenStore
from serving.core.errors import ChangeRefused, StoreUnavailable, StoreWentBack
from serving.failpoints import Failpoint, reach
from serving.ports import Acks, Clock, Commit, GatewayAck, Mark, Reseed


class Source(StrEnum):
    """What a re-seeded store goes on from."""

    SNAPSHOT = "snapshot"
    """What was seen of it before it went back: the routes that gateways serve by."""
    STORE = "store"
    """What it holds now: what was seen and is not in it is given up."""


class NothingToReseed(ChangeRefused):
    """A store that goes on from what was seen of it needs no operator's word."""

    hint = "nothing needs to be done: pointsman store status"

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        super().__init__(f"the store is well, at {mark}, and goes on from what was seen of it")


class NothingToReseedFrom(ChangeRefused):
    """There is no snapshot on this node."""

    hint = "re-seed on a node whose gateways have kept one, or from the store: pointsman store reseed --from store"

    def __init__(self) -> None:
        super().__init__("no snapshot was kept on this node that the store could go on from")


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store stands. `problem` says what is wrong with it; marks are None where nothing is known."""

    kind: str
    reachable: bool
    went_back: bool
    problem: str
    store: Mark | None
    seen: Mark | None
    """How far anybody on this node has seen it come: the kept snapshot's mark, or a newer one."""
    gateways: tuple[GatewayAck, ...]


class Reseeding:
    """Tells how the store stands, and re-seeds it."""

    def __init__(self, store: SeenStore, acks: Acks, clock: Clock, *, kind: str) -> None:
        self._store = store
        self._acks = acks
        self._clock = clock
        self._kind = kind

    async def status(self) -> StoreStatus:
        """How the store stands now; never raises for a store that does not answer."""
        seen = (await self._store.last_seen()).mark
        known = seen if seen.epoch >= 0 else None
        gateways: tuple[GatewayAck, ...] = ()
        try:
            gateways = tuple(await self._acks.acks())
            mark = (await self._store.snapshot()).mark
        except StoreWentBack as error:
            return StoreStatus(self._kind, True, True, str(error), error.store, known, gateways)  # noqa: FBT003 - the fields say it
        except StoreUnavailable as error:
            return StoreStatus(self._kind, False, False, str(error), None, known, ())  # noqa: FBT003 - as above
        return StoreStatus(self._kind, True, False, "", mark, known, gateways)  # noqa: FBT003 - as above

    async def reseed(self, source: Source, author: Author) -> Commit:
        """Have the store go on from `source`, under a higher fence. Raises `NothingToReseed`, `NothingToReseedFrom`, `StoreUnavailable`."""
        seen = await self._store.last_seen()
        try:
            entry = await self._store.committed(author.operation_id)
            if entry is not None:
                return Commit(entry.epoch, entry.revision, replayed=True)
            raise NothingToReseed((await self._store.snapshot()).mark)
        except StoreWentBack:
            pass
        except StoreUnavailable:
            # It may be lost for good: what was seen can be written to a new one, if one can be made in its place.
            if source is Source.STORE:
                raise
        if source is Source.SNAPSHOT and seen.epoch < 0:
            raise NothingToReseedFrom
        families = seen.families if source is Source.SNAPSHOT else (await self._store.as_it_is()).families
        reach(Failpoint.RESEED_DECIDED)
        commit = await self._store.reseed(
            Reseed(
                families=families,
                seen=seen.mark,
                actor=author.actor,
                reason=author.reason,
                operation_id=author.operation_id,
                at=self._clock.now(),
            )
        )
        reach(Failpoint.RESEED_COMMITTED)
        return commit
