"""A change has settled when all gateways that are alive serve by it."""

from collections.abc import Sequence
from typing import Any

import pytest

from serving.core.errors import StoreUnavailable
from serving.ports import GatewayAck
from tests.fakes.clock import FakeClock
from tests.unit.control.operations.site import V1, Site


class Gateways:
    """Acks that move on by themselves: one step of the script at every look, each look taking a tenth of a second."""

    def __init__(self, clock: FakeClock, *script: dict[str, int] | None) -> None:
        self._clock = clock
        self._script = list(script)

    async def acks(self) -> Sequence[GatewayAck]:
        self._clock.advance(0.1)
        epochs = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if epochs is None:
            msg = "it is locked"
            raise StoreUnavailable(msg)
        return [GatewayAck(name, epoch, self._clock.now()) for name, epoch in epochs.items()]

    async def lapsed_gateways(self) -> Sequence[GatewayAck]:
        return []

    async def ack(self, ack: GatewayAck) -> None: ...

    async def leave(self, gateway: str) -> None: ...


@pytest.mark.parametrize(
    ("script", "done", "acked", "waiting"),
    [
        ([{"a": 7, "b": 8}], True, ["a", "b"], ()),
        ([{"a": 6, "b": 7}, {"a": 6, "b": 7}, {"a": 7, "b": 7}], True, ["a", "b"], ()),
        ([{"a": 6, "b": 7}, {"b": 7}], True, ["b"], ()),
        ([{"a": 6, "b": 7}], False, ["b"], ("a",)),
        ([{}], True, [], ()),
        ([None, {"a": 7}], True, ["a"], ()),
        ([{"a": 6}, None], False, [], ("a",)),
        ([None], False, [], ()),
    ],
    ids=["at once", "after a while", "one is gone", "one hangs", "nobody", "store back", "store gone", "store down"],
)
async def test_settling_waits_for_every_live_gateway(
    site: Site, script: list[Any], done: Any, acked: list[str], waiting: tuple[str, ...]
) -> None:
    operations = site.with_acks(Gateways(site.clock, *script))

    settled = await operations.settle(7, timeout=1)

    assert (settled.done, [ack.gateway for ack in settled.acked], settled.waiting) == (done, acked, waiting)
    assert settled.seconds >= 1 or settled.done


async def test_a_change_settles_once_all_gateways_acked_its_epoch(site: Site) -> None:
    await site.store.ack(GatewayAck("gateway-1", 1, site.clock.now()))
    changed = await site.operations.promote("digits", V1, site.author())

    settled = await site.operations.settle(changed.commit.epoch, timeout=0)

    assert settled.done
