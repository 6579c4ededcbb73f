"""Putting together who makes it known that a version is no longer what it was: one on each node, for its ledger."""

from serving.bootstrap.admin_services import AdminPlan, Base
from serving.bootstrap.between import host_name
from serving.control.policies.holding import HeldPolicies
from serving.control.policies.home import PolicyHome
from serving.control.seen import SeenStore
from serving.control.telling import Telling
from serving.control.violations import ViolationNews, ViolationWatch
from serving.stores.outbox import OutboxFiles
from serving.stores.snapshot_file import SnapshotFile

VIOLATIONS_S = 1.0
"""Between two looks at the ledger; one that finds nothing new reads no more than the end of a file."""


def violation_watch(plan: AdminPlan, base: Base) -> ViolationWatch:
    """Who looks at the ledger of this node."""
    news = ViolationNews(Telling(OutboxFiles(plan.layout.outbox), tuple(plan.webhooks)), HeldPolicies(PolicyHome(plan.policies)))
    seen = SeenStore(base.store, SnapshotFile(plan.layout.snapshot))
    return ViolationWatch(base.registry.ledger, seen, news, base.clock, host_name(plan.between))
