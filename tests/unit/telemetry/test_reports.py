import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from registry_client.versions import ModelVersion
from serving.core.routing import Arm, Target
from serving.core.sketches import Baseline, Sketch
from serving.core.statistics import Sums
from serving.core.totals import ArmTotals, PairTotals, Report, Totals
from serving.ports import ArmCounts, Failure, GatewayReport
from serving.telemetry.datagrams import Inbox, Outbox, UdpInbox, UdpOutbox, UnixInbox, UnixOutbox
from serving.telemetry.reports import ROLLOUTS_MOST, DatagramObservations, DatagramReports
from tests.fakes.clock import FakeClock
from tests.fakes.observations import FakeObservations, FakeReports


def counts(version: str = "1.0.0", requests: int = 10, **failures: int) -> ArmCounts:
    target = Target("digits", ModelVersion.parse(version), f"{version:-<64}")
    return ArmCounts(target, Arm.CANARY, requests, {Failure(kind): number for kind, number in failures.items()}, 1)


def report(*parts: ArmCounts, gateway: str = "g1", started: float = 1.5) -> GatewayReport:
    return GatewayReport(gateway, started, parts)


def names(directory: Path) -> list[str]:
    return [file.name for file in directory.iterdir()]


class Wire:
    """Both ends of the way, real or fake."""

    def __init__(
        self, clock: FakeClock, observations: DatagramObservations | FakeObservations, reports: DatagramReports | FakeReports
    ) -> None:
        self.clock, self.observations, self.reports = clock, observations, reports
        self._arrived = asyncio.Event()
        self.wakes = 0
        observations.subscribe(self._wake)

    def _wake(self) -> None:
        self.wakes += 1
        self._arrived.set()

    async def arrival(self) -> None:
        async with asyncio.timeout(5):
            await self._arrived.wait()
        self._arrived.clear()


@pytest.fixture(params=["unix", "udp", "fake"])
async def wire(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Wire]:
    clock = FakeClock()
    if request.param == "fake":
        observations = FakeObservations(clock)
        yield Wire(clock, observations, FakeReports(observations))
        return
    inbox, outbox = ends(request.param, tmp_path)
    listening = DatagramObservations(inbox, clock)
    await listening.start()
    sending = DatagramReports(outbox)
    yield Wire(clock, listening, sending)
    sending.close()
    await listening.stop()
    if isinstance(inbox, UdpInbox):
        inbox.release()


def ends(kind: str, folder: Path) -> tuple[Inbox, Outbox]:
    """Both ends of the datagrams' way."""
    if kind == "unix":
        return UnixInbox(folder / "reports.sock"), UnixOutbox(folder / "reports.sock")
    inbox, outbox = UdpInbox("127.0.0.1", b"k" * 32), UdpOutbox(b"k" * 32)
    outbox.address_to([("127.0.0.1", inbox.port)])
    return inbox, outbox


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[DatagramObservations]:
    observations = DatagramObservations(UnixInbox(tmp_path / "reports.sock"), FakeClock())
    await observations.start()
    yield observations
    await observations.stop()


async def test_the_newest_report_of_every_gateway_is_known(wire: Wire) -> None:
    wire.reports.send(report(counts(requests=10, timeout=2)))
    wire.reports.send(report(counts(requests=12, timeout=2, model=1)))
    wire.reports.send(report(gateway="g2"))
    await wire.arrival()

    latest = wire.observations.latest()

    assert set(latest) == {"g1", "g2"}
    assert latest["g1"] == report(counts(requests=12, timeout=2, model=1))
    assert latest["g2"].counts == ()


async def test_what_is_counted_of_rollouts_arrives_beside_the_counts(wire: Wire) -> None:
    first = Report("g1", 1.5, 1, Totals(ArmTotals(10, 2, slow=(3, 1), classes=(6, 4), rewards=Sums(2, 1.5, 1.25))), 2)
    second = replace(first, sequence=2, totals=replace(first.totals, pairs=PairTotals(5, 4, 1, 2, 1)))
    other = Report("g1", 1.5, 1, Totals(production=ArmTotals(7)))
    baseline = Baseline(Sketch({-40: 3, 0: 2}))

    wire.reports.send(GatewayReport("g1", 1.5, (counts(),), {"digits-1.1.0-1": first, "iris-2.0.0-1": other}))
    wire.reports.send(GatewayReport("g1", 1.5, (counts(),), {"digits-1.1.0-1": second}, {"digits-1.1.0-1": baseline}))
    wire.reports.send(report(gateway="g2"))
    await wire.arrival()

    heard = wire.observations.latest()["g1"]
    assert heard.counts == (counts(),)
    assert heard.rollouts == {"digits-1.1.0-1": second, "iris-2.0.0-1": other}
    assert heard.baselines == {"digits-1.1.0-1": baseline}


async def test_rollouts_that_are_no_longer_told_of_are_forgotten_at_last(wire: Wire) -> None:
    for number in range(ROLLOUTS_MOST + 2):
        wire.reports.send(GatewayReport("g1", 1.5, (), {f"r{number}": Report("g1", 1.5, 1, Totals())}))
        await wire.arrival()

    remembered = wire.observations.latest()["g1"].rollouts
    assert len(remembered) == ROLLOUTS_MOST
    assert f"r{ROLLOUTS_MOST + 1}" in remembered


async def test_a_gateway_that_falls_silent_is_forgotten(wire: Wire) -> None:
    wire.reports.send(report())
    await wire.arrival()
    wire.clock.advance(9)
    wire.reports.send(report(gateway="g2"))
    await wire.arrival()

    wire.clock.advance(2)

    assert set(wire.observations.latest()) == {"g2"}


async def test_a_gateway_that_started_again_brings_nothing_over_from_its_earlier_life(wire: Wire) -> None:
    wire.reports.send(report(counts("1.0.0"), started=1))
    wire.reports.send(report(counts("1.1.0"), started=2))
    await wire.arrival()

    assert wire.observations.latest()["g1"] == report(counts("1.1.0"), started=2)


async def test_a_long_report_arrives_whole_in_several_datagrams(listening: DatagramObservations, tmp_path: Path) -> None:
    many = [counts(f"1.{minor}.0", requests=minor) for minor in range(2000)]
    arrived = asyncio.Event()
    listening.subscribe(arrived.set)
    sending = DatagramReports(UnixOutbox(tmp_path / "reports.sock"))

    sending.send(report(*many))
    async with asyncio.timeout(5):
        await arrived.wait()
    sending.close()

    assert list(listening.latest()["g1"].counts) == many


async def test_reports_that_arrive_together_wake_once(listening: DatagramObservations, tmp_path: Path) -> None:
    wakes: list[None] = []
    arrived = asyncio.Event()
    listening.subscribe(lambda: wakes.append(None))
    listening.subscribe(arrived.set)
    sending = DatagramReports(UnixOutbox(tmp_path / "reports.sock"))

    for _ in range(5):
        sending.send(report())
    async with asyncio.timeout(5):
        await arrived.wait()
    sending.close()

    assert len(wakes) == 1


def test_sending_to_nobody_costs_nothing_and_raises_nothing(tmp_path: Path) -> None:
    sending = DatagramReports(UnixOutbox(tmp_path / "nobody.sock"))

    sending.send(report(counts()))

    sending.close()


async def test_sending_to_a_receiver_that_does_not_read_never_blocks(listening: DatagramObservations, tmp_path: Path) -> None:
    sending = DatagramReports(UnixOutbox(tmp_path / "reports.sock"))

    for _ in range(2000):
        sending.send(report(*(counts(f"1.{minor}.0") for minor in range(20))))

    sending.close()
    assert listening.latest() == {}


async def test_reports_flow_again_after_the_receiver_was_away(tmp_path: Path) -> None:
    path = tmp_path / "reports.sock"
    sending = DatagramReports(UnixOutbox(path))
    first = DatagramObservations(UnixInbox(path), FakeClock())
    await first.start()
    await first.stop()
    sending.send(report())
    second = DatagramObservations(UnixInbox(path), FakeClock())
    arrived = asyncio.Event()
    second.subscribe(arrived.set)
    await second.start()

    sending.send(report())
    async with asyncio.timeout(5):
        await arrived.wait()

    assert set(second.latest()) == {"g1"}
    await second.stop()
    sending.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"\xff" * 100,
        msgspec.msgpack.encode(["g1", 1.0, [["digits", "not a version", "d", "canary", 1, {}, 0]]]),
        msgspec.msgpack.encode(["g1", 1.0, [["digits", "1.0.0", "d", "canary", -1, {}, 0]]]),
        msgspec.msgpack.encode(["g1", 1.0, [["digits", "1.0.0", "d", "no arm", 1, {}, 0]]]),
        msgspec.msgpack.encode(["g1", 1.0, [["digits", "1.0.0", "d", "canary", 1, {"no kind": 1}, 0]]]),
        msgspec.msgpack.encode(["g1", 1.0, [], {}, {"r1": {"latencies": {"counts": {3: -1}}}}]),
    ],
)
async def test_what_is_no_report_is_counted_and_changes_nothing(listening: DatagramObservations, tmp_path: Path, nonsense: bytes) -> None:
    arrived = asyncio.Event()
    listening.subscribe(arrived.set)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(nonsense, str(tmp_path / "reports.sock"))
        stranger.sendto(msgspec.msgpack.encode(["g2", 1.0, []]), str(tmp_path / "reports.sock"))

    async with asyncio.timeout(5):
        await arrived.wait()

    assert listening.malformed == 1
    assert set(listening.latest()) == {"g2"}


@pytest.mark.parametrize(
    ("canary", "why"),
    [
        ({"failures": 2}, "counters contradict each other"),
        ({"trials": 1, "rewards": {"count": 1, "total": float("nan"), "squares": 0.0}}, "sum nan"),
        ({"trials": "many"}, "Expected `int`"),
    ],
    ids=["contradicting", "not a number", "no counter"],
)
async def test_a_report_of_a_rollout_that_is_none_is_told_of_until_the_next_one_is(
    listening: DatagramObservations, tmp_path: Path, canary: dict[str, object], why: str
) -> None:
    def said(sequence: int, canary: dict[str, object]) -> bytes:
        report = {"source": "g1", "life": 1.5, "sequence": sequence, "totals": {"canary": canary}}
        return msgspec.msgpack.encode(["g1", 1.5, [], {"r1": report}])

    arrived = asyncio.Event()
    listening.subscribe(arrived.set)
    heard: list[GatewayReport] = []
    counted: list[dict[str, object]] = [{"trials": 5}, canary, {"trials": 9}]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gateway:
        for sequence, counters in enumerate(counted, 1):
            gateway.sendto(said(sequence, counters), str(tmp_path / "reports.sock"))
            async with asyncio.timeout(5):
                await arrived.wait()
            arrived.clear()
            heard.append(listening.latest()["g1"])

    good, bad, later = heard
    assert why in bad.unreadable["r1"]
    assert bad.rollouts == good.rollouts
    assert (good.unreadable, later.unreadable, later.rollouts["r1"].sequence) == ({}, {}, 3)
    assert listening.malformed == 0


async def test_only_the_owner_may_send_and_a_stale_socket_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "reports.sock"
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stale.bind(str(path))
    stale.close()
    observations = DatagramObservations(UnixInbox(path), FakeClock())

    await observations.start()

    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["reports.sock"]
    await observations.stop()
    assert names(tmp_path) == []


async def test_a_receiver_that_was_replaced_leaves_the_socket_of_its_successor(tmp_path: Path) -> None:
    path = tmp_path / "reports.sock"
    old, new = DatagramObservations(UnixInbox(path), FakeClock()), DatagramObservations(UnixInbox(path), FakeClock())
    await old.start()
    await new.start()

    await old.stop()

    assert path.exists()
    await new.stop()


@pytest.mark.parametrize("kind", ["unix", "udp"])
async def test_who_stops_listening_can_begin_again(kind: str, tmp_path: Path) -> None:
    inbox, outbox = ends(kind, tmp_path)
    sending = DatagramReports(outbox)
    for gateway in ("first", "second"):
        observations = DatagramObservations(inbox, FakeClock())
        await observations.start()
        heard = asyncio.Event()
        observations.subscribe(heard.set)

        sending.send(report(gateway=gateway))
        await asyncio.wait_for(heard.wait(), 5)

        assert set(observations.latest()) == {gateway}
        await observations.stop()
    sending.close()
    if isinstance(inbox, UdpInbox):
        inbox.release()
