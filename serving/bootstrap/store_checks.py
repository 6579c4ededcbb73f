"""Looking at the store before serving from it: what is not as it should be is told, and serving starts all the same."""

import asyncio

import structlog

from serving.core.errors import StoreUnavailable
from serving.stores.opening import StorePlan, inspect_store

log = structlog.get_logger()


def look_at_store(plan: StorePlan) -> None:
    """Log what an operator should know of the store; also that it does not answer, which keeps nobody from serving."""
    try:
        findings = asyncio.run(inspect_store(plan))
    except StoreUnavailable as error:
        log.warning("store_unreachable", why=str(error), hint="serving starts by the routes this node has kept, if there are any")
        return
    for finding in findings:
        log.warning("store_setting", setting=finding.setting, why=finding.sentence, hint=finding.hint)
