"""Waiting until every live gateway serves a change, and saying so when one does not."""

from serving.cli.failures import NotSettled
from serving.cli.output import Json

SETTLE_SECONDS = 5.0


def refuse_unsettled(changed: Json) -> None:
    """Raise `NotSettled` when not every gateway took the change up in time: it is a failure, though the change stands."""
    settled = changed.get("settled")
    if settled is not None and not settled["done"]:
        raise NotSettled(int(changed["epoch"]), settled["waiting"])
