"""A rollout's step as a change of its family's record: the next rollout and all that follows from it for the traffic, or nothing of it.

Every effect says what should be, so a move may be made again: what is so already stays so.
"""

from dataclasses import dataclass, replace

from registry_client.versions import ModelVersion
from serving.core.changes import ChangeFacts, Promote, RollBack, SetCanary, SetShadow, apply, retired
from serving.core.effects import Effect, FlipBack, KeepWarm, Page, ReleaseWarm, SetMirror, SetWeight, TakeOff, Tell, Verify
from serving.core.effects import Promote as PutIntoProduction
from serving.core.lifecycle import FamilyRecord
from serving.core.policy import Missing, Unit
from serving.core.refusals import NothingToRollBack
from serving.core.routing import MissingKey
from serving.core.underway import Underway

_HEADER = "header:"


@dataclass(frozen=True, slots=True)
class Move:
    """What a rollout comes to and what it does to the traffic. `override` lifts the candidate's quarantine."""

    underway: Underway
    effects: tuple[Effect, ...] = ()
    override: bool = False

    @property
    def version(self) -> ModelVersion:
        """The candidate."""
        return ModelVersion.parse(self.underway.rollout.version)


def moved(record: FamilyRecord, move: Move, facts: ChangeFacts) -> FamilyRecord:
    """The family after a rollout's step, one revision on. Raises a `ChangeRefused`."""
    underway = move.underway
    # What a rollout forbids to others it does itself.
    changed = replace(record, rollout=None)
    if record.rollout is None or record.rollout.id != underway.id:
        changed = _split_by(changed, underway.terms.unit)
    for effect in move.effects:
        changed = _done(changed, move.version, effect, move, facts)
    return replace(changed, rollout=underway, revision=record.revision + 1)


def _split_by(record: FamilyRecord, unit: Unit) -> FamilyRecord:
    """The callers are told apart as the policy says, as long as nobody is split yet."""
    if record.canaries or not unit.key:
        return record
    keys = tuple(key.removeprefix(_HEADER).lower() for key in unit.key if key.startswith(_HEADER))
    missing = MissingKey.PRODUCTION if unit.missing is Missing.PRODUCTION else MissingKey.RANDOM
    return replace(record, key_headers=keys or record.key_headers, missing_key=missing)


def _done(record: FamilyRecord, version: ModelVersion, effect: Effect, move: Move, facts: ChangeFacts) -> FamilyRecord:
    match effect:
        case SetWeight() | SetMirror():
            return _shared(record, version, effect, move, facts)
        case PutIntoProduction():
            promotion = Promote(version, move.underway.rollout.digest, move.override)
            return record if record.production == version else apply(record, promotion, facts)
        case FlipBack():
            return _flipped_back(record, version, effect, facts)
        case TakeOff():
            return retired(record, version)
        case Verify() | KeepWarm() | ReleaseWarm() | Tell() | Page():
            return record


def _shared(record: FamilyRecord, version: ModelVersion, effect: SetWeight | SetMirror, move: Move, facts: ChangeFacts) -> FamilyRecord:
    digest, weight = move.underway.rollout.digest, effect.weight
    if isinstance(effect, SetWeight):
        canary = record.canary_of(version)
        held = 0 if canary is None else canary.slice.weight
        return record if held == weight else apply(record, SetCanary(version, digest, weight, move.override), facts)
    shadow = record.shadow_of(version)
    held = 0 if shadow is None else shadow.weight
    return record if held == weight else apply(record, SetShadow(version, digest, weight, move.override), facts)


def _flipped_back(record: FamilyRecord, version: ModelVersion, flip: FlipBack, facts: ChangeFacts) -> FamilyRecord:
    if record.production != version:
        out = retired(record, version)
        return replace(out, quarantined={**out.quarantined, version: flip.reason})
    # Named, so that it is this version that goes and not whoever else is beside it.
    unstained = (earlier for earlier in record.previous if earlier not in record.quarantined)
    target = next(unstained, None)
    if target is None:
        raise NothingToRollBack(record.family)
    why = replace(facts, decided=replace(facts.decided, reason=flip.reason))
    return apply(record, RollBack(target), why)
