"""Arming the failpoints of a process of the installation, loudly: none of them belongs where somebody depends on the answers."""

import structlog

from serving import failpoints
from serving.bootstrap.layout import Layout

log = structlog.get_logger()


def arm_failpoints(plan: str, layout: Layout) -> None:
    """Arm what the settings say; a step that a process of this run died at kills no other."""
    failpoints.arm(plan, layout.died)
    if plan:
        log.warning("failpoints_armed", plan=plan)
