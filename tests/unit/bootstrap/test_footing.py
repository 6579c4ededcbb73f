"""What a gateway reaches for, and goes by, when only its node's own files are there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry_client.address import RegistryPlan
from registry_client.versions import ModelVersion
from serving.bootstrap.footing import dial_kept, footing_of, load_kept
from serving.bootstrap.layout import Layout
from serving.core.routing import FamilyRoute, RouteTable, Target
from serving.dataplane.addresses import UnixAddress
from serving.dataplane.link_pool import LinkPool
from serving.ports import Kept, Snapshot
from serving.stores.snapshot_file import SnapshotFile
from tests.fakes.node import MemoryNodeRecorder

ONE = Target("digits", ModelVersion.parse("1.0.0"), "a" * 64)
TWO = Target("digits", ModelVersion.parse("1.1.0"), "b" * 64)
TABLE = RouteTable(3, {"digits": FamilyRoute("digits", TWO, served={ONE.version: ONE, TWO.version: TWO})})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "data", RegistryPlan.at(tmp_path / "data" / "registry"), tmp_path / "sockets", tmp_path / "memory")
    layout.create()
    return layout


@pytest.fixture
async def pool() -> AsyncIterator[LinkPool]:
    loop = asyncio.get_running_loop()
    pool = LinkPool(loop, loop.time)
    yield pool
    pool.close()


async def test_replicas_are_reached_for_where_they_were_last(pool: LinkPool) -> None:
    kept = Kept(Snapshot(epoch=3), {ONE.digest: ("/nowhere/1",), "c" * 64: ("/nowhere/3",)})

    dial_kept(pool, TABLE, kept)

    assert pool.endpoints() == {ONE.digest: ("/nowhere/1",)}, "not what is no longer routed"


async def test_what_is_known_of_a_replica_is_better_than_what_was_kept(pool: LinkPool) -> None:
    pool.set_replicas(ONE.digest, "digits@1.0.0", [UnixAddress("/nowhere/new")])

    dial_kept(pool, TABLE, Kept(Snapshot(epoch=3), {ONE.digest: ("/nowhere/old",)}))

    assert pool.endpoints() == {ONE.digest: ("/nowhere/new",)}


async def test_an_address_that_nobody_understands_is_left_to_serve(pool: LinkPool) -> None:
    dial_kept(pool, TABLE, Kept(Snapshot(epoch=3), {ONE.digest: ("carrier pigeon",)}))

    assert pool.endpoints() == {}


async def test_a_gateway_that_starts_stands_on_what_was_kept(layout: Layout, pool: LinkPool) -> None:
    SnapshotFile(layout.snapshot).keep(Kept(Snapshot(epoch=3, head="e" * 64), {ONE.digest: ("/nowhere/1",)}))

    kept = await load_kept(layout)
    footing = footing_of(layout, kept, pool, MemoryNodeRecorder(), "10.0.0.7")

    assert (footing.kept.epoch, kept.endpoints) == (3, {ONE.digest: ("/nowhere/1",)})


async def test_where_nothing_was_kept_it_stands_on_nothing(layout: Layout) -> None:
    assert (await load_kept(layout)).snapshot.epoch == -1
