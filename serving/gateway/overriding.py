"""The overrides that a gateway carries out: found on the node's disk within a moment, and held until the store says the same.

What was once believed stays in force until it is settled, taken back, or its file is gone: a disk that fails must not bring back what
an operator took out.
"""

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from serving.core.lifecycle import FamilyRecord
from serving.core.overrides import Ending, Enforced, Override, Settlement, enforce
from serving.ports import Mark, NodeRecorder, Overrides, Placed

log = structlog.get_logger()

POLL_S = 0.1
"""Between two looks at the directory. A look is one system call; all of them together cost 0.2 % of a core."""


class OverridesInForce:
    """What stands, as last read. `look` reads again when something changed; `carry_out` applies it."""

    def __init__(self, overrides: Overrides, recorder: NodeRecorder) -> None:
        self._overrides = overrides
        self._recorder = recorder
        self._stamp = -1
        self._again = False
        """Whether to read once more: two changes within one tick of the file system's clock have the same stamp."""
        self._standing: dict[str, Override] = {}
        self._leaving: dict[str, tuple[Override, Settlement]] = {}
        """Settled in the store, though the routes that say so have not come yet."""
        self._confirmed: frozenset[str] | None = None
        self._refused: Mapping[str, str] = {}
        self._in_force: Mapping[str, str] = {}
        self._impossible: Mapping[str, str] = {}

    async def look(self) -> bool:
        """Read what lies there if it may have changed; say whether the table has to be made anew."""
        stamp = self._overrides.stamp()
        if stamp == self._stamp and not self._again:
            return False
        self._again = stamp != self._stamp
        before = (dict(self._standing), dict(self._leaving))
        try:
            self._take(*await asyncio.to_thread(self._read))
        except OSError as error:
            self._again = True
            self._refuse({"": f"the overrides cannot be read: {error}"})
            return False
        self._stamp = stamp
        return before != (self._standing, self._leaving)

    def carry_out(self, records: Iterable[FamilyRecord], mark: Mark) -> Enforced:
        """The records at a mark, with what stands carried out on them."""
        at = (mark.fence, mark.epoch)
        self._leaving = {name: pair for name, pair in self._leaving.items() if at < (pair[1].fence, pair[1].epoch)}
        standing = (*self._standing.values(), *(override for override, _ in self._leaving.values()))
        enforced = enforce({record.family: record for record in records}, standing)
        self._tell(enforced)
        return enforced

    async def confirm(self, gateway: str) -> None:
        """Say on the disk what is carried out here, if that is not said already."""
        carried = frozenset(self._standing) - self._impossible.keys()
        if carried == self._confirmed:
            return
        try:
            await asyncio.to_thread(self._overrides.confirm, gateway, carried)
        except OSError as error:
            log.warning("override_not_confirmed", why=str(error))
        self._confirmed = carried

    def _read(self) -> tuple[Placed, Mapping[str, Settlement | None]]:
        placed = self._overrides.read()
        there = {override.operation_id for override in placed.standing}
        return placed, {gone: self._overrides.settlement(gone) for gone in self._standing.keys() - there}

    def _take(self, placed: Placed, settlements: Mapping[str, Settlement | None]) -> None:
        standing = {each.operation_id: each for each in placed.standing if each.operation_id not in placed.clearings}
        for name, override in self._standing.items():
            if name in standing:
                continue
            settlement = settlements.get(name)
            if name in placed.clearings:
                log.warning("override_cleared", override=name, by=placed.clearings[name].actor, why=placed.clearings[name].reason)
            elif settlement is not None:
                self._settled(override, settlement)
            elif any(refused.startswith(f"{name}.") for refused in placed.refused):
                standing[name] = override
            else:
                log.warning("override_vanished", override=name, family=override.family, hint="its file was removed by hand")
        self._standing = standing
        self._refuse(placed.refused)

    def _settled(self, override: Override, settlement: Settlement) -> None:
        log.info("override_settled", override=override.operation_id, family=override.family, ending=settlement.ending.value)
        if settlement.ending is not Ending.CLEARED:
            self._leaving[override.operation_id] = (override, settlement)

    def _refuse(self, refused: Mapping[str, str]) -> None:
        for name, why in refused.items():
            if self._refused.get(name) != why:
                log.error("override_refused", why=why)
        self._refused = dict(refused)

    def _tell(self, enforced: Enforced) -> None:
        for family, name in enforced.in_force.items():
            if self._in_force.get(family) != name:
                override = self._standing.get(name) or self._leaving[name][0]
                log.warning("override_in_force", override=name, does=str(override), by=override.actor, why=override.reason)
        for name, why in enforced.impossible.items():
            if name not in self._impossible:
                log.error("override_impossible", override=name, why=why)
        if enforced.in_force.keys() != self._in_force.keys():
            self._recorder.overridden(enforced.in_force.keys())
        self._in_force, self._impossible = enforced.in_force, enforced.impossible
