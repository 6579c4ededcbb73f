"""Callers who stay with the old production for a while after the new one is live, so that the two go on being compared.

Nothing is stored of it: it follows from the rollout that is live and kept warm, so that it ends with that, whatever ends it. It never
lapses for want of a controller, as a canary does: the old production is what was good.
"""

from dataclasses import dataclass

from registry_client.versions import ModelVersion
from serving.core.lifecycle import FamilyRecord
from serving.core.standing import State


@dataclass(frozen=True, slots=True)
class Holdback:
    """The old production and its share of the callers, in basis points."""

    version: ModelVersion
    weight: int


def holdback_of(record: FamilyRecord) -> Holdback | None:
    """Who holds callers back now; None where nobody does."""
    underway = record.rollout
    if underway is None or not underway.terms.holdback or underway.rollout.state is not State.LIVE or underway.rollout.warm_until is None:
        return None
    # While a drill practises the way back, the old production has all callers anyway.
    is_whole = record.production != ModelVersion.parse(underway.rollout.version)
    if is_whole or not record.previous or record.previous[0] in record.quarantined:
        return None
    return Holdback(record.previous[0], underway.terms.holdback)
