"""What a process of this node stands on when the state store is gone: the kept routes, and the overrides of whoever broke the glass."""

import asyncio
from contextlib import suppress

from serving.bootstrap.layout import Layout
from serving.control.overriding import Reconciliation
from serving.control.seen import SeenStore
from serving.core.routing import RouteTable
from serving.dataplane.addresses import parse_address
from serving.dataplane.link_pool import LinkPool
from serving.gateway.keeping import SnapshotKeeping
from serving.gateway.overriding import OverridesInForce
from serving.gateway.routes import Footing
from serving.gateway.standing import StoreStanding
from serving.ports import Kept, NodeRecorder, Snapshot, StateStore
from serving.stores.override_files import OverrideFiles
from serving.stores.snapshot_file import SnapshotFile
from serving.telemetry.clock import SystemClock


async def load_kept(layout: Layout) -> Kept:
    """What this node has kept; of an unread snapshot where it has not kept anything that can be believed."""
    return await asyncio.to_thread(SnapshotFile(layout.snapshot).load) or Kept(Snapshot())


def override_files(layout: Layout) -> OverrideFiles:
    """The overrides of this node."""
    return OverrideFiles(layout.home.overrides, layout.home.break_glass_key)


def footing_of(layout: Layout, kept: Kept, pool: LinkPool, recorder: NodeRecorder, node: str) -> Footing:
    """What a gateway stands on."""
    return Footing(
        node=node,
        kept=kept.snapshot,
        keeping=SnapshotKeeping(SnapshotFile(layout.snapshot), kept.snapshot, pool.endpoints),
        overrides=OverridesInForce(override_files(layout), recorder),
        standing=StoreStanding(recorder),
    )


def dial_kept(pool: LinkPool, table: RouteTable, kept: Kept) -> None:
    """Reach for the replicas where they were last, until Serve says where they are."""
    known = pool.endpoints()
    for route in table.families.values():
        for target in route.served.values():
            if target.digest in kept.endpoints and target.digest not in known:
                with suppress(ValueError):  # kept by another release: Serve will say where they are
                    addresses = [parse_address(each) for each in kept.endpoints[target.digest]]
                    pool.set_replicas(target.digest, f"{target.family}@{target.version}", addresses)


def reconciliation_of(layout: Layout, store: StateStore) -> Reconciliation:
    """Who writes this node's overrides to the store."""
    snapshots = SnapshotFile(layout.snapshot)
    return Reconciliation(override_files(layout), SeenStore(store, snapshots), snapshots, SystemClock())
